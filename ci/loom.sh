#!/usr/bin/env bash
# The loom models, at the preemption bounds that they name. ZSLOCK_LOOM_PREEMPTIONS=4 ci/loom.sh looks deeper (minutes).
set -euo pipefail
cd "$(dirname "$0")/.."

# A target folder of its own: the flag reaches every dependency.
export RUSTFLAGS="--cfg zslock_loom" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom"
cargo test --release -p zslock --test loom
