// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// paper is a door whose streams are written down: one for each call, and the
// last for all that follow. A number is an event, "!" breaks the stream.
type paper struct {
	streams []string
	calls   []int // the cursors that were asked with
	// forge changes what the event with this sequence says.
	forge int
}

func (p *paper) Send(_ context.Context, _ Message, take func(Event) error) error {
	return p.play(0, take)
}

func (p *paper) Subscribe(_ context.Context, _ string, after int, take func(Event) error) error {
	return p.play(after, take)
}

func (p *paper) play(after int, take func(Event) error) error {
	now := p.streams[min(len(p.calls), len(p.streams)-1)]
	p.calls = append(p.calls, after)
	for word := range strings.FieldsSeq(now) {
		if word == "!" {
			return ErrBroken
		}
		seq, err := strconv.Atoi(word)
		if err != nil {
			return err
		}
		if err := take(p.event(seq)); err != nil {
			return err
		}
	}
	return nil
}

// event is one of a task that counts to 2 in four events.
func (p *paper) event(seq int) Event {
	e := Event{Seq: seq, Raw: fmt.Append(nil, "event ", seq)}
	switch seq {
	case 1:
		e.Task, e.State = "task", "TASK_STATE_WORKING"
	case 2, 3:
		e.Chunks = []string{strconv.Itoa(seq - 1)}
	case 4:
		e.State = StateCompleted
	}
	if seq == p.forge {
		e.Raw, e.Chunks = []byte("forged"), []string{"7"}
	}
	return e
}

func TestReading(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		streams []string
		forge   int
		replay  []string
		forged  int    // in the replay
		want    string // a part of the complaint; "" where there is none
	}{
		{"a stream that does not break is read to its end", []string{"1 2 3 4"}, 0, []string{"1 2 3 4", ""}, 0, ""},
		{"a broken one is taken up after its last event", []string{"!", "1 2 !", "!", "3 !", "4"}, 0, []string{"1 2 3 4", ""}, 0, ""},
		{"one that ends too early is taken up too", []string{"1 2", "3 4"}, 0, []string{"1 2 3 4", ""}, 0, ""},
		{"a swallowed event is missing", []string{"1 3 4"}, 0, nil, 0, "2 to 2 are missing"},
		{"an event after the break is missing", []string{"1 2 !", "4"}, 0, nil, 0, "3 to 3 are missing"},
		{"an event comes twice", []string{"1 2 2 3 4"}, 0, nil, 0, "2 comes twice"},
		{"an event after the break comes twice", []string{"1 2 3 !", "3 4"}, 0, nil, 0, "3 comes twice"},
		{"the order is another", []string{"1 3 2 4"}, 0, nil, 0, "2 to 2 are missing"},
		{"a stream of a new task that begins later", []string{"2 3 4"}, 0, nil, 0, "names no task"},
		{"something comes after the end", []string{"1 2 3 4 5"}, 0, nil, 0, "5 comes after the last event"},
		{"a number is another", []string{"1 2 3 4"}, 3, nil, 0, "chunk 2 of 2 is wrong"},
		{"the replay says something else", []string{"1 2 3 4"}, 0, []string{"1 2 3 4", ""}, 2, "event 2 was shown as"},
		{"the replay lacks an event", []string{"1 2 3 4"}, 0, []string{"1 2 4"}, 0, "shows 4 as event 3"},
		{"the replay lacks the last event", []string{"1 2 3 4"}, 0, []string{"1 2 3"}, 0, "shows 3 events"},
		{"the replay breaks", []string{"1 2 3 4"}, 0, []string{"1 2 !"}, 0, "the stream broke"},
		{"one who has everything is shown an event once more", []string{"1 2 3 4"}, 0, []string{"1 2 3 4", "4"}, 0, "4 is shown to one who has everything"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := &paper{streams: tt.streams, forge: tt.forge}
			r := &Reading{Door: p}
			err := r.Follow(t.Context(), NewMessage(""))
			if err == nil {
				err = r.CheckCount(2)
			}
			if err == nil {
				err = r.Compare(t.Context(), &paper{streams: tt.replay, forge: tt.forged})
			}
			wantComplaint(t, err, tt.want)
		})
	}
}

func wantComplaint(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("got %v, want %q", err, want)
	}
}
