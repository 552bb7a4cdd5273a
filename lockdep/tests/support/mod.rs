//! A lock that only the validator sees: every operation succeeds at once, so a
//! history that would deadlock can be told to the end on one thread.

// Each test binary uses its own part of this.
#![allow(dead_code)]

#[cfg(feature = "parking_lot")]
pub(crate) mod sendable;

use lockdep::{Attempt, HeldLock, LockClassKey, LockMap, Mode, Report, ReportKind, collect};

/// A lock as the validator sees it.
pub(crate) struct Lock(pub(crate) LockMap);

/// A hold; release it with [`Lock::unlock`].
pub(crate) type Hold = HeldLock;

impl Lock {
    pub(crate) const fn instance() -> Lock {
        Lock(LockMap::instance())
    }

    pub(crate) const fn of(key: &'static LockClassKey) -> Lock {
        Lock(LockMap::with_class(key))
    }

    #[track_caller]
    pub(crate) fn lock(&self) -> Hold {
        self.wait(Mode::Exclusive)
    }

    /// A read that nests.
    #[track_caller]
    pub(crate) fn read(&self) -> Hold {
        self.wait(Mode::SharedRecursive)
    }

    /// A read that queues behind a waiting writer.
    #[track_caller]
    pub(crate) fn queued_read(&self) -> Hold {
        self.wait(Mode::Shared)
    }

    #[track_caller]
    pub(crate) fn wait(&self, mode: Mode) -> Hold {
        let held = self.0.acquire(mode, Attempt::Block);
        self.0.acquired(&held);
        held
    }

    #[track_caller]
    pub(crate) fn try_in(&self, mode: Mode) -> Hold {
        self.0.acquire(mode, Attempt::Try)
    }

    /// What forgetting the guard means.
    #[track_caller]
    pub(crate) fn lock_and_forget(&self) {
        let _forgotten = self.lock();
    }

    pub(crate) fn unlock(&self, hold: Hold) {
        self.0.release(hold);
    }
}

/// Takes the locks one inside the other, exclusively, and releases all.
#[track_caller]
pub(crate) fn nest(locks: &[&Lock]) {
    let mut holds = Vec::new();
    for lock in locks {
        // No closure: it would not pass the caller's location on.
        holds.push(lock.lock());
    }
    for (lock, hold) in locks.iter().zip(holds).rev() {
        lock.unlock(hold);
    }
}

/// Takes `outer` in one mode, `inner` in another inside it, and releases both.
#[track_caller]
pub(crate) fn nest_modes(outer: &Lock, outer_mode: Mode, inner: &Lock, inner_mode: Mode) {
    let held = outer.wait(outer_mode);
    let hold = inner.wait(inner_mode);
    inner.unlock(hold);
    outer.unlock(held);
}

/// The kinds of the reports from inside `f`.
pub(crate) fn kinds(f: impl FnOnce()) -> Vec<ReportKind> {
    reports(f).iter().map(Report::kind).collect()
}

pub(crate) fn reports(f: impl FnOnce()) -> Vec<Report> {
    collect(f).1
}

pub(crate) const NONE: [ReportKind; 0] = [];
