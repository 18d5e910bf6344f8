// SPDX-License-Identifier: Apache-2.0

package grpc

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2apb/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"pgregory.net/rapid"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/binding/v03"
	"github.com/errand-a2a/errand/internal/engine"
	"github.com/errand-a2a/errand/internal/record"
	"github.com/errand-a2a/errand/internal/task"
)

// converted is an answer after it was on the wire.
func converted(t interface {
	Helper()
	Fatalf(string, ...any)
}, answer []byte, m proto.Message) proto.Message {
	t.Helper()
	b, err := encode(answer, proto.Clone(m))
	if err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	if err := proto.Unmarshal(b, m); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	return m
}

// What comes in over gRPC is stored as JSON, and goes out over gRPC as it came.
func TestMessageComesBackAsItWas(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := drawProtoMessage(t)
		body, err := decodable(&a2apb.SendMessageRequest{Message: want})
		if err != nil {
			t.Fatalf("%v: %v", want, err)
		}
		req, err := binding.DecodeSend(body)
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		stored, err := record.AppendMessage(nil, req.Message)
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if got := converted(t, stored, &a2apb.Message{}); !proto.Equal(want, got) {
			t.Fatalf("sent %v\nread %v\nstored %s", want, got, stored)
		}
	})
}

// The same of every event that an agent makes, but for the stamp that the log
// adds.
func TestEventComesBackAsItWas(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := drawProtoEvent(t)
		b, err := protojson.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var sr a2a.StreamResponse
		if err := json.Unmarshal(b, &sr); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		stored, _, err := record.Encode(sr.Event, record.Stamp{Seq: 7})
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		got := converted(t, stored, &a2apb.StreamResponse{}).(*a2apb.StreamResponse)
		if seq := unstamp(got); seq != 7 {
			t.Fatalf("the sequence is %v in %s", seq, stored)
		}
		if !proto.Equal(want, got) {
			t.Fatalf("sent %v\nread %v\nstored %s", want, got, stored)
		}
	})
}

// unstamp takes the stamp out of an event.
func unstamp(ev *a2apb.StreamResponse) float64 {
	var meta **structpb.Struct
	switch p := ev.GetPayload().(type) {
	case *a2apb.StreamResponse_Task:
		meta = &p.Task.Metadata
	case *a2apb.StreamResponse_Message:
		meta = &p.Message.Metadata
	case *a2apb.StreamResponse_StatusUpdate:
		meta = &p.StatusUpdate.Metadata
	case *a2apb.StreamResponse_ArtifactUpdate:
		meta = &p.ArtifactUpdate.Metadata
	default:
		return -1
	}
	seq := (*meta).GetFields()[task.ResumeURI].GetStructValue().GetFields()["sequence"].GetNumberValue()
	delete((*meta).GetFields(), task.ResumeURI)
	if len((*meta).GetFields()) == 0 {
		*meta = nil
	}
	return seq
}

// Whatever an agent has got into the log can be read over gRPC, even what it
// encoded by itself.
func TestWhateverIsStoredIsReadable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		stored, _, err := record.Encode(drawAwkwardEvent(t), record.Stamp{Seq: 1})
		if err != nil {
			t.Fatalf("not stored: %v", err)
		}
		got := converted(t, stored, &a2apb.StreamResponse{}).(*a2apb.StreamResponse)
		if unstamp(got) != 1 {
			t.Fatalf("%s is read as %v", stored, got)
		}
	})
}

func TestMending(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, data, want string }{
		{"a number out of range becomes the largest", `[1e400,-1e400,1]`, `[1.7976931348623157e308,-1.7976931348623157e308,1]`},
		{"half of a surrogate pair becomes U+FFFD", `"\ud800x"`, `"\ufffdx"`},
		{"the last of two equal keys counts", `{"a":1,"a":2}`, `{"a":2}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := converted(t, []byte(`{"parts":[{"data":`+tt.data+`}]}`), &a2apb.Message{}).(*a2apb.Message)
			want := &structpb.Value{}
			if err := protojson.Unmarshal([]byte(tt.want), want); err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(want, got.GetParts()[0].GetData()) {
				t.Errorf("%s is read as %v", tt.data, got)
			}
		})
	}
}

// What protobuf can say and JSON cannot.
func TestRequestsWithoutJSON(t *testing.T) {
	t.Parallel()
	deep := structpb.NewNullValue()
	for range binding.MaxDepth {
		deep = structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{deep}})
	}
	for name, v := range map[string]*structpb.Value{
		"NaN":                   {Kind: &structpb.Value_NumberValue{NumberValue: nan()}},
		"a value without kind":  {},
		"one that is too deep":  deep,
		"one that is not UTF-8": structpb.NewStringValue("\xff"),
	} {
		t.Run(name+" is refused as a parameter", func(t *testing.T) {
			t.Parallel()
			_, err := decodable(&a2apb.CancelTaskRequest{Id: "t", Metadata: &structpb.Struct{Fields: map[string]*structpb.Value{"k": v}}})
			if f := binding.Explain(err); f.Reason != "INVALID_PARAMS" || !strings.Contains(f.Message, "the request") {
				t.Errorf("got %v: %s", err, f.Message)
			}
		})
	}
}

func nan() float64 {
	zero := 0.0
	return zero / zero
}

// A thousand followers cost one conversion.
func TestEventIsConvertedOnce(t *testing.T) {
	t.Parallel()
	f := engine.Frame{Seq: 1, Event: []byte(`{"task":{"id":"t"}}`), Shared: &record.Shared{}}
	first, err := encodeFrame(f)
	if err != nil {
		t.Fatal(err)
	}
	f.Event = []byte(`is not read again`)
	for range 1000 {
		b, err := encodeFrame(f)
		if err != nil || &b[0] != &first[0] {
			t.Fatalf("another conversion: %v", err)
		}
	}
	f.Shared = nil
	if _, err := encodeFrame(f); err == nil {
		t.Error("without the others' work it is read")
	}
}

// A card with everything in it, as it is rendered for the clients of both
// versions.
func TestCard(t *testing.T) {
	t.Parallel()
	card := &a2a.AgentCard{
		Name: "n", Description: "d", Version: "2", DocumentationURL: "https://d", IconURL: "https://i",
		Provider:             &a2a.AgentProvider{Org: "o", URL: "https://o"},
		Capabilities:         a2a.AgentCapabilities{ExtendedAgentCard: true, Extensions: []a2a.AgentExtension{{URI: "urn:x", Required: true, Params: map[string]any{"k": 1}}}},
		SecurityRequirements: a2a.SecurityRequirementsOptions{{"key": {"a", "b"}}, {"oauth": nil}},
		SecuritySchemes: a2a.NamedSecuritySchemes{
			"key":   a2a.APIKeySecurityScheme{Name: "X-Key", Location: a2a.APIKeySecuritySchemeLocationHeader},
			"http":  a2a.HTTPAuthSecurityScheme{Scheme: "Bearer", BearerFormat: "JWT"},
			"oidc":  a2a.OpenIDConnectSecurityScheme{OpenIDConnectURL: "https://c"},
			"mtls":  a2a.MutualTLSSecurityScheme{Description: "d"},
			"oauth": a2a.OAuth2SecurityScheme{Flows: a2a.ClientCredentialsOAuthFlow{TokenURL: "https://t", Scopes: map[string]string{"s": "d"}}},
		},
		Skills: []a2a.AgentSkill{{ID: "s", Name: "s", Description: "d", Tags: []string{"t"}, Examples: []string{"e"}, SecurityRequirements: a2a.SecurityRequirementsOptions{{"key": {"c"}}}}},
	}
	rendered, err := binding.RenderCard("other", card, binding.CardOptions{PublicURL: "https://x", GRPC: "x:443", Render: v03.RenderCard})
	if err != nil {
		t.Fatal(err)
	}
	mended, err := mendCard(rendered)
	if err != nil {
		t.Fatal(err)
	}
	got := converted(t, mended, &a2apb.AgentCard{}).(*a2apb.AgentCard)
	schemes := got.GetSecuritySchemes()
	for name, ok := range map[string]bool{
		"interfaces": slices.ContainsFunc(got.GetSupportedInterfaces(), func(i *a2apb.AgentInterface) bool {
			return i.GetUrl() == "x:443" && i.GetProtocolBinding() == "GRPC" && i.GetTenant() == "other" && i.GetProtocolVersion() == "1.0"
		}),
		"key":          schemes["key"].GetApiKeySecurityScheme().GetName() == "X-Key",
		"http":         schemes["http"].GetHttpAuthSecurityScheme().GetBearerFormat() == "JWT",
		"oidc":         schemes["oidc"].GetOpenIdConnectSecurityScheme().GetOpenIdConnectUrl() == "https://c",
		"mtls":         schemes["mtls"].GetMtlsSecurityScheme().GetDescription() == "d",
		"oauth":        schemes["oauth"].GetOauth2SecurityScheme().GetFlows().GetClientCredentials().GetScopes()["s"] == "d",
		"requirements": len(got.GetSecurityRequirements()) == 2 && slices.Equal(got.GetSecurityRequirements()[0].GetSchemes()["key"].GetList(), []string{"a", "b"}),
		"skills":       slices.Equal(got.GetSkills()[0].GetSecurityRequirements()[0].GetSchemes()["key"].GetList(), []string{"c"}),
		"capabilities": got.GetCapabilities().GetExtendedAgentCard() && got.GetCapabilities().GetExtensions()[0].GetParams().GetFields()["k"].GetNumberValue() == 1,
		"provider":     got.GetProvider().GetOrganization() == "o" && got.GetDocumentationUrl() == "https://d" && got.GetIconUrl() == "https://i",
	} {
		if !ok {
			t.Errorf("%s: %s\nare read as %v", name, rendered, got)
		}
	}
}
