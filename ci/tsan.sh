#!/usr/bin/env bash
# The stress tests of the lock under ThreadSanitizer (nightly), and the control: with the reader's unlock weakened to Relaxed it
# must report a race. ThreadSanitizer knows neither a compiler's fence nor membarrier: of the biased lock it checks all
# else. The standard library is not instrumented, so only tests without its locks and channels are run.
set -euo pipefail
cd "$(dirname "$0")/.."

target=x86_64-unknown-linux-gnu
stress() { # extra flags
  RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer $1" \
    CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/tsan" TSAN_OPTIONS="halt_on_error=1" \
    cargo +nightly test --release --target "$target" -p zslock --test stress
}

stress ""
echo "ThreadSanitizer reports nothing"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if stress "--cfg zslock_tsan_control" >"$log" 2>&1; then
  echo "tsan: the control was not reported: this check cannot see a weakened ordering" >&2
  exit 1
fi
grep -m 1 'WARNING: ThreadSanitizer: data race' "$log" || { tail -n 40 "$log" >&2; exit 1; }
echo "the control is reported: a reader's unlock without Release is a data race"
