// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"context"
	"errors"
	"time"
)

// rounds makes the kills that are left, and checks after each round but the
// last, which the check of everything follows. A round with a violation is the
// last, so that what there is to see is near its kill: then it is not clean.
func (r *Run) rounds(ctx context.Context, report *RunReport) (clean bool, err error) {
	var until time.Time
	if r.Bound > 0 {
		until = time.Now().Add(r.Bound)
	}
	known := len(r.progress.violations)
	for len(r.progress.kills) < r.Kills && (until.IsZero() || time.Now().Before(until)) {
		round := r.round()
		found, err := r.oneRound(ctx, round, until)
		if err != nil {
			return false, err
		}
		if len(r.progress.kills) < min((round+1)*r.Every, r.Kills) {
			return true, nil // the time is over
		}
		if len(found) == 0 && len(r.progress.kills) >= r.Kills {
			return true, nil
		}
		if err := r.checkRound(ctx, round, report); err != nil {
			return false, err
		}
		if len(r.progress.violations) > known {
			return false, nil
		}
	}
	return true, nil
}

// oneRound makes the kills that are left of a round.
func (r *Run) oneRound(ctx context.Context, round int, until time.Time) (found []Violation, err error) {
	ledger, err := ReopenLedger(r.ledger(round))
	if err != nil {
		return nil, err
	}
	load := r.load(ledger, round)
	done := len(r.progress.kills)
	torture := &Torture{
		Server: r.server, Client: r.client, Load: load, Mixed: true,
		Kills: min((round+1)*r.Every, r.Kills) - done, First: done, Until: until,
		MinUp: r.MinUp, MaxUp: r.MaxUp, Log: r.Log,
		OnKill: func(k Kill) error { return r.add(runEntry{Kill: &k}) },
	}
	_, err = torture.Run(ctx, r.Seed)
	found = load.Violations()
	r.progress.violations = append(r.progress.violations, found...) // the log has them
	return found, errors.Join(err, ledger.Close())
}

// checkRound compares what was added since the last round that was checked.
func (r *Run) checkRound(ctx context.Context, round int, report *RunReport) error {
	begin := time.Now()
	checker := NewChecker(r.client)
	found, err := checker.CheckLedgers(ctx, r.progress.roundsAt, r.ledgers(r.progress.rounds, round+1)...)
	if err != nil {
		return err
	}
	report.Report, report.CheckTook = *found, time.Since(begin)
	return r.note(ctx, checker, report, &checking{Round: round + 1})
}

// ledgers are those of the rounds from first to before end.
func (r *Run) ledgers(first, end int) (paths []string) {
	for round := first; round < end; round++ {
		paths = append(paths, r.ledger(round))
	}
	return paths
}

// checkEverything compares all that there is: over the wire, then, with the
// server stopped, in the store.
func (r *Run) checkEverything(ctx context.Context, report *RunReport) error {
	begin := time.Now()
	if !r.server.Running() {
		if _, err := r.server.Start(ctx); err != nil {
			return err
		}
	}
	ledgers := r.ledgers(0, r.lastLedger()+1)
	checker := NewChecker(r.client)
	found, err := checker.CheckLedgers(ctx, time.Time{}, ledgers...)
	if err != nil {
		return err
	}
	wire := time.Since(begin)
	report.Violating = r.logs(ctx, checker, found)
	if err := r.server.Stop(); err != nil {
		return err
	}
	inStore, err := CheckFile(ctx, r.path("errand.db"), checker.Answers(), ledgers...)
	if err != nil {
		return err
	}
	found.Violations = append(found.Violations, inStore.Violations...)
	report.Report, report.CheckTook = *found, time.Since(begin)
	r.Log("everything was checked over the wire in %s, in the store in %s",
		wire.Round(time.Millisecond), (time.Since(begin) - wire).Round(time.Millisecond))
	return r.note(ctx, nil, report, &checking{Final: true})
}

// note writes a check and what it found to the log.
func (r *Run) note(ctx context.Context, checker *Checker, report *RunReport, c *checking) error {
	found := &report.Report
	c.Kills, c.Tasks, c.Operations, c.Events = len(r.progress.kills), found.Tasks, found.Operations, found.Events
	c.Violations, c.TookMS = len(found.Violations), report.CheckTook.Milliseconds()
	for _, v := range found.Violations {
		if err := r.add(runEntry{Violation: &v}); err != nil {
			return err
		}
	}
	if checker != nil {
		r.Log("round %d, checked in %s: %s", c.Round, report.CheckTook.Round(time.Millisecond), found.Summary())
		report.Violating = r.logs(ctx, checker, found)
	}
	return r.add(runEntry{Check: c})
}

// logs are those of the first tasks with a violation, while there is a server
// to ask.
func (r *Run) logs(ctx context.Context, checker *Checker, found *Report) (logs []string) {
	for _, v := range found.Violations[:min(len(found.Violations), 3)] {
		logs = append(logs, v.String()+"\n"+checker.Log(ctx, v.Task))
	}
	return logs
}
