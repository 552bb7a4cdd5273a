#!/usr/bin/env bash
# All operations of zsalloc at random on every lock, for as long as ZSALLOC_SOAK_SECONDS says: ten minutes if it says
# nothing. ZSALLOC_SOAK_SEED and ZSALLOC_SOAK_THREADS vary it.
set -euo pipefail
cd "$(dirname "$0")/.."

export ZSALLOC_SOAK_SECONDS=${ZSALLOC_SOAK_SECONDS:-600}
cargo test --release -p zsalloc --test soak -- --nocapture
