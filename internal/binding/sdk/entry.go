// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/task"
)

// entry is one call on its way into the engine.
type entry struct {
	call engine.Call
	// headers are by lower-case name. They are not read again of a call that a
	// binding has admitted and interceptors have let pass.
	headers map[string][]string
	passed  *passage
}

// enter makes the call of a request and has it admitted.
func (h *handler[F]) enter(ctx context.Context, tenant string) (*entry, error) {
	if h.inner {
		return resume(ctx)
	}
	in := &entry{headers: map[string][]string{}}
	cc, ok := a2asrv.CallContextFrom(ctx)
	switch {
	case ok:
		maps.Insert(in.headers, cc.ServiceParams().List())
		if err := in.as(cc.User); err != nil {
			return nil, err
		}
	case h.o.Headers != nil:
		in.headers = h.o.Headers(ctx)
	}
	var err error
	if in.call.Agent, err = route(h.o.Route, tenant); err != nil {
		return nil, err
	}
	in.call.Headers, in.call.Params, in.call.Extensions = in.headers, params(in.headers), extensions(in.headers)
	if in.call, err = h.engine.Admit(ctx, in.call); err != nil {
		return nil, err
	}
	if ok {
		activate(cc, in.call.Extensions)
	}
	return in, nil
}

func activate(cc *a2asrv.CallContext, uris []string) {
	for _, uri := range uris {
		cc.Extensions().Activate(&a2a.AgentExtension{URI: uri})
	}
}

func route(fixed, tenant string) (string, error) {
	if fixed != "" && tenant != "" && fixed != tenant {
		return "", task.Invalid(a2a.ErrInvalidParams, "tenant", "the request names another agent than the one that is served here")
	}
	return max(fixed, tenant), nil
}

// as makes a user the owner of what the call makes and may see. One without a
// name is refused: its tasks would be those of everybody who has not said who
// they are.
func (in *entry) as(u *a2asrv.User) error {
	in.call.Principal, in.call.User = "", nil
	if u == nil || !u.Authenticated && u.Name == "" && len(u.Attributes) == 0 {
		return nil
	}
	in.call.User = &engine.User{Name: u.Name, Authenticated: u.Authenticated, Attributes: u.Attributes}
	if !u.Authenticated {
		return nil
	}
	if u.Name == "" {
		return task.Errorf(a2a.ErrUnauthenticated, "the caller is known, but not by a name")
	}
	in.call.Principal = u.Name
	return nil
}

// key is the idempotency key.
func (in *entry) key() (string, error) {
	const name, most = "idempotency-key", 255
	if in.passed != nil {
		return in.call.Key, nil
	}
	key, there, err := in.single(name)
	if err != nil || !there {
		return "", err
	}
	if key == "" || len(key) > most || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", task.Invalid(a2a.ErrInvalidParams, name, "must be 1 to %d visible ASCII characters", most)
	}
	return key, nil
}

// cursor is the place in the log that a reader has come to.
func (in *entry) cursor() (*uint64, error) {
	const name = "last-event-id"
	if in.passed != nil {
		return in.passed.cursor, nil
	}
	s, _, err := in.single(name)
	if err != nil || s == "" {
		return nil, err
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return nil, task.Invalid(a2a.ErrInvalidParams, name, "must be the decimal id of an event of this task's stream")
	}
	return &n, nil
}

func (in *entry) single(name string) (value string, there bool, err error) {
	switch values := in.headers[name]; len(values) {
	case 0:
		return "", false, nil
	case 1:
		return values[0], true, nil
	}
	return "", true, task.Invalid(a2a.ErrInvalidParams, name, "stands there twice")
}

const extensionsHeader = "a2a-extensions"

// extensions splits the header, which may be one line or several (3.2.6).
func extensions(headers map[string][]string) []string {
	var uris []string
	for _, line := range headers[extensionsHeader] {
		for uri := range strings.SplitSeq(line, ",") {
			if uri = strings.TrimSpace(uri); uri != "" && !slices.Contains(uris, uri) {
				uris = append(uris, uri)
			}
		}
	}
	return uris
}

// params are the service parameters that an executor may see, the same as over
// our own bindings (binding.Params).
func params(headers map[string][]string) map[string][]string {
	var seen map[string][]string
	for _, name := range [...]string{"a2a-version", extensionsHeader, "traceparent", "tracestate", "accept-language", "user-agent", "x-request-id"} {
		values := headers[name]
		if name == extensionsHeader {
			values = extensions(headers)
		}
		if len(values) > 0 {
			if seen == nil {
				seen = make(map[string][]string, 4)
			}
			seen[name] = values
		}
	}
	return seen
}

// passage is one call on its way through the interceptors. It rides in the
// context, since that is all that the SDK hands from one side of them to the
// other, and only the handler right behind them takes it out.
type passage struct {
	call   engine.Call
	cursor *uint64
	// cc is what the interceptors see and change, before is its user before them.
	cc     *a2asrv.CallContext
	before *a2asrv.User
	// open is called when the engine has let the caller follow.
	open func()
	// seq is the sequence of the event that is on its way out. The events of a
	// stream pass one after the other, so there is only one.
	seq uint64
	// raw is the engine's answer.
	raw []byte
}

type passageKey struct{}

// resume takes the call up again behind the interceptors, as the user that they
// have left.
func resume(ctx context.Context) (*entry, error) {
	p, _ := ctx.Value(passageKey{}).(*passage)
	if p == nil {
		return nil, task.Errorf(a2a.ErrInternalError, "internal error")
	}
	in := &entry{call: p.call, passed: p}
	if !reflect.DeepEqual(p.cc.User, p.before) {
		if err := in.as(p.cc.User); err != nil {
			return nil, err
		}
	}
	activate(p.cc, in.call.Extensions)
	return in, nil
}

func (in *entry) opened() {
	if in.passed != nil && in.passed.open != nil {
		in.passed.open()
	}
}

func (in *entry) pulled(seq uint64) {
	if in.passed != nil {
		in.passed.seq = seq
	}
}

func (in *entry) answered(b []byte) {
	if in.passed != nil {
		in.passed.raw = b
	}
}
