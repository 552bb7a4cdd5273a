//! `std::sync::Condvar` under the validator.

use core::fmt;
use core::panic::Location;
use core::time::Duration;
use std::sync::{self, LockResult, WaitTimeoutResult};

use super::{MutexGuard, map};

/// [`std::sync::Condvar`], for a validated [`Mutex`](super::Mutex).
///
/// A wait may sleep, and takes the mutex again while the thread holds whatever
/// else it holds: both are validated when the wait begins. A report that panics
/// does so with the mutex still locked; its guard is dropped on the way.
///
/// # Examples
///
/// See [`std_sync`](super).
#[derive(Default)]
pub struct Condvar {
    inner: sync::Condvar,
}

impl Condvar {
    /// A condition variable on which nobody waits.
    #[must_use]
    pub const fn new() -> Condvar {
        Condvar {
            inner: sync::Condvar::new(),
        }
    }

    /// Unlocks the mutex, blocks until notified or woken for no reason, and
    /// locks it again.
    ///
    /// # Errors
    ///
    /// The guard in a [`PoisonError`](super::PoisonError), when the mutex is
    /// poisoned then.
    ///
    /// # Panics
    ///
    /// As [`std::sync::Condvar::wait`]; and with
    /// [`Policy::Panic`](crate::Policy::Panic), when the wait is reported.
    #[track_caller]
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        let MutexGuard { hold, inner } = announced(guard);
        map(self.inner.wait(inner), |inner| MutexGuard {
            hold: hold.acquired(),
            inner,
        })
    }

    /// Waits until `condition` is false.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    #[track_caller]
    pub fn wait_while<'a, T, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: F,
    ) -> LockResult<MutexGuard<'a, T>>
    where
        F: FnMut(&mut T) -> bool,
    {
        while condition(&mut *guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// Waits for `dur` at most.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    #[track_caller]
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        dur: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let MutexGuard { hold, inner } = announced(guard);
        map(self.inner.wait_timeout(inner, dur), |(inner, result)| {
            let hold = hold.acquired();
            (MutexGuard { hold, inner }, result)
        })
    }

    /// Waits for `ms` milliseconds at most; `false` when the time is over.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    #[deprecated(note = "replaced by `wait_timeout`, as in std")]
    #[track_caller]
    pub fn wait_timeout_ms<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        ms: u32,
    ) -> LockResult<(MutexGuard<'a, T>, bool)> {
        let result = self.wait_timeout(guard, Duration::from_millis(ms.into()));
        map(result, |(guard, result)| (guard, !result.timed_out()))
    }

    /// Waits until `condition` is false, for `dur` at most in all.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    #[track_caller]
    pub fn wait_timeout_while<'a, T, F>(
        &self,
        guard: MutexGuard<'a, T>,
        dur: Duration,
        mut condition: F,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)>
    where
        F: FnMut(&mut T) -> bool,
    {
        let MutexGuard { mut hold, inner } = guard;
        let site = Location::caller();
        // Only std can make a `WaitTimeoutResult`, so the loop is its own. It
        // waits when the condition is true, unless the time is over.
        let result = self.inner.wait_timeout_while(inner, dur, |value| {
            let waits = condition(value);
            if waits {
                hold.announce_wait(site);
            }
            waits
        });
        map(result, |(inner, result)| {
            let hold = hold.acquired();
            (MutexGuard { hold, inner }, result)
        })
    }

    /// Wakes one waiting thread, if there is one.
    pub fn notify_one(&self) {
        self.inner.notify_one();
    }

    /// Wakes all waiting threads.
    pub fn notify_all(&self) {
        self.inner.notify_all();
    }
}

/// The guard, after the wait that comes was validated.
#[track_caller]
fn announced<T>(mut guard: MutexGuard<'_, T>) -> MutexGuard<'_, T> {
    guard.hold.announce_wait(Location::caller());
    guard
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}
