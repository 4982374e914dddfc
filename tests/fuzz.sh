#!/usr/bin/env bash
# Runs every target of fuzz/fuzz_targets for some seconds, guided by coverage, on stable Rust.
#
# usage: tests/fuzz.sh [SECONDS] [TARGET…]
#
# The targets are libFuzzer's (crate libfuzzer-sys), as cargo-fuzz lays them out; the flags below are
# those that it would give, so that neither it nor a nightly compiler is needed. What breaks a target
# is kept in fuzz/artifacts/TARGET; `tests/fuzz.sh 0 TARGET` tries those inputs and the seeds again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:-10}
shift || true
[ -f fuzz/Cargo.toml ] || { echo "fuzz/Cargo.toml is missing: there is nothing to run" >&2; exit 1; }

host=$(rustc -vV | sed -n 's/^host: //p')
out=${CARGO_TARGET_DIR:-fuzz/target}
flags="--cfg fuzzing -Cdebug-assertions -Coverflow-checks -Ccodegen-units=1 -Cpasses=sancov-module"
for flag in level=4 inline-8bit-counters pc-table trace-compares; do
  flags+=" -Cllvm-args=-sanitizer-coverage-$flag"
done

targets=("$@")
if [ ${#targets[@]} = 0 ]; then
  for file in fuzz/fuzz_targets/*.rs; do targets+=("$(basename "$file" .rs)"); done
fi

# With --target the build scripts and macros, which run here, are left without the flags.
RUSTFLAGS=$flags CARGO_TARGET_DIR=$out \
  cargo build --quiet --release --locked --manifest-path fuzz/Cargo.toml --target "$host"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=()
for name in "${targets[@]}"; do
  mkdir -p "$work/$name" "fuzz/artifacts/$name"
  # New inputs go to the first folder; the seeds that are kept are only read.
  folders=("$work/$name")
  for kept in "fuzz/corpus/$name" "fuzz/artifacts/$name"; do
    [ ! -d "$kept" ] || folders+=("$kept")
  done
  limit=(-max_total_time="$seconds")
  [ "$seconds" != 0 ] || limit=(-runs=0)
  if RUST_BACKTRACE=0 "$out/$host/release/$name" "${limit[@]}" -timeout=10 -rss_limit_mb=2048 \
    -artifact_prefix="fuzz/artifacts/$name/" "${folders[@]}" >"$work/$name.log" 2>&1; then
    echo "fuzz $name: $(grep -oE 'Done [0-9]+ runs.*' "$work/$name.log" | tail -n 1)"
  else
    echo "fuzz $name: failed" >&2
    grep -v '^#' "$work/$name.log" | tail -n 20 | sed 's/^/  /' >&2
    echo "fuzz $name: try it again with: tests/fuzz.sh 0 $name" >&2
    failed+=("$name")
  fi
done
[ ${#failed[@]} = 0 ] || { echo "fuzz: failed: ${failed[*]}; the inputs are in fuzz/artifacts" >&2; exit 1; }
