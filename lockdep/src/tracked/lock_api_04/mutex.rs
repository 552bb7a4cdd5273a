//! The mutex traits.

use lock_api_04::{RawMutex, RawMutexFair, RawMutexTimed};

use crate::map::LockMap;
use crate::mode::{HoldKind, Mode};
use crate::tracked::{LockKind, Tracked};

// SAFETY: every acquisition and release is one of `R`'s; the map never decides
// anything about them. If validation unwinds, `R` was not locked.
unsafe impl<R: RawMutex + 'static, K: LockKind> RawMutex for Tracked<R, K> {
    const INIT: Self = Self::with_map(R::INIT, LockMap::instance());

    type GuardMarker = R::GuardMarker;

    #[inline]
    #[track_caller]
    fn lock(&self) {
        self.lock_marked::<R::GuardMarker>(Mode::Exclusive, R::try_lock, R::lock);
    }

    #[inline]
    #[track_caller]
    fn try_lock(&self) -> bool {
        self.try_marked::<R::GuardMarker>(Mode::Exclusive, R::try_lock)
    }

    #[inline]
    #[track_caller]
    unsafe fn unlock(&self) {
        // SAFETY: the caller holds the mutex.
        self.unlock_marked(HoldKind::Exclusive, |raw| unsafe { raw.unlock() });
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
    unsafe fn unlock_fair(&self) {
        // SAFETY: the caller holds the mutex.
        self.unlock_marked(HoldKind::Exclusive, |raw| unsafe { raw.unlock_fair() });
    }

    #[track_caller]
    unsafe fn bump(&self) {
        self.bump_marked::<R::GuardMarker>(Mode::Exclusive, |raw| {
            // SAFETY: the caller holds the mutex.
            unsafe { raw.bump() }
        });
    }
}

// SAFETY: as for `RawMutex`.
unsafe impl<R: RawMutexTimed + 'static, K: LockKind> RawMutexTimed for Tracked<R, K> {
    type Duration = R::Duration;
    type Instant = R::Instant;

    #[inline]
    #[track_caller]
    fn try_lock_for(&self, timeout: Self::Duration) -> bool {
        self.timed_marked::<R::GuardMarker>(Mode::Exclusive, R::try_lock, |raw| {
            raw.try_lock_for(timeout)
        })
    }

    #[inline]
    #[track_caller]
    fn try_lock_until(&self, timeout: Self::Instant) -> bool {
        self.timed_marked::<R::GuardMarker>(Mode::Exclusive, R::try_lock, |raw| {
            raw.try_lock_until(timeout)
        })
    }
}
