//! A run-time lock-order validator for any `lock_api` lock.
//!
//! A deadlock needs bad timing, so tests seldom see one. The *order* in which
//! locks are taken needs no timing: it is enough that one thread once took A
//! and then B, and that some thread, any time later, takes B and then A. This
//! crate watches the order of all acquisitions and reports the first one that
//! makes a deadlock possible, with both places in the source, on one thread,
//! without the deadlock:
//!
//! ```
//! # #[cfg(feature = "parking_lot")] {
//! use lockdep::{Mutex, ReportKind, collect};
//!
//! let (accounts, journal) = (Mutex::new(100), Mutex::new(Vec::new()));
//!
//! let deposit = || {
//!     let mut accounts = accounts.lock();
//!     *accounts += 1;
//!     journal.lock().push("deposit");
//! };
//! let audit = || {
//!     let journal = journal.lock();
//!     assert_eq!(*accounts.lock(), 100 + journal.len()); // the other order
//! };
//!
//! deposit();
//! // In a program the report is a panic, so that a test fails. Here it is kept.
//! let ((), reports) = collect(audit);
//!
//! assert_eq!(reports.len(), 1);
//! assert_eq!(reports[0].kind(), ReportKind::CircularDependency);
//! println!("{}", reports[0]);
//! # }
//! ```
//!
//! prints, with the places in the source:
//!
//! ```text
//! ======================================================
//! WARNING: possible deadlock: circular lock dependency
//! ------------------------------------------------------
//! thread `main` wants to acquire:
//!   lock #1 (exclusive), at src/bank.rs:14:26
//! while it holds:
//!   lock #2 (exclusive), at src/bank.rs:13:27
//! but the reverse order was seen before:
//!   lock #1 -> lock #2
//!
//! the existing dependency chain, in reverse order:
//! -> #1 lock #2 (exclusive), wanted at src/bank.rs:10:13 by thread `main`
//!       while holding lock #1 (exclusive), acquired at src/bank.rs:8:33
//! -> #0 lock #1 (exclusive), wanted at src/bank.rs:14:26 by thread `main`
//!       while holding lock #2 (exclusive), acquired at src/bank.rs:13:27
//!
//! possible unsafe locking scenario:
//!
//!   thread 0        thread 1
//!   lock(lock #2)
//!                   lock(lock #1)
//!                   lock(lock #2)
//!   lock(lock #1)
//!
//!   *** DEADLOCK ***
//!
//! 1 lock held by thread `main`:
//!  #0: lock #2 (exclusive), at src/bank.rs:13:27
//! ======================================================
//! ```
//!
//! # How to use it
//!
//! [Reading a report](docs::reading_a_report), [legal nesting](docs::annotating),
//! [choosing classes](docs::classes) and [limits](docs::limits) are chapters of their
//! own; so are a [comparison](docs::comparison) and [how it works](docs::validator).
//!
//! * `Mutex` and `RwLock` are parking_lot's, validated; [`std_sync`] has those of
//!   `std::sync`. [`Tracked`] wraps any other raw lock of `lock_api`. A lock that
//!   knows this crate carries a [`LockMap`] itself.
//! * Give locks that belong together a class with [`lock_class_key!`]: an order
//!   seen on one lock of a class then counts for all of them. A lock made by
//!   `Mutex::new` is a class of its own; what is learnt about it goes with it.
//! * Say what the code relies on: [`assert_held!`], [`assert_not_held!`],
//!   [`might_lock`], [`might_sleep`].
//! * Nesting inside one class needs a declaration: [`nested`], or
//!   [`LockClassKey::order_by`].
//!
//! # What it reports
//!
//! | [`ReportKind`] | when |
//! |---|---|
//! | [`CircularDependency`](ReportKind::CircularDependency) | an acquisition closes a cycle of dependencies that can deadlock |
//! | [`RecursiveLocking`](ReportKind::RecursiveLocking) | the thread holds a lock of the same class, in a way that can block it |
//! | [`InvalidWaitContext`](ReportKind::InvalidWaitContext) | a wait is longer than the section it happens in allows |
//! | [`BadUnlock`](ReportKind::BadUnlock) | a `force_release` of a lock that is not held, or a release through another lock |
//! | [`HeldLockFreed`](ReportKind::HeldLockFreed) | a lock is dropped while it is held |
//! | [`AssertionFailed`](ReportKind::AssertionFailed) | an assertion about held locks does not hold |
//! | [`HeldAtThreadExit`](ReportKind::HeldAtThreadExit) | a thread ends with a lock held whose guard cannot be elsewhere |
//!
//! Each distinct cycle of classes is reported once. A report switches nothing
//! off: the next new inversion is reported, too.
//!
//! A report is one `tracing` event at `ERROR` with target `lockdep`, then a call
//! of the handler ([`on_report`]), then what the [`Policy`] says: [`Policy::Panic`]
//! unless [`set_policy`] or the environment says otherwise. Inside [`collect`]
//! the policy is suspended.
//!
//! | `LOCKDEP=` | effect |
//! |---|---|
//! | `off` | nothing is recorded or checked; one branch per operation remains |
//! | `log`, `panic`, `abort` | the policy, whatever the program sets |
//! | `trace` | the steps of each acquisition are `tracing` events at `TRACE`, named as the kernel's tracepoints: `lock_acquire`, `lock_contended`, `lock_acquired`, `lock_release`; and `lock_downgrade` |
//! | `stat` | acquisitions are counted and timed: [`lock_stat`] |
//!
//! `LOCKDEP_BACKTRACE=1` adds the calls that led to each dependency, captured when
//! it is new, and to the report.
//!
//! # The model
//!
//! For each acquisition that waits, every lock that the thread holds gets an
//! edge to the wanted one, marked with how the earlier lock is *held* and what
//! can *block* the later request (see [`Mode`]). A cycle is a possible deadlock
//! only if at each lock on it the hold can block the request: readers that
//! nothing but a holding writer blocks may come in any order. The search for
//! such a cycle is exact. What was validated once is recognised by the thread
//! itself afterwards: a known situation takes no shared lock and writes no
//! shared memory. Neither does, most of the time, what is new to this thread only.
//!
//! A lock that was held exclusively around every dependency of a cycle, each
//! time, and taken first, is named in the report ([`Report::guard`]): until
//! somebody comes without it, there is no deadlock.
//!
//! Threads do not matter for the order, only for the report: a hold belongs to
//! the thread that acquired it, until the guard is released, on any thread.
//!
//! # What it cannot see
//!
//! Orders that were never taken; waits that are no locks (channels, joins)
//! unless [`might_lock`] or [`might_sleep`] declares them; the order between
//! lone locks that do not live at the same time (use a class). A lock dropped
//! while *another* thread holds it is seen if the hold is among that thread's 48
//! oldest. Inside a handler
//! or a subscriber, and in thread-local destructors that run after its own, a
//! thread's acquisitions are not followed.
//!
//! # Features
//!
//! | feature | default | effect |
//! |---|---|---|
//! | `parking_lot` | yes | `Mutex`, `RwLock`, their guards, and `Condvar` |
//! | `lock-api-04` | no | [`Tracked`] is a raw lock of `lock_api` 0.4, too: for spin, usync, parking_lot 0.12 |
//! | `serde` | no | `serde::Serialize` for [`Report`], [`Graph`], [`Stats`], [`LockStat`] and what is in them; the same text as [`Report::to_json`] |
//!
//! # Sources
//!
//! The idea, the model of classes, subclasses, read recursion and wait types,
//! and the order of a report are those of the Linux kernel's lockdep
//! (`Documentation/locking/lockdep-design.rst`, `kernel/locking/lockdep.c`). The
//! code is not. It differs where the kernel trades precision for a bound: the
//! search visits a class once for each kind of request, edges come from every
//! held lock, chains are named by ids and not by hashes, and a report does not
//! end validation.

mod acquire;
mod assert;
mod backtrace;
mod block;
mod call;
mod chain;
mod class;
mod closed_walk;
mod config;
mod context;
pub mod docs;
mod dot;
mod edge;
mod edge_cache;
mod emit;
mod fork;
mod graph;
mod guard_set;
mod held;
mod json;
mod key;
mod lock_stat;
mod map;
mod mode;
mod mutation;
mod nested;
mod observe;
mod release;
mod report;
mod search;
mod splat;
mod stat;
pub mod std_sync;
mod svg;
mod thread;
#[cfg(feature = "lock-api-04")]
mod tokenless;
mod topological_order;
mod trace;
mod tracked;
mod validate;

#[doc(hidden)]
pub use assert::{Demand as __Demand, assert_lock as __assert_lock, assert_none as __assert_none};
pub use assert::{HasLockMap, detach, held, might_lock};
pub use context::{WaitType, atomic, might_sleep};
pub use dot::{Graph, graph};
pub use emit::{Policy, collect, on_report, set_policy};
pub use held::HeldLock;
pub use key::{LockClassKey, OrderFn, OrderKey};
pub use lock_api;
#[cfg(feature = "lock-api-04")]
pub use lock_api_04;
pub use lock_stat::{ContentionSite, LockStat, LockStatRow, Times, lock_stat};
pub use map::LockMap;
pub use mode::{Attempt, Mode};
pub use nested::nested;
pub use report::{Acquisition, Dependency, HeldInfo, Report, ReportKind, SourceLocation};
pub use stat::{Stats, stats};
#[cfg(feature = "parking_lot")]
pub use tracked::{
    Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockUpgradableReadGuard,
    RwLockWriteGuard,
};
pub use tracked::{LockKind, Queued, RecursiveReaders, Tracked, TrackedCondvar, TrackedGuard};

/// The README's code runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
