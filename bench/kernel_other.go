// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

import (
	"errors"
	"time"
)

func pause(d time.Duration) { time.Sleep(d) }

func uncache(string) error {
	return errors.New("a file is taken out of the system's cache on Linux alone")
}
