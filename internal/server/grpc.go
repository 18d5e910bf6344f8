// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net/http"
	"strings"
)

// besideGRPC hands the requests of gRPC to its handler and the others to next.
func besideGRPC(grpc, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isGRPC(r) {
			grpc.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isGRPC tells requests of gRPC from those of gRPC-Web, which is another
// protocol.
func isGRPC(r *http.Request) bool {
	rest, ok := strings.CutPrefix(r.Header.Get("Content-Type"), "application/grpc")
	return ok && r.ProtoMajor == 2 && (rest == "" || rest[0] == '+' || rest[0] == ';')
}
