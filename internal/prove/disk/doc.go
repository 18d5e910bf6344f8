// SPDX-License-Identifier: Apache-2.0

// Package disk holds the proofs about the disk under a real server: one that is
// full, one that fails, and one whose power is cut. They are tests for Linux,
// whose tools they use: a small tmpfs, strace, and LazyFS where it is given.
//
// What the store's own file layer makes of power cuts is proved beside it, in
// store/sqlite.
package disk
