// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/errordetails"

	"github.com/errand-a2a/errand/internal/task"
)

// kinds are the SDK's errors. An error may be several at once, so the order
// decides: what is about the call in particular comes before what is general.
func kinds() []error {
	return []error{
		a2a.ErrUnauthenticated, a2a.ErrUnauthorized,
		a2a.ErrTaskNotFound, a2a.ErrTaskNotCancelable, a2a.ErrPushNotificationNotSupported, a2a.ErrUnsupportedContentType,
		a2a.ErrInvalidAgentResponse, a2a.ErrExtendedCardNotConfigured, a2a.ErrExtensionSupportRequired, a2a.ErrVersionNotSupported,
		a2a.ErrParseError, a2a.ErrInvalidRequest, a2a.ErrMethodNotFound, a2a.ErrInvalidParams, a2a.ErrUnsupportedOperation,
		a2a.ErrServerError,
	}
}

func kindOf(err error) (error, bool) {
	for _, k := range kinds() {
		if errors.Is(err, k) {
			return k, true
		}
	}
	return nil, false
}

// nearest is the SDK's kind in place of one that it does not have.
func nearest(kind error) (error, bool) {
	switch kind {
	case task.ErrUnavailable:
		return a2a.ErrServerError, true
	case task.ErrKeyConflict, task.ErrTooLarge:
		return a2a.ErrInvalidParams, true
	case task.ErrInvalidEvent:
		return a2a.ErrInvalidAgentResponse, true
	case task.ErrClosed:
		return a2a.ErrUnsupportedOperation, true
	}
	return kindOf(kind)
}

// explain makes what the SDK's transports understand. They show the text of
// any error to the client, so only a task.Error keeps its own.
func (h *handler[F]) explain(ctx context.Context, err error) error {
	if gone := ctx.Err(); gone != nil && errors.Is(err, gone) {
		return gone
	}
	var e *task.Error
	if errors.As(err, &e) {
		if kind, ok := nearest(e.Kind); ok {
			if e.Cause != nil {
				h.o.Logger.LogAttrs(ctx, slog.LevelDebug, "request failed", slog.String("error", e.Error()), slog.String("cause", e.Cause.Error()))
			}
			out := a2a.NewError(kind, e.Error())
			if len(e.Meta) > 0 {
				out = out.WithErrorInfoMeta(e.Meta)
			}
			return out
		}
	}
	h.o.Logger.LogAttrs(ctx, slog.LevelError, "request failed", slog.String("error", err.Error()))
	return a2a.ErrInternalError
}

// adopt turns an error that comes out of the interceptors into one of ours, so
// that the bindings keep its kind. The text of an a2a.Error is meant for
// clients; of any other error only the kind is told.
func adopt(err error) error {
	var own *task.Error
	if errors.As(err, &own) {
		return own
	}
	kind, ok := kindOf(err)
	if !ok {
		return err // an internal error, which the bindings log
	}
	e := &task.Error{Kind: kind, Cause: err}
	var theirs *a2a.Error
	if errors.As(err, &theirs) && errors.Is(theirs.Err, kind) {
		e.Message, e.Meta = theirs.Message, metaOf(theirs)
	}
	return e
}

func metaOf(e *a2a.Error) map[string]string {
	var meta map[string]string
	for _, d := range e.TypedDetails {
		if d == nil || d.TypeURL != errordetails.ErrorInfoType {
			continue
		}
		switch m := d.Value["metadata"].(type) {
		case map[string]string:
			meta = m
		case map[string]any:
			meta = make(map[string]string, len(m))
			for k, v := range m {
				meta[k] = fmt.Sprint(v)
			}
		}
	}
	return meta
}
