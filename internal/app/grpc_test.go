// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/errand-a2a/errand/internal/app"
)

// Both addresses that errand dev names serve gRPC, and both end with it.
func TestDevServesGRPC(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	read, write := io.Pipe()
	done := make(chan error, 1)
	go func() {
		d := app.Dev{Version: "test", Listen: "127.0.0.1:0", ListenGRPC: "127.0.0.1:0", Store: "memory:", Log: slog.New(slog.DiscardHandler)}
		done <- d.Run(ctx, write)
		_ = write.Close()
	}()
	said := bufio.NewScanner(read)
	var addrs []string
	for len(addrs) == 0 && said.Scan() {
		if line := said.Text(); strings.Contains(line, "gRPC") {
			addrs = regexp.MustCompile(`127\.0\.0\.1:\d+`).FindAllString(line, -1)
		}
	}
	go func() { _, _ = io.Copy(io.Discard, read) }()
	if len(addrs) != 2 {
		t.Fatalf("the banner names %v", addrs)
	}
	for _, addr := range addrs {
		conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
		_ = conn.Close()
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}
