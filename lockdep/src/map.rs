//! The map that each tracked lock carries, and the calls a lock makes on it.

use core::panic::Location;
use core::sync::atomic::{AtomicU32, AtomicU64};

use crate::acquire;
use crate::call::Call;
use crate::class::Origin;
use crate::context::{WaitTable, WaitType};
use crate::held::HeldLock;
use crate::key::{LockClassKey, OrderKey};
use crate::mode::{Attempt, Mode};
use crate::observe;
use crate::release;

/// Connects one lock to the validator; a lock implementation stores one and
/// calls it around its own operations.
///
/// The order of calls: [`acquire`](Self::acquire) *before* waiting (this is
/// where a possible deadlock is reported), then either
/// [`acquired`](Self::acquired) when the lock is held or
/// [`abandon`](Self::abandon) when the attempt failed, and
/// [`release`](Self::release) just *before* the lock is released: afterwards its
/// owner could take it again and still find it on its stack. The [`HeldLock`]
/// lives where the guard lives.
///
/// A dropped map ends its lock's existence for the validator: its node and
/// edges go; if it was held,
/// [`ReportKind::HeldLockFreed`](crate::ReportKind::HeldLockFreed) is reported.
#[derive(Debug)]
pub struct LockMap {
    pub(crate) origin: Origin,
    pub(crate) wait: WaitTable,
    /// One bit per [`Mode`]: guards of that mode cannot be sent to another thread.
    pub(crate) stays: u8,
    pub(crate) order: u64,
    /// This lock's serial; 0 until first acquired. Never reused.
    pub(crate) serial: AtomicU64,
    /// The serial of this lock's class; 0 until first acquired, and what follows
    /// from the declarations is worked out then.
    pub(crate) class: AtomicU64,
    /// The wait types of all modes, the key's declarations before the lock's own.
    pub(crate) wait_types: AtomicU32,
    /// How many holds of this lock were detached and not yet released. A hint
    /// that is never too low: after a fork, the holds of the threads that are
    /// gone are still counted.
    pub(crate) detached: AtomicU32,
}

impl LockMap {
    const fn new(origin: Origin) -> LockMap {
        LockMap {
            origin,
            wait: WaitTable::UNDECLARED,
            stays: 0,
            order: 0,
            serial: AtomicU64::new(0),
            class: AtomicU64::new(0),
            wait_types: AtomicU32::new(0),
            detached: AtomicU32::new(0),
        }
    }

    /// A map whose lock is a class of its own.
    ///
    /// It costs no memory after drop, but an order seen on one lock says
    /// nothing about the next one: use a key for locks that come and go.
    #[must_use]
    pub const fn instance() -> LockMap {
        Self::new(Origin::Instance)
    }

    /// A map of the class that `key` names.
    #[must_use]
    pub const fn with_class(key: &'static LockClassKey) -> LockMap {
        Self::new(Origin::Key(key))
    }

    /// A map whose class is the place (file, line, column) of this call.
    ///
    /// A helper that calls this for its own caller needs `#[track_caller]`.
    #[must_use]
    #[track_caller]
    pub const fn at_site() -> LockMap {
        Self::new(Origin::Site(Location::caller()))
    }

    /// Gives this lock a number for its class's
    /// [`order_by`](LockClassKey::order_by) function.
    #[must_use]
    pub const fn with_order(mut self, order: u64) -> LockMap {
        self.order = order;
        self
    }

    /// Declares the wait types of every mode of this lock.
    ///
    /// A lock implementation declares its own here; what a class key declares
    /// wins. Without either a mode is `Sleep`, `Sleep`: an ordinary lock.
    #[must_use]
    pub const fn wait(mut self, outer: WaitType, inner: WaitType) -> LockMap {
        self.wait = self.wait.with_all(outer, inner);
        self.class = AtomicU64::new(0);
        self
    }

    /// Like [`wait`](Self::wait), for one mode.
    #[must_use]
    pub const fn wait_for(mut self, mode: Mode, outer: WaitType, inner: WaitType) -> LockMap {
        self.wait = self.wait.with(mode, outer, inner);
        self.class = AtomicU64::new(0);
        self
    }

    /// Declares that guards of `mode` cannot be sent to another thread.
    ///
    /// Then a thread that ends while it holds the lock in this mode is a bug
    /// ([`ReportKind::HeldAtThreadExit`](crate::ReportKind::HeldAtThreadExit));
    /// a guard that may travel might live on elsewhere.
    #[must_use]
    pub const fn guard_stays(mut self, mode: Mode) -> LockMap {
        self.stays |= 1 << mode as u8;
        self
    }

    #[inline]
    fn call(&self, mode: Mode, attempt: Attempt, site: &'static Location<'static>) -> Call {
        Call::new(mode, attempt, self.stays(mode), site)
    }

    #[inline]
    fn stays(&self, mode: Mode) -> bool {
        self.stays & 1 << mode as u8 != 0
    }

    pub(crate) fn order_key(&self) -> OrderKey {
        OrderKey {
            address: self.address(),
            order: self.order,
        }
    }

    #[inline]
    pub(crate) fn address(&self) -> usize {
        core::ptr::from_ref(self).addr()
    }

    /// Records that this thread is about to acquire the lock, and validates it.
    ///
    /// Call it before waiting. The caller's location is the acquisition's.
    ///
    /// # Panics
    ///
    /// With [`Policy::Panic`](crate::Policy::Panic), when the acquisition is
    /// reported; then nothing is held.
    #[inline]
    #[track_caller]
    pub fn acquire(&self, mode: Mode, attempt: Attempt) -> HeldLock {
        acquire::acquire(self, self.call(mode, attempt, Location::caller()))
    }

    /// Records that the wait is over and the lock is held.
    #[inline]
    pub fn acquired(&self, held: &HeldLock) {
        if held.is_observed() {
            observe::acquired(self, held);
        }
    }

    /// Records that the lock was not free: the wait begins. For
    /// [`lock_stat`](crate::lock_stat) and the event `lock_contended`; a lock that
    /// cannot tell need not call it.
    #[inline]
    pub fn contended(&self, held: &HeldLock) {
        if held.is_observed() {
            observe::contended(self, held);
        }
    }

    /// Takes an acquisition back that failed (a try that lost, a timeout); a
    /// subclass of [`nested`](crate::nested) goes to the next one. Never panics.
    #[inline]
    #[track_caller]
    pub fn abandon(&self, held: HeldLock) {
        release::abandon(self, held, Location::caller());
    }

    /// Records the release; from any thread, in any order. Never panics.
    #[inline]
    #[track_caller]
    pub fn release(&self, held: HeldLock) {
        release::release(self, held, Location::caller());
    }

    /// Records that an exclusive or upgradable hold became a shared one.
    ///
    /// For an exclusive hold that becomes upgradable use
    /// [`set_mode`](Self::set_mode).
    #[inline]
    pub fn downgrade(&self, held: &mut HeldLock) {
        release::set_mode(self, held, Mode::Shared, self.stays(Mode::Shared));
    }

    /// Records that an upgradable hold is about to become exclusive, and
    /// validates it: the upgrade waits for shared holders, while this thread
    /// holds everything else it holds.
    ///
    /// Call it before waiting. If the upgrade fails, go back with
    /// [`set_mode`](Self::set_mode).
    ///
    /// # Panics
    ///
    /// With [`Policy::Panic`](crate::Policy::Panic), when the upgrade is
    /// reported; then the hold is still upgradable.
    #[inline]
    #[track_caller]
    pub fn upgrade(&self, held: &mut HeldLock, attempt: Attempt) {
        let call = self.call(Mode::Exclusive, attempt, Location::caller());
        acquire::upgrade(self, held, call);
    }

    /// Records that the hold is now in `mode`, without a wait.
    #[inline]
    pub fn set_mode(&self, held: &mut HeldLock, mode: Mode) {
        release::set_mode(self, held, mode, self.stays(mode));
    }

    /// Ends this thread's newest hold of the lock, for an unlock that has no
    /// token. Never panics.
    #[inline]
    #[track_caller]
    pub fn force_release(&self) {
        release::force_release(self, Location::caller());
    }
}

impl Drop for LockMap {
    fn drop(&mut self) {
        release::destroy(self);
    }
}
