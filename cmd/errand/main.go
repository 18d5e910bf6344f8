// SPDX-License-Identifier: Apache-2.0

// Command errand talks to A2A agents and runs durable ones.
package main

import (
	"context"
	"io"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"syscall"

	"github.com/errand-a2a/errand/internal/app"
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
	program := cli.Program{Version: version, Dev: dev}
	return program.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ())
}

func dev(ctx context.Context, o cli.DevOptions, stdout, stderr io.Writer) error {
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	d := app.Dev{Version: version, Listen: o.Listen, Store: o.Store, Log: log}
	if os.Getenv("ERRAND_DEV_MAX_LOSSES") == "unlimited" {
		d.MaxLosses, d.MaxAttempts = math.MaxInt, math.MaxInt
	}
	return d.Run(ctx, stdout)
}
