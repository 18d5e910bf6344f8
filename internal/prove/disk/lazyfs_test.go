// SPDX-License-Identifier: Apache-2.0

//go:build linux && lazyfs

package disk

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/errand-a2a/errand/internal/prove"
)

// LazyFS (https://github.com/dsrhaslab/lazyfs) is a file system that forgets on
// demand what was not synced. It is not ours to bring, so these tests are built
// on demand too.
var (
	lazyfs = flag.String("lazyfs", "lazyfs", "the program of LazyFS")
	power  = flag.Int("power", 100, "how often the power is cut under a real server")
)

// lazyDisk is a mounted LazyFS.
type lazyDisk struct {
	dir, fifo string
	answers   *bufio.Reader
}

func mountLazy(t *testing.T) *lazyDisk {
	t.Helper()
	home := t.TempDir()
	l := &lazyDisk{dir: filepath.Join(home, "mounted"), fifo: filepath.Join(home, "fifo")}
	root, config := filepath.Join(home, "root"), filepath.Join(home, "lazyfs.toml")
	for _, d := range []string{l.dir, root} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	text := fmt.Sprintf("[faults]\nfifo_path=%q\nfifo_path_completed=%q\n[cache]\napply_eviction=false\n"+
		"[cache.simple]\ncustom_size=\"0.25gb\"\nblocks_per_page=1\n[filesystem]\nlog_all_operations=false\nlogfile=%q\n",
		l.fifo, l.fifo+".done", filepath.Join(home, "log"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	cmd := exec.Command(*lazyfs, l.dir, "--config-path", config, "-o", "allow_other", "-o", "modules=subdir", "-o", "subdir="+root, "-f")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatalf("start LazyFS: %v", err)
	}
	t.Cleanup(func() {
		if err := exec.Command("fusermount3", "-u", "-z", l.dir).Run(); err != nil {
			t.Errorf("unmount: %v", err)
		}
		cmd.Process.Kill() //nolint:errcheck // it may have ended with its mount
		_ = cmd.Wait()     // killed
		if t.Failed() {
			t.Logf("LazyFS wrote: %.4000s", out.String())
		}
	})
	eventually(t, 10*time.Second, "LazyFS is mounted", func() error {
		var st syscall.Statfs_t
		if err := syscall.Statfs(l.dir, &st); err != nil {
			return err
		}
		const fuse = 0x65735546
		if st.Type != fuse {
			return fmt.Errorf("type %x", st.Type)
		}
		_, err := os.Stat(l.fifo + ".done")
		return err
	})
	// Opened for both, so that opening waits for nobody.
	answers, err := os.OpenFile(l.fifo+".done", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answers.Close() })
	l.answers = bufio.NewReader(answers)
	return l
}

// cut forgets everything that was not synced.
func (l *lazyDisk) cut(t *testing.T) {
	t.Helper()
	f, err := os.OpenFile(l.fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("lazyfs::clear-cache\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := l.answers.ReadString('\n'); err != nil || !strings.Contains(line, "clear-cache") {
		t.Fatalf("LazyFS answered %q, %v", line, err)
	}
}

// cutPower kills the server and then drops what it had not synced, n times.
func (w *workshop) cutPower(l *lazyDisk, n int) error {
	w.start()
	for k := range n {
		time.Sleep(200*time.Millisecond + time.Duration(w.rand.IntN(500))*time.Millisecond)
		if err := w.server.Kill(); err != nil {
			return err
		}
		l.cut(w.t)
		if _, err := w.server.Start(w.t.Context()); err != nil {
			return fmt.Errorf("start after cut %d: %w\n%s", k+1, err, w.logEnd())
		}
		if (k+1)%50 == 0 {
			w.t.Logf("%d cuts, %d acknowledged", k+1, w.load.Acked())
		}
	}
	return nil
}

func TestTortureLazyFS(t *testing.T) {
	l := mountLazy(t)
	w := newWorkshop(t, l.dir, 30)
	if err := w.cutPower(l, *power); err != nil {
		t.Fatal(err)
	}
	w.finish()
	t.Logf("%d power cuts, %d acknowledged operations", *power, w.load.Acked())
}

// The same with a server whose syncs are answered and not made: its losses must
// be found, or nothing would be proved.
func TestTortureLazyFSFindsLosses(t *testing.T) {
	l := mountLazy(t)
	w := newWorkshop(t, l.dir, 100)
	w.server = w.wrapped(`strace -D -f -qq -o /dev/null -e trace=fsync,fdatasync -e inject=fsync,fdatasync:retval=0`)
	w.restart()
	ps := w.probes()
	for range 20 {
		if err := ps.accepted(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.server.Kill(); err != nil {
		t.Fatal(err)
	}
	l.cut(t)
	if _, err := w.server.Start(t.Context()); err != nil {
		t.Logf("it does not even start: %v", err)
		return
	}
	entries, err := prove.ReadLedger(w.path)
	if err != nil {
		t.Fatal(err)
	}
	report, err := prove.NewChecker(w.client).Check(t.Context(), entries)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(report.Summary())
	if report.Count("lost") == 0 {
		t.Error("nothing was found to be lost")
	}
}
