// SPDX-License-Identifier: Apache-2.0

package owner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/agent"
	"github.com/errand-a2a/errand/internal/node"
	"github.com/errand-a2a/errand/internal/node/nodetest"
	"github.com/errand-a2a/errand/internal/prove"
	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/sqlite"
	"github.com/errand-a2a/errand/internal/task"
)

// The test binary is the server too, if these say so.
const (
	childStore      = "ERRAND_TEST_STORE"
	childAddr       = "ERRAND_TEST_ADDR"
	childNeighbours = "ERRAND_TEST_NEIGHBOURS"
)

const (
	poison = "poison"
	// Every fourth neighbour runs for longer than its probation, so that suspects
	// run beside one another. At first all of them run until the process dies.
	long, longTime   = "long", 2 * time.Second
	short, shortTime = "short", 30 * time.Millisecond
	probation        = 400 * time.Millisecond
)

// serve is a server whose agent works, or kills the process as soon as all its
// neighbours have been seen running.
func serve(path, addr string) error {
	s, err := sqlite.Open(context.Background(), path, sqlite.Options{})
	if err != nil {
		return err
	}
	var all int
	if _, err := fmt.Sscan(os.Getenv(childNeighbours), &all); err != nil {
		return err
	}
	var running atomic.Int32
	a := nodetest.Entry(nodetest.Agent{Execute: func(c *nodetest.Turn) error {
		c.Working()
		if c.Text() == poison {
			for c.Attempt == 1 && int(running.Load()) < all {
				time.Sleep(time.Millisecond)
			}
			self, err := os.FindProcess(os.Getpid())
			if err == nil {
				err = self.Kill()
			}
			if err != nil {
				return err
			}
			select {} // it dies now
		}
		running.Add(1)
		defer running.Add(-1)
		var enough <-chan time.Time
		switch {
		case c.Attempt == 1:
		case c.Text() == long:
			enough = time.After(longTime)
		default:
			enough = time.After(shortTime)
		}
		select {
		case <-enough:
			c.Complete()
		case <-c.Ctx.Done():
		}
		return nil
	}})
	a.Policy.Concurrency = 2 * all
	o := node.Options{Store: s, Agents: []agent.Agent{a}, PublicURL: "http://" + addr, Logger: slog.New(slog.DiscardHandler)}
	o.Worker.ID, o.Worker.Lease, o.Worker.Probation = fmt.Sprint(os.Getpid()), 5*time.Second, probation
	n, err := node.New(context.Background(), o)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return n.Serve(context.Background(), ln, time.Second)
}

// child is the server as a process, started again whenever it has died.
type child struct {
	path, addr string
	cmd        *exec.Cmd
	exited     chan struct{}
	output     bytes.Buffer
	deaths     int
}

func (c *child) start(t *testing.T) {
	t.Helper()
	c.cmd = exec.Command(os.Args[0])
	c.cmd.Env = append(os.Environ(), childStore+"="+c.path, childAddr+"="+c.addr, fmt.Sprintf("%s=%d", childNeighbours, *neighbours))
	c.cmd.Stdout, c.cmd.Stderr = &c.output, &c.output
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cmd, exited := c.cmd, make(chan struct{})
	c.exited = exited
	go func() {
		defer close(exited)
		_ = cmd.Wait() // it is killed, which is an error
	}()
}

// keep starts the server again if it has died.
func (c *child) keep(t *testing.T) {
	t.Helper()
	select {
	case <-c.exited:
		if w, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !w.Signaled() {
			t.Fatalf("the server ended by itself: %s\n%s", c.cmd.ProcessState, c.output.String())
		}
		c.deaths++
		c.start(t)
	default:
	}
}

func (c *child) stop() {
	_ = c.cmd.Process.Kill() // it may have died already
	<-c.exited
}

// call asks the server until it answers; it is started again whenever it dies.
func (c *child) call(t *testing.T, client *http.Client, method string, params any) *a2a.Task {
	t.Helper()
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		c.keep(t)
		got, err := ask(t.Context(), client, "http://"+c.addr+"/", body)
		if err == nil {
			return got
		}
		if !errors.Is(err, errNoAnswer) {
			t.Fatalf("%s: %v", method, err)
		}
	}
	t.Fatalf("%s was not answered in time\n%s", method, c.output.String())
	return nil
}

var errNoAnswer = errors.New("no answer")

func ask(ctx context.Context, client *http.Client, url string, body []byte) (*a2a.Task, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("A2A-Version", "1.0")
	var key struct {
		Params struct {
			Message struct {
				ID string `json:"messageId"`
			} `json:"message"`
		} `json:"params"`
	}
	if json.Unmarshal(body, &key) == nil && key.Params.Message.ID != "" {
		req.Header.Set("Idempotency-Key", key.Params.Message.ID)
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode == http.StatusServiceUnavailable {
		return nil, fmt.Errorf("%w: %s", errNoAnswer, res.Status)
	}
	var answer struct {
		Result json.RawMessage
		Error  *struct {
			Message string
		}
	}
	if err := json.Unmarshal(all, &answer); err != nil || answer.Error != nil {
		return nil, fmt.Errorf("answer %s: %w", all, errors.Join(err))
	}
	var sent struct{ Task *a2a.Task }
	if err := json.Unmarshal(answer.Result, &sent); err == nil && sent.Task != nil {
		return sent.Task, nil
	}
	got := new(a2a.Task)
	return got, json.Unmarshal(answer.Result, got)
}

func say(text string) map[string]any {
	return map[string]any{
		"message":       map[string]any{"messageId": a2a.NewMessageID(), "role": "ROLE_USER", "parts": []any{map[string]any{"text": text}}},
		"configuration": map[string]any{"returnImmediately": true},
	}
}

// One input kills the process whenever it runs, the first time when all its
// neighbours are running: it ends dead, and every neighbour completes.
func TestTorturePoison(t *testing.T) {
	t.Parallel()
	addr, err := prove.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{path: filepath.Join(t.TempDir(), "errand.db"), addr: addr}
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	c.start(t)
	t.Cleanup(c.stop)
	began := time.Now()
	ids := map[string]a2a.TaskID{} // what each says
	for n := range *neighbours + 1 {
		text := short
		switch {
		case n == *neighbours/2: // in the midst of them, not behind
			text = poison
		case n%4 == 0:
			text = long
		}
		ids[fmt.Sprint(n, " ", text)] = c.call(t, client, "SendMessage", say(text)).ID
	}
	states := map[a2a.TaskState]int{}
	for what, id := range ids {
		want := a2a.TaskStateCompleted
		if strings.HasSuffix(what, poison) {
			want = a2a.TaskStateFailed
		}
		got := c.await(t, client, id)
		states[got]++
		if got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	took := time.Since(began)
	c.stop()
	c.account(t, ids, states, took)
}

// await asks until a task has ended.
func (c *child) await(t *testing.T, client *http.Client, id a2a.TaskID) a2a.TaskState {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		got := c.call(t, client, "GetTask", map[string]any{"id": id}).Status.State
		if got.Terminal() || time.Now().After(end) {
			return got
		}
	}
}

// account reads what the store says about the losses.
func (c *child) account(t *testing.T, ids map[string]a2a.TaskID, states map[a2a.TaskState]int, took time.Duration) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), c.path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var losses []int
	poisoned := store.Turn{}
	for what, id := range ids {
		turns, err := s.Turns(t.Context(), task.Ref{ID: string(id)}, 0, 0)
		if err != nil || len(turns) != 1 {
			t.Fatal(err, len(turns))
		}
		if strings.HasSuffix(what, poison) {
			poisoned = turns[0]
			continue
		}
		losses = append(losses, turns[0].Losses)
	}
	slices.Sort(losses)
	t.Logf("%d deaths of the process, %v in all; the poisonous item: %s after %d losses; %d neighbours: losses from %d to %d, median %d; %v",
		c.deaths, took.Round(time.Millisecond), poisoned.Item, poisoned.Losses, len(losses), losses[0], losses[len(losses)-1], losses[len(losses)/2], states)
	if poisoned.Item != store.Dead || poisoned.Losses != c.deaths {
		t.Errorf("the poisonous item: %+v, and the process died %d times", poisoned, c.deaths)
	}
	if median := losses[len(losses)/2]; median > store.SuspectLosses+1 {
		t.Errorf("half of the neighbours were lost %d times: the quarantine holds the poison apart after %d", median, store.SuspectLosses+1)
	}
}
