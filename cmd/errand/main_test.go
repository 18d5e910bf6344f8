// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the scripts run the real command.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"errand": func() { os.Exit(errand()) }})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: "testdata/script", Setup: setup, Cmds: commands(), Condition: condition})
}
