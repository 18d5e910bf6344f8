// SPDX-License-Identifier: Apache-2.0

package grpc

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// mendCard rewrites the security requirements of a card, which the SDK's types
// encode otherwise than ProtoJSON: their scopes are a list, and there they are
// an object that holds one.
func mendCard(card []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(card))
	d.UseNumber()
	var c map[string]any
	if err := d.Decode(&c); err != nil {
		return nil, fmt.Errorf("decode the card: %w", err)
	}
	mendRequirements(c)
	skills, _ := c["skills"].([]any)
	for _, s := range skills {
		if skill, ok := s.(map[string]any); ok {
			mendRequirements(skill)
		}
	}
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode the card: %w", err)
	}
	return b, nil
}

func mendRequirements(of map[string]any) {
	list, _ := of["securityRequirements"].([]any)
	for _, r := range list {
		requirement, _ := r.(map[string]any)
		schemes, _ := requirement["schemes"].(map[string]any)
		for name, scopes := range schemes {
			switch scopes.(type) {
			case []any:
				schemes[name] = map[string]any{"list": scopes}
			case nil:
				schemes[name] = map[string]any{}
			}
		}
	}
}
