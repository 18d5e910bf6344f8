// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/errand-a2a/errand/internal/prove"
)

// queueURI is the extension that schedules; the first releases have none.
const queueURI = "https://github.com/errand-a2a/errand/ext/queue/v1"

// writer plays a release that is killed while it is at work.
type writer struct {
	ctx    context.Context
	client *prove.Client
	base   string
	// counted tells that the stream of the count is over.
	counted chan error
	golden
}

// write runs a program, uses it, kills it, and keeps what it left.
func write(program, name string) error {
	if program == "" {
		return errors.New("-write needs -binary: the program of the release that is to write")
	}
	dir, err := os.MkdirTemp("", "errand-upgrade")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	addr, err := prove.FreeAddress()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	w := &writer{
		ctx: ctx, base: "http://" + addr, client: prove.NewClient("http://" + addr + "/"), counted: make(chan error, 1),
		golden: golden{Settled: map[string]string{}, Open: map[string]string{}, Tasks: map[string]json.RawMessage{}, Seen: map[string][]seen{}},
	}
	run := func(end os.Signal, steps ...func() error) error {
		cmd := exec.Command(program, "dev", "--listen", addr, "--store", "sqlite:"+filepath.Join(dir, "errand.db"))
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("start %s: %w", program, err)
		}
		err := w.play(steps...)
		err = errors.Join(err, cmd.Process.Signal(end))
		_ = cmd.Wait() // who is killed does not exit with 0
		return err
	}
	// The first stop is a graceful one, so that what has settled is in the file;
	// what the second leaves is in the write-ahead log.
	if err := run(os.Interrupt, w.settle, w.list); err != nil {
		return err
	}
	if err := run(os.Kill, w.leaveOpen); err != nil {
		return err
	}
	<-w.counted // its stream breaks, which is as it should be
	if err := w.keep(dir, filepath.Join("testdata", "upgrade", name)); err != nil {
		return err
	}
	return w.verify(filepath.Join(dir, "errand.db"))
}

func (w *writer) play(steps ...func() error) error {
	if err := w.awaitReady(); err != nil {
		return err
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) awaitReady() error {
	for {
		if res, err := http.Get(w.base + "/readyz"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-w.ctx.Done():
			return errors.New("the program was never ready")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// settle makes tasks of every kind that end or wait for their caller.
func (w *writer) settle() error {
	w.Keyed = message{ID: "message-of-the-key", Text: "ask Which colour?", Key: "key-1"}
	for _, s := range []struct{ name, text string }{
		{"finished", "echo hello"}, {"long", "count to 400"}, {"file", "file"}, {"data", "data"}, {"failed", "fail out of paper"},
		{"rejected", "reject not mine"}, {"asking", w.Keyed.Text}, {"authorizing", "auth"}, {"retried", "flaky 1"}, {"dead", "crash"},
	} {
		m := message{ID: "message-" + s.name, Text: s.text}
		if s.name == "asking" {
			m = w.Keyed
		}
		id, err := w.follow(m, s.name == "finished" || s.name == "asking")
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		w.Settled[s.name] = id
	}
	id, err := w.follow(message{ID: "message-first", Text: "ask What?"}, false)
	if err != nil {
		return err
	}
	w.Settled["answered"] = id
	if _, err := w.send(message{ID: "message-second", Text: "that"}, id, false); err != nil {
		return err
	}
	if _, err := w.send(message{ID: "message-reply", Text: "message hello", Key: "key-2"}, "", false); err != nil {
		return err
	}
	if id, err = w.send(message{ID: "message-hang", Text: "hang"}, "", true); err != nil {
		return err
	}
	w.Settled["canceled"] = id
	if _, err := w.client.Call(w.ctx, "CancelTask", map[string]any{"id": id}, nil); err != nil {
		return err
	}
	for name, id := range w.Settled {
		got, err := w.client.Call(w.ctx, "GetTask", map[string]any{"id": id}, nil)
		if err != nil {
			return fmt.Errorf("get %s: %w", name, err)
		}
		if w.Tasks[id], err = json.Marshal(got); err != nil {
			return err
		}
	}
	return nil
}

// list reads a listing page by page.
func (w *writer) list() error {
	for token := ""; ; {
		p, err := listPage(w.ctx, w.client, token)
		if err != nil {
			return err
		}
		w.Listing = append(w.Listing, p)
		if token = p.Token; token == "" {
			return nil
		}
	}
}

func listPage(ctx context.Context, c *prove.Client, token string) (page, error) {
	res, err := c.Call(ctx, "ListTasks", map[string]any{"pageSize": pageSize, "pageToken": token}, nil)
	if err != nil {
		return page{}, err
	}
	p := page{Total: fmt.Sprint(res["totalSize"])}
	p.Token, _ = res["nextPageToken"].(string)
	tasks, _ := res["tasks"].([]any)
	for _, t := range tasks {
		id, _ := t.(map[string]any)["id"].(string)
		p.IDs = append(p.IDs, id)
	}
	return p, nil
}

// sleepers are more than the slots of an agent: what comes after them waits.
const sleepers = 64

// leaveOpen begins what will not be over when the program is killed.
func (w *writer) leaveOpen() error {
	if err := w.schedule(); err != nil {
		return err
	}
	counting, ready := make(chan string, 1), make(chan struct{})
	go func() { w.counted <- w.count(counting, ready) }()
	w.Open["counting"] = <-counting
	w.Behind = "message-behind"
	if _, err := w.send(message{ID: w.Behind, Text: "echo behind"}, w.Open["counting"], true); err != nil {
		return err
	}
	<-ready
	if err := w.dropUnscheduled(); err != nil {
		return err
	}
	for _, kind := range []struct {
		name, text string
		n          int
	}{{"failing", "flaky 2", 8}, {"sleeping", "sleep 1500ms", sleepers}, {"waiting", "echo waited", 3}} {
		if err := w.begin(kind.name, kind.text, kind.n); err != nil {
			return err
		}
	}
	select {
	case err := <-w.counted:
		return fmt.Errorf("the count was over too early: %w", err)
	default:
		return nil
	}
}

func (w *writer) schedule() error {
	res, err := w.client.Call(w.ctx, "SendMessage", map[string]any{
		"message": map[string]any{
			"messageId": "message-later", "role": "ROLE_USER", "parts": []any{map[string]any{"text": "echo later"}},
			"metadata": map[string]any{queueURI: map[string]any{"scheduledFor": "2999-01-01T00:00:00Z", "priority": 7}},
		},
		"configuration": map[string]any{"returnImmediately": true},
	}, http.Header{"A2a-Extensions": {queueURI}})
	if err != nil {
		return fmt.Errorf("schedule: %w", err)
	}
	w.Open["scheduled"] = idOf(res)
	return nil
}

// dropUnscheduled: the first releases know of no schedule and have run it.
func (w *writer) dropUnscheduled() error {
	got, err := w.client.Call(w.ctx, "GetTask", map[string]any{"id": w.Open["scheduled"]}, nil)
	if err != nil {
		return fmt.Errorf("look at what is scheduled: %w", err)
	}
	if strings.Contains(fmt.Sprint(got["status"]), "COMPLETED") {
		delete(w.Open, "scheduled")
	}
	return nil
}

// count follows a task until the program is killed; it is ready with a snapshot
// and some log after it.
func (w *writer) count(id chan<- string, ready chan<- struct{}) error {
	told := false
	return w.stream(message{ID: "message-count", Text: fmt.Sprintf("count to %d every 10ms", counts)}, func(f prove.Frame) {
		if !told {
			told = true
			id <- idOf(f.Event)
		}
		of := idOf(f.Event)
		if of != "" {
			w.Seen[of] = append(w.Seen[of], seen{f.ID, f.Raw})
		}
		if f.ID == counts*2/3 {
			close(ready)
		}
	})
}

// begin sends so many messages at once: in few commits, which keeps the
// write-ahead log small.
func (w *writer) begin(name, text string, n int) error {
	ids, errs := make([]string, n), make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			ids[i], errs[i] = w.send(message{ID: fmt.Sprint("message-", name, "-", i), Text: text}, "", true)
		})
	}
	all.Wait()
	for i, id := range ids {
		w.Open[fmt.Sprint(name, "-", i)] = id
	}
	return errors.Join(errs...)
}

// follow sends a message and reads the stream of its turn.
func (w *writer) follow(m message, keep bool) (id string, err error) {
	var events []seen
	err = w.stream(m, func(f prove.Frame) {
		if id == "" {
			id = idOf(f.Event)
		}
		events = append(events, seen{f.ID, f.Raw})
	})
	if keep {
		w.Seen[id] = events
	}
	return id, err
}

func (w *writer) stream(m message, take func(prove.Frame)) error {
	return w.client.Stream(w.ctx, "SendStreamingMessage", m.params("", false), m.header(), func(f prove.Frame) bool {
		take(f)
		return true
	})
}

func (w *writer) send(m message, to string, atOnce bool) (string, error) {
	res, err := w.client.Call(w.ctx, "SendMessage", m.params(to, atOnce), m.header())
	if err != nil {
		return "", fmt.Errorf("send %q: %w", m.Text, err)
	}
	return idOf(res), nil
}
