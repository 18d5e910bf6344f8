// SPDX-License-Identifier: Apache-2.0

// Package sim runs the engine's real code in a world that one seed decides:
// two or three replicas over one memory store, clients, agents, faults and
// crashes, all in virtual time.
//
// Every call of the store and every step of an agent or of a client parks at a
// gate. When nothing in the world can move any more, a scheduler draws what
// happens next: one of the parked calls goes on (perhaps it is refused, or
// committed without an answer), time passes, a client begins something, a
// replica dies. Between two draws only what that one release set off runs, so
// a seed is a run that can be repeated exactly.
//
// After each commit an oracle that reads the store by itself compares what is
// there with what the promises of the design allow, and every frame and reply
// that reaches a client with what was committed at that moment.
//
// All of it is test code: nothing here can end in a program.
package sim
