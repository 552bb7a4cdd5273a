#!/usr/bin/env bash
# The benchmark of density with all its allocators: jemalloc, mimalloc and snmalloc build from their C and C++ sources,
# the lints are clean, and a small run sees each of them at every phase.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo clippy -p benches --features allocators --all-targets -- -D warnings
cargo test -p benches --features allocators --test density
