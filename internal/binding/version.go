// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"net/http"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/task"
)

// Version returns the protocol version that a request asks for, or nothing:
// the A2A-Version header, else the request parameter of that name (3.6.1).
func Version(r *http.Request) string {
	if v := strings.TrimSpace(r.Header.Get(a2a.SvcParamVersion)); v != "" {
		return v
	}
	if r.URL.RawQuery == "" {
		return ""
	}
	for name, values := range r.URL.Query() {
		if strings.EqualFold(name, a2a.SvcParamVersion) {
			return strings.TrimSpace(values[0])
		}
	}
	return ""
}

// Dialect is a version of the protocol as a request names it.
type Dialect int

// What a request says about its version: nothing, 1.0, or 0.3.
const (
	Unsaid Dialect = iota
	V1
	V03
)

const v03 = "0.3"

// Dialect reads a version. Only Major.Minor counts (3.6): a patch number is
// accepted and ignored.
func (e *Edge) Dialect(v string) (Dialect, error) {
	switch {
	case v == "":
		return Unsaid, nil
	case isVersion(v, string(a2a.Version)):
		return V1, nil
	case isVersion(v, v03):
		return V03, nil
	}
	return Unsaid, versionError("A2A version %s is not served here; send the header A2A-Version with %s or %s", Quote(v), string(a2a.Version), v03)
}

func isVersion(v, want string) bool {
	patch, ok := strings.CutPrefix(v, want)
	return ok && (patch == "" || len(patch) > 1 && patch[0] == '.' && strings.Trim(patch[1:], "0123456789") == "")
}

// CheckUnsaid decides about a request that says no version and uses names that
// only 1.0 has.
//
// The specification reads an empty version as 0.3 (3.6.2). The names of the
// methods and paths differ between the two versions, so such a request can mean
// nothing else and is served; StrictVersion is for those who want the letter.
func (e *Edge) CheckUnsaid(d Dialect) error {
	if d == Unsaid && e.opts.StrictVersion {
		return versionError("this server wants to be told the version: send the header A2A-Version: %s", string(a2a.Version))
	}
	return nil
}

func versionError(format string, args ...any) error {
	err := task.Errorf(a2a.ErrVersionNotSupported, format, args...)
	err.Meta = map[string]string{"supportedVersions": string(a2a.Version) + ", " + v03}
	return err
}

// Legacy serves what a binding has recognised as a request of A2A 0.3: there
// the agent is named by the path alone.
type Legacy interface {
	// JSONRPC calls decoded once it needs the body no more: the answer may last.
	JSONRPC(w http.ResponseWriter, r *http.Request, route string, body []byte, decoded func())
	// REST gets the path below the base path of the agent: /v1/…
	REST(w http.ResponseWriter, r *http.Request, route, path string)
}

// SameRoute joins the names that a path, a query and a body give for one agent.
func SameRoute(names ...string) (string, error) {
	route := ""
	for _, name := range names {
		if name != "" && route != "" && name != route {
			return "", task.Invalid(a2a.ErrInvalidParams, "tenant", "the request names two agents, %s and %s", Quote(route), Quote(name))
		}
		route = max(route, name)
	}
	return route, nil
}
