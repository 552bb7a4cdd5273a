//! Every memory ordering of the lock, one constant a site: what it pairs with and what breaks when it is weaker.
//!
//! The lock has one atomic word and every modification of it is a read-modify-write, so all modifications that follow
//! an unlock in the word's modification order belong to the release sequence that the unlock heads. An acquire that
//! reads *any* later value therefore synchronises with *every* earlier unlock; pairs are named below by the nearest.

use crate::primitive::Ordering::{self, Acquire, Relaxed, Release};

/// Read lock, the reader's `fetch_add` or compare-exchange. Acquire: pairs with [`WRITE_UNLOCK`] and [`DOWNGRADE`].
/// Weaker, a reader may see the data as it was before the write section that it waited out.
pub(crate) const READ_LOCK: Ordering = Acquire;

/// The load by which a waiting reader that is already counted learns that the writer has left. Acquire: pairs with
/// [`WRITE_UNLOCK`] and [`DOWNGRADE`]. Its increment was made while the writer was inside and acquired nothing of it.
pub(crate) const READ_ADMIT: Ordering = Acquire;

/// Read unlock. Release: pairs with [`WRITE_LOCK`], [`DRAINED`] and [`UPGRADE`]. Weaker, the reader's accesses may be
/// seen after the unlock, while the next writer already changes the data (the bug of the lock posted to LKML).
pub(crate) const READ_UNLOCK: Ordering = Release;

/// Write lock: the compare-exchange that takes a free lock (or, gated, claims one without readers). Acquire: pairs
/// with [`READ_UNLOCK`], [`WRITE_UNLOCK`] and [`UPGRADABLE_UNLOCK`]. Weaker, the writer may overtake an earlier section.
pub(crate) const WRITE_LOCK: Ordering = Acquire;

/// The load by which a gated writer with a claim learns that the last reader has left. Acquire: pairs with
/// [`READ_UNLOCK`], which came after the claim.
pub(crate) const DRAINED: Ordering = Acquire;

/// Write unlock. Release: pairs with [`READ_LOCK`], [`READ_ADMIT`], [`WRITE_LOCK`], [`UPGRADABLE_LOCK`], [`HAND_OVER`].
/// Weaker, the next holder may not see what this section wrote.
pub(crate) const WRITE_UNLOCK: Ordering = Release;

/// Downgrade of a write lock. Release: pairs with the same acquires as [`WRITE_UNLOCK`].
pub(crate) const DOWNGRADE: Ordering = Release;

/// Upgradable lock. Acquire: pairs with [`WRITE_UNLOCK`] and [`DOWNGRADE`].
pub(crate) const UPGRADABLE_LOCK: Ordering = Acquire;

/// Upgradable unlock. Release: pairs with [`WRITE_LOCK`]; it ends a read section.
pub(crate) const UPGRADABLE_UNLOCK: Ordering = Release;

/// The compare-exchange that turns the upgradable lock into the write lock when no reader is left. Acquire: pairs with
/// the [`READ_UNLOCK`] of the readers that have left since.
pub(crate) const UPGRADE: Ordering = Acquire;

/// The load by which a waiter that was given the lock by the thread that left takes it over. Acquire: pairs with
/// [`WRITE_UNLOCK`] and [`READ_UNLOCK`].
pub(crate) const HAND_OVER: Ordering = Acquire;

/// Everything that neither takes nor gives up access to the data: first looks, parked bits, an increment taken
/// back, an upgradable lock that becomes a read lock. All of these are on the one word, whose modification order decides them.
pub(crate) const BOOKKEEPING: Ordering = Relaxed;
