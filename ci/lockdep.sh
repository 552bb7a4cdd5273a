#!/usr/bin/env bash
# The same tests under the validator. Its policy is panic, so a wrong lock order anywhere fails a test.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo test --workspace --features debug-lockdep
