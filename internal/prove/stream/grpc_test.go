// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2apb/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/errand-a2a/errand/internal/prove"
)

// grpcDoor is a door that speaks gRPC, with a connection for each stream. It is
// here and not beside the others because nothing but the binding may bring the
// library into what is not a test.
type grpcDoor struct {
	addr string
	dial Dial
}

var _ Door = (*grpcDoor)(nil)

// Send implements Door.
func (g *grpcDoor) Send(ctx context.Context, m Message, take func(Event) error) error {
	return g.call(ctx, take, func(ctx context.Context, c a2apb.A2AServiceClient) (received, error) {
		return c.SendStreamingMessage(metadata.AppendToOutgoingContext(ctx, "idempotency-key", m.Key), &a2apb.SendMessageRequest{
			Message: &a2apb.Message{
				MessageId: m.ID, Role: a2apb.Role_ROLE_USER,
				Parts: []*a2apb.Part{{Content: &a2apb.Part_Text{Text: m.Text}}},
			},
		})
	})
}

// Subscribe implements Door.
func (g *grpcDoor) Subscribe(ctx context.Context, task string, after int, take func(Event) error) error {
	return g.call(ctx, take, func(ctx context.Context, c a2apb.A2AServiceClient) (received, error) {
		if after != Begin {
			ctx = metadata.AppendToOutgoingContext(ctx, "last-event-id", strconv.Itoa(after))
		}
		return c.SubscribeToTask(ctx, &a2apb.SubscribeToTaskRequest{Id: task})
	})
}

type received interface {
	Recv() (*a2apb.StreamResponse, error)
}

func (g *grpcDoor) call(ctx context.Context, take func(Event) error, open func(context.Context, a2apb.A2AServiceClient) (received, error)) error {
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(), grpc.WithDisableRetry(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64 << 20)),
	}
	if g.dial != nil {
		opts = append(opts, grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return g.dial(ctx, "tcp", addr) }))
	}
	conn, err := grpc.NewClient("passthrough:///"+g.addr, opts...)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	idle := time.AfterFunc(idleTimeout, cancel)
	defer idle.Stop()
	ctx = metadata.AppendToOutgoingContext(ctx, "a2a-version", "1.0")
	s, err := open(ctx, a2apb.NewA2AServiceClient(conn))
	if err != nil {
		return explain(err)
	}
	for {
		m, err := s.Recv()
		idle.Reset(idleTimeout)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return explain(err)
		}
		e, err := eventOf(m)
		if err != nil {
			return err
		}
		if err := take(e); err != nil {
			return err
		}
	}
}

func explain(err error) error {
	s := status.Convert(err)
	switch {
	case s.Code() == codes.Unavailable || s.Code() == codes.Canceled || s.Code() == codes.Internal && !strings.Contains(fmt.Sprint(s.Details()), "reason"):
		// A connection that breaks within a frame is told as Internal too, by
		// the library and with no reason of A2A.
		return fmt.Errorf("%w: %w", ErrBroken, err)
	case strings.Contains(fmt.Sprint(s.Details()), reasonUnsupported):
		return ErrEnded
	}
	return fmt.Errorf("%w: %w %v", ErrRefused, err, s.Details())
}

// eventOf encodes the message once more: the order of the keys of a map is not
// fixed on the wire.
func eventOf(m *a2apb.StreamResponse) (Event, error) {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return Event{}, fmt.Errorf("encode an event: %w", err)
	}
	e := Event{Raw: raw}
	var meta *structpb.Struct
	switch p := m.GetPayload().(type) {
	case *a2apb.StreamResponse_Task:
		meta, e.Task, e.State = p.Task.GetMetadata(), p.Task.GetId(), p.Task.GetStatus().GetState().String()
		for _, a := range p.Task.GetArtifacts() {
			e.Chunks = append(e.Chunks, textsOf(a)...)
		}
	case *a2apb.StreamResponse_StatusUpdate:
		meta, e.State = p.StatusUpdate.GetMetadata(), p.StatusUpdate.GetStatus().GetState().String()
	case *a2apb.StreamResponse_ArtifactUpdate:
		meta, e.Chunks = p.ArtifactUpdate.GetMetadata(), textsOf(p.ArtifactUpdate.GetArtifact())
	default:
		return Event{}, fmt.Errorf("neither task nor update: %T", p)
	}
	e.Seq = int(meta.GetFields()[prove.ResumeKey].GetStructValue().GetFields()["sequence"].GetNumberValue())
	if e.Seq < 1 {
		text, _ := json.Marshal(m) // best effort: only for the error text
		return Event{}, fmt.Errorf("an event without a sequence: %.200s", text)
	}
	return e, nil
}

func textsOf(a *a2apb.Artifact) []string {
	var texts []string
	for _, p := range a.GetParts() {
		texts = append(texts, p.GetText())
	}
	return texts
}
