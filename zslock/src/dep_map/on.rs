//! The feature is on: the crate `lockdep` validates.

use lockdep::{Attempt, HasLockMap, HeldLock, LockClassKey, LockMap, Mode, WaitType};

use crate::biased::RawBiasedZsLock;
use crate::raw::RawLock;

/// The lock's side of the validator.
#[derive(Debug)]
pub(crate) struct DepMap(LockMap);

/// Proof of one acquisition, kept in the guard.
#[derive(Debug)]
pub(crate) struct Held(HeldLock);

/// An acquisition that is not decided yet. Dropped undecided (the try failed, the lock panicked) it is taken back.
pub(crate) struct Pending<'a> {
    map: &'a LockMap,
    held: Option<HeldLock>,
}

impl DepMap {
    /// Whether a release has to be told to the validator.
    pub(crate) const VALIDATES: bool = true;

    pub(crate) const fn instance(gated: bool) -> Self {
        Self(declare(LockMap::instance(), gated))
    }

    pub(crate) const fn with_class(class: &'static LockClassKey, gated: bool) -> Self {
        Self(declare(LockMap::with_class(class), gated))
    }

    #[track_caller]
    pub(crate) const fn at_site(gated: bool) -> Self {
        Self(declare(LockMap::at_site(), gated))
    }

    /// To be called before waiting.
    #[track_caller]
    pub(crate) fn acquire(&self, mode: Mode, attempt: Attempt) -> Pending<'_> {
        Pending {
            map: &self.0,
            held: Some(self.0.acquire(mode, attempt)),
        }
    }

    /// To be called before the lock is given up: afterwards the lock, and this map with it, may be gone.
    #[track_caller]
    pub(crate) fn release(&self, held: Held) {
        self.0.release(held.0);
    }

    pub(crate) fn set_mode(&self, held: &mut Held, mode: Mode) {
        self.0.set_mode(&mut held.0, mode);
    }

    /// To be called before waiting. May panic, with the hold still upgradable.
    #[track_caller]
    pub(crate) fn upgrade(&self, held: &mut Held, attempt: Attempt) {
        self.0.upgrade(&mut held.0, attempt);
    }

    /// The upgrade has to wait.
    pub(crate) fn contended(&self, held: &Held) {
        self.0.contended(&held.0);
    }

    /// The upgrade has succeeded.
    pub(crate) fn acquired(&self, held: &Held) {
        self.0.acquired(&held.0);
    }
}

impl Pending<'_> {
    /// To be called before waiting, by who sees that there is a wait.
    pub(crate) fn contended_if(&self, is_contended: impl FnOnce() -> bool) {
        if let Some(held) = &self.held
            && is_contended()
        {
            self.map.contended(held);
        }
    }

    /// The lock is held.
    pub(crate) fn acquired(mut self) -> Held {
        let held = self.held.take().expect("decided once");
        self.map.acquired(&held);
        Held(held)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            self.map.abandon(held);
        }
    }
}

impl<const GATED: bool, const BIASED: bool> HasLockMap for RawLock<GATED, BIASED> {
    fn lock_map(&self) -> &LockMap {
        &self.dep.0
    }
}

impl HasLockMap for RawBiasedZsLock {
    fn lock_map(&self) -> &LockMap {
        self.lock.lock_map()
    }
}

/// How long each mode may wait, and what may be waited for inside it.
///
/// A plain write section ends soon, so whoever waits only for such sections waits a bounded time: the readers. Inside
/// one nothing longer is allowed. A writer waits for readers, who may sleep. Everything about the gated lock may sleep.
const fn declare(map: LockMap, gated: bool) -> LockMap {
    let map = map.guard_stays(Mode::Exclusive);
    if gated {
        map.wait(WaitType::Sleep, WaitType::Sleep)
    } else {
        map.wait_for(Mode::SharedRecursive, WaitType::Bounded, WaitType::Sleep)
            .wait_for(Mode::UpgradableRecursive, WaitType::Sleep, WaitType::Sleep)
            .wait_for(Mode::Exclusive, WaitType::Sleep, WaitType::Bounded)
    }
}

pub(crate) mod api {
    pub use lockdep::{
        Acquisition, Attempt, Dependency, Graph, HasLockMap, HeldInfo, LockClassKey, Mode, OrderFn,
        OrderKey, Policy, Report, ReportKind, SourceLocation, Stats, WaitType, assert_held,
        assert_held_exclusive, assert_none_held, assert_not_held, atomic, collect, detach, graph,
        held, lock_class_key, might_lock, might_sleep, nested, on_report, set_policy, stats,
    };
}
