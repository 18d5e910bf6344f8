// SPDX-License-Identifier: Apache-2.0

package prove

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// resumeKey is the metadata key under which every frame carries its sequence.
const resumeKey = "https://github.com/errand-a2a/errand/ext/resume/v1"

// object is a JSON object as it came. The checker works on these instead of on
// Go types because a type drops what it does not know.
type object map[string]any

func parseObject(data []byte) (object, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var o object
	if err := dec.Decode(&o); err != nil {
		return nil, fmt.Errorf("decode %.80q: %w", data, err)
	}
	return o, nil
}

// at walks to a nested object; nil where there is none.
func (o object) at(keys ...string) object {
	for _, k := range keys {
		next, ok := o[k].(map[string]any)
		if !ok {
			return nil
		}
		o = next
	}
	return o
}

func (o object) str(key string) string {
	s, _ := o[key].(string)
	return s
}

func (o object) flag(key string) bool {
	b, _ := o[key].(bool)
	return b
}

// number is a whole number, or -1 where there is none.
func (o object) number(key string) int {
	n, ok := o[key].(json.Number)
	if !ok {
		return -1
	}
	i, err := n.Int64()
	if err != nil {
		return -1
	}
	return int(i)
}

func (o object) list(key string) []object {
	items, _ := o[key].([]any)
	list := make([]object, 0, len(items))
	for _, i := range items {
		if m, ok := i.(map[string]any); ok {
			list = append(list, m)
		}
	}
	return list
}

func (o object) state() string { return o.at("status").str("state") }

// texts are the texts of the parts of a message or an artifact.
func (o object) texts() []string {
	var texts []string
	for _, p := range o.list("parts") {
		texts = append(texts, p.str("text"))
	}
	return texts
}

// messages are the messages of a role in a task's history, in order.
func (o object) messages(role string) []object {
	return slices.DeleteFunc(o.list("history"), func(m object) bool { return m.str("role") != role })
}

// canonical writes a value so that two that mean the same look the same: keys
// sorted, nulls and empty lists and objects left out.
func canonical(v any) string {
	var b strings.Builder
	writeCanonical(&b, v)
	return b.String()
}

func writeCanonical(b *strings.Builder, v any) {
	switch v := v.(type) {
	case object:
		writeCanonical(b, map[string]any(v))
	case map[string]any:
		b.WriteByte('{')
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if !isEmpty(v[k]) {
				fmt.Fprintf(b, "%q:", k)
				writeCanonical(b, v[k])
				b.WriteByte(',')
			}
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for _, e := range v {
			writeCanonical(b, e)
			b.WriteByte(',')
		}
		b.WriteByte(']')
	default:
		data, err := json.Marshal(v)
		if err != nil {
			fmt.Fprintf(b, "%v", v)
			return
		}
		b.Write(data)
	}
}

func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

const (
	stateSubmitted     = "TASK_STATE_SUBMITTED"
	stateWorking       = "TASK_STATE_WORKING"
	stateInputRequired = "TASK_STATE_INPUT_REQUIRED"
	stateAuthRequired  = "TASK_STATE_AUTH_REQUIRED"
	stateCompleted     = "TASK_STATE_COMPLETED"
	stateFailed        = "TASK_STATE_FAILED"
	stateCanceled      = "TASK_STATE_CANCELED"
	stateRejected      = "TASK_STATE_REJECTED"

	roleUser  = "ROLE_USER"
	roleAgent = "ROLE_AGENT"
)

func terminal(state string) bool {
	switch state {
	case stateCompleted, stateFailed, stateCanceled, stateRejected:
		return true
	}
	return false
}

func settled(state string) bool {
	return terminal(state) || state == stateInputRequired || state == stateAuthRequired
}
