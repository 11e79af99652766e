#!/usr/bin/env bash
# Fuzzes each decoder of the wire for FUZZ_SECONDS (60), or those that are named; needs a C++ compiler, and no nightly.
#
# New finds are kept in target/fuzz/corpus/TARGET, what breaks a promise in target/fuzz/found. What belongs into the
# tree: scripts/fuzz.sh --keep TARGET… writes a small set that reaches most of the same code to fuzz/corpus/TARGET.
set -euo pipefail
cd "$(dirname "$0")/.."

keep=false
if [ "${1:-}" = --keep ]; then keep=true; shift; fi
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
    for file in fuzz/targets/*.rs; do targets+=("$(basename "$file" .rs)"); done
fi

# What cargo-fuzz passes. Flags that are not stable need RUSTC_BOOTSTRAP; with --target, build scripts go without them.
host=$(rustc -vV | sed -n 's/^host: //p')
flags="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
flags="$flags -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
flags="$flags -Ccodegen-units=1 -Zsanitizer=address --cfg fuzzing"
RUSTC_BOOTSTRAP=1 RUSTFLAGS="$flags" ${CARGO:-cargo} build --release --quiet \
    --manifest-path fuzz/Cargo.toml --target "$host" --target-dir target/fuzz --bins

mkdir -p target/fuzz/found
for target in "${targets[@]}"; do
    binary=target/fuzz/$host/release/$target found=target/fuzz/corpus/$target kept=fuzz/corpus/$target
    mkdir -p "$found" "$kept"
    if $keep; then
        small=$(mktemp -d)
        "$binary" -merge=1 -max_len=512 "$small" "$kept" "$found" 2>/dev/null
        rm -f "$kept"/*
        # Of more than 48, some of each size.
        find "$small" -type f -printf '%s %p\n' | sort -n | cut -d' ' -f2 >"$small.list"
        awk -v all="$(wc -l <"$small.list")" 'int(NR * 48 / all) > int((NR - 1) * 48 / all) || all <= 48' "$small.list" |
            xargs cp -t "$kept"
        rm "$small.list"
        rm -r "$small"
        echo "$target: $(ls "$kept" | wc -l) samples, $(du -cb "$kept"/* | tail -1 | cut -f1) bytes"
        continue
    fi
    # One claim of a length may cost 32 MiB (mesh_proto::DECODE_BYTES_MAX), and nothing takes a second.
    log=target/fuzz/$target.log
    if ! "$binary" "$found" "$kept" -max_total_time="${FUZZ_SECONDS:-60}" -timeout=1 -malloc_limit_mb=33 -rss_limit_mb=1024 \
        -max_len=4096 -artifact_prefix="target/fuzz/found/$target-" -print_final_stats=1 >"$log" 2>&1; then
        tail -n 60 "$log"
        echo "$target: broken; the bytes are in target/fuzz/found"
        exit 1
    fi
    echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs, $(ls "$found" | wc -l) kept"
done
