//! The biased lock as lock_api sees it. What is not a read is the counting part's.

#[cfg(feature = "std")]
mod timed;

use lock_api::{
    RawRwLock, RawRwLockDowngrade, RawRwLockFair, RawRwLockUpgrade, RawRwLockUpgradeDowngrade,
    RawRwLockUpgradeFair,
};

use super::slots::Slot;
use super::{Counting, RawBiasedZsLock};
use crate::api::{ReadToken, UpgradableToken, WriteToken};
use crate::dep_map::{DepMap, Held};
use crate::lockdep::Attempt;

/// What a read guard of a [`RawBiasedZsLock`] carries: the slot that it is read through, or nothing if it is counted; and
/// like [`ReadToken`] the validator's token. `Send`: a read lock may be released on another thread.
pub struct BiasedReadToken {
    held: Held,
    slot: Option<&'static Slot>,
}

impl core::fmt::Debug for BiasedReadToken {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("BiasedReadToken")
            .field("counted", &self.slot.is_none())
            .finish_non_exhaustive()
    }
}

impl BiasedReadToken {
    const fn counted(ReadToken(held): ReadToken) -> Self {
        Self { held, slot: None }
    }
}

impl RawBiasedZsLock {
    /// Unlocks a read lock by one step, after which the lock is not touched any more: its memory may be freed by whoever
    /// finds the lock free. For a guard that is not counted that is every unlock; for one that is, see
    /// [`RawLock::try_unlock_shared_at_once`](crate::RawLock::try_unlock_shared_at_once).
    ///
    /// # Errors
    ///
    /// The guard, if it is counted and somebody may be parked; with the feature `debug-lockdep` always.
    ///
    /// # Safety
    ///
    /// As for [`unlock_shared`](RawRwLock::unlock_shared): the caller holds a read lock of this lock, and `guard` is from it. If it
    /// is handed back the caller holds it still.
    ///
    /// # Examples
    ///
    /// ```
    /// use zslock::{RawBiasedZsLock, lock_api::RawRwLock};
    ///
    /// let lock = RawBiasedZsLock::new();
    /// let guard = lock.lock_shared();
    /// // SAFETY: the guard of the lock just taken.
    /// if let Err(guard) = unsafe { lock.try_unlock_shared_at_once(guard) } {
    ///     // SAFETY: as above.
    ///     unsafe { lock.unlock_shared(guard) };
    /// }
    /// assert!(!lock.is_locked());
    /// ```
    #[inline]
    pub unsafe fn try_unlock_shared_at_once(
        &self,
        guard: BiasedReadToken,
    ) -> Result<(), BiasedReadToken> {
        if DepMap::VALIDATES {
            return Err(guard);
        }
        match guard.slot {
            Some(slot) => self.unlock_slot(slot),
            None if self.lock.read_unlock_at_once() => {}
            None => return Err(guard),
        }
        Ok(())
    }

    #[inline]
    fn unlock_read(&self, guard: BiasedReadToken, fair: bool) {
        self.lock.dep.release(guard.held);
        match guard.slot {
            // Fair or not: who waits for the slot owns the revocation, and nobody else can write before it.
            Some(slot) => self.unlock_slot(slot),
            None => self.lock.read_unlock(fair),
        }
    }
}

// SAFETY: writers and counted readers exclude each other as in the counting lock, whose word this is. Readers in slots are in the lock only
// while the word says BIASED or REVOKING, and no writer enters before that is over and every slot was seen empty with Acquire
// (invariants 1 to 3 of the module). The slot in the guard is plain data, so forgetting it is safe; it names the lock by address,
// so the lock may be dropped or moved while it is held.
unsafe impl RawRwLock for RawBiasedZsLock {
    #[cfg(not(zslock_loom))]
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "lock_api's way to make locks"
    )]
    const INIT: Self = Self::new();
    #[cfg(zslock_loom)]
    const INIT: Self = panic!(
        "loom's atomics have no const constructor: use RwLock::from_raw(RawBiasedZsLock::new(), value)"
    );

    type SharedGuard = BiasedReadToken;
    type ExclusiveGuard = WriteToken;

    #[inline]
    #[track_caller]
    fn lock_shared(&self) -> BiasedReadToken {
        let pending = self.lock.dep.acquire(Counting::READ, Attempt::Block);
        let slot = self.read_through_slot();
        if slot.is_none() {
            pending.contended_if(|| self.lock.is_locked_by_writer());
            self.lock.read();
            self.counted();
        }
        let held = pending.acquired();
        BiasedReadToken { held, slot }
    }

    #[inline]
    #[track_caller]
    fn try_lock_shared(&self) -> Option<BiasedReadToken> {
        let pending = self.lock.dep.acquire(Counting::READ, Attempt::Try);
        let slot = self.read_through_slot();
        if slot.is_none() {
            if !self.lock.try_read() {
                return None;
            }
            self.counted();
        }
        let held = pending.acquired();
        Some(BiasedReadToken { held, slot })
    }

    #[inline]
    unsafe fn unlock_shared(&self, guard: BiasedReadToken) {
        self.unlock_read(guard, false);
    }

    #[inline]
    #[track_caller]
    fn lock_exclusive(&self) -> WriteToken {
        self.lock.lock_exclusive()
    }

    #[inline]
    #[track_caller]
    fn try_lock_exclusive(&self) -> Option<WriteToken> {
        self.lock.try_lock_exclusive()
    }

    #[inline]
    unsafe fn unlock_exclusive(&self, guard: WriteToken) {
        // SAFETY: the guard is the counting lock's own.
        unsafe { self.lock.unlock_exclusive(guard) }
    }

    #[inline]
    fn is_locked(&self) -> bool {
        self.lock.is_locked_by_any() || self.is_read_through_slot()
    }

    #[inline]
    fn is_locked_exclusive(&self) -> bool {
        self.lock.is_locked_exclusive()
    }
}

// SAFETY: as for `RawRwLock`; a fair unlock gives up the lock by the same step.
unsafe impl RawRwLockFair for RawBiasedZsLock {
    #[inline]
    unsafe fn unlock_shared_fair(&self, guard: BiasedReadToken) {
        self.unlock_read(guard, true);
    }

    #[inline]
    unsafe fn unlock_exclusive_fair(&self, guard: WriteToken) {
        // SAFETY: the guard is the counting lock's own.
        unsafe { self.lock.unlock_exclusive_fair(guard) }
    }
}

// SAFETY: as for `RawRwLock`; the writer becomes a counted reader.
unsafe impl RawRwLockDowngrade for RawBiasedZsLock {
    #[inline]
    unsafe fn downgrade(&self, guard: WriteToken) -> BiasedReadToken {
        // SAFETY: the guard is the counting lock's own.
        BiasedReadToken::counted(unsafe { self.lock.downgrade(guard) })
    }
}

// SAFETY: as for `RawRwLock`; an upgrade revokes the bias as a writer does.
unsafe impl RawRwLockUpgrade for RawBiasedZsLock {
    type UpgradableGuard = UpgradableToken;

    #[inline]
    #[track_caller]
    fn lock_upgradable(&self) -> UpgradableToken {
        self.lock.lock_upgradable()
    }

    #[inline]
    #[track_caller]
    fn try_lock_upgradable(&self) -> Option<UpgradableToken> {
        self.lock.try_lock_upgradable()
    }

    #[inline]
    unsafe fn unlock_upgradable(&self, guard: UpgradableToken) {
        // SAFETY: the guard is the counting lock's own.
        unsafe { self.lock.unlock_upgradable(guard) }
    }

    #[inline]
    #[track_caller]
    unsafe fn upgrade(&self, guard: UpgradableToken) -> WriteToken {
        // SAFETY: the guard is the counting lock's own.
        unsafe { self.lock.upgrade(guard) }
    }

    #[inline]
    #[track_caller]
    unsafe fn try_upgrade(&self, guard: UpgradableToken) -> Result<WriteToken, UpgradableToken> {
        // SAFETY: the guard is the counting lock's own.
        unsafe { self.lock.try_upgrade(guard) }
    }
}

// SAFETY: as for `RawRwLock`; a fair unlock gives up the lock by the same step.
unsafe impl RawRwLockUpgradeFair for RawBiasedZsLock {
    #[inline]
    unsafe fn unlock_upgradable_fair(&self, guard: UpgradableToken) {
        // SAFETY: the guard is the counting lock's own.
        unsafe { self.lock.unlock_upgradable_fair(guard) }
    }
}

// SAFETY: as for `RawRwLock`; the reader that it becomes is counted.
unsafe impl RawRwLockUpgradeDowngrade for RawBiasedZsLock {
    #[inline]
    #[track_caller]
    unsafe fn downgrade_upgradable(&self, guard: UpgradableToken) -> BiasedReadToken {
        // SAFETY: the guard is the counting lock's own.
        BiasedReadToken::counted(unsafe { self.lock.downgrade_upgradable(guard) })
    }

    #[inline]
    unsafe fn downgrade_to_upgradable(&self, guard: WriteToken) -> UpgradableToken {
        // SAFETY: the guard is the counting lock's own.
        unsafe { self.lock.downgrade_to_upgradable(guard) }
    }
}
