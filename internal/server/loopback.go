// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/errand-a2a/errand/internal/binding"
	"github.com/errand-a2a/errand/internal/task"
)

// loopbackOnly refuses what a listener on a loopback address still lets in. A
// page may have a name of its own point to 127.0.0.1 (DNS rebinding): then the
// Host is foreign. Or it posts to localhost directly: then the Origin is.
func loopbackOnly(e *binding.Edge, origins []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLoopback(r.Host) {
			e.Refuse(w, r, task.Errorf(binding.ErrForbidden,
				"this server answers requests to this machine only, not to Host %s; use localhost or 127.0.0.1", binding.Quote(r.Host)))
			return
		}
		for _, origin := range r.Header["Origin"] {
			if !isLoopbackOrigin(origin) && !slices.Contains(origins, origin) && !slices.Contains(origins, "*") {
				e.Refuse(w, r, task.Errorf(binding.ErrForbidden,
					"this server answers pages of this machine only, not of Origin %s", binding.Quote(origin)))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// isLoopback tells whether a host, with a port or without, is this machine by
// its very name: nothing is looked up.
func isLoopback(host string) bool {
	if h, port, err := net.SplitHostPort(host); err == nil {
		if strings.Trim(port, "0123456789") != "" {
			return false
		}
		host = h
	} else if inner, ok := strings.CutPrefix(host, "["); ok {
		if host, ok = strings.CutSuffix(inner, "]"); !ok {
			return false
		}
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") && !strings.ContainsAny(name, "@/\\") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

func isLoopbackOrigin(origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.User == nil && u.Path == "" && isLoopback(u.Host)
}
