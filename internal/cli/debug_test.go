// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"strings"
	"testing"
)

func TestACutLineShowsNoPartOfASecret(t *testing.T) {
	t.Parallel()
	const secret = "bearer-s3cret"
	// The padding moves the cut over every byte of a secret.
	for pad := range len(secret) + 1 {
		var log bytes.Buffer
		d := &debugTransport{w: &log, redact: newRedactor(globals{bearer: secret})}
		line := strings.Repeat("x", maxDebugLine-5*len(secret)+pad) + strings.Repeat(secret, 20)
		d.log("%s", d.cut([]byte(line)))
		if shown := strings.ReplaceAll(log.String(), redacted, ""); strings.Contains(shown, "bea") {
			t.Errorf("with padding %d the log ends with %q", pad, shown[len(shown)-40:])
		}
	}
}
