// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"github.com/errand-a2a/errand/internal/store"
)

// token is the place of a listing. It fixes the filters (of which it holds a
// hash) and the upper bound, so that no page repeats a task.
type token struct {
	filter [16]byte
	until  time.Time
	after  store.ListPosition
}

const (
	tokenFormat = 1
	macSize     = 16
)

var errToken = errors.New("bad page token")

// filterOf hashes what a token is bound to: the scope and the filters, not the
// page size.
func filterOf(q store.ListQuery) [16]byte {
	h := sha256.New()
	for _, s := range []string{q.Tenant, q.Principal, q.Agent, q.ContextID, q.State} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	since := int64(0)
	if !q.Since.IsZero() {
		since = q.Since.UnixMicro()
	}
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(since))
	h.Write(n[:])
	var out [16]byte
	copy(out[:], h.Sum(nil))
	return out
}

func (e *Engine) sealToken(t token) string {
	b := append([]byte{tokenFormat}, t.filter[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(t.until.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(t.after.StatusAt.UnixMilli()))
	b = append(b, t.after.ID...)
	return base64.RawURLEncoding.EncodeToString(append(b, e.mac(b)...))
}

func (e *Engine) openToken(s string) (token, error) {
	var t token
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) < 1+16+16+macSize {
		return t, errToken
	}
	body, mac := b[:len(b)-macSize], b[len(b)-macSize:]
	if !hmac.Equal(mac, e.mac(body)) || body[0] != tokenFormat {
		return t, errToken
	}
	copy(t.filter[:], body[1:17])
	t.until = time.UnixMilli(int64(binary.BigEndian.Uint64(body[17:25]))).UTC()
	t.after.StatusAt = time.UnixMilli(int64(binary.BigEndian.Uint64(body[25:33]))).UTC()
	t.after.ID = string(body[33:])
	return t, nil
}

func (e *Engine) mac(b []byte) []byte {
	h := hmac.New(sha256.New, e.TokenKey)
	h.Write(b)
	return h.Sum(nil)[:macSize]
}
