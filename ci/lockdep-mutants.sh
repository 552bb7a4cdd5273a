#!/usr/bin/env bash
# Breaks the validator in one place at a time. The table in lockdep/src/docs/mutants.md says which test notices: it must
# pass without the mutant and fail with it.
set -euo pipefail
cd "$(dirname "$0")/.."

export RUSTFLAGS="--cfg lockdep_mutants" RUST_BACKTRACE=0
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/lockdep-mutants"

page=lockdep/src/docs/mutants.md
# "mutant|test target|test" for each row of the table.
rows=$(sed -nE 's/^\| ([^|`]+) \|.*\| `([a-z_0-9]+)::([a-z_0-9:]+)` \|$/\1|\2|\3/p' "$page")
listed=$(cut -d'|' -f1 <<<"$rows" | sort)
named=$(grep -oE 'Mutant\("[^"]+"\)' lockdep/src/mutation.rs | cut -d'"' -f2 | sort)
if ! diff <(echo "$named") <(echo "$listed"); then
  echo "the mutants (<) and the table in $page (>) differ"
  exit 1
fi

# Prints whether the test passes or fails. A run that hangs, aborts, or panics elsewhere than in this crate is neither.
verdict() { # target, test, mutant
  local target=(--test "$1") out
  [ "$1" = lib ] && target=(--lib)
  out=$(LOCKDEP_MUTANT=$3 timeout 300 cargo test -p lockdep "${target[@]}" -- --exact "$2" 2>&1) || true
  if grep -q '^test result: ok. 1 passed' <<<"$out"; then
    echo passes
  elif grep -q '^test result: FAILED. 0 passed; 1 failed' <<<"$out" && grep -q 'panicked at lockdep/' <<<"$out"; then
    echo fails
  else
    echo undecided
  fi
}

cargo test --quiet -p lockdep --no-run
mutants=0 killed=0
while IFS='|' read -r mutant target name; do
  mutants=$((mutants + 1))
  with=$(verdict "$target" "$name" "$mutant")
  without=$(verdict "$target" "$name" "")
  if [ "$without $with" = "passes fails" ]; then
    killed=$((killed + 1))
  else
    echo "$mutant: $target::$name $without without it and $with with it"
  fi
done <<<"$rows"

echo "$mutants mutants, $killed killed"
[ "$mutants" -gt 0 ] && [ "$killed" -eq "$mutants" ]
