#!/usr/bin/env bash
# The loom models of the lock, and of the pool on top of it, at the preemption bounds that they name.
# ZSLOCK_LOOM_PREEMPTIONS=4 ZSALLOC_LOOM_MORE=1 ci/loom.sh looks deeper (minutes).
set -euo pipefail
cd "$(dirname "$0")/.."

# A target folder of its own: the flag reaches every dependency.
export RUSTFLAGS="--cfg zslock_loom" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom"
cargo test --release -p zslock -p zsalloc --test loom
