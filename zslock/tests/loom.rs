//! loom models of the lock: every interleaving of the real code, within a bound on preemptions.
//!
//! Run with `ci/loom.sh`, that is `RUSTFLAGS="--cfg zslock_loom" cargo test --release -p zslock --test loom`. Each model
//! has an assertion, or data behind loom's checked `UnsafeCell`, that fails if the property it names does not hold.
//! `ZSLOCK_LOOM_PREEMPTIONS` overrides the bound.

#![cfg(zslock_loom)]

#[path = "loom/model.rs"]
mod model;

#[path = "loom/mutants.rs"]
mod mutants;

#[path = "loom/at_once.rs"]
mod at_once;
#[path = "loom/biased.rs"]
mod biased;
#[path = "loom/exclusion.rs"]
mod exclusion;
#[path = "loom/gated.rs"]
mod gated;
#[path = "loom/limits.rs"]
mod limits;
#[path = "loom/parking.rs"]
mod parking;
#[path = "loom/upgrade.rs"]
mod upgrade;
