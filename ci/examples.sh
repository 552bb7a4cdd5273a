#!/usr/bin/env bash
# Every example runs and ends with the verdict that it promises; bad input is refused with a message and status 2.
set -euo pipefail
# Widths are counted in characters.
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
out=$scratch/stdout err=$scratch/stderr svg=$scratch/timeline.svg

fail() {
  echo "examples: $1" >&2
  echo "--- the end of stdout" >&2; tail -n 40 "$out" >&2
  echo "--- the end of stderr" >&2; tail -n 40 "$err" >&2
  exit 1
}

# example NAME [CARGO OPTION...] -- [ARGUMENT...]: runs it; the status is left in $status.
example() {
  local name=$1; shift
  echo "run: $name ${*:-}"
  status=0
  cargo run --quiet --release --example "$name" "$@" >"$out" 2>"$err" || status=$?
}

# The last example succeeded, said nothing on stderr, sent no control sequences into a file, fits 100 columns but
# where it names files or is a line of a log, and ended with this line.
ends_with() {
  [ "$status" -eq 0 ] || fail "status $status instead of 0"
  [ ! -s "$err" ] || fail "unexpected output on stderr"
  ! grep -q $'\e' "$out" || fail "control sequences, though stdout is not a terminal"
  wide=$(grep -E '^.{101,}' "$out" | grep -vE '^(loading  |input  |picture  |Real pages of |written: |ERROR lockdep: )' || true)
  [ -z "$wide" ] || fail "more than 100 columns: $wide"
  tail -n 1 "$out" | grep -qE "$1" || fail "the last line does not match: $1"
  echo "  $(tail -n 1 "$out")"
}

# A migration run showed both: maps that waited for a migration, and migrations that a held map refused.
shows_both() {
  ends_with '^verified: .* intact; [0-9,]+ pages? given back$'
  grep -qE '^seen +[0-9,]+ maps? waited for a migration; [0-9,]+ migrations? refused by a held map$' "$out" ||
    fail "no map waited for a migration, or none was refused"
  for part in '^timeline ' '^reader 0 ' '^refused ' '^A map waits for a migration ' '^A held map keeps its zspage in place '; do
    grep -qE "$part" "$out" || fail "the timeline has no line that begins with: $part"
  done
}

# The last example was refused: status 2, no verdict, and a message that says this.
refused() {
  [ "$status" -eq 2 ] || fail "status $status instead of 2"
  grep -qF -- "$1" "$err" || fail "the message does not say: $1"
  ! grep -q verified "$out" || fail "a verdict in spite of the error"
  echo "  $(grep -F -- "$1" "$err")"
}

example migration --
shows_both
# A run without that line has freed nothing; `grep` alone would end this script without a word.
freed=$(grep -oE '[0-9,]+ pages? given back$' "$out" | tr -d , || true)
freed=${freed%% *}
[ "${freed:-0}" -gt 1000 ] || fail "compaction gave back only $freed"

for lock in zslock parking_lot; do
  example migration -- --lock "$lock" --amount 16 --duration 1 --svg "$svg"
  shows_both
  grep -q '^<svg ' "$svg" && [ "$(tail -n 1 "$svg")" = '</svg>' ] || fail "the picture is not an SVG document"
  for class in map wait move refuse; do
    # The first is the legend's.
    [ "$(grep -c "class=\"$class\"" "$svg")" -gt 1 ] || fail "the picture shows no '$class'"
  done
  rm "$svg"
done

example migration -- --input Cargo.lock zsalloc/src --duration 0.2 --threads 3 --seed 7
ends_with '^verified: '
example migration --features debug-lockdep -- --amount 8 --duration 1
shows_both

example migration -- --input "$scratch/nowhere"
refused "there is no $scratch/nowhere"
# The first page of a process's memory cannot be read by anybody, root included.
example migration -- --input /proc/self/mem
refused 'cannot read /proc/self/mem'
: >"$scratch/empty"
example migration -- --input "$scratch/empty"
refused 'the input holds no bytes'
# The picture's file is made before any work is done, and goes again when the run fails.
example migration -- --input "$scratch/empty" --svg "$svg"
refused 'the input holds no bytes'
[ ! -e "$svg" ] || fail "a run that failed left an empty picture"
echo before >"$svg"
example migration -- --input "$scratch/empty" --svg "$svg"
[ "$(cat "$svg")" = before ] || fail "a run that failed touched a picture that was there before"
example migration -- --svg "$scratch/nowhere/timeline.svg"
refused "cannot write the picture to $scratch/nowhere/timeline.svg"
example migration -- --threads 0
refused "invalid value '0' for '--threads"
example migration -- --duration 0
refused "invalid value '0' for '--duration"
example migration -- --lock mutex
refused "invalid value 'mutex' for '--lock"

example overhead -- --amount 16 --svg "$svg" --csv "$scratch/overhead.csv"
ends_with '^verdict: locks of 4,.* bytes are insignificant, of .*32, 40 not; zslock: 0\.0[0-9]+ % of the bytes$'
# All of the question: each lock over all sizes, the classes and the real pages, with a verdict; each shape.
for lock in 'zslock \(4\)' 'parking_lot \(8\)' 'kernel spinlock_t \+ int \(8\)' 'kernel rwlock_t \(8\)' 'std \(12\)' \
  'kernel rw_semaphore, 7.3 \(32\)' 'kernel rw_semaphore, 2025 \(40\)'; do
  [ "$(grep -cE "^\\| $lock +\\|( +[0-9.]+ \\|){5}$" "$out")" -eq 4 ] || fail "$lock does not have its four rows of figures"
  grep -qE "^\\| $lock +\\|( +[0-9.]+ \\|){3} +(yes|no|only if full) \\|$" "$out" || fail "no verdict on $lock"
done
for shape in '4 KiB, '{4,8,16} '16 KiB, '{4,8,16} '64 KiB, '{4,8,16}; do
  for over in 'all sizes' 'distinct classes' lz4 zstd-1; do
    grep -qE "^\\| $shape +\\| +$over \\|( +[0-9.,]+ \\|){6}$" "$out" || fail "no figures for $shape over $over"
  done
done
# The figures that are no matter of measurement: chain size 8, a lock of 4 and one of 40 bytes; the estimate's class.
grep -qE '^\| 4 KiB, 8 +\| +255 \| 0\.88 / 0\.40 .* 8\.80 / 4\.00 \|$' "$out" || fail "the figures over all sizes are not those of zsmalloc's table"
grep -qF 'That is class 1488: 11 objects on 4 pages, not 12.' "$out" || fail "the estimate is not judged"
grep -q '^<svg ' "$svg" && [ "$(tail -n 1 "$svg")" = '</svg>' ] || fail "the picture is not an SVG document"
[ "$(wc -l <"$scratch/overhead.csv")" -eq 2308 ] || fail "the table does not have every size of nine tables"
rm "$svg"
example overhead -- --input "$scratch/nowhere"
refused "there is no $scratch/nowhere"
example overhead -- --csv "$scratch/nowhere/overhead.csv"
refused "cannot write $scratch/nowhere/overhead.csv"

example page_store -- --amount 16 --threads 3
ends_with '^verified: [0-9,]+ page reads intact; with 75 % removed the pool holds [0-9.]+ MiB, the map [0-9.]+ MiB$'
for compression in lz4 zstd; do
  for store in 'zsalloc pool' 'HashMap<u64, Vec<u8>>'; do
    # The log has a line for each measurement, and each removed and read.
    grep -qE "^measured +$compression, $store: [1-9][0-9,]* puts, [1-9][0-9,]* gets, [1-9][0-9,]* removes, 0 wrong; " "$out" ||
      fail "no measurement of $store with $compression"
  done
  # The last column is the number of compactions.
  grep -qE "^\\| $compression, zsalloc pool .*\\| +[1-9][0-9]* \\|$" "$out" || fail "the $compression store never compacted"
done
grep -q 'full: 128 of 128 pages in use' "$out" || fail "the small store did not refuse"
example page_store -- --amount 16 --limit 2 --compression lz4
ends_with '^verified: '
grep -qE ' [0-9,]+ refused, as the store was full$' "$out" || fail "2 MiB took everything"
example page_store -- --input "$scratch/nowhere"
refused "there is no $scratch/nowhere"
example page_store -- --input "$scratch/empty"
refused 'the input holds no bytes'

example orderings --
ends_with '^verdict: without RELEASE, ACQUIRE or a writer.s state the page moves under a map; with all it stays$'
[ "$(grep -c 'FAILS in execution' "$out")" -eq 3 ] || fail "three of the five models must fail"

example abba --features debug-lockdep --
ends_with '^verdict: the inversion of A and B was reported, and the program went on$'
grep -q 'circular lock dependency' "$out" || fail "no report was printed"

example plug_in --
ends_with '^verdict: three locks and a page source of our own: every byte intact, every page back$'
for lock in zslock parking_lot SpinLock; do
  grep -qE "^$lock +[48] +20000 +[1-9][0-9]* +[1-9][0-9]* +[1-9][0-9]*$" "$out" || fail "no row for $lock"
done

example testbed --
ends_with '^verdict: 7 stores, every byte intact$'
# Pools shrink to what is left, whatever their lock; stores whose users hold addresses or vectors give nothing back.
for store in 'pool, zslock' 'pool, gated zslock' 'pool, parking_lot' "pool, zsmalloc's classes" 'pool, automatic'; do
  grep -qE "^\\| $store +\\| +1\\.[0-9]+ \\| +[0-9.]+ \\| +1\\.[0-4][0-9] \\| +[0-9.]+ [MK]iB \\| +[0-9.]+ \\|$" "$out" ||
    fail "no row for $store, or it holds half as much again as is left"
done
for store in 'boxes \(malloc\)' 'own: map of vectors'; do
  grep -qE "^\\| $store +\\| +(0\\.9|1\\.)[0-9]+ \\| +[0-9.]+ \\| +[2-9]\\.[0-9]+ \\| +0\\.0 KiB \\| +[0-9.]+ \\|$" "$out" ||
    fail "no row for $store, or it gave back what it cannot"
done
# A contender that does not exist is no success.
example testbed -- --measure nobody
[ "$status" -eq 1 ] && grep -qF 'there is no such contender' "$err" || fail "a contender that there is not"

example user_count --
ends_with '^verdict: (the count lost a write to a migration that had already looked|the process with the count crashed: signal [0-9]+); the lock lost none$'
grep -q 'writes and [0-9]* migrations: none lost' "$out" || fail "the lock's run is missing"

# All examples refuse what they do not know, and say so if nobody can be told how it ended.
for name in migration overhead page_store orderings abba plug_in testbed user_count; do
  feature=(); [ "$name" != abba ] || feature=(--features debug-lockdep)
  example "$name" "${feature[@]}" -- --bogus
  refused "unexpected argument '--bogus'"
  grep -q "^Usage: $name" "$err" || fail "no usage line"
  status=0
  cargo run --quiet --release --example "$name" "${feature[@]}" >/dev/full 2>"$err" || status=$?
  : >"$out"
  [ "$status" -eq 1 ] && grep -q '^error: cannot write to stdout: ' "$err" || fail "$name with stdout full: status $status"
done
