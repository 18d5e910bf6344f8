// SPDX-License-Identifier: Apache-2.0

package task

import (
	"errors"
	"strings"
)

// The rules about the name of an agent. It stands in paths, so it is one
// segment that needs no escaping, and none of the server's own.
var (
	errRouteForm  = errors.New("a name is 1 to 64 letters, digits, dots, dashes and underscores, and begins with a letter or digit")
	errRouteTaken = errors.New("the name is taken by the server's own paths")
)

const maxRoute = 64

// CheckRoute tells what is wrong with the name of an agent.
func CheckRoute(name string) error {
	ok := name != "" && len(name) <= maxRoute && name[0] != '.' && name[0] != '-' && name[0] != '_'
	for _, c := range []byte(name) {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._-", c) >= 0)
	}
	switch {
	case !ok:
		return errRouteForm
	case ReservedRoute(name):
		return errRouteTaken
	}
	return nil
}

// ReservedRoute tells whether a first segment of a path is the server's own.
func ReservedRoute(segment string) bool {
	switch strings.ToLower(segment) {
	case "v1", "agents", "tasks", "admin", "console", "mcp", "metrics", "livez", "readyz", "extendedagentcard", ".well-known":
		return true
	}
	return false
}
