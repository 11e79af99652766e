#!/usr/bin/env bash
# The main job, with all of its set-up: builds, finds or brings up a model, starts three nodes as processes, runs the
# example workflow across them and keeps the mesh up until Ctrl-C. `ONCE=1` ends it after the workflow, with its exit code.
#
# The model is the first of: MESH_MODEL_URL; ANTHROPIC_API_KEY or OPENAI_API_KEY; an Ollama on loopback; a small local
# model that scripts/local-model.sh installs. QUESTION asks something else, TEXT names another Markdown file to answer
# it from, and WORKFLOW another workflow, which gets both as its task. BIN names a folder with binaries that are built.
set -euo pipefail
cd "$(dirname "$0")/.."

bin="${BIN:-${CARGO_TARGET_DIR:-target}/release}"
workflow="${WORKFLOW:-config/workflows/read-me.yaml}"
question="${QUESTION:-What does this project promise when a node dies?}"
text="${TEXT:-ARCHITECTURE.md}"
state="${MESH_STATE:-.mesh}"
logs=.cache/run
model_dir=.cache/model
ready_max_s=30
leave_max_s=40

node_pids=()
model_is_ours=

say() { printf '%-8s %s\n' "$1" "$2"; }
fail() { echo "run: $*" >&2; exit 1; }

# Whether a child of this script still runs: its number alone may be another process's by now.
runs() { case " $(jobs -rp | tr '\n' ' ')" in *" $1 "*) true ;; *) false ;; esac; }

# Ends what was started here, and nothing else. A node gets one signal: a second one would cut its leave short.
stop_all() {
  local pid end
  trap '' INT TERM
  for pid in "${node_pids[@]}"; do if runs "$pid"; then kill -TERM "$pid"; fi; done
  end=$((SECONDS + leave_max_s))
  for pid in "${node_pids[@]}"; do
    while runs "$pid" && [ "$SECONDS" -lt "$end" ]; do sleep 0.1; done
    if runs "$pid"; then kill -KILL "$pid"; fi
  done
  if [ -n "$model_is_ours" ]; then scripts/local-model.sh stop --dir "$model_dir" >/dev/null 2>&1 || true; fi
}
interrupted() {
  printf '\nrun: interrupted after %s s; ending what was started\n' "$SECONDS" >&2
  exit 130
}
trap stop_all EXIT
trap interrupted INT
trap 'exit 143' TERM

# What an HTTP GET on loopback answers, at most two seconds long; nothing if nobody does.
loopback_get() {
  timeout 2 bash -c '
    exec 3<>"/dev/tcp/127.0.0.1/$0" || exit 1
    printf "GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n" "$1" >&3
    cat <&3' "$1" "$2" 2>/dev/null || true
}

# Where the dashboard usually is, or any free port when somebody has that one.
free_http() {
  if timeout 2 bash -c 'exec 3<>/dev/tcp/127.0.0.1/7980' 2>/dev/null; then echo 127.0.0.1:0; else echo 127.0.0.1:7980; fi
}

# The dashboard of a node. Its token, which browsers send to nobody as it stands behind the #, goes to a terminal only.
page_of() {
  local url
  url="$(grep -o '"http":"[^"]*"' "$logs/$1.json" | cut -d '"' -f 4)"
  if [ -t 1 ]; then url="$url#token=$(cat "$state/nodes/$1/http-token")"; fi
  echo "$url"
}

choose_model() {
  if [ -n "${MESH_MODEL_URL:-}" ]; then
    say model "${MESH_MODEL:-the default one} at $MESH_MODEL_URL"
  elif [ -n "${ANTHROPIC_API_KEY:-}" ]; then
    say model "Anthropic's, by ANTHROPIC_API_KEY"
  elif [ -n "${OPENAI_API_KEY:-}" ]; then
    say model "OpenAI's, by OPENAI_API_KEY"
  elif use_ollama; then
    say model "$MESH_MODEL by Ollama on 127.0.0.1:11434"
  else
    use_local_model
  fi
}

# The first model that an Ollama on this machine has.
use_ollama() {
  local name
  name="$(loopback_get 11434 /api/tags | grep -o '"name":"[^"]*"' | head -n 1 | cut -d '"' -f 4)" || return 1
  [ -n "$name" ] || return 1
  export MESH_MODEL_URL=http://127.0.0.1:11434/v1 MESH_MODEL="${MESH_MODEL:-$name}"
}

use_local_model() {
  local before
  before="$(cat "$model_dir/pid" 2>/dev/null || true)"
  # The mark is local_model.py's, which tells of its own when it renews an older installation.
  if [ -f "$model_dir/venv/installed" ]; then
    echo "model    a small local one, which is installed already" >&2
  else
    echo "model    a small local one, which is installed now, this once (127 MB)" >&2
  fi
  scripts/local-model.sh start --dir "$model_dir" >/dev/null || fail "no model: see above, or set MESH_MODEL_URL"
  # One that ran already is somebody else's to stop.
  [ "$(cat "$model_dir/pid")" = "$before" ] || model_is_ours=1
  MESH_MODEL_URL="$(cat "$model_dir/url")"
  export MESH_MODEL_URL
  say model "SmolLM2-135M at $MESH_MODEL_URL (tiny: proves the plumbing, not the prose; set ANTHROPIC_API_KEY for a real one)"
}

addr_of() { sed -n 's/.*"addr":"\([^"]*\)".*/\1/p' "$logs/$1.json"; }

# start NAME [--join ADDR]: a node on the next free port, in a process group of its own, so that a Ctrl-C meant for
# this script does not reach it as well.
start() {
  local name="$1" end pid; shift
  rm -f "$logs/$name.json"
  set -m
  "$bin/mesh-node" --name "$name" --state "$state" --lab-actors --ready-file "$logs/$name.json" "$@" \
    >"$logs/$name.out" 2>"$logs/$name.log" </dev/null &
  pid=$!
  set +m
  node_pids+=("$pid")
  end=$((SECONDS + ready_max_s))
  until [ -s "$logs/$name.json" ]; do
    runs "$pid" || { tail -n 3 "$logs/$name.log" >&2; fail "$name could not start (log: $logs/$name.log)"; }
    [ "$SECONDS" -lt "$end" ] || fail "$name is not ready after $ready_max_s s (log: $logs/$name.log)"
    sleep 0.05
  done
}

any_runs() {
  local pid
  for pid in "${node_pids[@]}"; do if runs "$pid"; then return 0; fi; done
  return 1
}

[ -f "$workflow" ] || fail "there is no workflow $workflow"
[ -f "$text" ] || fail "there is no text $text"
if [ -z "${BIN:-}" ]; then cargo build --release -p mesh-node; fi
mkdir -p "$logs"
choose_model

start alpha --http "$(free_http)"
alpha="$(addr_of alpha)"
start beta --join "$alpha"
start gamma --join "$alpha"
say nodes "alpha $alpha · beta $(addr_of beta) · gamma $(addr_of gamma)"
say page "$(page_of alpha)"

say workflow "$workflow  task \"$question\", to be answered from $text"
{ printf '%s\n\n' "$question"; cat "$text"; } >"$logs/task.md"
code=0
began=$SECONDS
"$bin/meshctl" --state "$state" --node "$alpha" workflow run "$workflow" --task "@$logs/task.md" || code=$?
ended=done
[ "$code" = 0 ] || ended=failed
say "$ended" "$((SECONDS - began)) s for the workflow, $SECONDS s in all"
if [ "${ONCE:-}" = 1 ]; then exit "$code"; fi

ctl="$bin/meshctl"
if [ "$state" != .mesh ]; then ctl="$ctl --state $state"; fi
# From here on Ctrl-C is the usual end.
trap 'printf "\n"; say end "leaving the mesh"; exit 0' INT
echo
say next "$ctl nodes   ·   $ctl ps"
say "" "$ctl ask beta/echo lab.echo.v1 '{\"text\":\"hi\"}'"
say "" "kill -9 ${node_pids[2]} (gamma), and look at the nodes again"
say "" "Ctrl-C ends the mesh; logs are in $logs"
while any_runs; do sleep 1 & wait $! || true; done
echo "run: no node runs any more" >&2
exit 1
