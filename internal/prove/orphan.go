// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"syscall"
	"time"
)

// EndOrphan kills the server that a killed prover has left behind. The file
// names it, and a process that only has its number now is let alone: it is
// killed once it answers at the address that stands there too.
func EndOrphan(ctx context.Context, pidFile string) error {
	text, err := os.ReadFile(pidFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find the server of the prover before: %w", err)
	}
	var pid int
	var addr string
	if _, err := fmt.Sscanf(string(text), "%d %s", &pid, &addr); err != nil {
		return nil // the prover was killed while it wrote; the store's lock will tell
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return nil // it is gone
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for killed := false; process.Signal(syscall.Signal(0)) == nil; {
		if res, err := client.Get("http://" + addr + "/readyz"); err == nil {
			res.Body.Close()
			if err := process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return fmt.Errorf("end the server of the prover before: %w", err)
			}
			killed = true
		}
		if wait(ctx, 10*time.Millisecond) != nil {
			if killed {
				return fmt.Errorf("the server of the prover before (process %d) does not end", pid)
			}
			return nil // somebody else has its number; or the store's lock will tell
		}
	}
	return nil
}
