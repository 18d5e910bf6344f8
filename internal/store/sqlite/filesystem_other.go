// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package sqlite

// networkFilesystem cannot tell on this system.
func networkFilesystem(string) string { return "" }
