//! The two traits that need a clock.

use std::time::{Duration, Instant};

use lock_api::{RawRwLockTimed, RawRwLockUpgradeTimed};

use super::*;
use crate::api::timed::{after, is_ahead};

impl RawBiasedZsLock {
    #[inline]
    #[track_caller]
    fn read_by(&self, deadline: Option<Instant>) -> Option<BiasedReadToken> {
        let pending = self.lock.dep.acquire(Counting::READ, Attempt::Timed);
        let slot = self.read_through_slot();
        if slot.is_none() {
            let locked = self.lock.try_read() || {
                pending.contended_if(|| true);
                is_ahead(deadline) && self.lock.read_until(deadline)
            };
            if !locked {
                return None;
            }
            self.counted();
        }
        let held = pending.acquired();
        Some(BiasedReadToken { held, slot })
    }
}

// SAFETY: as for `RawRwLock`; a deadline that passes leaves the lock as if this thread had never come, but perhaps for the bias.
unsafe impl RawRwLockTimed for RawBiasedZsLock {
    type Duration = Duration;
    type Instant = Instant;

    #[inline]
    #[track_caller]
    fn try_lock_shared_for(&self, timeout: Duration) -> Option<BiasedReadToken> {
        self.read_by(after(timeout))
    }

    #[inline]
    #[track_caller]
    fn try_lock_shared_until(&self, timeout: Instant) -> Option<BiasedReadToken> {
        self.read_by(Some(timeout))
    }

    #[inline]
    #[track_caller]
    fn try_lock_exclusive_for(&self, timeout: Duration) -> Option<WriteToken> {
        self.lock.try_lock_exclusive_for(timeout)
    }

    #[inline]
    #[track_caller]
    fn try_lock_exclusive_until(&self, timeout: Instant) -> Option<WriteToken> {
        self.lock.try_lock_exclusive_until(timeout)
    }
}

// SAFETY: as for `RawRwLockTimed`; an upgrade whose deadline passes leaves the caller its upgradable lock.
unsafe impl RawRwLockUpgradeTimed for RawBiasedZsLock {
    #[inline]
    #[track_caller]
    fn try_lock_upgradable_for(&self, timeout: Duration) -> Option<UpgradableToken> {
        self.lock.try_lock_upgradable_for(timeout)
    }

    #[inline]
    #[track_caller]
    fn try_lock_upgradable_until(&self, timeout: Instant) -> Option<UpgradableToken> {
        self.lock.try_lock_upgradable_until(timeout)
    }

    #[inline]
    #[track_caller]
    unsafe fn try_upgrade_for(
        &self,
        guard: UpgradableToken,
        timeout: Duration,
    ) -> Result<WriteToken, UpgradableToken> {
        // SAFETY: the guard is the counting lock's own.
        unsafe { self.lock.try_upgrade_for(guard, timeout) }
    }

    #[inline]
    #[track_caller]
    unsafe fn try_upgrade_until(
        &self,
        guard: UpgradableToken,
        timeout: Instant,
    ) -> Result<WriteToken, UpgradableToken> {
        // SAFETY: the guard is the counting lock's own.
        unsafe { self.lock.try_upgrade_until(guard, timeout) }
    }
}
