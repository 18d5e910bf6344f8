// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"
	_ "modernc.org/sqlite" // looks at a store beside its owner
)

// residentMemory is VmRSS of a process, in MiB.
func residentMemory(pid int) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of the server: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		var kib float64
		if _, err := fmt.Sscanf(line, "VmRSS: %g kB", &kib); err == nil {
			return kib / 1024, nil
		}
	}
	return 0, fmt.Errorf("/proc/%d/status does not tell VmRSS", pid)
}

// usedBy is the processor time of a process so far. The kernel counts it in
// hundredths of a second.
func usedBy(pid int) (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read the processor time of the server: %w", err)
	}
	_, rest, _ := strings.Cut(string(data), ") ") // the name may hold anything
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat: %q", pid, data)
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// openFiles is how many descriptors of a process are files in a directory.
func openFiles(pid int, dir string) (n int) {
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return 0
	}
	for _, fd := range fds {
		if at, err := os.Readlink(fd); err == nil && strings.HasPrefix(at, dir) {
			n++
		}
	}
	return n
}

// warm reads a file, so that as much of it as there is room for is in the
// system's cache.
func warm(path string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read a store: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(io.Discard, struct{ io.Reader }{f}); err != nil {
		return fmt.Errorf("read a store: %w", err)
	}
	return nil
}

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// cutLog brings the write-ahead log of a database into the file and cuts it off,
// beside the server that has it open. It tells whether somebody's transaction
// kept it from that.
func cutLog(ctx context.Context, path string) (busy bool, err error) {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return false, fmt.Errorf("open the database beside the server: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	var blocked, log, moved int
	err = db.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&blocked, &log, &moved)
	if err != nil {
		return false, fmt.Errorf("cut the write-ahead log off: %w", err)
	}
	return blocked != 0, nil
}

// post sends a message and gives the id of its task.
func (p *process) post(ctx context.Context, text, task string, now bool) (string, error) {
	client, err := a2aclient.NewFromEndpoints(ctx, []*a2a.AgentInterface{a2a.NewAgentInterface(p.url, a2a.TransportProtocolJSONRPC)})
	if err != nil {
		return "", fmt.Errorf("make a client: %w", err)
	}
	m := a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart(text))
	m.TaskID = a2a.TaskID(task)
	res, err := client.SendMessage(ctx, &a2a.SendMessageRequest{Message: m, Config: &a2a.SendMessageConfig{ReturnImmediately: now}})
	if err != nil {
		return "", fmt.Errorf("%s: %w", text, err)
	}
	t, ok := res.(*a2a.Task)
	if !ok {
		return "", fmt.Errorf("%s was answered with %T", text, res)
	}
	return string(t.ID), nil
}
