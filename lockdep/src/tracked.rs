//! The validator around any `lock_api` lock.

mod condvar;
#[cfg(feature = "lock-api-04")]
mod lock_api_04;
mod mutex;
mod reacquire;
mod rwlock;

pub use condvar::TrackedCondvar;
pub(crate) use reacquire::reacquire;

use core::any::TypeId;
use core::marker::PhantomData;
use core::mem::{self, ManuallyDrop};
use core::panic::Location;

use lock_api::GuardNoSend;

use crate::acquire;
use crate::assert::HasLockMap;
use crate::call::Call;
use crate::context::WaitType;
use crate::held::HeldLock;
use crate::key::LockClassKey;
use crate::map::LockMap;
use crate::mode::{Attempt, Mode};
use crate::release;

/// What kind of lock a raw lock is: what `lock_api` does not say.
///
/// # Examples
///
/// A spinning lock whose critical sections must not sleep:
///
/// ```
/// use lockdep::{LockKind, Mode, WaitType};
///
/// struct Spinning;
///
/// impl LockKind for Spinning {
///     const READ: Mode = Mode::SharedRecursive;
///     const UPGRADABLE: Mode = Mode::UpgradableRecursive;
///     const READ_WAIT: (WaitType, WaitType) = (WaitType::Spin, WaitType::Spin);
///     const WRITE_WAIT: (WaitType, WaitType) = (WaitType::Spin, WaitType::Spin);
/// }
/// ```
pub trait LockKind: 'static {
    /// The mode of a read: [`Mode::Shared`] if readers queue behind a waiting
    /// writer, [`Mode::SharedRecursive`] if they do not.
    const READ: Mode;
    /// The mode of an upgradable read, likewise.
    const UPGRADABLE: Mode;
    /// The outer and inner wait type of reads, upgradable or not.
    const READ_WAIT: (WaitType, WaitType) = (WaitType::Sleep, WaitType::Sleep);
    /// The outer and inner wait type of a mutex and of writes.
    const WRITE_WAIT: (WaitType, WaitType) = (WaitType::Sleep, WaitType::Sleep);
    /// Whether guards may end on another thread, as far as their type allows.
    ///
    /// `false`, or a raw lock whose guard state is `lock_api::GuardNoSend`,
    /// makes a thread that ends with the lock held a report.
    const GUARDS_TRAVEL: bool = true;
}

/// Locks whose readers queue behind a waiting writer, so that nested reads can
/// deadlock: parking_lot's and std's.
#[derive(Clone, Copy, Debug)]
pub struct Queued;

impl LockKind for Queued {
    const READ: Mode = Mode::Shared;
    const UPGRADABLE: Mode = Mode::Upgradable;
}

/// Locks whose readers wait only for a holder, so that reads may nest:
/// parking_lot's `RecursiveRwLock`, spin's.
///
/// spin's readers wait for an upgradable hold, too. With [`RecursiveReaders`] a
/// deadlock that needs this is not seen; with [`Queued`] it is, and every nested
/// read is reported.
#[derive(Clone, Copy, Debug)]
pub struct RecursiveReaders;

impl LockKind for RecursiveReaders {
    const READ: Mode = Mode::SharedRecursive;
    const UPGRADABLE: Mode = Mode::UpgradableRecursive;
}

/// A raw lock of `lock_api` under the validator.
///
/// It has every raw trait of mutexes and rwlocks that `R` has, so
/// `lock_api::Mutex<Tracked<R>, T>` is a drop-in for `lock_api::Mutex<R, T>`.
/// The default constructor (`Mutex::new`) makes each lock a class of its own.
///
/// A `bump` is a release and an acquisition of the same subclass, validated before
/// it happens, at the place where the lock was taken. If a report panics there
/// ([`Policy::Panic`](crate::Policy::Panic)), the lock is still held. A hold that
/// began on another thread becomes this thread's, of subclass 0.
///
/// `unlocked` runs a closure between a release and an acquisition that are like any
/// other. `lock_api` tells the second neither the caller's place nor the guard:
/// reports name a line of `lock_api`, the lock is taken again in subclass 0, and a
/// report that panics aborts. Where this matters, unlock and lock instead.
///
/// # Locks of `lock_api` 0.4
///
/// With the feature `lock-api-04` it is also a raw lock of `lock_api` 0.4 with
/// every raw trait that `R` has of that version:
///
/// ```
/// # #[cfg(feature = "lock-api-04")] {
/// use lockdep::lock_api_04::{Mutex, RwLock};
/// use lockdep::{RecursiveReaders, Tracked, assert_held};
///
/// let count: Mutex<Tracked<spin::Mutex<()>>, u32> = Mutex::new(0);
/// let table: RwLock<Tracked<spin::RwLock<()>, RecursiveReaders>, [u32; 2]> =
///     RwLock::new([3, 4]);
///
/// let mut sum = count.lock();
/// assert_held!(count);
/// *sum += table.read().iter().sum::<u32>();
/// assert_eq!(*sum, 7);
/// # }
/// ```
///
/// A guard of 0.4 keeps no state, so a release, or a change of mode, is about
/// this thread's newest hold of the lock of that kind, else a detached one, else
/// another thread's: the guard came from there. It finds that one only among the
/// 48 oldest holds of the thread. A change of mode, or a bump, makes the hold
/// this thread's. Acquisitions name the user's line as with 0.5, but for
/// `ReentrantMutex`, where they name a line of `lock_api`. `unlocked` of 0.4 would
/// leave an invalid guard behind a panic of its second acquisition; so there, and
/// in a `ReentrantMutex`, a report under [`Policy::Panic`](crate::Policy::Panic)
/// aborts.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "parking_lot")] {
/// use lock_api::{RawMutex as _, RwLock};
/// use lockdep::{LockClassKey, Tracked};
///
/// static TABLE: LockClassKey = LockClassKey::new("table");
/// static LOCK: lock_api::Mutex<Tracked<parking_lot::RawMutex>, u32> =
///     lock_api::Mutex::from_raw(Tracked::with_class(parking_lot::RawMutex::INIT, &TABLE), 7);
///
/// assert_eq!(*LOCK.lock(), 7);
/// # }
/// ```
#[derive(Debug)]
pub struct Tracked<R, K: LockKind = Queued> {
    raw: R,
    map: LockMap,
    kind: PhantomData<fn() -> K>,
}

impl<R, K: LockKind> Tracked<R, K> {
    /// `raw` as a class of its own.
    #[must_use]
    pub const fn instance(raw: R) -> Tracked<R, K> {
        Self::with_map(raw, LockMap::instance())
    }

    /// `raw` as a lock of the class that `key` names.
    #[must_use]
    pub const fn with_class(raw: R, key: &'static LockClassKey) -> Tracked<R, K> {
        Self::with_map(raw, LockMap::with_class(key))
    }

    /// `raw` as a lock of the class of all locks created at this place.
    #[must_use]
    #[track_caller]
    pub const fn at_site(raw: R) -> Tracked<R, K> {
        Self::with_map(raw, LockMap::at_site())
    }

    const fn with_map(raw: R, map: LockMap) -> Tracked<R, K> {
        let (outer, inner) = K::READ_WAIT;
        let map = map.wait(outer, inner);
        let (outer, inner) = K::WRITE_WAIT;
        Tracked {
            raw,
            map: map.wait_for(Mode::Exclusive, outer, inner),
            kind: PhantomData,
        }
    }

    /// Gives this lock a number for its class's
    /// [`order_by`](LockClassKey::order_by) function.
    #[must_use]
    pub const fn with_order(mut self, order: u64) -> Tracked<R, K> {
        self.map.order = order;
        self
    }

    /// Whether guards with state `G` cannot leave their thread.
    #[inline]
    fn stays<G: 'static>() -> bool {
        let stays = TypeId::of::<G>() == TypeId::of::<GuardNoSend>();
        #[cfg(feature = "lock-api-04")]
        let stays = stays || lock_api_04::stays::<G>();
        !K::GUARDS_TRAVEL || stays
    }

    /// An acquisition for a guard with state `G`.
    #[inline]
    fn call<G: 'static>(mode: Mode, attempt: Attempt, site: &'static Location<'static>) -> Call {
        Call::new(mode, attempt, Self::stays::<G>(), site)
    }

    #[inline]
    #[track_caller]
    fn enter<G: 'static>(&self, mode: Mode, attempt: Attempt) -> Waiting<'_> {
        let call = Self::call::<G>(mode, attempt, Location::caller());
        Waiting::new(&self.map, acquire::acquire(&self.map, call))
    }

    /// Acquires by waiting: validated first. `free` is the same without waiting,
    /// for whoever observes whether the lock was free.
    #[inline]
    #[track_caller]
    fn lock_with<G: 'static>(
        &self,
        mode: Mode,
        free: impl FnOnce(&R) -> Option<G>,
        lock: impl FnOnce(&R) -> G,
    ) -> TrackedGuard<G> {
        let waiting = self.enter::<G>(mode, Attempt::Block);
        let state = match unless_contended(&self.map, &waiting.held, || free(&self.raw)) {
            Some(state) => state,
            None => lock(&self.raw),
        };
        waiting.acquired(state)
    }

    /// Acquires without waiting: nothing to validate, so only a success counts.
    #[inline]
    #[track_caller]
    fn try_with<G: 'static>(
        &self,
        mode: Mode,
        lock: impl FnOnce(&R) -> Option<G>,
    ) -> Option<TrackedGuard<G>> {
        let state = lock(&self.raw)?;
        Some(self.enter::<G>(mode, Attempt::Try).acquired(state))
    }

    /// Acquires by waiting for some time; `free` as in `lock_with`.
    #[inline]
    #[track_caller]
    fn timed_with<G: 'static>(
        &self,
        mode: Mode,
        free: impl FnOnce(&R) -> Option<G>,
        lock: impl FnOnce(&R) -> Option<G>,
    ) -> Option<TrackedGuard<G>> {
        let waiting = self.enter::<G>(mode, Attempt::Timed);
        let state = match unless_contended(&self.map, &waiting.held, || free(&self.raw)) {
            Some(state) => state,
            None => lock(&self.raw)?,
        };
        Some(waiting.acquired(state))
    }

    /// Releases: the map first, because afterwards another acquisition of this
    /// thread could find the hold on its stack. It does not unwind, so the raw
    /// lock is released whatever the map finds.
    #[inline]
    #[track_caller]
    fn unlock_with<G>(&self, guard: TrackedGuard<G>, unlock: impl FnOnce(&R, G)) {
        self.map.release(guard.held);
        unlock(&self.raw, guard.state);
    }

    /// Changes the mode of a hold without waiting.
    fn convert_with<G, H: 'static>(
        &self,
        mut guard: TrackedGuard<G>,
        mode: Mode,
        convert: impl FnOnce(&R, G) -> H,
    ) -> TrackedGuard<H> {
        release::set_mode(&self.map, &mut guard.held, mode, Self::stays::<H>());
        TrackedGuard {
            state: convert(&self.raw, guard.state),
            held: guard.held,
        }
    }
}

impl<R, K: LockKind> HasLockMap for Tracked<R, K> {
    fn lock_map(&self) -> &LockMap {
        &self.map
    }
}

/// The guard state of a [`Tracked`] lock: that of the raw lock, and the token.
#[derive(Debug)]
pub struct TrackedGuard<G> {
    state: G,
    held: HeldLock,
}

/// An acquisition or upgrade that was announced and has not succeeded: taken
/// back when the raw lock fails or unwinds.
struct Waiting<'a> {
    map: &'a LockMap,
    held: HeldLock,
}

impl<'a> Waiting<'a> {
    #[inline]
    fn new(map: &'a LockMap, held: HeldLock) -> Waiting<'a> {
        Waiting { map, held }
    }

    #[inline]
    fn acquired<G>(self, state: G) -> TrackedGuard<G> {
        let map = self.map;
        let held = self.into_token();
        map.acquired(&held);
        TrackedGuard { state, held }
    }

    /// The acquisition is not to be taken back.
    #[inline]
    fn into_token(self) -> HeldLock {
        // Not dropped, so never written: the token stays in a register.
        let mut waiting = ManuallyDrop::new(self);
        mem::replace(&mut waiting.held, HeldLock::UNTRACKED)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let held = mem::replace(&mut self.held, HeldLock::UNTRACKED);
        self.map.abandon(held);
    }
}

/// If the acquisition is observed: what `free` acquires without waiting; else the
/// lock is contended. `None`: wait.
#[inline]
pub(crate) fn unless_contended<G>(
    map: &LockMap,
    held: &HeldLock,
    free: impl FnOnce() -> Option<G>,
) -> Option<G> {
    if !held.is_observed() {
        return None;
    }
    let state = free();
    if state.is_none() {
        map.contended(held);
    }
    state
}

/// parking_lot's raw mutex under the validator, as `lock_api` makes it.
#[cfg(feature = "parking_lot")]
pub type Mutex<T> = lock_api::Mutex<Tracked<parking_lot::RawMutex>, T>;
/// The guard of [`Mutex`].
#[cfg(feature = "parking_lot")]
pub type MutexGuard<'a, T> = lock_api::MutexGuard<'a, Tracked<parking_lot::RawMutex>, T>;
/// parking_lot's condition variable, for [`Mutex`].
#[cfg(feature = "parking_lot")]
pub type Condvar = lock_api::Condvar<TrackedCondvar<parking_lot::RawCondvar>>;
/// parking_lot's rwlock under the validator.
#[cfg(feature = "parking_lot")]
pub type RwLock<T> = lock_api::RwLock<Tracked<parking_lot::RawRwLock>, T>;
/// The read guard of [`RwLock`].
#[cfg(feature = "parking_lot")]
pub type RwLockReadGuard<'a, T> = lock_api::RwLockReadGuard<'a, Tracked<parking_lot::RawRwLock>, T>;
/// The write guard of [`RwLock`].
#[cfg(feature = "parking_lot")]
pub type RwLockWriteGuard<'a, T> =
    lock_api::RwLockWriteGuard<'a, Tracked<parking_lot::RawRwLock>, T>;
/// The upgradable read guard of [`RwLock`].
#[cfg(feature = "parking_lot")]
pub type RwLockUpgradableReadGuard<'a, T> =
    lock_api::RwLockUpgradableReadGuard<'a, Tracked<parking_lot::RawRwLock>, T>;
