//! A 4-byte preemptible reader-writer lock behind [`lock_api`].
//!
//! In 2025 the Linux kernel's zsmalloc allocator got a lock with unusual needs. A *zspage*, a chain of pages full of
//! compressed objects, is read-locked while one of its objects is mapped, and its readers may sleep; migration and compaction
//! write-lock it, keep new maps out, and only ever *try*. [`ZsLock`] is that lock for user space, made from one 32-bit word:
//!
//! ```
//! use zslock::ZsLock;
//!
//! let zspage = ZsLock::new(vec![0_u8; 4096]);
//!
//! let map = zspage.read(); // may be held while sleeping, and sent to another thread
//! assert!(zspage.try_write().is_none()); // migration: busy, look elsewhere
//! drop(map);
//!
//! let mut pages = zspage.try_write().expect("not mapped"); // new maps wait from here ...
//! pages.fill(1);
//! drop(pages); // ... to here
//! assert_eq!(zspage.read()[0], 1);
//! ```
//!
//! # The contract
//!
//! 1. Writers wait for readers and writers. Readers wait only for a writer that *holds* the lock, never for one that waits: a
//!    nested `read()` cannot deadlock, and a new reader never waits for an old one.
//! 2. A write section is short and does not sleep. The write guard is not `Send`.
//! 3. `try_write`, `try_read` and `try_upgrade` never wait, never spin, and store nothing when they fail.
//! 4. A reader may sleep, await or be preempted while it holds the lock; its guard is `Send` and may be
//!    released elsewhere. So are upgradable guards, and Arc and mapped guards of both.
//! 5. A thread that waits spins for a short bounded time and then parks.
//! 6. The lock is 4 bytes; `ZsLock<u32>` is 8. Waiting threads are kept in parking_lot_core's table.
//! 7. More than 2<sup>25</sup> - 1 read guards of one lock at a time are a panic, before the word is corrupted. A panic
//!    while a guard is held releases it; there is no poisoning. (lock_api's `bump` and `unlocked` abort if taking the lock again
//!    panics.) A zero or past timeout tries once, a `Duration` beyond `Instant` waits for ever, and a waiter that was woken
//!    tries once more before it reports a time-out.
//! 8. When threads wait, an unlock may touch the word *after* the step that releases it. Memory that is freed as soon
//!    as its lock is free must therefore be protected (by a pin of a crossbeam epoch around the unlock, say). A lock behind a
//!    reference or an `Arc` that the guard borrows is always safe. When nobody waits,
//!    [`try_unlock_shared_at_once`](RawPolicyLock::try_unlock_shared_at_once) unlocks a read lock by a step after which the lock is
//!    not touched, and needs no protection; when somebody does it hands the guard back (zsalloc pins only then).
//!
//! [`GatedZsLock`] is the same code under the ordinary policy: a waiting writer closes the gate to new readers.
//! [`BiasedZsLock`] is for maps that are frequent and migrations that are rare: its readers do not count themselves, and its writers
//! pay for that. Rules 3, 7 and 8 read a little differently there: see [`RawBiasedZsLock`].
//!
//! # Features
//!
//! | feature | default | effect |
//! |---|---|---|
//! | `std` | yes | waiting threads park, with a deadline if they like; without it the crate is `no_std` and waiting is spinning |
//! | `debug-lockdep` | no | every lock carries a map and every acquisition is validated: see [`lockdep`] |
//! | `arc_lock` | no | guards that keep their lock alive through an `Arc` |
//! | `serde` | no | (de)serializes the value behind a lock |
//!
//! # Read on
//!
//! | chapter | about |
//! |---|---|
//! | [`docs::word`] | the lock word: layout, invariants, instructions |
//! | [`docs::waiting`] | who waits for whom, fairness, starvation, timeouts |
//! | [`docs::biased`] | the biased lock: slots, the asymmetric fence, related work |
//! | [`docs::preemption`] | why readers may sleep and writers may not, and what user space can do about it |
//! | [`docs::orderings`] | what happens before what, drawn |
//! | [`docs::proofs`] | the models, the mutants, and what they do not show |
//! | [`docs::choosing`] | when not to use this lock; comparison with other locks |
//!
//! No feature changes which guards are `Send` or `Sync`. Only `debug-lockdep` changes a size.
//!
//! Sources: the LKML series "zsmalloc: make zspage lock preemptible" (S. Senozhatsky, February 2025) and `mm/zsmalloc.c`;
//! the parking by [parking_lot_core](https://docs.rs/parking_lot_core).

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

mod alias;
mod api;
mod biased;
mod dep_map;
pub mod docs;
#[cfg(zslock_loom)]
mod mutation;
mod order;
mod park;
mod primitive;
mod raw;
mod slow;
mod spin;
mod state;
mod word;

pub use alias::*;
pub use api::{ReadToken, UpgradableToken, WriteToken};
pub use biased::{BiasedReadToken, RawBiasedZsLock};
pub use dep_map::lockdep;
pub use dep_map::lockdep::lock_class_key;
pub use lock_api;
#[cfg(zslock_loom)]
#[doc(hidden)]
pub use mutation::{Mutants, mutants};
#[cfg(zslock_loom)]
#[doc(hidden)]
pub use park::is_anyone_parked;
pub use raw::{RawGatedZsLock, RawLock, RawPolicyLock, RawZsLock};

/// The code of the registry's page is run with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
