//! The rwlock traits.

use core::mem::ManuallyDrop;
use core::panic::Location;

use lock_api::{
    RawRwLock, RawRwLockDowngrade, RawRwLockFair, RawRwLockTimed, RawRwLockUpgrade,
    RawRwLockUpgradeDowngrade, RawRwLockUpgradeFair, RawRwLockUpgradeTimed,
};

use super::{LockKind, Tracked, TrackedGuard, Waiting};
use crate::acquire;
use crate::map::LockMap;
use crate::mode::{Attempt, Mode};

// SAFETY: as for the mutex: all operations are `R`'s, with `R`'s state.
unsafe impl<R: RawRwLock + 'static, K: LockKind> RawRwLock for Tracked<R, K> {
    const INIT: Self = Self::with_map(R::INIT, LockMap::instance());

    type SharedGuard = TrackedGuard<R::SharedGuard>;
    type ExclusiveGuard = TrackedGuard<R::ExclusiveGuard>;

    #[inline]
    #[track_caller]
    fn lock_shared(&self) -> Self::SharedGuard {
        self.lock_with(K::READ, R::try_lock_shared, R::lock_shared)
    }

    #[inline]
    #[track_caller]
    fn try_lock_shared(&self) -> Option<Self::SharedGuard> {
        self.try_with(K::READ, R::try_lock_shared)
    }

    #[inline]
    #[track_caller]
    unsafe fn unlock_shared(&self, guard: Self::SharedGuard) {
        // SAFETY: the caller holds the lock with this state.
        self.unlock_with(guard, |raw, state| unsafe { raw.unlock_shared(state) });
    }

    #[inline]
    #[track_caller]
    fn lock_exclusive(&self) -> Self::ExclusiveGuard {
        self.lock_with(Mode::Exclusive, R::try_lock_exclusive, R::lock_exclusive)
    }

    #[inline]
    #[track_caller]
    fn try_lock_exclusive(&self) -> Option<Self::ExclusiveGuard> {
        self.try_with(Mode::Exclusive, R::try_lock_exclusive)
    }

    #[inline]
    #[track_caller]
    unsafe fn unlock_exclusive(&self, guard: Self::ExclusiveGuard) {
        // SAFETY: the caller holds the lock with this state.
        self.unlock_with(guard, |raw, state| unsafe { raw.unlock_exclusive(state) });
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
    unsafe fn unlock_shared_fair(&self, guard: Self::SharedGuard) {
        // SAFETY: the caller holds the lock with this state.
        self.unlock_with(guard, |raw, state| unsafe { raw.unlock_shared_fair(state) });
    }

    #[inline]
    #[track_caller]
    unsafe fn unlock_exclusive_fair(&self, guard: Self::ExclusiveGuard) {
        self.unlock_with(guard, |raw, state| {
            // SAFETY: the caller holds the lock with this state.
            unsafe { raw.unlock_exclusive_fair(state) }
        });
    }

    #[track_caller]
    unsafe fn bump_shared(&self, guard: &mut Self::SharedGuard) {
        self.bump_with(guard, K::READ, |raw, state| {
            // SAFETY: the caller holds the lock with this state.
            unsafe { raw.bump_shared(state) }
        });
    }

    #[track_caller]
    unsafe fn bump_exclusive(&self, guard: &mut Self::ExclusiveGuard) {
        self.bump_with(guard, Mode::Exclusive, |raw, state| {
            // SAFETY: the caller holds the lock with this state.
            unsafe { raw.bump_exclusive(state) }
        });
    }
}

// SAFETY: as for `RawRwLock`.
unsafe impl<R: RawRwLockDowngrade + 'static, K: LockKind> RawRwLockDowngrade for Tracked<R, K> {
    #[inline]
    unsafe fn downgrade(&self, guard: Self::ExclusiveGuard) -> Self::SharedGuard {
        // SAFETY: the caller holds the lock with this state.
        self.convert_with(guard, K::READ, |raw, state| unsafe { raw.downgrade(state) })
    }
}

// SAFETY: as for `RawRwLock`.
unsafe impl<R: RawRwLockTimed + 'static, K: LockKind> RawRwLockTimed for Tracked<R, K> {
    type Duration = R::Duration;
    type Instant = R::Instant;

    #[inline]
    #[track_caller]
    fn try_lock_shared_for(&self, timeout: Self::Duration) -> Option<Self::SharedGuard> {
        self.timed_with(K::READ, R::try_lock_shared, |raw| {
            raw.try_lock_shared_for(timeout)
        })
    }

    #[inline]
    #[track_caller]
    fn try_lock_shared_until(&self, timeout: Self::Instant) -> Option<Self::SharedGuard> {
        self.timed_with(K::READ, R::try_lock_shared, |raw| {
            raw.try_lock_shared_until(timeout)
        })
    }

    #[inline]
    #[track_caller]
    fn try_lock_exclusive_for(&self, timeout: Self::Duration) -> Option<Self::ExclusiveGuard> {
        self.timed_with(Mode::Exclusive, R::try_lock_exclusive, |raw| {
            raw.try_lock_exclusive_for(timeout)
        })
    }

    #[inline]
    #[track_caller]
    fn try_lock_exclusive_until(&self, timeout: Self::Instant) -> Option<Self::ExclusiveGuard> {
        self.timed_with(Mode::Exclusive, R::try_lock_exclusive, |raw| {
            raw.try_lock_exclusive_until(timeout)
        })
    }
}

/// An upgradable hold that is being upgraded. The upgrade consumes the guard,
/// so if validation unwinds, the hold ends.
struct Upgrading<'a, R: RawRwLockUpgrade + 'static, K: LockKind> {
    lock: &'a Tracked<R, K>,
    guard: ManuallyDrop<TrackedGuard<R::UpgradableGuard>>,
}

impl<R: RawRwLockUpgrade + 'static, K: LockKind> Drop for Upgrading<'_, R, K> {
    fn drop(&mut self) {
        // SAFETY: `into_guard` forgets `self`, so the guard was not taken.
        let guard = unsafe { ManuallyDrop::take(&mut self.guard) };
        // SAFETY: whoever made `self` held the lock upgradably with this state.
        unsafe { self.lock.unlock_upgradable(guard) };
    }
}

impl<'a, R: RawRwLockUpgrade + 'static, K: LockKind> Upgrading<'a, R, K> {
    /// Validates an upgrade that waits.
    ///
    /// # Safety
    ///
    /// The caller holds `lock` upgradably with this state, and gives it up if
    /// this unwinds.
    #[track_caller]
    unsafe fn validate(
        lock: &'a Tracked<R, K>,
        guard: TrackedGuard<R::UpgradableGuard>,
        attempt: Attempt,
    ) -> TrackedGuard<R::UpgradableGuard> {
        let guard = ManuallyDrop::new(guard);
        let mut upgrading = Upgrading { lock, guard };
        let site = Location::caller();
        let call = Tracked::<R, K>::call::<R::ExclusiveGuard>(Mode::Exclusive, attempt, site);
        acquire::upgrade(&lock.map, &mut upgrading.guard.held, call);
        upgrading.into_guard()
    }

    fn into_guard(self) -> TrackedGuard<R::UpgradableGuard> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is not dropped, so the guard is taken once.
        unsafe { ManuallyDrop::take(&mut this.guard) }
    }
}

impl<R: RawRwLockUpgrade + 'static, K: LockKind> Tracked<R, K> {
    /// An upgrade that waits and can time out, after its validation.
    ///
    /// # Safety
    ///
    /// The caller holds the lock upgradably with this state.
    unsafe fn upgrade_timed(
        &self,
        guard: TrackedGuard<R::UpgradableGuard>,
        upgrade: impl FnOnce(&R, R::UpgradableGuard) -> Result<R::ExclusiveGuard, R::UpgradableGuard>,
    ) -> Result<TrackedGuard<R::ExclusiveGuard>, TrackedGuard<R::UpgradableGuard>> {
        let waiting = Waiting::new(&self.map, guard.held);
        // SAFETY: the lock is held with this state.
        let result = match unsafe { self.upgrade_unless_contended(&waiting, guard.state) } {
            Ok(state) => Ok(state),
            Err(state) => upgrade(&self.raw, state),
        };
        match result {
            Ok(state) => Ok(waiting.acquired(state)),
            Err(state) => {
                // The map says exclusive.
                let held = waiting.into_token();
                let guard = TrackedGuard { state, held };
                Err(self.convert_with(guard, K::UPGRADABLE, |_, state| state))
            }
        }
    }

    /// As the function without `upgrade`; on `Err` the upgrade has to wait.
    ///
    /// # Safety
    ///
    /// The caller holds the lock upgradably with this state.
    #[inline]
    unsafe fn upgrade_unless_contended(
        &self,
        waiting: &Waiting<'_>,
        state: R::UpgradableGuard,
    ) -> Result<R::ExclusiveGuard, R::UpgradableGuard> {
        if !waiting.held.is_observed() {
            return Err(state);
        }
        // SAFETY: the caller holds the lock upgradably with this state.
        let result = unsafe { self.raw.try_upgrade(state) };
        if result.is_err() {
            self.map.contended(&waiting.held);
        }
        result
    }
}

// SAFETY: as for `RawRwLock`; an upgrade whose validation unwinds releases the
// hold (`Upgrading`).
unsafe impl<R: RawRwLockUpgrade + 'static, K: LockKind> RawRwLockUpgrade for Tracked<R, K> {
    type UpgradableGuard = TrackedGuard<R::UpgradableGuard>;

    #[inline]
    #[track_caller]
    fn lock_upgradable(&self) -> Self::UpgradableGuard {
        self.lock_with(K::UPGRADABLE, R::try_lock_upgradable, R::lock_upgradable)
    }

    #[inline]
    #[track_caller]
    fn try_lock_upgradable(&self) -> Option<Self::UpgradableGuard> {
        self.try_with(K::UPGRADABLE, R::try_lock_upgradable)
    }

    #[inline]
    #[track_caller]
    unsafe fn unlock_upgradable(&self, guard: Self::UpgradableGuard) {
        // SAFETY: the caller holds the lock with this state.
        self.unlock_with(guard, |raw, state| unsafe { raw.unlock_upgradable(state) });
    }

    #[track_caller]
    unsafe fn upgrade(&self, guard: Self::UpgradableGuard) -> Self::ExclusiveGuard {
        // SAFETY: the caller holds the lock with this state, which is consumed.
        let guard = unsafe { Upgrading::validate(self, guard, Attempt::Block) };
        let waiting = Waiting::new(&self.map, guard.held);
        // SAFETY: the lock is still held with this state.
        let state = match unsafe { self.upgrade_unless_contended(&waiting, guard.state) } {
            Ok(state) => state,
            // SAFETY: a failed try gives the state back.
            Err(state) => unsafe { self.raw.upgrade(state) },
        };
        waiting.acquired(state)
    }

    #[track_caller]
    unsafe fn try_upgrade(
        &self,
        guard: Self::UpgradableGuard,
    ) -> Result<Self::ExclusiveGuard, Self::UpgradableGuard> {
        // SAFETY: the caller holds the lock with this state.
        match unsafe { self.raw.try_upgrade(guard.state) } {
            Ok(state) => {
                let held = guard.held;
                let guard = TrackedGuard { state, held };
                let guard = self.convert_with(guard, Mode::Exclusive, |_, state| state);
                self.map.acquired(&guard.held);
                Ok(guard)
            }
            Err(state) => Err(TrackedGuard { state, ..guard }),
        }
    }
}

// SAFETY: as for `RawRwLock`.
unsafe impl<R, K> RawRwLockUpgradeFair for Tracked<R, K>
where
    R: RawRwLockUpgradeFair + 'static,
    K: LockKind,
{
    #[inline]
    #[track_caller]
    unsafe fn unlock_upgradable_fair(&self, guard: Self::UpgradableGuard) {
        self.unlock_with(guard, |raw, state| {
            // SAFETY: the caller holds the lock with this state.
            unsafe { raw.unlock_upgradable_fair(state) }
        });
    }

    #[track_caller]
    unsafe fn bump_upgradable(&self, guard: &mut Self::UpgradableGuard) {
        self.bump_with(guard, K::UPGRADABLE, |raw, state| {
            // SAFETY: the caller holds the lock with this state.
            unsafe { raw.bump_upgradable(state) }
        });
    }
}

// SAFETY: as for `RawRwLock`.
unsafe impl<R, K> RawRwLockUpgradeDowngrade for Tracked<R, K>
where
    R: RawRwLockUpgradeDowngrade + 'static,
    K: LockKind,
{
    #[inline]
    unsafe fn downgrade_upgradable(&self, guard: Self::UpgradableGuard) -> Self::SharedGuard {
        self.convert_with(guard, K::READ, |raw, state| {
            // SAFETY: the caller holds the lock with this state.
            unsafe { raw.downgrade_upgradable(state) }
        })
    }

    #[inline]
    unsafe fn downgrade_to_upgradable(&self, guard: Self::ExclusiveGuard) -> Self::UpgradableGuard {
        self.convert_with(guard, K::UPGRADABLE, |raw, state| {
            // SAFETY: the caller holds the lock with this state.
            unsafe { raw.downgrade_to_upgradable(state) }
        })
    }
}

// SAFETY: as for `RawRwLockUpgrade`.
unsafe impl<R, K> RawRwLockUpgradeTimed for Tracked<R, K>
where
    R: RawRwLockUpgradeTimed + 'static,
    K: LockKind,
{
    #[inline]
    #[track_caller]
    fn try_lock_upgradable_for(&self, timeout: Self::Duration) -> Option<Self::UpgradableGuard> {
        self.timed_with(K::UPGRADABLE, R::try_lock_upgradable, |raw| {
            raw.try_lock_upgradable_for(timeout)
        })
    }

    #[inline]
    #[track_caller]
    fn try_lock_upgradable_until(&self, timeout: Self::Instant) -> Option<Self::UpgradableGuard> {
        self.timed_with(K::UPGRADABLE, R::try_lock_upgradable, |raw| {
            raw.try_lock_upgradable_until(timeout)
        })
    }

    #[track_caller]
    unsafe fn try_upgrade_for(
        &self,
        guard: Self::UpgradableGuard,
        timeout: Self::Duration,
    ) -> Result<Self::ExclusiveGuard, Self::UpgradableGuard> {
        // SAFETY: the caller holds the lock with this state, which is consumed.
        let guard = unsafe { Upgrading::validate(self, guard, Attempt::Timed) };
        // SAFETY: the lock is still held with this state.
        unsafe { self.upgrade_timed(guard, |raw, state| raw.try_upgrade_for(state, timeout)) }
    }

    #[track_caller]
    unsafe fn try_upgrade_until(
        &self,
        guard: Self::UpgradableGuard,
        timeout: Self::Instant,
    ) -> Result<Self::ExclusiveGuard, Self::UpgradableGuard> {
        // SAFETY: the caller holds the lock with this state, which is consumed.
        let guard = unsafe { Upgrading::validate(self, guard, Attempt::Timed) };
        // SAFETY: the lock is still held with this state.
        unsafe { self.upgrade_timed(guard, |raw, state| raw.try_upgrade_until(state, timeout)) }
    }
}
