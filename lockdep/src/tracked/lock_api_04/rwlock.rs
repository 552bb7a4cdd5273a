//! The rwlock traits but for upgradable reads.

use lock_api_04::{
    RawRwLock, RawRwLockDowngrade, RawRwLockFair, RawRwLockRecursive, RawRwLockRecursiveTimed,
    RawRwLockTimed,
};

use crate::map::LockMap;
use crate::mode::{HoldKind, Mode};
use crate::tracked::{LockKind, Tracked};

// SAFETY: as for the mutex: all operations are `R`'s.
unsafe impl<R: RawRwLock + 'static, K: LockKind> RawRwLock for Tracked<R, K> {
    const INIT: Self = Self::with_map(R::INIT, LockMap::instance());

    type GuardMarker = R::GuardMarker;

    #[inline]
    #[track_caller]
    fn lock_shared(&self) {
        self.lock_marked::<R::GuardMarker>(K::READ, R::try_lock_shared, R::lock_shared);
    }

    #[inline]
    #[track_caller]
    fn try_lock_shared(&self) -> bool {
        self.try_marked::<R::GuardMarker>(K::READ, R::try_lock_shared)
    }

    #[inline]
    #[track_caller]
    unsafe fn unlock_shared(&self) {
        // SAFETY: the caller holds the lock shared.
        self.unlock_marked(HoldKind::Shared, |raw| unsafe { raw.unlock_shared() });
    }

    #[inline]
    #[track_caller]
    fn lock_exclusive(&self) {
        self.lock_marked::<R::GuardMarker>(
            Mode::Exclusive,
            R::try_lock_exclusive,
            R::lock_exclusive,
        );
    }

    #[inline]
    #[track_caller]
    fn try_lock_exclusive(&self) -> bool {
        self.try_marked::<R::GuardMarker>(Mode::Exclusive, R::try_lock_exclusive)
    }

    #[inline]
    #[track_caller]
    unsafe fn unlock_exclusive(&self) {
        // SAFETY: the caller holds the lock exclusively.
        self.unlock_marked(HoldKind::Exclusive, |raw| unsafe { raw.unlock_exclusive() });
    }

    #[inline]
    fn is_locked(&self) -> bool {
        self.raw.is_locked()
    }

    #[inline]
    fn is_locked_exclusive(&self) -> bool {
        self.raw.is_locked_exclusive()
    }
}

// SAFETY: as for `RawRwLock`.
unsafe impl<R: RawRwLockFair + 'static, K: LockKind> RawRwLockFair for Tracked<R, K> {
    #[inline]
    #[track_caller]
    unsafe fn unlock_shared_fair(&self) {
        // SAFETY: the caller holds the lock shared.
        self.unlock_marked(HoldKind::Shared, |raw| unsafe { raw.unlock_shared_fair() });
    }

    #[inline]
    #[track_caller]
    unsafe fn unlock_exclusive_fair(&self) {
        self.unlock_marked(HoldKind::Exclusive, |raw| {
            // SAFETY: the caller holds the lock exclusively.
            unsafe { raw.unlock_exclusive_fair() }
        });
    }

    #[track_caller]
    unsafe fn bump_shared(&self) {
        self.bump_marked::<R::GuardMarker>(K::READ, |raw| {
            // SAFETY: the caller holds the lock shared.
            unsafe { raw.bump_shared() }
        });
    }

    #[track_caller]
    unsafe fn bump_exclusive(&self) {
        self.bump_marked::<R::GuardMarker>(Mode::Exclusive, |raw| {
            // SAFETY: the caller holds the lock exclusively.
            unsafe { raw.bump_exclusive() }
        });
    }
}

// SAFETY: as for `RawRwLock`.
unsafe impl<R: RawRwLockDowngrade + 'static, K: LockKind> RawRwLockDowngrade for Tracked<R, K> {
    #[inline]
    #[track_caller]
    unsafe fn downgrade(&self) {
        let _ = self.convert_marked::<R::GuardMarker>(Mode::Exclusive, K::READ);
        // SAFETY: the caller holds the lock exclusively.
        unsafe { self.raw.downgrade() };
    }
}

// SAFETY: as for `RawRwLock`.
unsafe impl<R: RawRwLockTimed + 'static, K: LockKind> RawRwLockTimed for Tracked<R, K> {
    type Duration = R::Duration;
    type Instant = R::Instant;

    #[inline]
    #[track_caller]
    fn try_lock_shared_for(&self, timeout: Self::Duration) -> bool {
        self.timed_marked::<R::GuardMarker>(K::READ, R::try_lock_shared, |raw| {
            raw.try_lock_shared_for(timeout)
        })
    }

    #[inline]
    #[track_caller]
    fn try_lock_shared_until(&self, timeout: Self::Instant) -> bool {
        self.timed_marked::<R::GuardMarker>(K::READ, R::try_lock_shared, |raw| {
            raw.try_lock_shared_until(timeout)
        })
    }

    #[inline]
    #[track_caller]
    fn try_lock_exclusive_for(&self, timeout: Self::Duration) -> bool {
        self.timed_marked::<R::GuardMarker>(Mode::Exclusive, R::try_lock_exclusive, |raw| {
            raw.try_lock_exclusive_for(timeout)
        })
    }

    #[inline]
    #[track_caller]
    fn try_lock_exclusive_until(&self, timeout: Self::Instant) -> bool {
        self.timed_marked::<R::GuardMarker>(Mode::Exclusive, R::try_lock_exclusive, |raw| {
            raw.try_lock_exclusive_until(timeout)
        })
    }
}

// SAFETY: as for `RawRwLock`.
unsafe impl<R: RawRwLockRecursive + 'static, K: LockKind> RawRwLockRecursive for Tracked<R, K> {
    #[inline]
    #[track_caller]
    fn lock_shared_recursive(&self) {
        self.lock_marked::<R::GuardMarker>(
            Mode::SharedRecursive,
            R::try_lock_shared_recursive,
            R::lock_shared_recursive,
        );
    }

    #[inline]
    #[track_caller]
    fn try_lock_shared_recursive(&self) -> bool {
        self.try_marked::<R::GuardMarker>(Mode::SharedRecursive, R::try_lock_shared_recursive)
    }
}

// SAFETY: as for `RawRwLock`.
unsafe impl<R, K> RawRwLockRecursiveTimed for Tracked<R, K>
where
    R: RawRwLockRecursiveTimed + 'static,
    K: LockKind,
{
    #[inline]
    #[track_caller]
    fn try_lock_shared_recursive_for(&self, timeout: Self::Duration) -> bool {
        self.timed_marked::<R::GuardMarker>(
            Mode::SharedRecursive,
            R::try_lock_shared_recursive,
            |raw| raw.try_lock_shared_recursive_for(timeout),
        )
    }

    #[inline]
    #[track_caller]
    fn try_lock_shared_recursive_until(&self, timeout: Self::Instant) -> bool {
        self.timed_marked::<R::GuardMarker>(
            Mode::SharedRecursive,
            R::try_lock_shared_recursive,
            |raw| raw.try_lock_shared_recursive_until(timeout),
        )
    }
}
