// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"fmt"
	"unsafe"

	"modernc.org/libc"
)

// arena is memory outside of Go's, where SQLite may look, for the arguments of
// one statement after the other.
type arena struct {
	base uintptr
	size int
	used int
}

const (
	arenaLeast = 64 << 10
	// arenaMost is what is kept after a statement with more.
	arenaMost = 4 << 20
)

// reset makes room for the next statement. What the last one had is gone.
func (a *arena) reset(tls *libc.TLS, need int) error {
	a.used = 0
	if a.base != 0 && need <= a.size && a.size <= arenaMost {
		return nil // also for nothing: an address of 0 would make an empty text a NULL
	}
	a.free(tls)
	size := max(need, arenaLeast)
	if a.base = libc.Xmalloc(tls, libc.Tsize_t(size)); a.base == 0 {
		return fmt.Errorf("no memory for %d bytes of arguments", size)
	}
	a.size = size
	return nil
}

func (a *arena) free(tls *libc.TLS) {
	if a.base != 0 {
		libc.Xfree(tls, a.base)
	}
	*a = arena{}
}

// text copies a text into the arena and returns where it stands.
func (a *arena) text(s string) uintptr {
	at := a.base + uintptr(a.used)
	a.used += copy(bytesAt(at, len(s)), s)
	return at
}

// blob copies bytes into the arena and returns where they stand.
func (a *arena) blob(b []byte) uintptr {
	at := a.base + uintptr(a.used)
	a.used += copy(bytesAt(at, len(b)), b)
	return at
}

// bytesAt is memory outside of Go's as a slice.
func bytesAt(address uintptr, n int) []byte {
	if address == 0 || n == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(pointer(address)), n)
}
