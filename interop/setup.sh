#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# interop/setup.sh: installs what the tests of this folder need and the machine lacks: Python's venv module, Node with
# npm, and Chromium. It changes nothing where all is there. It installs as root on Debian and its kin; elsewhere it says
# what is missing and fails.
set -euo pipefail

missing=()
# A venv needs pip, which Debian keeps apart from Python.
python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3 python3-venv)
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium)

if [ ${#missing[@]} -gt 0 ]; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		export DEBIAN_FRONTEND=noninteractive
		apt-get update -qq
		apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
	else
		echo "the interop tests need ${missing[*]}: install them and try again" >&2
		exit 1
	fi
fi

# The oldest versions that the pinned packages run on.
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "the interop tests need Python 3.11 or newer, not $(python3 --version)" >&2; exit 1; }
node -e 'process.exit(process.versions.node.split(".")[0] < 18 ? 1 : 0)' || { echo "the interop tests need Node 18 or newer, not $(node --version)" >&2; exit 1; }
