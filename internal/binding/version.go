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

// CheckVersion refuses what is not 1.0. Only Major.Minor counts (3.6): a patch
// number is accepted and ignored.
//
// The specification reads an empty version as 0.3 (3.6.2). The names of the
// methods and paths differ between the two versions, so a request without a
// version that uses names of 1.0 alone can mean nothing else and is served;
// StrictVersion is for those who want the letter.
func (e *Edge) CheckVersion(v string) error {
	if v == "" {
		if e.opts.StrictVersion {
			return versionError("this server wants to be told the version: send the header A2A-Version: %s", string(a2a.Version))
		}
		return nil
	}
	if patch, ok := strings.CutPrefix(v, string(a2a.Version)); ok {
		if patch == "" || len(patch) > 1 && patch[0] == '.' && strings.Trim(patch[1:], "0123456789") == "" {
			return nil
		}
	}
	return versionError("A2A version %s is not served here; send the header A2A-Version: %s", Quote(v), string(a2a.Version))
}

// Legacy answers a request that uses a name of 0.3 and says no version, or that
// one. 0.3 is not served yet.
func Legacy(name, replacement string) error {
	return versionError("%s belongs to A2A 0.3, which is not served here; use %s and send the header A2A-Version: %s",
		Quote(name), replacement, string(a2a.Version))
}

func versionError(format string, args ...any) error {
	err := task.Errorf(a2a.ErrVersionNotSupported, format, args...)
	err.Meta = map[string]string{"supportedVersions": string(a2a.Version)}
	return err
}

// CheckRoute refuses every agent but the default one, which has no name: there
// are no others yet.
func CheckRoute(tenant string) error {
	if tenant != "" {
		return task.Invalid(a2a.ErrInvalidParams, "tenant", "there is no agent %s here; leave it out", Quote(tenant))
	}
	return nil
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
