#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# hack/generated.sh COMMAND...: runs the command, which writes generated files, and fails when it changed a generated
# file, made one or removed one. It compares contents and not commits, so it works in the middle of a change as well.
set -euo pipefail
cd "$(dirname "$0")/.."

snapshot() {
	grep -rlE --exclude-dir=.git --exclude-dir=bin --exclude-dir=dist '^(//|#|--|<!--) Code generated .* DO NOT EDIT\.' . | LC_ALL=C sort | tr '\n' '\0' | xargs -0 -r cksum
}

before=$(snapshot || true)
"$@"
after=$(snapshot || true)
if [ "$before" != "$after" ]; then
	echo "generated files are out of date; commit what 'make generate' writes:" >&2
	diff <(echo "$before") <(echo "$after") >&2 || true
	exit 1
fi
