#!/bin/sh
# A small language model on this machine, for trying the mesh without a key.
#
#   local-model.sh start [--dir DIR]    installs it on first use (127 MB), starts it, prints its URL
#   local-model.sh stop  [--dir DIR]    ends it
#
# DIR (default .cache/model) holds everything: the installation, `url`, `pid` and `log`. A server that is already
# running from DIR is used again. PYTHON names the interpreter, 3.10 to 3.14; otherwise the first that fits is taken.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
fits='import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))'

for python in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python3.10}; do
    if command -v "$python" >/dev/null 2>&1 && "$python" -c "$fits" 2>/dev/null; then
        exec "$python" "$here/local_model.py" "$@"
    fi
done

echo "local-model: ${PYTHON:-python3} is missing or not Python 3.10 to 3.14" >&2
echo "local-model: install it (Debian: apt install python3 python3-venv), or set MESH_MODEL_URL to a model of yours" >&2
exit 1
