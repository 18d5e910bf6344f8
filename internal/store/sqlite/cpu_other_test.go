// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package sqlite_test

// cpuTime is not known here.
func cpuTime() int64 { return 0 }
