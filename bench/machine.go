// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// machine is where the figures come from.
type machine struct {
	cores          int
	cpu            string
	memory         string
	kernel         string
	sync           time.Duration // median of a write and its fsync
	commit         string
	goVersion      string
	os, arch, date string
}

// inspect looks at the machine and at the disk that dir lies on.
func inspect(dir string) (machine, error) {
	sync, err := syncLatency(dir)
	if err != nil {
		return machine{}, err
	}
	return machine{
		cores: runtime.GOMAXPROCS(0), cpu: field("/proc/cpuinfo", "model name"), memory: memory(),
		kernel: firstLine("/proc/sys/kernel/osrelease"), sync: sync, commit: commit(),
		goVersion: runtime.Version(), os: runtime.GOOS, arch: runtime.GOARCH,
		date: time.Now().UTC().Format(time.DateOnly),
	}, nil
}

// syncLatency is how long 4 KiB and an fsync take, as a log writes them.
func syncLatency(dir string) (time.Duration, error) {
	f, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		return 0, fmt.Errorf("measure fsync: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	page := make([]byte, 4096)
	took := make([]time.Duration, 200)
	for i := range took {
		begin := time.Now()
		if _, err := f.Write(page); err != nil {
			return 0, fmt.Errorf("measure fsync: %w", err)
		}
		if err := f.Sync(); err != nil {
			return 0, fmt.Errorf("measure fsync: %w", err)
		}
		took[i] = time.Since(begin)
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

// processorTime is what this process has used so far.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // cannot be: the argument is right
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// commit is that of the tree that is measured.
func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=12").Output()
	if err != nil {
		return "none"
	}
	return strings.TrimSpace(string(out))
}

func memory() string {
	var kib int
	if _, err := fmt.Sscanf(field("/proc/meminfo", "MemTotal"), "%d kB", &kib); err != nil {
		return "unknown"
	}
	return fmt.Sprintf("%.1f GiB", float64(kib)/(1<<20))
}

// field finds "name : value" in a file of the kernel; "unknown" elsewhere.
func field(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if k, v, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}

func firstLine(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return line
}
