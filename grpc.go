// SPDX-License-Identifier: Apache-2.0

package errand

import (
	"context"
	"net"
)

// ServeGRPC serves the gRPC binding of A2A 1.0 (lf.a2a.v1.A2AService), the
// health service and reflection on a listener of their own, which it closes,
// until ctx ends. Then streams end with UNAVAILABLE, so that their readers
// resume, and other calls may finish within ShutdownTimeout. It returns nil
// after such an end. It may be called for several listeners, beside Run, which
// does the work.
//
// It is not needed where the handler is mounted at the root of a server that
// speaks HTTP/2: ServeHTTP serves the same there. net/http does so with TLS by
// itself, and without it if http.Server.Protocols has UnencryptedHTTP2.
//
// For TLS, pass a listener of crypto/tls whose configuration has h2 among its
// NextProtos.
func (e *Errand) ServeGRPC(ctx context.Context, ln net.Listener) error {
	return e.node.ServeGRPC(ctx, ln, 0)
}
