// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

// errHeld: another process holds the lock.
var errHeld = errors.New("locked")

// takeLock makes this process the only one to open a store. The system drops
// the lock with the process, however that ends, so the file itself may stay; in
// it stands who holds it.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		if errors.Is(err, errHeld) {
			err = fmt.Errorf("another process has it open: %s", holder(f))
		}
		return nil, errors.Join(err, f.Close())
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	text := "pid " + strconv.Itoa(os.Getpid()) + " on " + host + " since " + time.Now().UTC().Format(time.RFC3339) + "\n"
	if err := f.Truncate(0); err != nil {
		return nil, errors.Join(err, unlock(f))
	}
	if _, err := f.WriteAt([]byte(text), 0); err != nil {
		return nil, errors.Join(err, unlock(f))
	}
	return f, nil
}

func holder(f *os.File) string {
	text, err := io.ReadAll(io.LimitReader(f, 512))
	if err != nil || len(text) == 0 {
		return "it has not said which"
	}
	return string(text[:len(text)-1])
}
