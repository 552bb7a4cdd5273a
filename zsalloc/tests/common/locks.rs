//! The locks that a zspage may have, as functions for `PoolBuilder::lock_with`, and one for tests that look
//! into its calls.

use std::marker::PhantomData;

use zsalloc::lock_api::RawRwLock;
use zslock::lockdep::LockClassKey;
use zslock::{RawGatedZsLock, RawZsLock};

/// Tells lockdep that writers of these locks only ever try, as the pool does, so that nested maps are
/// fine even where readers queue behind a waiting writer.
static ZSPAGE: LockClassKey = LockClassKey::new("tested zspage").no_blocking_writers();

pub(crate) fn zslock() -> RawZsLock {
    RawZsLock::with_class(&ZSPAGE)
}

/// Each lock a lock class of its own: nested maps are fine without a declaration.
pub(crate) fn zslock_of_its_own_class() -> RawZsLock {
    RawZsLock::INIT
}

pub(crate) fn gated() -> RawGatedZsLock {
    RawGatedZsLock::with_class(&ZSPAGE)
}

/// parking_lot's lock, tracked when lockdep is on.
#[cfg(not(feature = "debug-lockdep"))]
pub(crate) type ParkingLot = parking_lot::RawRwLock<false>;
#[cfg(feature = "debug-lockdep")]
pub(crate) type ParkingLot = lockdep::Tracked<parking_lot::RawRwLock<false>>;

#[cfg(not(feature = "debug-lockdep"))]
pub(crate) fn parking_lot() -> ParkingLot {
    RawRwLock::INIT
}
#[cfg(feature = "debug-lockdep")]
pub(crate) fn parking_lot() -> ParkingLot {
    ParkingLot::with_class(RawRwLock::INIT, &ZSPAGE)
}

/// The calls of a zspage's lock. (The pool never waits for the exclusive lock.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockCall {
    LockShared,
    TryLockShared,
    UnlockShared,
    TryLockExclusive,
    UnlockExclusive,
    IsLocked,
    IsLockedExclusive,
}

/// What a test does around the calls of a [`Hooked`] lock. Guards may go to other threads as far as the
/// type that has the hooks may.
pub(crate) trait Hooks: 'static {
    /// Nothing was done yet: a lock is not yet taken, or still held.
    fn before(_: LockCall) {}
    /// All was done: a lock is held, or was let go. Not called when a lock could not be had.
    fn after(_: LockCall) {}
    fn dropped() {}
}

/// `RawZsLock`, with what `H` does around its calls.
pub(crate) struct Hooked<H: Hooks>(RawZsLock, PhantomData<fn() -> H>);

pub(crate) struct HookedGuard<H, G>(G, PhantomData<H>);

impl<H: Hooks> Hooked<H> {
    fn got<G>(call: LockCall, guard: G) -> HookedGuard<H, G> {
        H::after(call);
        HookedGuard(guard, PhantomData)
    }
}

impl<H: Hooks> Drop for Hooked<H> {
    fn drop(&mut self) {
        H::dropped();
    }
}

// SAFETY: forwards to a lock that keeps the promise.
unsafe impl<H: Hooks> RawRwLock for Hooked<H> {
    #[allow(clippy::declare_interior_mutable_const, reason = "as in the trait")]
    const INIT: Self = Self(RawZsLock::INIT, PhantomData);
    type SharedGuard = HookedGuard<H, <RawZsLock as RawRwLock>::SharedGuard>;
    type ExclusiveGuard = HookedGuard<H, <RawZsLock as RawRwLock>::ExclusiveGuard>;

    fn lock_shared(&self) -> Self::SharedGuard {
        H::before(LockCall::LockShared);
        Self::got(LockCall::LockShared, self.0.lock_shared())
    }

    fn try_lock_shared(&self) -> Option<Self::SharedGuard> {
        H::before(LockCall::TryLockShared);
        let guard = self.0.try_lock_shared()?;
        Some(Self::got(LockCall::TryLockShared, guard))
    }

    unsafe fn unlock_shared(&self, guard: Self::SharedGuard) {
        H::before(LockCall::UnlockShared);
        // SAFETY: the caller's promise is the same.
        unsafe { self.0.unlock_shared(guard.0) };
        H::after(LockCall::UnlockShared);
    }

    fn lock_exclusive(&self) -> Self::ExclusiveGuard {
        unreachable!("the pool only tries")
    }

    fn try_lock_exclusive(&self) -> Option<Self::ExclusiveGuard> {
        H::before(LockCall::TryLockExclusive);
        let guard = self.0.try_lock_exclusive()?;
        Some(Self::got(LockCall::TryLockExclusive, guard))
    }

    unsafe fn unlock_exclusive(&self, guard: Self::ExclusiveGuard) {
        H::before(LockCall::UnlockExclusive);
        // SAFETY: the caller's promise is the same.
        unsafe { self.0.unlock_exclusive(guard.0) };
        H::after(LockCall::UnlockExclusive);
    }

    fn is_locked(&self) -> bool {
        H::before(LockCall::IsLocked);
        self.0.is_locked()
    }

    fn is_locked_exclusive(&self) -> bool {
        H::before(LockCall::IsLockedExclusive);
        self.0.is_locked_exclusive()
    }
}
