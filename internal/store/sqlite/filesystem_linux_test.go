// SPDX-License-Identifier: Apache-2.0

package sqlite

import "testing"

func TestNetworkFilesystemsAreKnown(t *testing.T) {
	t.Parallel()
	if got := networkFilesystem(t.TempDir()); got != "" {
		t.Errorf("the directory for temporary files is on %s", got)
	}
}
