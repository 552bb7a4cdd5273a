#!/usr/bin/env bash
# The same tests under the validator. Its policy is panic, so a wrong lock order anywhere fails a test. Then the proofs
# that the validator is on, that its policy is what it is said to be, and that it is exact.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo test --workspace --features debug-lockdep

# A run whose output lacks the line that proves it is a failure, and so is one that fails.
demand() { # pattern, command...
  local pattern=$1 out
  shift
  out=$("$@" 2>&1) || { echo "$out"; return 1; }
  grep -E "$pattern" <<<"$out" || { echo "$out"; echo "no line matches: $pattern"; return 1; }
}

# A validator that is off sees no classes.
count='^[a-z]+: clean, [1-9][0-9]* classes, [1-9][0-9]* dependencies$'
for crate in zslock zsalloc; do
  demand "$count" cargo test -p "$crate" --features debug-lockdep --test lockdep_clean -- --nocapture
done
demand '^caught: ' cargo test -p zsalloc --features debug-lockdep --test lockdep_inverted -- --nocapture
demand '^ended by: WARNING: possible deadlock' \
  cargo test -p zsalloc --features debug-lockdep --test lockdep_inverted -- --nocapture
# A panic is only logged where it must not be, as in the drop of a map. An abort goes through everywhere.
LOCKDEP=abort cargo test -p zsalloc --features debug-lockdep \
  --test lockdep_clean --test model --test stress --test soak

demand '^[1-9][0-9]* histories, 0 missed, 0 false$' \
  env LOCKDEP_HISTORIES=100000 cargo test --release -p lockdep --test oracle -- --nocapture
