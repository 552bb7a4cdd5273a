#!/usr/bin/env bash
# The dependency rules of ARCHITECTURE.md: those that Cargo's graph shows, and those that only the source shows.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "deps: $1" >&2; exit 1; }

for crate in lockdep zslock zsalloc; do
  # No second version of anything behind a library with default features.
  duplicates=$(cargo tree -p "$crate" -e normal -d 2>/dev/null)
  [ -z "$duplicates" ] || fail "$crate pulls in two versions of a crate:"$'\n'"$duplicates"
done
echo "no library has a duplicate dependency"

uses() { cargo tree -p "$1" -e normal --all-features --depth 1 --prefix none | tail -n +2 | cut -d' ' -f1 | sort -u; }
allowed() { # crate, then the dependencies it may have
  local crate=$1 name names; shift
  # Not in the list of `for`, where a failure would be an empty list.
  names=$(uses "$crate")
  [ -n "$names" ] || fail "$crate depends on nothing: this check checks nothing"
  for name in $names; do
    [[ " $* " == *" $name "* ]] || fail "$crate must not depend on $name"
  done
  echo "$crate depends on: ${names//$'\n'/ }"
}
allowed lockdep lock_api tracing libc parking_lot rustc-hash serde
allowed zslock lock_api parking_lot_core lockdep libc
allowed zsalloc zslock lock_api crossbeam-epoch rustix libc parking_lot lockdep

only_in() { # pattern, folder, the files that may contain it
  local found
  found=$(grep -rlE "$1" "$2" | grep -vE "^($3)$" || true)
  [ -z "$found" ] || fail "'$1' may occur only in $3, but is in: $found"
  grep -rqE "$1" "$2" || fail "'$1' is nowhere in $2: this check checks nothing"
}
only_in 'feature = "debug-lockdep"' zslock/src 'zslock/src/dep_map\.rs'
only_in 'feature = "debug-lockdep"' zsalloc/src 'zsalloc/src/class_lock\.rs'
only_in 'crossbeam_epoch' zsalloc/src 'zsalloc/src/reclaim\.rs'
! grep -rq 'tracing::' zslock/src || fail "zslock must not name tracing"
! grep -rqE '(zslock|zsalloc)::' lockdep/src --include='*.rs' || fail "lockdep must not name the other crates"
echo "features and epochs are named only where they may be"

# What a user gets from a registry: each crate builds from its package alone, which has the licences and the README.
crates=(lockdep zslock zsalloc)
cargo package --quiet --offline --allow-dirty "${crates[@]/#/-p}" 2> >(grep -vE '^ *(\||=|$)|^warning: manifest has no' >&2)
for crate in "${crates[@]}"; do
  files=$(cargo package --offline --allow-dirty --list -p "$crate" 2>/dev/null)
  for file in README.md LICENSE-MIT LICENSE-APACHE src/lib.rs src/docs.rs; do
    grep -qx "$file" <<<"$files" || fail "the package of $crate lacks $file"
  done
  [ "$(grep -c '^src/docs/.*\.md$' <<<"$files")" -ge 1 ] || fail "the package of $crate lacks its chapters"
done
echo "packages build on their own: ${crates[*]}"
