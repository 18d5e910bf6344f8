// SPDX-License-Identifier: Apache-2.0

package grpc

import (
	"context"
	"net/http"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2apb/v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/task"
)

// headerOf is the metadata of a call as the header of a request, in which the
// other bindings find the same things under the same names. What belongs to the
// transport is left out, and so is what is not text.
func headerOf(ctx context.Context) http.Header {
	md, _ := metadata.FromIncomingContext(ctx)
	h := make(http.Header, len(md))
	for name, values := range md {
		if name == "" || name[0] == ':' || name == "content-type" || name == "te" ||
			strings.HasPrefix(name, "grpc-") || strings.HasSuffix(name, "-bin") {
			continue
		}
		h[http.CanonicalHeaderKey(name)] = values
	}
	return h
}

// checkVersion wants 1.0, which is what the package of the service says too.
func checkVersion(e *binding.Edge, h http.Header) error {
	said, err := e.Dialect(strings.TrimSpace(h.Get(a2a.SvcParamVersion)))
	switch {
	case err != nil:
		return err
	case said == binding.V03:
		err := task.Errorf(a2a.ErrVersionNotSupported, "the service %s belongs to A2A 1.0; send the metadata a2a-version: %s with it", serviceName, string(a2a.Version))
		err.Meta = map[string]string{"supportedVersions": string(a2a.Version)}
		return err
	}
	return e.CheckUnsaid(said)
}

// decodable is a request as the JSON that the decoders of the bindings read.
func decodable(req proto.Message) ([]byte, error) {
	if list, ok := req.(*a2apb.ListTasksRequest); ok && list.PageSize != nil && list.GetPageSize() == 0 && list.IncludeArtifacts != nil {
		// a2a-go's client, up to v2.5.0, sends both whether or not they were asked
		// for. From anybody else a page of 0 tasks is refused, as over JSON.
		list.PageSize = nil
	}
	b, err := protojson.Marshal(req)
	if err != nil {
		// protobuf can say what JSON cannot: a NaN, a value without a kind, a time
		// out of the calendar.
		return nil, &task.Error{
			Kind: a2a.ErrInvalidParams, Cause: err,
			Message: "the request holds a value that has no JSON: NaN, infinity, a google.protobuf.Value without a kind, or a time out of range",
		}
	}
	if err := binding.Validate(b); err != nil {
		return nil, task.Errorf(a2a.ErrInvalidParams, "the request nests deeper than %d levels", binding.MaxDepth)
	}
	return b, nil
}
