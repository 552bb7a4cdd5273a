//! A lock that tells what it is asked, and fails when it is told to.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use zsalloc::lock_api::RawRwLock;
use zslock::RawZsLock;

/// A lock that counts how often it is asked whether it is locked, and panics instead of an exclusive
/// attempt when it is told to.
pub(crate) struct Watched(RawZsLock);

pub(crate) static ASKED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// After how many more attempts.
    pub(crate) static ATTEMPTS_LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}

// SAFETY: everything is left to the lock inside.
unsafe impl RawRwLock for Watched {
    const INIT: Self = Self(RawZsLock::INIT);
    type SharedGuard = <RawZsLock as RawRwLock>::SharedGuard;
    type ExclusiveGuard = <RawZsLock as RawRwLock>::ExclusiveGuard;

    fn lock_shared(&self) -> Self::SharedGuard {
        self.0.lock_shared()
    }
    fn try_lock_shared(&self) -> Option<Self::SharedGuard> {
        self.0.try_lock_shared()
    }
    unsafe fn unlock_shared(&self, guard: Self::SharedGuard) {
        // SAFETY: the caller's promise.
        unsafe { self.0.unlock_shared(guard) }
    }
    fn lock_exclusive(&self) -> Self::ExclusiveGuard {
        self.0.lock_exclusive()
    }
    fn try_lock_exclusive(&self) -> Option<Self::ExclusiveGuard> {
        let left = ATTEMPTS_LEFT.get();
        assert!(left > 0, "the lock fails");
        ATTEMPTS_LEFT.set(left - 1);
        self.0.try_lock_exclusive()
    }
    unsafe fn unlock_exclusive(&self, guard: Self::ExclusiveGuard) {
        // SAFETY: the caller's promise.
        unsafe { self.0.unlock_exclusive(guard) }
    }
    fn is_locked(&self) -> bool {
        ASKED.fetch_add(1, Ordering::Relaxed);
        self.0.is_locked()
    }
    fn is_locked_exclusive(&self) -> bool {
        self.0.is_locked_exclusive()
    }
}
