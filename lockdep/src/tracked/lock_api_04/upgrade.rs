//! The rwlock traits of upgradable reads.

use core::panic::Location;

use lock_api_04::{
    RawRwLockUpgrade, RawRwLockUpgradeDowngrade, RawRwLockUpgradeFair, RawRwLockUpgradeTimed,
};

use super::Marked;
use crate::mode::{Attempt, HoldKind, Mode};
use crate::tracked::{LockKind, Tracked, unless_contended};
use crate::{acquire, release};

impl<R: RawRwLockUpgrade + 'static, K: LockKind> Tracked<R, K> {
    /// Upgrades by waiting: validated first. Validation unwinds with the hold
    /// upgradable: 0.4 drops the guard then.
    ///
    /// # Safety
    ///
    /// The caller holds the lock upgradably.
    #[track_caller]
    unsafe fn upgrade_marked(&self, attempt: Attempt, upgrade: impl FnOnce(&R) -> bool) -> bool {
        let mut held = self.adopt::<R::GuardMarker>(K::UPGRADABLE);
        let site = Location::caller();
        let call = Self::call::<Marked<R::GuardMarker>>(Mode::Exclusive, attempt, site);
        acquire::upgrade(&self.map, &mut held, call);
        // SAFETY: the caller holds the lock upgradably.
        let free = || unsafe { self.raw.try_upgrade() }.then_some(());
        let upgraded = unless_contended(&self.map, &held, free).is_some() || upgrade(&self.raw);
        if upgraded {
            self.map.acquired(&held);
        } else {
            let stays = Self::stays::<Marked<R::GuardMarker>>();
            release::set_mode(&self.map, &mut held, K::UPGRADABLE, stays);
        }
        upgraded
    }
}

// SAFETY: as for `RawRwLock`; an upgrade whose validation unwinds leaves the hold
// upgradable, for the guard that 0.4 drops then.
unsafe impl<R: RawRwLockUpgrade + 'static, K: LockKind> RawRwLockUpgrade for Tracked<R, K> {
    #[inline]
    #[track_caller]
    fn lock_upgradable(&self) {
        self.lock_marked::<R::GuardMarker>(
            K::UPGRADABLE,
            R::try_lock_upgradable,
            R::lock_upgradable,
        );
    }

    #[inline]
    #[track_caller]
    fn try_lock_upgradable(&self) -> bool {
        self.try_marked::<R::GuardMarker>(K::UPGRADABLE, R::try_lock_upgradable)
    }

    #[inline]
    #[track_caller]
    unsafe fn unlock_upgradable(&self) {
        // SAFETY: the caller holds the lock upgradably.
        self.unlock_marked(HoldKind::Upgradable, |raw| unsafe {
            raw.unlock_upgradable()
        });
    }

    #[track_caller]
    unsafe fn upgrade(&self) {
        // SAFETY: the caller holds the lock upgradably.
        unsafe {
            self.upgrade_marked(Attempt::Block, |raw| {
                raw.upgrade();
                true
            });
        }
    }

    #[track_caller]
    unsafe fn try_upgrade(&self) -> bool {
        // SAFETY: the caller holds the lock upgradably.
        let upgraded = unsafe { self.raw.try_upgrade() };
        if upgraded {
            let held = self.convert_marked::<R::GuardMarker>(K::UPGRADABLE, Mode::Exclusive);
            self.map.acquired(&held);
        }
        upgraded
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
    unsafe fn unlock_upgradable_fair(&self) {
        self.unlock_marked(HoldKind::Upgradable, |raw| {
            // SAFETY: the caller holds the lock upgradably.
            unsafe { raw.unlock_upgradable_fair() }
        });
    }

    #[track_caller]
    unsafe fn bump_upgradable(&self) {
        self.bump_marked::<R::GuardMarker>(K::UPGRADABLE, |raw| {
            // SAFETY: the caller holds the lock upgradably.
            unsafe { raw.bump_upgradable() }
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
    #[track_caller]
    unsafe fn downgrade_upgradable(&self) {
        let _ = self.convert_marked::<R::GuardMarker>(K::UPGRADABLE, K::READ);
        // SAFETY: the caller holds the lock upgradably.
        unsafe { self.raw.downgrade_upgradable() };
    }

    #[inline]
    #[track_caller]
    unsafe fn downgrade_to_upgradable(&self) {
        let _ = self.convert_marked::<R::GuardMarker>(Mode::Exclusive, K::UPGRADABLE);
        // SAFETY: the caller holds the lock exclusively.
        unsafe { self.raw.downgrade_to_upgradable() };
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
    fn try_lock_upgradable_for(&self, timeout: Self::Duration) -> bool {
        self.timed_marked::<R::GuardMarker>(K::UPGRADABLE, R::try_lock_upgradable, |raw| {
            raw.try_lock_upgradable_for(timeout)
        })
    }

    #[inline]
    #[track_caller]
    fn try_lock_upgradable_until(&self, timeout: Self::Instant) -> bool {
        self.timed_marked::<R::GuardMarker>(K::UPGRADABLE, R::try_lock_upgradable, |raw| {
            raw.try_lock_upgradable_until(timeout)
        })
    }

    #[track_caller]
    unsafe fn try_upgrade_for(&self, timeout: Self::Duration) -> bool {
        // SAFETY: the caller holds the lock upgradably.
        unsafe { self.upgrade_marked(Attempt::Timed, |raw| raw.try_upgrade_for(timeout)) }
    }

    #[track_caller]
    unsafe fn try_upgrade_until(&self, timeout: Self::Instant) -> bool {
        // SAFETY: the caller holds the lock upgradably.
        unsafe { self.upgrade_marked(Attempt::Timed, |raw| raw.try_upgrade_until(timeout)) }
    }
}
