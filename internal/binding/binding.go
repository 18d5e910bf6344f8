// SPDX-License-Identifier: Apache-2.0

// Package binding holds what the HTTP bindings of A2A share: the error table,
// the rules about versions, headers and bodies, a strict reader of the
// protocol's JSON, the agent card, and the loop that writes a stream.
//
// Answers come from the engine as JSON that is ready to be sent. A binding
// frames these bytes and never encodes them again.
package binding

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
)

// Follower is a place in a task's log. Next waits at most idle: (nil, nil) says
// that idle passed with nothing new, io.EOF that the stream is over. Frames
// that come together are written and flushed together.
type Follower[Frame any] interface {
	Next(ctx context.Context, idle time.Duration) ([]Frame, error)
	Close()
}

// Sender accepts messages. Its types are parameters because this room sits
// below the engine's; the bindings name them.
type Sender[Call, Reply, F any] interface {
	// Admit finds the agent of a call and settles its extensions. A binding asks
	// it first, so that it can tell the caller which are active.
	Admit(context.Context, Call) (Call, error)
	Send(context.Context, Call, *a2a.SendMessageRequest) (Reply, error)
	Stream(context.Context, Call, *a2a.SendMessageRequest) (F, error)
}

// Reader answers about tasks and agents, each as ready JSON, and cancels tasks.
type Reader[Call, F any] interface {
	Get(context.Context, Call, *a2a.GetTaskRequest) ([]byte, error)
	List(context.Context, Call, *a2a.ListTasksRequest) ([]byte, error)
	Cancel(context.Context, Call, *a2a.CancelTaskRequest) ([]byte, error)
	Subscribe(ctx context.Context, call Call, req *a2a.SubscribeToTaskRequest, cursor *uint64) (F, error)
	ExtendedCard(context.Context, Call, *a2a.GetExtendedAgentCardRequest) ([]byte, error)
}

// Engine is all that the bindings need of an engine. It validates what the
// request says about tasks; a binding validates what the request says at all.
type Engine[Call, Reply, F any] interface {
	Sender[Call, Reply, F]
	Reader[Call, F]
}

// Options tune the bindings. The zero value means the defaults.
type Options struct {
	// MaxBody bounds a request body; default 4 MiB.
	MaxBody int64
	// BodyTimeout bounds the time in which a body must arrive; default 30 s.
	BodyTimeout time.Duration
	// WriteTimeout bounds each write of an answer, not the whole answer: a
	// stream may last for days, but a reader that stops reading is cut off.
	// Default 30 s.
	WriteTimeout time.Duration
	// KeepAlive is the silence after which a stream carries a comment; default 15 s.
	KeepAlive time.Duration
	// HeaderWait is how long the headers of a stream wait for its first event, so
	// that an early error keeps its own status; default 1 s. The engine has an
	// event within about 500 ms, but a reader that resumes may be up to date.
	HeaderWait time.Duration
	// MaxStreamAge ends streams that are older, less up to a tenth so that they
	// do not all end at once. Readers resume. 0 is without limit.
	MaxStreamAge time.Duration
	// StrictVersion refuses requests that do not say which version they speak.
	StrictVersion bool
	// Drain ends every stream when it is done. Readers resume elsewhere.
	Drain context.Context
	// Log receives what must not reach a client; default slog.Default().
	Log *slog.Logger
}

// Edge is the border between HTTP and the bindings: what it lets in, what it
// lets out, and what it keeps to the log. One Edge serves both bindings.
type Edge struct {
	opts Options
	// bufs holds *[]byte for bodies and frames. An idle stream holds none.
	bufs sync.Pool
}

// NewEdge returns an Edge with the defaults filled in.
func NewEdge(o Options) *Edge {
	if o.MaxBody <= 0 {
		o.MaxBody = 4 << 20
	}
	for _, d := range []struct {
		option *time.Duration
		def    time.Duration
	}{{&o.BodyTimeout, 30 * time.Second}, {&o.WriteTimeout, 30 * time.Second}, {&o.KeepAlive, 15 * time.Second}, {&o.HeaderWait, time.Second}} {
		if *d.option <= 0 {
			*d.option = d.def
		}
	}
	if o.Drain == nil {
		o.Drain = context.Background()
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Edge{opts: o, bufs: sync.Pool{New: func() any { return new([]byte) }}}
}

// Options are those of the Edge, with the defaults filled in.
func (e *Edge) Options() Options { return e.opts }

func (e *Edge) buffer() *[]byte { return e.bufs.Get().(*[]byte) }

// Release takes back a buffer. A large one is left to the collector: the pool
// must not remember the largest body for ever.
func (e *Edge) Release(b *[]byte) {
	if b == nil || cap(*b) > maxKept {
		return
	}
	*b = (*b)[:0]
	e.bufs.Put(b)
}

const maxKept = 128 << 10

// RequestID is the header that names a request in logs and answers. The server
// sets it on the answer before a binding is called.
const RequestID = "X-Request-Id"

func requestID(w http.ResponseWriter, r *http.Request) string {
	if id := w.Header().Get(RequestID); id != "" {
		return id
	}
	return r.Header.Get(RequestID)
}
