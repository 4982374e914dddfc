#!/usr/bin/env bash
# Sees to what the commands need beside Rust: installs it on Debian as root, else says what to do.
#
# usage: tests/setup.sh build|test
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# What each step lacks: the programs that are looked for, and the Debian package of each.
missing_packages() {
  local need=(cc:gcc curl:curl)
  # libFuzzer is C++; the tests speak to the router as Python's and Node's clients do.
  [ "$1" = build ] || need+=(c++:g++ python3:python3 node:nodejs)
  local pair
  for pair in "${need[@]}"; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || printf '%s ' "${pair#*:}"
  done
  # A compiler without the C library's headers is of no use.
  [ -e /usr/include/stdlib.h ] || [ "$(uname -s)" != Linux ] || printf 'libc6-dev '
}

check_rust() {
  local wanted found
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  if ! command -v cargo >/dev/null 2>&1; then
    echo "Rust is missing: install Rust $wanted or later with rustup (https://rustup.rs)" >&2
    exit 1
  fi
  found=$(rustc --version | awk '{print $2}')
  if [ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1)" != "$wanted" ]; then
    echo "Rust $found is too old: $wanted or later is needed (rustup update stable)" >&2
    exit 1
  fi
  if [ "$1" = test ]; then
    cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 || {
      echo "rustfmt or clippy is missing: rustup component add rustfmt clippy" >&2
      exit 1
    }
  fi
}

main() {
  local step=${1:-}
  case "$step" in
    build | test) ;;
    *)
      echo "usage: tests/setup.sh build|test" >&2
      exit 2
      ;;
  esac
  check_rust "$step"
  local packages
  packages=$(missing_packages "$step")
  [ -n "$packages" ] || exit 0
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing: $packages" >&2
    apt-get update -qq
    # Split on purpose: one word a package.
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >&2
    exit 0
  fi
  echo "missing: $packages" >&2
  echo "install them (Debian: sudo apt-get install -y $packages), then run this again" >&2
  exit 1
}

main "$@"
