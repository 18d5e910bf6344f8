// SPDX-License-Identifier: Apache-2.0

package grpc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/a2aproject/a2a-go/v2/a2apb/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/errand-a2a/errand/internal/engine"
)

// encode converts an answer of the engine. m is an empty message of its type.
func encode(answer []byte, m proto.Message) (encoded, error) {
	opts := protojson.UnmarshalOptions{DiscardUnknown: true}
	if err := opts.Unmarshal(answer, m); err != nil {
		mended, mendErr := mend(answer)
		if mendErr != nil {
			return nil, fmt.Errorf("convert %s: %w", m.ProtoReflect().Descriptor().Name(), err)
		}
		if err := opts.Unmarshal(mended, m); err != nil {
			return nil, fmt.Errorf("convert %s: %w", m.ProtoReflect().Descriptor().Name(), err)
		}
	}
	b, err := proto.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	return b, nil
}

// encodeFrame converts an event, or takes what another follower has made of it.
func encodeFrame(f engine.Frame) (encoded, error) {
	if f.Shared == nil {
		return encode(f.Event, &a2apb.StreamResponse{})
	}
	return f.Shared.Do(func() ([]byte, error) { return encode(f.Event, &a2apb.StreamResponse{}) })
}

// mend rewrites JSON that an agent has encoded by itself, in which there may be
// what every reader of JSON accepts and protobuf does not: a number out of a
// double's range, half of a surrogate pair, a key that stands twice. A task must
// not be unreadable over one binding alone.
func mend(b []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	out, err := json.Marshal(inRange(v))
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return out, nil
}

// inRange puts the largest double in the place of a number beyond it.
func inRange(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = inRange(v[k])
		}
	case []any:
		for i := range v {
			v[i] = inRange(v[i])
		}
	case json.Number:
		if f, err := strconv.ParseFloat(v.String(), 64); err != nil && math.IsInf(f, 0) {
			return math.Copysign(math.MaxFloat64, f)
		}
	}
	return v
}
