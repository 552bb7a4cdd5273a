#!/usr/bin/env bash
# Every feature of the libraries alone and all together; zslock's contract also without std, where it spins.
set -euo pipefail
cd "$(dirname "$0")/.."

check() { echo "check: $*"; cargo check --quiet --all-targets "$@"; }
for feature in std debug-lockdep arc_lock serde; do
  check -p zslock --no-default-features --features "$feature"
done
check -p zslock --all-features
check -p lockdep --no-default-features
check -p zsalloc --all-features

cargo test -p zslock --no-default-features
cargo test -p zslock --all-features

for feature in parking_lot lock-api-04 serde; do
  cargo test -p lockdep --no-default-features --features "$feature"
done
cargo test -p lockdep --all-features
