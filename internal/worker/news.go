// SPDX-License-Identifier: Apache-2.0

package worker

import "time"

// news is what an attempt has to look at.
type news int

const (
	somethingToCommit news = iota
	somebodyAsks
	silenceTooLong
	limitPassed
	deadlinePassed
	graceOver
	workerStops
)

// next waits for news. Of several it gives what weighs most: an executor that
// always has something to commit puts off neither a stop nor a limit, and what
// an attempt does hangs on no chance, so that a simulation can be repeated.
func (at *attempt) next(silence, limit, deadline <-chan time.Time) news {
	grace := at.cancel.graceOver()
	select {
	case <-at.w.draining:
		return workerStops
	default:
	}
	for _, n := range [...]struct {
		came <-chan time.Time
		what news
	}{{deadline, deadlinePassed}, {limit, limitPassed}, {grace, graceOver}, {silence, silenceTooLong}} {
		select {
		case <-n.came:
			return n.what
		default:
		}
	}
	select {
	case <-at.poke:
		return somebodyAsks
	default:
	}
	select {
	case <-at.wake:
		return somethingToCommit
	case <-at.poke:
		return somebodyAsks
	case <-silence:
		return silenceTooLong
	case <-limit:
		return limitPassed
	case <-deadline:
		return deadlinePassed
	case <-grace:
		return graceOver
	case <-at.w.draining:
		return workerStops
	}
}
