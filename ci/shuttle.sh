#!/usr/bin/env bash
# The pool under random schedules of seven threads. ZSALLOC_SHUTTLE_SCHEDULES=100000 ci/shuttle.sh looks longer.
set -euo pipefail
cd "$(dirname "$0")/.."

# A target folder of its own: the flag reaches every dependency.
export RUSTFLAGS="--cfg zsalloc_shuttle" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/shuttle"
cargo test --release -p zsalloc --test shuttle
