//! The mutex traits.

use lock_api::{RawMutex, RawMutexFair, RawMutexTimed};

use super::{LockKind, Tracked, TrackedGuard};
use crate::map::LockMap;
use crate::mode::Mode;

// SAFETY: every acquisition and release is one of `R`'s, with `R`'s state; the
// map never decides anything about them. If validation unwinds, `R` was not
// locked; if `R` unwinds, its own contract holds. Dropping the map of a locked
// mutex is a report and otherwise nothing.
unsafe impl<R: RawMutex + 'static, K: LockKind> RawMutex for Tracked<R, K> {
    const INIT: Self = Self::with_map(R::INIT, LockMap::instance());

    type Guard = TrackedGuard<R::Guard>;

    #[inline]
    #[track_caller]
    fn lock(&self) -> Self::Guard {
        self.lock_with(Mode::Exclusive, R::try_lock, R::lock)
    }

    #[inline]
    #[track_caller]
    fn try_lock(&self) -> Option<Self::Guard> {
        self.try_with(Mode::Exclusive, R::try_lock)
    }

    #[inline]
    #[track_caller]
    unsafe fn unlock(&self, guard: Self::Guard) {
        // SAFETY: the caller holds the mutex with this state.
        self.unlock_with(guard, |raw, state| unsafe { raw.unlock(state) });
    }

    #[inline]
    fn is_locked(&self) -> bool {
        self.raw.is_locked()
    }
}

// SAFETY: as for `RawMutex`.
unsafe impl<R: RawMutexFair + 'static, K: LockKind> RawMutexFair for Tracked<R, K> {
    #[inline]
    #[track_caller]
    unsafe fn unlock_fair(&self, guard: Self::Guard) {
        // SAFETY: the caller holds the mutex with this state.
        self.unlock_with(guard, |raw, state| unsafe { raw.unlock_fair(state) });
    }

    #[track_caller]
    unsafe fn bump(&self, guard: &mut Self::Guard) {
        self.bump_with(guard, Mode::Exclusive, |raw, state| {
            // SAFETY: the caller holds the mutex with this state.
            unsafe { raw.bump(state) }
        });
    }
}

// SAFETY: as for `RawMutex`.
unsafe impl<R: RawMutexTimed + 'static, K: LockKind> RawMutexTimed for Tracked<R, K> {
    type Duration = R::Duration;
    type Instant = R::Instant;

    #[inline]
    #[track_caller]
    fn try_lock_for(&self, timeout: Self::Duration) -> Option<Self::Guard> {
        self.timed_with(Mode::Exclusive, R::try_lock, |raw| {
            raw.try_lock_for(timeout)
        })
    }

    #[inline]
    #[track_caller]
    fn try_lock_until(&self, timeout: Self::Instant) -> Option<Self::Guard> {
        self.timed_with(Mode::Exclusive, R::try_lock, |raw| {
            raw.try_lock_until(timeout)
        })
    }
}
