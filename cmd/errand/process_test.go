// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/errand-a2a/errand/internal/prove"
)

// processes are the real processes of one script, by name. What a process
// writes goes to NAME.out and NAME.err in the script's folder.
type processes struct {
	mu   sync.Mutex
	byID map[string]*exec.Cmd
}

type processesKey struct{}

// commands are what the scripts have beyond testscript's own:
//
//	freeport VAR          sets VAR to a loopback address whose port is free
//	start NAME ARGS...    starts errand with ARGS; output is appended
//	await FILE REGEXP D   waits, at most D, until FILE matches
//	crash NAME            kill -9, and waits until the process is gone
//	end NAME              waits until it has ended by itself, which must be well
func commands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"freeport": freePort, "start": start, "await": await, "crash": crash, "end": end,
	}
}

// condition knows [race]: the program is the test's own binary, and with the
// detector in it starts as slowly as it likes.
func condition(name string) (bool, error) {
	if name == "race" {
		return raceDetector, nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

func setup(env *testscript.Env) error {
	p := &processes{byID: map[string]*exec.Cmd{}}
	env.Values[processesKey{}] = p
	env.Defer(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, cmd := range p.byID {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return nil
}

func freePort(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: freeport VAR")
	}
	addr, err := prove.FreeAddress()
	ts.Check(err)
	ts.Setenv(args[0], addr)
}

func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME ARGS...")
	}
	name := args[0]
	path, err := exec.LookPath(filepath.Join(filepath.SplitList(ts.Getenv("PATH"))[0], "errand"))
	ts.Check(err)
	cmd := exec.Command(path, args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "A2ACLI_AGENT_CARD="+ts.Getenv("A2ACLI_AGENT_CARD"), "HOME="+ts.Getenv("HOME"))
	out, err := appendTo(ts.MkAbs(name + ".out"))
	ts.Check(err)
	defer out.Close()
	errOut, err := appendTo(ts.MkAbs(name + ".err"))
	ts.Check(err)
	defer errOut.Close()
	cmd.Stdout, cmd.Stderr = out, errOut
	ts.Check(cmd.Start())
	p := ts.Value(processesKey{}).(*processes)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byID[name] = cmd
}

func appendTo(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// await polls a file that another process writes: there is nothing else to
// wait on.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: await FILE REGEXP DURATION")
	}
	want, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	limit, err := time.ParseDuration(args[2])
	ts.Check(err)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	for {
		b, err := os.ReadFile(ts.MkAbs(args[0]))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			ts.Check(err)
		}
		if want.Match(b) {
			ts.Logf("%s after %s", args[1], time.Since(began).Round(time.Millisecond))
			return
		}
		if time.Since(began) > limit {
			ts.Fatalf("%s does not match %q after %s:\n%s", args[0], args[1], limit, bytes.TrimSpace(b))
		}
		<-tick.C
	}
}

func crash(ts *testscript.TestScript, neg bool, args []string) {
	cmd := take(ts, neg, args, "crash NAME")
	ts.Check(cmd.Process.Kill())
	if err := cmd.Wait(); err == nil {
		ts.Fatalf("%s had ended before it was killed", args[0])
	}
}

func end(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(take(ts, neg, args, "end NAME").Wait())
}

func take(ts *testscript.TestScript, neg bool, args []string, usage string) *exec.Cmd {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: %s", usage)
	}
	p := ts.Value(processesKey{}).(*processes)
	p.mu.Lock()
	defer p.mu.Unlock()
	cmd := p.byID[args[0]]
	if cmd == nil {
		ts.Fatalf("no process %s", args[0])
	}
	delete(p.byID, args[0])
	return cmd
}
