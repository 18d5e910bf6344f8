// SPDX-License-Identifier: Apache-2.0

// Package cli is the errand command. As a client it follows the a2a-cli
// specification: its flags, output, exit codes and error envelope.
//
// Rules of its output:
//
//   - stdout carries results and nothing else; everything else is on stderr.
//   - With -o json stdout holds the agent's own bytes, or one error envelope.
//   - Text has one "Label: value" a line. What needs more lines is a block: the
//     label alone, the lines, an empty line. Control characters that an agent
//     sends are shown, never passed on.
package cli
