//! The traits of `lock_api` 0.4, for locks that have not moved to 0.5.
//!
//! Its guards keep no state, so each operation on a hold asks
//! [`tokenless`](crate::tokenless) which hold it is about. Otherwise all is as
//! for 0.5, by the same functions of [`Tracked`].

mod mutex;
mod rwlock;
mod unlocked;
mod upgrade;

use core::any::TypeId;
use core::marker::PhantomData;
use core::panic::Location;

use lock_api_04::{GuardNoSend, RawMutex, RawRwLock};

use super::{LockKind, Tracked};
use crate::assert::HasLockMap;
use crate::held::HeldLock;
use crate::map::LockMap;
use crate::mode::{Attempt, HoldKind, Mode};
use crate::{release, tokenless};

/// In place of a guard's state: whether guards with marker `M` may travel.
type Marked<M> = PhantomData<M>;

/// Whether `G` marks guards that stay on their thread.
pub(super) fn stays<G: 'static>() -> bool {
    TypeId::of::<G>() == TypeId::of::<Marked<GuardNoSend>>()
}

impl<R, T> HasLockMap for lock_api_04::Mutex<R, T>
where
    R: RawMutex + HasLockMap,
    T: ?Sized,
{
    fn lock_map(&self) -> &LockMap {
        // SAFETY: no operation on the raw lock is made; its map is only a
        // record, and no validity of guards depends on it.
        unsafe { self.raw() }.lock_map()
    }
}

impl<R, T> HasLockMap for lock_api_04::RwLock<R, T>
where
    R: RawRwLock + HasLockMap,
    T: ?Sized,
{
    fn lock_map(&self) -> &LockMap {
        // SAFETY: as for the mutex.
        unsafe { self.raw() }.lock_map()
    }
}

impl<R, K: LockKind> Tracked<R, K> {
    /// Acquires by waiting. `M` is the raw lock's marker of guards.
    #[track_caller]
    fn lock_marked<M: 'static>(
        &self,
        mode: Mode,
        free: impl FnOnce(&R) -> bool,
        lock: impl FnOnce(&R),
    ) {
        let unlocked = unlocked::AbortOnUnwind(Location::caller());
        let free = |raw: &R| free(raw).then(Marked::<M>::default);
        // The token is not needed: there is no place for it.
        let _held = self.lock_with(mode, free, |raw| {
            lock(raw);
            Marked::<M>::default()
        });
        core::mem::forget(unlocked);
    }

    #[track_caller]
    fn try_marked<M: 'static>(&self, mode: Mode, lock: impl FnOnce(&R) -> bool) -> bool {
        self.try_with(mode, |raw| lock(raw).then(Marked::<M>::default))
            .is_some()
    }

    #[track_caller]
    fn timed_marked<M: 'static>(
        &self,
        mode: Mode,
        free: impl FnOnce(&R) -> bool,
        lock: impl FnOnce(&R) -> bool,
    ) -> bool {
        let free = |raw: &R| free(raw).then(Marked::<M>::default);
        self.timed_with(mode, free, |raw| lock(raw).then(Marked::<M>::default))
            .is_some()
    }

    /// Releases; the map first, as in `unlock_with`.
    #[track_caller]
    fn unlock_marked(&self, kind: HoldKind, unlock: impl FnOnce(&R)) {
        tokenless::release(&self.map, kind, Location::caller());
        unlock(&self.raw);
    }

    /// The token of a hold in `mode`.
    #[track_caller]
    fn adopt<M: 'static>(&self, mode: Mode) -> HeldLock {
        let call = Self::call::<Marked<M>>(mode, Attempt::Try, Location::caller());
        tokenless::adopt(&self.map, call)
    }

    /// Changes the mode of a hold without waiting; `from` and `to` are modes.
    #[track_caller]
    fn convert_marked<M: 'static>(&self, from: Mode, to: Mode) -> HeldLock {
        let mut held = self.adopt::<M>(from);
        release::set_mode(&self.map, &mut held, to, Self::stays::<Marked<M>>());
        held
    }

    /// Validates that a hold in `mode` is given up and taken again, then does so.
    /// Validation unwinds with the lock held, so the guard stays valid.
    #[track_caller]
    fn bump_marked<M: 'static>(&self, mode: Mode, bump: impl FnOnce(&R)) {
        let unlocked = unlocked::AbortOnUnwind(Location::caller());
        let mut held = self.adopt::<M>(mode);
        self.again::<Marked<M>>(&mut held, mode, false);
        bump(&self.raw);
        self.map.acquired(&held);
        core::mem::forget(unlocked);
    }
}
