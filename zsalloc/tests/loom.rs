//! loom models of the pool on top of the modelled lock: every interleaving of the real code, within a bound on
//! preemptions.
//!
//! Run with `ci/loom.sh`, that is `RUSTFLAGS="--cfg zslock_loom" cargo test --release -p zsalloc --test loom`. Each model
//! says what it rules out, and fails if that happens: bytes of objects, headers and segments are watched for accesses that
//! are not ordered and for use after their end. `ZSALLOC_LOOM_PREEMPTIONS` overrides
//! the bounds, `ZSALLOC_LOOM_MORE` adds to them. A model that fails prints
//! the execution.

#![cfg(zslock_loom)]

#[path = "loom/locks.rs"]
mod locks;
#[path = "loom/model.rs"]
mod model;

#[path = "loom/mutants.rs"]
mod mutants;

#[path = "loom/compaction.rs"]
mod compaction;
#[path = "loom/discard.rs"]
mod discard;
#[path = "loom/discard_migration.rs"]
mod discard_migration;
#[path = "loom/evacuation.rs"]
mod evacuation;
#[path = "loom/migration.rs"]
mod migration;
#[path = "loom/tables.rs"]
mod tables;
