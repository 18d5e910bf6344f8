// SPDX-License-Identifier: Apache-2.0

package client

import (
	"io"
	"time"
)

// watchdog reads a stream's body and barks when an agent that sends
// keep-alives falls silent: its connection may be dead without a sign. An agent
// that has sent none may be silent for as long as it likes.
type watchdog struct {
	body  io.Reader
	idle  time.Duration
	bark  func()
	timer *time.Timer
}

func (w *watchdog) Read(p []byte) (int, error) {
	n, err := w.body.Read(p)
	if w.timer != nil && n > 0 {
		w.timer.Reset(w.idle)
	}
	return n, err
}

// arm starts watching, at the first keep-alive.
func (w *watchdog) arm() {
	if w.timer == nil {
		w.timer = time.AfterFunc(w.idle, w.bark)
	}
}

func (w *watchdog) stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
}
