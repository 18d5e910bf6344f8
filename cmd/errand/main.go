// SPDX-License-Identifier: Apache-2.0

// Command errand talks to A2A agents and runs durable ones.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/errand-a2a/errand/internal/cli"
)

// version is set by the linker of a release.
var version = "dev"

func main() { os.Exit(errand()) }

// errand lets the first signal end the work in good order and the second at once.
func errand() int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { <-signals; cancel(); <-signals; os.Exit(130) }()
	return cli.Program{Version: version}.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ())
}
