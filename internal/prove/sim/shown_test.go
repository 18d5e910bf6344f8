// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"errors"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/task"
)

// shown checks frames on their way to a client: each is in the log already,
// and none is missing.
func (o *oracle) shown(c *op, frames []engine.Frame) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := c.b
	if b == nil {
		p, ok := o.posts[c.letter.id]
		if !ok {
			o.w.fail("I3 durable before visible", "%s was shown events of a message that is not in the store", c.name)
			return
		}
		b = p.b
	}
	for _, f := range frames {
		if !c.began && o.opens(b, f) {
			c.began, c.cursor = true, f.Seq
			continue
		}
		c.began = true
		if f.Seq != c.cursor+1 {
			o.w.fail("I4 streams", "%s was shown event %d of %s after %d", c.name, f.Seq, b.name, c.cursor)
		}
		if f.Seq > uint64(len(b.recs)) {
			o.w.fail("I3 durable before visible", "%s was shown event %d of %s, the log ends at %d", c.name, f.Seq, b.name, len(b.recs))
		} else if !bytes.Equal(f.Event, b.recs[f.Seq-1].Event) {
			o.w.fail("I3 durable before visible", "%s was shown as event %d of %s\n%s\nthe log says\n%s", c.name, f.Seq, b.name, f.Event, b.recs[f.Seq-1].Event)
		}
		c.cursor = f.Seq
		o.w.count("frames shown")
		if f.Shared != nil {
			o.w.count("frames shared by several followers")
		}
	}
}

// opens tells whether a frame is the Task that opens a stream.
func (o *oracle) opens(b *book, f engine.Frame) bool {
	if f.Seq > uint64(len(b.recs)) || f.Seq == 0 {
		o.w.fail("I3 durable before visible", "a stream of %s opens at %d, the log ends at %d", b.name, f.Seq, len(b.recs))
		return true
	}
	want := record.AppendTaskFrame(nil, b.prefix(int(f.Seq)), record.View{Stamp: &record.Stamp{Seq: f.Seq}})
	return bytes.Equal(want, f.Event) && !bytes.Equal(f.Event, b.recs[f.Seq-1].Event)
}

// streamed checks the end of a stream of a turn.
func (o *oracle) streamed(c *op) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := o.posts[c.letter.id]
	if p.b == nil {
		o.w.fail("I3 durable before visible", "%s ended a stream of a message that is not in the store", c.name)
		return
	}
	if p.b.head.DoneTurn < p.turn {
		o.w.fail("I9 turns end", "%s: the stream of turn %d of %s has ended and the turn has not", c.name, p.turn, p.b.name)
	}
	if c.cursor < p.b.until[p.turn] {
		o.w.fail("I4 streams", "%s ended at %d, turn %d of %s at %d", c.name, c.cursor, p.turn, p.b.name, p.b.until[p.turn])
	}
	o.w.count("streams of a turn read to the end")
}

// followed checks the end of a subscription.
func (o *oracle) followed(c *op) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !c.b.head.Closed || c.cursor != c.b.head.LastSeq {
		o.w.fail("I4 streams", "%s ended at %d of %s, whose log ends at %d, closed %v", c.name, c.cursor, c.b.name, c.b.head.LastSeq, c.b.head.Closed)
	}
	o.w.count("subscriptions read to the end")
}

// replied checks the answer to a message.
func (o *oracle) replied(c *op, reply []byte, immediate bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p, ok := o.posts[c.letter.id]
	if !ok {
		o.w.fail("I3 durable before visible", "%s was answered and the message is not in the store", c.name)
		return
	}
	for n := len(p.b.recs); n > 0; n-- {
		s := p.b.prefix(n)
		if !bytes.Equal(reply, record.AppendReply(nil, s, record.View{})) {
			continue
		}
		if !immediate && (s.Reply == nil && !task.Settled(s.Status.State) || p.b.recs[n-1].Turn > p.turn) {
			o.w.fail("I18 replies", "%s was answered with %s at %d of %s: turn %d has not settled there", c.name, s.Status.State, n, p.b.name, p.turn)
		}
		o.w.count("replies")
		return
	}
	o.w.fail("I3 durable before visible", "%s was answered with what no part of the log of %s folds to:\n%s", c.name, p.b.name, reply)
}

// gotten checks the answer to GetTask, which knows all that was committed when
// it was asked.
func (o *oracle) gotten(c *op, out []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for n := len(c.b.recs); n > 0; n-- {
		if bytes.Equal(out, record.AppendTask(nil, c.b.prefix(n), record.View{})) {
			if uint64(n) < c.seen {
				o.w.fail("I3 durable before visible", "%s got %s as it was at %d, %d was there when it asked", c.name, c.b.name, n, c.seen)
			}
			return
		}
	}
	o.w.fail("I3 durable before visible", "%s got what no part of the log of %s folds to:\n%s", c.name, c.b.name, out)
}

// listed looks for every task that was there when the listing was asked for.
func (o *oracle) listed(c *op, out []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, b := range o.order {
		in := bytes.Contains(out, []byte(b.ref.ID))
		mine := b.ref.Principal == c.letter.principal && b.agent == c.letter.agent
		if in && !mine {
			o.w.fail("I23 scopes", "%s is in a listing of somebody else", b.name)
		}
	}
}

// canceled checks the outcome that somebody who cancelled is told.
func (o *oracle) canceled(c *op, out []byte, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var e *task.Error
	h := c.b.head
	switch {
	case err == nil:
		o.w.count("cancellations won")
		if !h.Closed || h.State != string(a2a.TaskStateCanceled) || !bytes.Equal(out, record.AppendTask(nil, c.b.state, record.View{})) {
			o.w.fail("I21 one outcome", "%s was told that %s is canceled; it is %s, closed %v", c.name, c.b.name, h.State, h.Closed)
		}
	case !errors.Is(err, a2a.ErrTaskNotCancelable):
	case !errors.As(err, &e):
	case strings.HasPrefix(e.Message, "the agent does not cancel"):
		o.w.count("cancellations refused, as their caller was told")
	default:
		o.w.count("cancellations lost")
		if !h.Closed || h.State != e.Meta["state"] || h.State == string(a2a.TaskStateCanceled) {
			o.w.fail("I21 one outcome", "%s was told that %s ended as %s; it is %s, closed %v", c.name, c.b.name, e.Meta["state"], h.State, h.Closed)
		}
	}
}
