#!/usr/bin/env bash
# Weakens every memory ordering of the lock and of the pool, and breaks their protocols, one at a time: a loom model must
# fail each time.
set -euo pipefail
cd "$(dirname "$0")/.."

export RUSTFLAGS="--cfg zslock_loom" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom"
cargo test --release -p zslock -p zsalloc --test loom mutants:: -- --ignored --nocapture
