// SPDX-License-Identifier: Apache-2.0

package sse

// Held is how many bytes a reader keeps.
func (r *Reader) Held() int {
	return cap(r.buf) + cap(r.line) + cap(r.data) + len(r.name) + len(r.idBuf) + len(r.lastID)
}
