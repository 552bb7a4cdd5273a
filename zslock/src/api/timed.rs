//! The two traits that need a clock.

use std::time::{Duration, Instant};

use lock_api::{RawRwLockTimed, RawRwLockUpgradeTimed};

use super::*;

/// `None`, for ever, if the duration reaches beyond what an `Instant` can hold.
pub(crate) fn after(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

/// Whether there is any time to wait. Asked after the first try failed.
pub(crate) fn is_ahead(deadline: Option<Instant>) -> bool {
    deadline.is_none_or(|deadline| Instant::now() < deadline)
}

impl<const GATED: bool, const BIASED: bool> RawLock<GATED, BIASED> {
    #[inline]
    #[track_caller]
    fn read_by(&self, deadline: Option<Instant>) -> Option<ReadToken> {
        let pending = self.dep.acquire(Self::READ, Attempt::Timed);
        let locked = self.try_read() || {
            pending.contended_if(|| true);
            is_ahead(deadline) && self.read_until(deadline)
        };
        locked.then(|| ReadToken(pending.acquired()))
    }

    #[inline]
    #[track_caller]
    fn write_by(&self, deadline: Option<Instant>) -> Option<WriteToken> {
        let pending = self.dep.acquire(Mode::Exclusive, Attempt::Timed);
        let locked = self.try_write() || {
            pending.contended_if(|| true);
            is_ahead(deadline) && self.write_until(deadline)
        };
        locked.then(|| WriteToken::new(pending.acquired()))
    }

    #[inline]
    #[track_caller]
    fn upgradable_by(&self, deadline: Option<Instant>) -> Option<UpgradableToken> {
        let pending = self.dep.acquire(Self::UPGRADABLE, Attempt::Timed);
        let locked = self.try_upgradable() || {
            pending.contended_if(|| true);
            is_ahead(deadline) && self.upgradable_until(deadline)
        };
        locked.then(|| UpgradableToken(pending.acquired()))
    }

    #[inline]
    #[track_caller]
    fn upgrade_by(
        &self,
        guard: UpgradableToken,
        deadline: Option<Instant>,
    ) -> Result<WriteToken, UpgradableToken> {
        let token = self.begin_upgrade(guard, Attempt::Timed);
        let upgraded = self.try_upgrade_now() || {
            self.dep.contended(&token.0);
            is_ahead(deadline) && self.upgrade_until(deadline)
        };
        if upgraded {
            Ok(self.upgraded(token))
        } else {
            Err(self.not_upgraded(token))
        }
    }
}

// SAFETY: as for `RawRwLock`; a deadline that passes leaves the lock as if this thread had never come.
unsafe impl<const GATED: bool, const BIASED: bool> RawRwLockTimed for RawLock<GATED, BIASED> {
    type Duration = Duration;
    type Instant = Instant;

    #[inline]
    #[track_caller]
    fn try_lock_shared_for(&self, timeout: Duration) -> Option<ReadToken> {
        self.read_by(after(timeout))
    }

    #[inline]
    #[track_caller]
    fn try_lock_shared_until(&self, timeout: Instant) -> Option<ReadToken> {
        self.read_by(Some(timeout))
    }

    #[inline]
    #[track_caller]
    fn try_lock_exclusive_for(&self, timeout: Duration) -> Option<WriteToken> {
        self.write_by(after(timeout))
    }

    #[inline]
    #[track_caller]
    fn try_lock_exclusive_until(&self, timeout: Instant) -> Option<WriteToken> {
        self.write_by(Some(timeout))
    }
}

// SAFETY: as for `RawRwLockTimed`; an upgrade whose deadline passes leaves the caller its upgradable lock.
unsafe impl<const GATED: bool, const BIASED: bool> RawRwLockUpgradeTimed
    for RawLock<GATED, BIASED>
{
    #[inline]
    #[track_caller]
    fn try_lock_upgradable_for(&self, timeout: Duration) -> Option<UpgradableToken> {
        self.upgradable_by(after(timeout))
    }

    #[inline]
    #[track_caller]
    fn try_lock_upgradable_until(&self, timeout: Instant) -> Option<UpgradableToken> {
        self.upgradable_by(Some(timeout))
    }

    #[inline]
    #[track_caller]
    unsafe fn try_upgrade_for(
        &self,
        guard: UpgradableToken,
        timeout: Duration,
    ) -> Result<WriteToken, UpgradableToken> {
        self.upgrade_by(guard, after(timeout))
    }

    #[inline]
    #[track_caller]
    unsafe fn try_upgrade_until(
        &self,
        guard: UpgradableToken,
        timeout: Instant,
    ) -> Result<WriteToken, UpgradableToken> {
        self.upgrade_by(guard, Some(timeout))
    }
}
