//! The condition variable traits.

use core::marker::PhantomData;

use lock_api::{RawCondvar, RawCondvarTimed, RawMutex, RawMutexTimed};

use super::{LockKind, Queued, Tracked};
use crate::mode::Mode;

/// A raw condition variable of `lock_api` for mutexes under the validator.
///
/// A wait on it may sleep, and takes the mutex again while the thread holds
/// whatever else it holds: both are validated, when the wait begins. `lock_api`
/// does not pass the caller's location on, so reports name the place where the
/// mutex was locked, or, for a guard that came from another thread, a line of
/// `lock_api`. From the wait on such a guard is this thread's hold, of subclass 0.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "parking_lot")] {
/// use lockdep::{Condvar, Mutex};
///
/// let (ready, changed) = (Mutex::new(false), Condvar::new());
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         *ready.lock() = true;
///         changed.notify_one();
///     });
///     let mut ready = ready.lock();
///     while !*ready {
///         changed.wait(&mut ready);
///     }
/// });
/// # }
/// ```
#[derive(Debug)]
pub struct TrackedCondvar<C, K: LockKind = Queued> {
    raw: C,
    kind: PhantomData<fn() -> K>,
}

// SAFETY: the wait is `C`'s, with the mutex and the state that `C` knows; what is
// validated before it leaves both untouched.
unsafe impl<C: RawCondvar, K: LockKind> RawCondvar for TrackedCondvar<C, K>
where
    C::RawMutex: 'static,
{
    const INIT: Self = TrackedCondvar {
        raw: C::INIT,
        kind: PhantomData,
    };

    type RawMutex = Tracked<C::RawMutex, K>;

    #[track_caller]
    unsafe fn wait(&self, mutex: &Self::RawMutex, guard: &mut <Self::RawMutex as RawMutex>::Guard) {
        mutex.again::<<C::RawMutex as RawMutex>::Guard>(&mut guard.held, Mode::Exclusive, true);
        // SAFETY: the caller holds the mutex with this state.
        unsafe { self.raw.wait(&mutex.raw, &mut guard.state) };
        mutex.map.acquired(&guard.held);
    }

    fn notify_one(&self) -> bool {
        self.raw.notify_one()
    }

    fn notify_all(&self) -> usize {
        self.raw.notify_all()
    }
}

// SAFETY: as for `RawCondvar`.
unsafe impl<C: RawCondvarTimed, K: LockKind> RawCondvarTimed for TrackedCondvar<C, K>
where
    C::RawMutex: RawMutexTimed + 'static,
{
    fn checked_duration_to_instant(
        timeout: &<Self::RawMutex as RawMutexTimed>::Duration,
    ) -> Option<<Self::RawMutex as RawMutexTimed>::Instant> {
        C::checked_duration_to_instant(timeout)
    }

    #[track_caller]
    unsafe fn wait_until(
        &self,
        mutex: &Self::RawMutex,
        guard: &mut <Self::RawMutex as RawMutex>::Guard,
        timeout: &<Self::RawMutex as RawMutexTimed>::Instant,
    ) -> bool {
        mutex.again::<<C::RawMutex as RawMutex>::Guard>(&mut guard.held, Mode::Exclusive, true);
        // SAFETY: the caller holds the mutex with this state.
        let notified = unsafe { self.raw.wait_until(&mutex.raw, &mut guard.state, timeout) };
        mutex.map.acquired(&guard.held);
        notified
    }

    #[track_caller]
    unsafe fn wait_for(
        &self,
        mutex: &Self::RawMutex,
        guard: &mut <Self::RawMutex as RawMutex>::Guard,
        timeout: &<Self::RawMutex as RawMutexTimed>::Duration,
    ) -> bool {
        mutex.again::<<C::RawMutex as RawMutex>::Guard>(&mut guard.held, Mode::Exclusive, true);
        // SAFETY: the caller holds the mutex with this state.
        let notified = unsafe { self.raw.wait_for(&mutex.raw, &mut guard.state, timeout) };
        mutex.map.acquired(&guard.held);
        notified
    }
}
