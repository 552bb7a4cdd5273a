#!/usr/bin/env bash
# The README's second command: every test of the workspace, with default features.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo test --workspace
