# Every target does its own set-up. `make test` is the whole check of one change; CI calls `.ci/run`.

CARGO ?= cargo
# One profile serves the tests and the processes that they start, so nothing is built twice.
BIN ?= $(or $(CARGO_TARGET_DIR),target)/debug
# Passed on: `make run ONCE=1`, `make bench JSON=FILE ONLY=R1,R3`.
export ONCE
FUZZ_SECONDS ?= 60
BENCH_ARGS = $(if $(ONLY),--only $(ONLY)) $(if $(JSON),--json $(JSON))

.DEFAULT_GOAL := help
.PHONY: help build run test torture soak fuzz bench lint doc deny ci tools

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## mesh-node and meshctl, optimised, in target/release
	$(CARGO) build --release -p mesh-node

run: ## three nodes, a model and the example workflow; Ctrl-C ends it (ONCE=1: by itself)
	scripts/run.sh

# --all-targets builds the binaries with the very features that the tests are built with.
test: tools ## unit, documentation and whole-mesh tests, and the examples
	$(CARGO) build --workspace --all-targets
	BIN=$(BIN) $(CARGO) test --workspace --no-fail-fast

torture: tools ## hundreds of kills and cuts, thousands of random cases (two hours)
	$(CARGO) build --workspace --all-targets
	PROPTEST_CASES=10000 MESH_SEEDS=10000 MESH_DIALS=1000 $(CARGO) test --workspace --lib
	MESH_KILLS=200 MESH_FLIPS=1 $(CARGO) test -p mesh-store --test it
	MESH_TOOL_KILLS=200 $(CARGO) test -p mesh-agents --test tools kills
	BIN=$(BIN) MESH_KILLS=100 $(CARGO) test -p integration-tests --test it -- --test-threads=1 mesh::
	BIN=$(BIN) MESH_PLACEMENT_KILLS=100 MESH_PLACEMENT_ACTORS=1000 \
		$(CARGO) test -p integration-tests --test it -- --test-threads=1 placement::
	BIN=$(BIN) MESH_RUN_KILLS=200 $(CARGO) test -p integration-tests --test it -- --test-threads=1 runs::
	BIN=$(BIN) MESH_SWARM_TASKS=10000 MESH_SWARM_KILLS=20 \
		$(CARGO) test -p integration-tests --test it -- --test-threads=1 swarm::
	BIN=$(BIN) MESH_ROLLS=20 $(CARGO) test -p integration-tests --test it -- --test-threads=1 rolling::
	BIN=$(BIN) MESH_KILLS=100 MESH_CUTS=20 MESH_CUT_SECONDS=30 MESH_STREAM_SECONDS=60 \
		$(CARGO) test -p integration-tests --test it -- --test-threads=1 faults:: streams::

# Real networks are made by tests where `ip` and `nft` are, and MCP is spoken with others' programs; this fetches them where it can.
tools:
	@scripts/lab-tools.sh
	@scripts/mcp-peers.sh >/dev/null || true

soak: FUZZ_SECONDS = 600
soak: fuzz ## a stuck actor under pressure, and each decoder under the fuzzer, for ten minutes each
	$(CARGO) build --workspace --all-targets
	BIN=$(BIN) MESH_SOAK_SECONDS=600 $(CARGO) test -p integration-tests --test it -- --test-threads=1 backpressure::

fuzz: ## every decoder of the wire on made-up bytes, a minute each (FUZZ_SECONDS)
	FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/fuzz.sh

bench: ## this machine's figures beside the peers' (JSON=FILE, ONLY=R1,R3)
	$(CARGO) run --release -p mesh-bench -- $(BENCH_ARGS)

lint: ## format, clippy without a warning, Cargo.lock up to date
	$(CARGO) fmt --all --check
	$(CARGO) metadata --locked --format-version 1 >/dev/null
	$(CARGO) clippy --workspace --all-targets -- -D warnings

doc: ## the reference documentation, without a broken link
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps

# Building cargo-deny takes longer than our tests; what it would refuse, all but the advisories, a test refuses too.
deny: ## licences, sources, duplicates and advisories, where cargo-deny is installed
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny check; \
	else echo "cargo-deny is not installed: advisories are not checked (the rest is, by make test)"; fi

ci: lint test deny doc ## all that a change must pass
