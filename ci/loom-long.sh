#!/usr/bin/env bash
# The loom models, deeper than on every change: the lock's with three preemptions, and those with two threads with five;
# the pool's with one preemption more than usual. Prints the seconds of each part. Not part of .ci/run.
set -euo pipefail
cd "$(dirname "$0")/.."

export RUSTFLAGS="--cfg zslock_loom" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom"
models() { cargo test --release -p zslock --test loom -- "$@"; }

start=$SECONDS
ZSLOCK_LOOM_PREEMPTIONS=3 models
echo "all models, three preemptions: $((SECONDS - start)) s"

# Models with three or four threads.
larger=(a_claim_that_is_given_up a_grant_is_seen an_upgrade_that_is_given_up a_time_out_races two_blocking_writers
  fair_unlock_hands starving a_refused_reader_wakes a_refused_downgrade_wakes
  a_slot_is_used_again a_slot_outlives a_batch_is_revoked an_upgrade_against_write a_revocation_is_given_up)
start=$SECONDS
ZSLOCK_LOOM_PREEMPTIONS=5 models "${larger[@]/#/--skip=}"
echo "models with two threads, five preemptions: $((SECONDS - start)) s"

start=$SECONDS
ZSALLOC_LOOM_MORE=1 cargo test --release -p zsalloc --test loom -- --skip=user_count::
echo "the pool, one preemption more: $((SECONDS - start)) s"
