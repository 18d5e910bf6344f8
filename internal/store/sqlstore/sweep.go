// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"time"

	"github.com/errand-a2a/errand/internal/task"
)

const (
	// sweepBatch is how many keys one transaction looks at.
	sweepBatch = 200
	// sweepLater is when a key is looked at again that has expired while its
	// task goes on.
	sweepLater = time.Hour
)

// SweepKeys removes idempotency keys that have expired and whose task is
// closed, in small transactions, until none is left that should be looked at.
func (s *Store) SweepKeys(ctx context.Context) error {
	for {
		seen := 0
		err := s.committer.do(ctx, write, free, func(b *batch) (err error) {
			seen, err = b.sweep()
			return err
		})
		if err != nil || seen < sweepBatch {
			return err
		}
	}
}

func (b *batch) sweep() (seen int, err error) {
	type key struct{ tenant, principal, agent, value, task string }
	var keys []key
	err = b.query("find expired idempotency keys", b.s.keySweepable, func(x Row) error {
		keys = append(keys, key{x.Text(0), x.Text(1), x.Text(2), x.Text(3), x.Text(4)})
		return nil
	}, Int(b.now.UnixMilli()), Int(sweepBatch))
	if err != nil {
		return 0, err
	}
	for _, k := range keys {
		r, err := b.load(task.Ref{Scope: task.Scope{Tenant: k.tenant, Principal: k.principal}, ID: k.task})
		if err != nil {
			return 0, err
		}
		args := []Value{Text(k.tenant), Text(k.principal), Text(k.agent), Text(k.value)}
		if r == nil || r.head.Closed {
			_, err = b.exec("remove an idempotency key", b.s.keyDelete, args...)
		} else {
			_, err = b.exec("postpone an idempotency key", b.s.keyPostpone, append([]Value{Int(after(b.now, sweepLater))}, args...)...)
		}
		if err != nil {
			return 0, err
		}
	}
	return len(keys), nil
}
