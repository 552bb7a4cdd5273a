#!/usr/bin/env bash
# Formatting, clippy and documentation, with warnings as errors.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo fmt --all --check
cargo clippy --workspace --all-targets -- -D warnings
# Not all features of the benchmarks: `allocators` builds other allocators from their C sources.
cargo clippy --workspace --exclude benches --all-targets --all-features -- -D warnings
cargo clippy -p benches --all-targets --features deadlock-detection -- -D warnings
cargo clippy -p zslock --all-targets --no-default-features -- -D warnings
RUSTFLAGS="--cfg zslock_loom" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom" \
  cargo clippy -p zslock -p zsalloc --lib --test loom -- -D warnings
RUSTFLAGS="--cfg zsalloc_shuttle" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/shuttle" \
  cargo clippy -p zsalloc --lib --test shuttle -- -D warnings

export RUSTDOCFLAGS="-D warnings"
cargo doc --workspace --no-deps
cargo doc --workspace --exclude benches --no-deps --all-features
