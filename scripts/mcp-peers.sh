#!/bin/sh
# What the tests of the Model Context Protocol speak to, none of it written here: the protocol's own test server, and its Python
# SDK. Both are installed once, in these very versions, into target/mcp-peers.
#
#   mcp-peers.sh      prints two lines: the server's file, for node, and a Python that has the SDK
#
# It needs node (18 or newer) with npm, and Python 3 with venv. Where something is missing it says what, and exits with 3.
set -eu

server=2026.8.31
sdk=2.3.0

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
dir=${CARGO_TARGET_DIR:-$root/target}/mcp-peers
say() { echo "mcp-peers.sh: $*" >&2; exit 3; }

command -v node >/dev/null && command -v npm >/dev/null || say "no node with npm here (Debian: apt install nodejs npm)"
command -v python3 >/dev/null || say "no python3 here (Debian: apt install python3 python3-venv)"

mkdir -p "$dir"
# Tests may come for it at the same time; the lock goes with this process.
exec 9>"$dir/lock"
command -v flock >/dev/null && flock 9
if [ ! -e "$dir/npm-$server/done" ]; then
    rm -rf "$dir/npm-$server"
    npm install --prefix "$dir/npm-$server" --no-fund --no-audit --ignore-scripts \
        "@modelcontextprotocol/server-everything@$server" >"$dir/npm.log" 2>&1 || say "npm failed: $(tail -n 1 "$dir/npm.log")"
    touch "$dir/npm-$server/done"
fi
if [ ! -e "$dir/venv-$sdk/done" ]; then
    rm -rf "$dir/venv-$sdk"
    { python3 -m venv "$dir/venv-$sdk" && "$dir/venv-$sdk/bin/pip" install --quiet --disable-pip-version-check "mcp==$sdk"; } \
        >"$dir/pip.log" 2>&1 || say "pip failed: $(tail -n 1 "$dir/pip.log")"
    touch "$dir/venv-$sdk/done"
fi
echo "$dir/npm-$server/node_modules/@modelcontextprotocol/server-everything/dist/index.js"
echo "$dir/venv-$sdk/bin/python"
