// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"testing"
	"time"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/task"
)

// A client keeps a token over an upgrade: whoever changes what one looks like,
// or what is hashed of the filters, gives tokenFormat a new number and opens
// the old one too.
func TestATokenThatWasGivenOutIsOpenedForEver(t *testing.T) {
	t.Parallel()
	e := &Engine{Options: Options{TokenKey: []byte("0123456789abcdef0123456789abcdef")}}
	q := store.ListQuery{
		Scope: task.Scope{Tenant: "tenant", Principal: "principal"}, Agent: "agent", ContextID: "context", State: "TASK_STATE_WORKING",
		Since: time.UnixMicro(1_762_000_000_123_456),
	}
	want := token{filter: filterOf(q), until: time.UnixMilli(1_762_000_001_000).UTC()}
	want.after = store.ListPosition{StatusAt: time.UnixMilli(1_762_000_000_500).UTC(), ID: "task-日本"}
	const given = "Afohh-ElPq1qBgGLVCUFh_MAAAGaP2JX6AAAAZo_YlX0dGFzay3ml6XmnKx48JCoJkhd7c8pnoEO8LYR"
	if got := e.sealToken(want); got != given {
		t.Errorf("sealed as %s", got)
	}
	if got, err := e.openToken(given); err != nil || got != want {
		t.Errorf("opened to %+v, %v", got, err)
	}
}
