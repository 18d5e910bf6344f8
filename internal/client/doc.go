// SPDX-License-Identifier: Apache-2.0

// Package client calls remote A2A 1.0 agents over the JSON-RPC and HTTP+JSON
// bindings.
//
// It differs from an ordinary client in two ways. Every answer is kept as the
// bytes the agent sent, so that a caller can print or forward it unmodified;
// typed values are decoded on request. And a stream survives its connection:
// Stream and Subscribe reconnect by themselves, repeat nothing and miss
// nothing where the agent numbers its events, and say so through Hooks.
package client
