// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// Run is a torture that a directory holds: the program, its store, a ledger for
// each round of kills, and a synced log of what was done. It may be interrupted
// at any moment, by kill -9 too, and Do goes on with it.
type Run struct {
	Dir string
	// Seed fixes the kinds and the times of the kills and the order of the mix;
	// 0 draws one, or takes that of the sittings before.
	Seed uint64
	// Kills is how many kills there are to be in all sittings together.
	Kills int
	// Bound, where it is set, ends the killing of this sitting earlier.
	Bound time.Duration
	// Every is how many kills there are between two checks.
	Every int
	// Rate is how many operations are asked for in a second.
	Rate         int
	MinUp, MaxUp time.Duration
	Log          func(format string, args ...any)

	log      *runLog
	progress *progress
	server   *Server
	client   *Client
}

// RunReport are the figures over all sittings.
type RunReport struct {
	Seed     uint64
	Binary   string
	Sittings int
	Kills    KillReport
	// Report is that of the check of everything, with what was found before.
	Report Report
	// CheckTook is how long that took.
	CheckTook time.Duration
	// Violating are the logs of the first tasks with a violation.
	Violating []string
}

// Summary tells the figures in a few lines.
func (r *RunReport) Summary() string {
	text := fmt.Sprintf("seed %d, program %s, %d sittings\n%s", r.Seed, r.Binary, r.Sittings, r.Kills.Summary())
	if took := r.Kills.Took().Seconds(); took > 0 {
		text += fmt.Sprintf("; %.0f acknowledged operations a second, time down included", float64(r.Report.Operations)/took)
	}
	return fmt.Sprintf("%s\n%s; checked in %s", text, r.Report.Summary(), r.CheckTook.Round(time.Millisecond))
}

// keyAge is for how long the keys of what was left open are surely known.
const keyAge = 23 * time.Hour

// Do makes the kills that are left and checks. An error means that it could not
// be done; violations stand in the report.
func (r *Run) Do(ctx context.Context) (*RunReport, error) {
	if err := r.open(ctx); err != nil {
		return nil, errors.Join(err, r.close())
	}
	report, err := r.sit(ctx)
	return report, errors.Join(err, r.close())
}

func (r *Run) open(ctx context.Context) (err error) {
	if err := os.MkdirAll(r.Dir, 0o700); err != nil {
		return fmt.Errorf("make the run's directory: %w", err)
	}
	if r.log, r.progress, err = openRunLog(r.path("torture.log")); err != nil {
		return err
	}
	if b := r.progress.begun; b != nil {
		if r.Seed != 0 && r.Seed != b.Seed {
			return fmt.Errorf("the run in %s has the seed %d and not %d: give that, none, or another directory", r.Dir, b.Seed, r.Seed)
		}
		r.Seed = b.Seed
	}
	for r.Seed == 0 {
		r.Seed = rand.Uint64()
	}
	if err := EndOrphan(ctx, r.path("errand.pid")); err != nil {
		return err
	}
	binary, err := r.binary(ctx)
	if err != nil {
		return err
	}
	if r.server, err = NewServer(binary, "sqlite:"+r.path("errand.db")); err != nil {
		return err
	}
	r.server.PIDFile = r.path("errand.pid")
	r.client = NewClient(r.server.URL())
	return nil
}

// close leaves nothing running. What is interrupted is killed: that is what the
// next sitting has to be right after anyway.
func (r *Run) close() error {
	var errs []error
	if r.client != nil {
		r.client.Close()
	}
	if r.server != nil {
		errs = append(errs, r.server.Kill())
	}
	if r.log != nil {
		errs = append(errs, r.log.close())
	}
	return errors.Join(errs...)
}

func (r *Run) path(name string) string { return filepath.Join(r.Dir, name) }

func (r *Run) ledger(round int) string { return r.path(fmt.Sprintf("ledger-%04d.jsonl", round)) }

// binary is the program that the run began with: figures are of one program.
func (r *Run) binary(ctx context.Context) (string, error) {
	path := r.path("errand")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	dir, err := os.MkdirTemp(r.Dir, "build")
	if err != nil {
		return "", fmt.Errorf("make a directory to build in: %w", err)
	}
	defer os.RemoveAll(dir)
	built, err := Build(ctx, dir)
	if err != nil {
		return "", err
	}
	if err := os.Rename(built, path); err != nil {
		return "", fmt.Errorf("keep the program: %w", err)
	}
	return path, nil
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("identify the program: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("identify the program: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)[:6]), nil
}

// sit is one sitting: what the one before left open, the kills that are left,
// and the checks.
func (r *Run) sit(ctx context.Context) (*RunReport, error) {
	before := r.progress
	if before.sittings > 0 {
		r.Log("%d of %d kills were made in %d sittings, with %d violations", len(before.kills), r.Kills, before.sittings, len(before.violations))
	}
	binary, err := hashFile(r.path("errand"))
	if err != nil {
		return nil, err
	}
	if c := before.checked; before.done(r.Kills) {
		r.Log("nothing is left to do")
		return &RunReport{
			Seed: r.Seed, Binary: binary, Sittings: before.sittings, Kills: before.kills,
			Report:    Report{Tasks: c.Tasks, Operations: c.Operations, Events: c.Events, Violations: before.violations},
			CheckTook: time.Duration(c.TookMS) * time.Millisecond,
		}, nil
	}
	begin := runEntry{Begin: &beginning{Seed: r.Seed, Binary: binary}}
	if begin.Begin.Open, err = r.finish(ctx); err != nil {
		return nil, err
	}
	if err := r.add(begin); err != nil {
		return nil, err
	}
	report := &RunReport{Seed: r.Seed, Binary: binary, Sittings: before.sittings}
	clean, err := r.rounds(ctx, report)
	if err != nil {
		return nil, err
	}
	if clean {
		err = r.checkEverything(ctx, report)
	}
	report.Kills, report.Report.Violations = before.kills, before.violations
	return report, err
}

// add writes to the log and takes note of it.
func (r *Run) add(e runEntry) error {
	e.At = time.Now()
	if err := r.log.add(e); err != nil {
		return err
	}
	r.progress.take(e)
	return nil
}

// round is the number of the round that the next kill belongs to.
func (r *Run) round() int { return len(r.progress.kills) / r.Every }

// lastLedger is the newest ledger, -1 where there is none.
func (r *Run) lastLedger() int {
	last := -1
	for {
		if _, err := os.Stat(r.ledger(last + 1)); err != nil {
			return last
		}
		last++
	}
}

// finish answers what the sitting before has left open.
func (r *Run) finish(ctx context.Context) (open int, err error) {
	last := r.lastLedger()
	if last < 0 {
		return 0, nil
	}
	entries, err := ReadLedger(r.ledger(last))
	if err != nil {
		return 0, err
	}
	if len(leftOpen(entries)) == 0 {
		return 0, nil
	}
	if info, err := os.Stat(r.ledger(last)); err != nil {
		return 0, fmt.Errorf("look at the ledger: %w", err)
	} else if time.Since(info.ModTime()) > keyAge {
		return 0, fmt.Errorf("the sitting before was interrupted %s ago: the server may have forgotten the keys of what was open; begin a new run",
			time.Since(info.ModTime()).Round(time.Hour))
	}
	ledger, err := ReopenLedger(r.ledger(last))
	if err != nil {
		return 0, err
	}
	defer ledger.Close()
	if _, err := r.server.Start(ctx); err != nil {
		return 0, err
	}
	load := r.load(ledger, last)
	if open, err = load.Finish(ctx, entries); err != nil {
		return open, err
	}
	r.Log("%d operations were open and are answered", open)
	return open, nil
}

func (r *Run) load(ledger *Ledger, round int) *Load {
	load := NewLoad(r.client, ledger, r.Rate, r.Seed+uint64(round))
	load.OnViolation = func(v Violation) {
		if err := r.log.add(runEntry{At: time.Now(), Violation: &v}); err != nil {
			r.Log("%v", err)
		}
	}
	return load
}
