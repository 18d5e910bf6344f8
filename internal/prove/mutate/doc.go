// SPDX-License-Identifier: Apache-2.0

// Package mutate breaks the promises of the engine in its real source, one
// line at a time, and sees that a test notices.
//
// Each mutation replaces a text that occurs exactly once in a file by another,
// gives the result to the compiler as an overlay, and runs the tests that must
// fail now. The tree is never touched. A mutation whose text is gone, whose
// result does not compile, or that nobody notices fails the test.
package mutate
