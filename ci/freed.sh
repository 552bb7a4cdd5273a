#!/usr/bin/env bash
# A biased lock is freed right after its last unlock, under valgrind: no reader may touch it after it has left its slot.
# The control: a reader that does touch it must be reported.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v valgrind >/dev/null || { echo "freed: valgrind is not installed" >&2; exit 1; }

binary() {
  cargo test -p zslock --test contract --no-run --message-format=json 2>/dev/null |
    sed -n 's/.*"executable":"\([^"]*\/contract-[^"]*\)".*/\1/p'
}
test=freed::a_lock_is_freed_right_after_the_last_unlock
run() { valgrind -q --error-exitcode=9 "$(binary)" --exact "$test" --test-threads=1 2>&1; }
out=$(run) || { echo "$out"; exit 1; }
grep -q '1 passed' <<<"$out" || { echo "$out"; echo "freed: no test ran" >&2; exit 1; }

export RUSTFLAGS="--cfg zslock_tsan_control" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/freed-control"
if control=$(run); then
  echo "freed: the control was not reported: this check cannot see a freed lock being touched" >&2
  exit 1
fi
grep -m 1 'Invalid read' <<<"$control" || { echo "$control" >&2; exit 1; }
echo "no access to a lock that was freed after its last unlock"
