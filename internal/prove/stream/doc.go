// SPDX-License-Identifier: Apache-2.0

// Package stream proves what Errand promises about streams, over every binding:
// one that is cut anywhere is taken up with nothing missing and nothing twice;
// one that begins while events commit has no gap between its snapshot and its
// tail; and a reader that hardly reads costs little, delays nobody, is cut off
// and can resume.
//
// It reads raw frames and compares bytes: what was shown in pieces with what a
// clean replay over the same binding shows in the end.
package stream
