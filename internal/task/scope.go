// SPDX-License-Identifier: Apache-2.0

package task

// Scope says whose data something is. Both parts come from the credential of
// a call and from nothing else; the wire's tenant field is a route, not a
// scope. The zero Scope is the single owner of a server without authentication.
type Scope struct {
	Tenant    string
	Principal string
}

// Ref names one task of one owner. A task that exists under another scope is
// answered exactly like one that does not exist.
type Ref struct {
	Scope
	ID string
}
