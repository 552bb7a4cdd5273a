#!/usr/bin/env bash
# Counts the instructions of uncontended lock operations with callgrind. Fails if a plain read pair takes more than nine, if
# a plain lock executes more than its operations written out by hand (so nothing of debug-lockdep is left in a build without
# the feature), or if the count cannot tell a build with the feature from one without.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v valgrind >/dev/null || { echo "instructions: valgrind is not installed" >&2; exit 1; }
target="${CARGO_TARGET_DIR:-target}"
rows=20000
operations=(read write try_write failing_try_write)

fail() { echo "instructions: $1" >&2; exit 1; }

total() { # program, operation, lock, how many
  local log
  log=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>&1) || fail "$* failed: $log"
  sed -n 's/.*Collected : *\([0-9]*\).*/\1/p' <<<"$log"
}
loop() { # program, operation, lock: thousandths of an instruction a turn; the start of the process cancels out
  echo $((($(total "$@" $((2 * rows))) - $(total "$@" $rows)) * 1000 / rows))
}
count() { # program, operation, lock: rounded instructions, without the loop around them
  echo $((($(loop "$1" "$2" "$3") - $(loop "$1" "$2" nothing) + 500) / 1000))
}

cargo build --quiet --release -p benches --bin instructions
program="$target/release/instructions"
declare -A counted
printf '%-14s' "instructions"; printf '%19s' "${operations[@]}"; echo
for lock in hand-written zslock gated parking_lot; do
  printf '%-14s' "$lock"
  for operation in "${operations[@]}"; do
    counted[$lock,$operation]=$(count "$program" "$operation" "$lock")
    printf '%19s' "${counted[$lock,$operation]}"
  done
  echo
done

((counted[zslock,read] > 0)) || fail "a read pair of ${counted[zslock,read]} instructions: nothing was counted"
((counted[zslock,read] <= 9)) || fail "a plain read pair takes ${counted[zslock,read]} instructions, more than 9"
for operation in "${operations[@]}"; do
  # The compiler ends a loop by counting up (inc, cmp) or down (dec): that one instruction is not the lock's.
  ((counted[zslock,$operation] <= counted[hand-written,$operation] + 1)) ||
    fail "$operation takes ${counted[zslock,$operation]} instructions, by hand ${counted[hand-written,$operation]}"
done

# The control: with the feature the same count must be larger.
CARGO_TARGET_DIR="$target/with-lockdep" \
  cargo build --quiet --release -p benches --bin instructions --features zslock/debug-lockdep
with=$(count "$target/with-lockdep/release/instructions" read zslock)
echo "with debug-lockdep a read pair of zslock takes $with"
((with > counted[zslock,read])) || fail "the count does not see debug-lockdep"
