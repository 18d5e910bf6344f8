// SPDX-License-Identifier: Apache-2.0

// Package errand makes an agent written for the official A2A SDK durable.
package errand
