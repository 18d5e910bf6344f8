// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	pb "github.com/a2aproject/a2a-go/v2/a2apb/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// CheckSchema checks an object against the protocol's schema, which is
// normative in a2a.proto (1.4): known members of the right types only, and none
// of those missing that are marked REQUIRED.
func CheckSchema(typeName string, v any) error {
	var m proto.Message
	switch typeName {
	case "AgentCard":
		m = &pb.AgentCard{}
	case "SendMessageResponse":
		m = &pb.SendMessageResponse{}
	default:
		return fmt.Errorf("the schema of %s is not at hand", typeName)
	}
	if typeName == "AgentCard" {
		v = withoutOlder(v)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if err := protojson.Unmarshal(b, m); err != nil {
		return fmt.Errorf("it is no %s: %w", typeName, err)
	}
	return errors.Join(missing("", m.ProtoReflect())...)
}

// withoutOlder takes the members of A2A 0.3 out of a card that serves clients of
// both versions. Clients of 1.0 ignore them (5.7).
func withoutOlder(v any) any {
	card, ok := v.(map[string]any)
	if !ok {
		return v
	}
	card = maps.Clone(card)
	for _, name := range []string{"protocolVersion", "url", "preferredTransport", "additionalInterfaces", "security", "supportsAuthenticatedExtendedCard"} {
		delete(card, name)
	}
	if skills, ok := card["skills"].([]any); ok {
		var kept []any
		for _, s := range skills {
			if skill, ok := s.(map[string]any); ok {
				skill = maps.Clone(skill)
				delete(skill, "security")
				s = skill
			}
			kept = append(kept, s)
		}
		card["skills"] = kept
	}
	return card
}

// missing lists the REQUIRED fields that are not set. Of a list that is
// REQUIRED but empty nothing is said: 5.7 wants an element in it, and an agent
// without skills has none to give.
func missing(path string, m protoreflect.Message) (errs []error) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		where := path + f.JSONName()
		switch {
		case !m.Has(f):
			if required(f) && !f.IsList() && f.Kind() != protoreflect.BoolKind {
				errs = append(errs, fmt.Errorf("%s is missing", where))
			}
		case f.IsList() && f.Kind() == protoreflect.MessageKind:
			list := m.Get(f).List()
			for n := range list.Len() {
				errs = append(errs, missing(fmt.Sprintf("%s[%d].", where, n), list.Get(n).Message())...)
			}
		case !f.IsList() && !f.IsMap() && f.Kind() == protoreflect.MessageKind:
			errs = append(errs, missing(where+".", m.Get(f).Message())...)
		}
	}
	return errs
}

// required reads google.api.field_behavior without naming its package.
func required(f protoreflect.FieldDescriptor) bool {
	const behavior, isRequired = "google.api.field_behavior", 2
	found := false
	f.Options().ProtoReflect().Range(func(option protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if option.FullName() == behavior {
			list := v.List()
			for i := range list.Len() {
				found = found || list.Get(i).Enum() == isRequired
			}
		}
		return true
	})
	return found
}
