// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strings"
)

// parseDotenv reads the A2ACLI_ lines of a .env file. Other lines belong to
// other programs, whose syntax may be richer: they are passed over unread.
func parseDotenv(content string) (map[string]string, error) {
	values := map[string]string{}
	content = strings.TrimPrefix(content, "\uFEFF")
	for i, line := range strings.Split(content, "\n") {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "export "); ok {
			line = strings.TrimSpace(rest)
		}
		if !strings.HasPrefix(line, "A2ACLI_") {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, fmt.Errorf("line %d is not of the form %s=value", i+1, key)
		}
		value, err := dotenvValue(strings.TrimSpace(value))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		values[strings.TrimSpace(key)] = value
	}
	return values, nil
}

// dotenvValue takes quotes off. Only double quotes know escapes; outside quotes
// a # behind white space starts a comment.
func dotenvValue(v string) (string, error) {
	if v == "" {
		return "", nil
	}
	switch v[0] {
	case '\'':
		inner, rest, ok := strings.Cut(v[1:], "'")
		if !ok || !blankOrComment(rest) {
			return "", fmt.Errorf("the single quotes do not match")
		}
		return inner, nil
	case '"':
		return doubleQuoted(v[1:])
	case '#':
		return "", nil
	}
	for i := 1; i < len(v); i++ {
		if v[i] == '#' && (v[i-1] == ' ' || v[i-1] == '\t') {
			return strings.TrimSpace(v[:i]), nil
		}
	}
	return v, nil
}

func doubleQuoted(v string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case c == '"':
			if !blankOrComment(v[i+1:]) {
				return "", fmt.Errorf("something follows the closing quote")
			}
			return b.String(), nil
		case c == '\\' && i+1 < len(v):
			i++
			switch v[i] {
			case 'n':
				b.WriteByte('\n')
			case 't':
				b.WriteByte('\t')
			case '"', '\\', '$':
				b.WriteByte(v[i])
			default:
				b.WriteByte('\\')
				b.WriteByte(v[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", fmt.Errorf("the double quotes do not match")
}

func blankOrComment(s string) bool {
	s = strings.TrimSpace(s)
	return s == "" || s[0] == '#'
}
