//! The lock as lock_api sees it: every raw rwlock trait, and the state that guards carry.

#[cfg(feature = "std")]
pub(crate) mod timed;

use core::marker::PhantomData;

use lock_api::{
    GuardNoSend, RawRwLock, RawRwLockDowngrade, RawRwLockFair, RawRwLockUpgrade,
    RawRwLockUpgradeDowngrade, RawRwLockUpgradeFair,
};

use crate::dep_map::{DepMap, Held};
use crate::lockdep::{Attempt, Mode};
use crate::raw::RawLock;

/// What a read guard carries: nothing, or under `debug-lockdep` the validator's token. `Send`: a read lock may be released
/// on another thread.
#[derive(Debug)]
pub struct ReadToken(pub(crate) Held);

/// What an upgradable guard carries; like [`ReadToken`].
#[derive(Debug)]
pub struct UpgradableToken(Held);

/// What a write guard carries; like [`ReadToken`], but not `Send`: a write section ends soon, on its own thread.
///
/// A read guard may travel:
///
/// ```
/// fn send<T: Send>(_: T) {}
/// let lock = zslock::ZsLock::new(0);
/// send(lock.read());
/// ```
///
/// A write guard may not:
///
/// ```compile_fail,E0277
/// fn send<T: Send>(_: T) {}
/// let lock = zslock::ZsLock::new(0);
/// send(lock.write());
/// ```
#[derive(Debug)]
pub struct WriteToken(Held, PhantomData<GuardNoSend>);

impl WriteToken {
    #[inline]
    const fn new(held: Held) -> Self {
        Self(held, PhantomData)
    }
}

impl<const GATED: bool, const BIASED: bool> RawLock<GATED, BIASED> {
    /// How readers wait: the plain lock's only for holders, the gated lock's also for a writer that waits.
    pub(crate) const READ: Mode = if GATED {
        Mode::Shared
    } else {
        Mode::SharedRecursive
    };
    const UPGRADABLE: Mode = if GATED {
        Mode::Upgradable
    } else {
        Mode::UpgradableRecursive
    };

    /// Validates an upgrade. If the validator panics, the upgradable lock is released, as lock_api demands.
    #[inline]
    #[track_caller]
    fn begin_upgrade(&self, token: UpgradableToken, attempt: Attempt) -> UpgradableToken {
        let mut unwinding = ReleaseOnUnwind {
            lock: self,
            token: Some(token),
        };
        if let Some(token) = &mut unwinding.token {
            self.dep.upgrade(&mut token.0, attempt);
        }
        unwinding.token.take().expect("put there above")
    }

    #[inline]
    fn upgraded(&self, token: UpgradableToken) -> WriteToken {
        self.dep.acquired(&token.0);
        WriteToken::new(token.0)
    }

    #[inline]
    fn not_upgraded(&self, mut token: UpgradableToken) -> UpgradableToken {
        self.dep.set_mode(&mut token.0, Self::UPGRADABLE);
        token
    }
}

impl<const GATED: bool, const BIASED: bool> RawLock<GATED, BIASED> {
    /// Unlocks a read lock by one step, after which the lock is not touched any more: its memory may be freed by
    /// whoever finds the lock free.
    ///
    /// An ordinary unlock may have to wake those who wait, and then touches the lock after the step that releases it (rule 8
    /// of [the contract](crate#the-contract)). This one hands the guard back instead, with nothing changed: then protect the memory
    /// and call [`unlock_shared`](RawRwLock::unlock_shared). So only an unlock with waiters pays for the protection. Never waits.
    ///
    /// # Errors
    ///
    /// The guard, if somebody may be parked; with the feature `debug-lockdep` always, as the validator keeps its map in the lock
    /// and has to be told before the step, which may then turn out to be impossible.
    ///
    /// # Safety
    ///
    /// As for [`unlock_shared`](RawRwLock::unlock_shared): the caller holds a read lock of this lock, and `guard` is from it. If it
    /// is handed back the caller holds it still.
    ///
    /// # Examples
    ///
    /// The last reader to leave frees a lock that it finds free, if it is the one who takes it:
    ///
    /// ```
    /// use std::ptr::NonNull;
    /// use zslock::{RawZsLock, lock_api::RawRwLock};
    ///
    /// let lock = NonNull::from(Box::leak(Box::new(RawZsLock::new())));
    /// // SAFETY: nobody frees the lock while it is read-locked.
    /// let raw = unsafe { lock.as_ref() };
    /// let guard = raw.lock_shared();
    /// // SAFETY: the guard of the lock just taken.
    /// if let Err(guard) = unsafe { raw.try_unlock_shared_at_once(guard) } {
    ///     // Here the memory would be protected: with more threads than this one, somebody may wait.
    ///     // SAFETY: as above.
    ///     unsafe { raw.unlock_shared(guard) };
    /// }
    /// // SAFETY: nobody else knows the lock, and this thread has done with it.
    /// drop(unsafe { Box::from_raw(lock.as_ptr()) });
    /// ```
    #[inline]
    pub unsafe fn try_unlock_shared_at_once(&self, guard: ReadToken) -> Result<(), ReadToken> {
        if DepMap::VALIDATES || !self.read_unlock_at_once() {
            return Err(guard);
        }
        Ok(())
    }
}

struct ReleaseOnUnwind<'a, const GATED: bool, const BIASED: bool> {
    lock: &'a RawLock<GATED, BIASED>,
    token: Option<UpgradableToken>,
}

impl<const GATED: bool, const BIASED: bool> Drop for ReleaseOnUnwind<'_, GATED, BIASED> {
    #[inline]
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            self.lock.dep.release(token.0);
            self.lock.upgradable_unlock(false);
        }
    }
}

// SAFETY: the invariants of `state` give either readers (and one upgradable reader among them) or one writer;
// every step that takes access acquires and every step that gives it up releases, as `order` lists. The guard state is
// only the validator's token, so forgetting it is safe; an operation that panics (too many readers, a report of the
// validator) either has not taken the lock or has released the acquisition that it consumed.
unsafe impl<const GATED: bool, const BIASED: bool> RawRwLock for RawLock<GATED, BIASED> {
    #[cfg(not(zslock_loom))]
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "lock_api's way to make locks"
    )]
    const INIT: Self = Self::with_map(DepMap::instance(GATED));
    #[cfg(zslock_loom)]
    const INIT: Self = panic!(
        "loom's atomics have no const constructor: use RwLock::from_raw(RawZsLock::new(), value)"
    );

    type SharedGuard = ReadToken;
    type ExclusiveGuard = WriteToken;

    #[inline]
    #[track_caller]
    fn lock_shared(&self) -> ReadToken {
        let pending = self.dep.acquire(Self::READ, Attempt::Block);
        pending.contended_if(|| self.is_locked_by_writer());
        self.read();
        ReadToken(pending.acquired())
    }

    #[inline]
    #[track_caller]
    fn try_lock_shared(&self) -> Option<ReadToken> {
        let pending = self.dep.acquire(Self::READ, Attempt::Try);
        self.try_read().then(|| ReadToken(pending.acquired()))
    }

    #[inline]
    unsafe fn unlock_shared(&self, guard: ReadToken) {
        self.dep.release(guard.0);
        self.read_unlock(false);
    }

    #[inline]
    #[track_caller]
    fn lock_exclusive(&self) -> WriteToken {
        let pending = self.dep.acquire(Mode::Exclusive, Attempt::Block);
        if !self.write_uncontended() {
            pending.contended_if(|| true);
            self.write_until(None);
        }
        WriteToken::new(pending.acquired())
    }

    #[inline]
    #[track_caller]
    fn try_lock_exclusive(&self) -> Option<WriteToken> {
        let pending = self.dep.acquire(Mode::Exclusive, Attempt::Try);
        self.try_write()
            .then(|| WriteToken::new(pending.acquired()))
    }

    #[inline]
    unsafe fn unlock_exclusive(&self, guard: WriteToken) {
        self.dep.release(guard.0);
        self.write_unlock(false);
    }

    #[inline]
    fn is_locked(&self) -> bool {
        self.is_locked_by_any()
    }

    #[inline]
    fn is_locked_exclusive(&self) -> bool {
        self.is_locked_by_writer()
    }
}

// SAFETY: as for `RawRwLock`; a fair unlock gives up the lock by the same step.
unsafe impl<const GATED: bool, const BIASED: bool> RawRwLockFair for RawLock<GATED, BIASED> {
    #[inline]
    unsafe fn unlock_shared_fair(&self, guard: ReadToken) {
        self.dep.release(guard.0);
        self.read_unlock(true);
    }

    #[inline]
    unsafe fn unlock_exclusive_fair(&self, guard: WriteToken) {
        self.dep.release(guard.0);
        self.write_unlock(true);
    }
}

// SAFETY: as for `RawRwLock`; one read-modify-write with Release turns the writer into a reader, so no writer comes between.
unsafe impl<const GATED: bool, const BIASED: bool> RawRwLockDowngrade for RawLock<GATED, BIASED> {
    #[inline]
    unsafe fn downgrade(&self, guard: WriteToken) -> ReadToken {
        let mut held = guard.0;
        self.dep.set_mode(&mut held, Self::READ);
        self.downgrade_to_read();
        ReadToken(held)
    }
}

// SAFETY: as for `RawRwLock`; at most one upgradable holder exists, for it is one bit set by compare-exchange, and it
// becomes the writer by a compare-exchange that finds no reader (gated: or that closes the gate and then waits for them).
unsafe impl<const GATED: bool, const BIASED: bool> RawRwLockUpgrade for RawLock<GATED, BIASED> {
    type UpgradableGuard = UpgradableToken;

    #[inline]
    #[track_caller]
    fn lock_upgradable(&self) -> UpgradableToken {
        let pending = self.dep.acquire(Self::UPGRADABLE, Attempt::Block);
        if !self.try_upgradable() {
            pending.contended_if(|| true);
            self.upgradable_until(None);
        }
        UpgradableToken(pending.acquired())
    }

    #[inline]
    #[track_caller]
    fn try_lock_upgradable(&self) -> Option<UpgradableToken> {
        let pending = self.dep.acquire(Self::UPGRADABLE, Attempt::Try);
        self.try_upgradable()
            .then(|| UpgradableToken(pending.acquired()))
    }

    #[inline]
    unsafe fn unlock_upgradable(&self, guard: UpgradableToken) {
        self.dep.release(guard.0);
        self.upgradable_unlock(false);
    }

    #[inline]
    #[track_caller]
    unsafe fn upgrade(&self, guard: UpgradableToken) -> WriteToken {
        let token = self.begin_upgrade(guard, Attempt::Block);
        if !self.try_upgrade_now() {
            self.dep.contended(&token.0);
            self.upgrade_until(None);
        }
        self.upgraded(token)
    }

    #[inline]
    #[track_caller]
    unsafe fn try_upgrade(&self, guard: UpgradableToken) -> Result<WriteToken, UpgradableToken> {
        let token = self.begin_upgrade(guard, Attempt::Try);
        if self.try_upgrade_now() {
            Ok(self.upgraded(token))
        } else {
            Err(self.not_upgraded(token))
        }
    }
}

// SAFETY: as for `RawRwLock`; a fair unlock gives up the lock by the same step.
unsafe impl<const GATED: bool, const BIASED: bool> RawRwLockUpgradeFair for RawLock<GATED, BIASED> {
    #[inline]
    unsafe fn unlock_upgradable_fair(&self, guard: UpgradableToken) {
        self.dep.release(guard.0);
        self.upgradable_unlock(true);
    }
}

// SAFETY: as for `RawRwLock`; each conversion is one read-modify-write. Where write access ends it is a Release.
unsafe impl<const GATED: bool, const BIASED: bool> RawRwLockUpgradeDowngrade
    for RawLock<GATED, BIASED>
{
    #[inline]
    #[track_caller]
    unsafe fn downgrade_upgradable(&self, guard: UpgradableToken) -> ReadToken {
        let mut held = guard.0;
        if !self.upgradable_to_read() {
            // The validator first: once the access is given up, the lock may be gone.
            self.dep.release(held);
            self.refuse_downgrade();
            Self::too_many_readers();
        }
        self.dep.set_mode(&mut held, Self::READ);
        ReadToken(held)
    }

    #[inline]
    unsafe fn downgrade_to_upgradable(&self, guard: WriteToken) -> UpgradableToken {
        let mut held = guard.0;
        self.dep.set_mode(&mut held, Self::UPGRADABLE);
        self.downgrade_to_upgradable_reader();
        UpgradableToken(held)
    }
}
