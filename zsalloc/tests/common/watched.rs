//! A lock that tells what it is asked, and fails when it is told to.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::locks::{Hooked, Hooks, LockCall};

/// A lock that counts how often it is asked whether it is locked, and panics instead of an exclusive
/// attempt when it is told to.
pub(crate) type Watched = Hooked<Watch>;

pub(crate) struct Watch;

pub(crate) static ASKED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// After how many more attempts.
    pub(crate) static ATTEMPTS_LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}

impl Hooks for Watch {
    fn before(call: LockCall) {
        match call {
            LockCall::TryLockExclusive => {
                let left = ATTEMPTS_LEFT.get();
                assert!(left > 0, "the lock fails");
                ATTEMPTS_LEFT.set(left - 1);
            }
            LockCall::IsLocked => _ = ASKED.fetch_add(1, Ordering::Relaxed),
            _ => {}
        }
    }
}
