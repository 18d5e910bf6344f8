// SPDX-License-Identifier: Apache-2.0

// Package interop holds no code of its own: its tests start the real program
// and let the official A2A SDKs of other languages and a real browser use it.
package interop
