//! Assertions about what this thread holds, and what annotated code says about
//! its locks.

use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::config;
use crate::emit::{self, Unwind};
use crate::held::Held;
use crate::map::LockMap;
use crate::mode::{Attempt, HoldKind, Mode};
use crate::report::{HeldInfo, Report, ReportKind};
use crate::{release, thread};

/// A lock that carries a [`LockMap`].
///
/// Raw locks implement it; then every `lock_api` lock over such a raw lock has
/// it too, and [`assert_held!`](crate::assert_held) and its kin take it.
pub trait HasLockMap {
    /// The map of this lock.
    fn lock_map(&self) -> &LockMap;
}

impl HasLockMap for LockMap {
    fn lock_map(&self) -> &LockMap {
        self
    }
}

impl<L: HasLockMap + ?Sized> HasLockMap for &L {
    fn lock_map(&self) -> &LockMap {
        (**self).lock_map()
    }
}

impl<L: HasLockMap + ?Sized> HasLockMap for Box<L> {
    fn lock_map(&self) -> &LockMap {
        (**self).lock_map()
    }
}

impl<L: HasLockMap + ?Sized> HasLockMap for Arc<L> {
    fn lock_map(&self) -> &LockMap {
        (**self).lock_map()
    }
}

impl<R, T> HasLockMap for lock_api::Mutex<R, T>
where
    R: lock_api::RawMutex + HasLockMap,
    T: ?Sized,
{
    fn lock_map(&self) -> &LockMap {
        // SAFETY: no operation on the raw lock is made; its map is only a
        // record, and no validity of guards depends on it.
        unsafe { self.raw() }.lock_map()
    }
}

impl<R, T> HasLockMap for lock_api::RwLock<R, T>
where
    R: lock_api::RawRwLock + HasLockMap,
    T: ?Sized,
{
    fn lock_map(&self) -> &LockMap {
        // SAFETY: as for the mutex.
        unsafe { self.raw() }.lock_map()
    }
}

/// What an assertion demands of this thread's holds.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    Held,
    HeldExclusive,
    NotHeld,
}

/// Checks an assertion about one lock; the macros call it.
#[doc(hidden)]
#[track_caller]
pub fn assert_lock<L: HasLockMap + ?Sized>(lock: &L, demand: Demand) {
    if !config::validates() {
        return;
    }
    let map = lock.lock_map();
    // Relaxed: a guard sent to this thread was detached before it was sent.
    if map.detached.load(Ordering::Relaxed) != 0 {
        return;
    }
    // Relaxed: a hold of this thread was given out after it was set.
    let serial = map.serial.load(Ordering::Relaxed);
    let site = Location::caller();
    let report = thread::with_tracked(|_, owner| {
        let own = |held: &Held| held.lock == serial && serial != 0;
        let holds = || owner.held.iter().filter(own);
        let (fine, claim) = match demand {
            Demand::Held => (holds().next().is_some(), "held"),
            Demand::HeldExclusive => (
                holds().any(|held| held.mode.hold_kind() == HoldKind::Exclusive),
                "held exclusively",
            ),
            Demand::NotHeld => (holds().next().is_none(), "not held"),
        };
        if fine {
            return None;
        }
        let detail = format!("{} should be {claim} by this thread", map.name());
        let mut report = Report::new(ReportKind::AssertionFailed, owner, site, detail);
        report.conflict = holds().next_back().as_ref().map(HeldInfo::from);
        Some(report)
    });
    fail(report.flatten());
}

/// Checks that this thread holds nothing; the macro calls it.
#[doc(hidden)]
#[track_caller]
pub fn assert_none() {
    if !config::validates() {
        return;
    }
    let site = Location::caller();
    let report = thread::with_tracked(|_, owner| {
        let newest = owner.held.iter().next_back()?;
        let detail = "this thread should hold no lock".to_owned();
        let mut report = Report::new(ReportKind::AssertionFailed, owner, site, detail);
        report.conflict = Some(HeldInfo::from(&newest));
        Some(report)
    });
    fail(report.flatten());
}

#[track_caller]
fn fail(report: Option<Report>) {
    if let Some(report) = report {
        emit::deliver(vec![report], Unwind::Allowed);
    }
}

/// Declares that the code from here on may acquire `lock` in `mode`, waiting.
///
/// The dependencies are recorded and validated as if it did: a rare path is
/// checked each time the common one runs.
///
/// # Panics
///
/// With [`Policy::Panic`](crate::Policy), when the acquisition is reported.
#[track_caller]
pub fn might_lock<L: HasLockMap + ?Sized>(lock: &L, mode: Mode) {
    let map = lock.lock_map();
    let held = map.acquire(mode, Attempt::Block);
    map.release(held);
}

/// Takes this thread's newest hold of `lock` off its stack, for a guard that is
/// sent to another thread or kept across an `.await` on purpose.
///
/// From then on the hold makes no dependencies, and assertions about the lock
/// pass until the guard is released, on any thread.
pub fn detach<L: HasLockMap + ?Sized>(lock: &L) {
    release::detach(lock.lock_map());
}

/// What this thread holds, oldest first. Detached holds are not among it.
#[must_use]
pub fn held() -> Vec<HeldInfo> {
    if !config::validates() {
        return Vec::new();
    }
    thread::with_tracked(|_, owner| {
        owner
            .held
            .iter()
            .map(|held| HeldInfo::from(&held))
            .collect()
    })
    .unwrap_or_default()
}

/// Asserts that this thread holds the lock, in any mode.
///
/// A failed assertion is a report of kind
/// [`AssertionFailed`](crate::ReportKind::AssertionFailed), under the policy
/// like any other.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "parking_lot")] {
/// use lockdep::{Mutex, assert_held, assert_not_held};
///
/// let lock = Mutex::new(1);
/// assert_not_held!(lock);
/// let guard = lock.lock();
/// assert_held!(lock);
/// # drop(guard);
/// # }
/// ```
#[macro_export]
macro_rules! assert_held {
    ($lock:expr) => {
        $crate::__assert_lock!($lock, Held)
    };
}

/// Asserts that this thread holds the lock exclusively.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "parking_lot")] {
/// use lockdep::{RwLock, assert_held_exclusive};
///
/// let lock = RwLock::new(1);
/// let guard = lock.write();
/// assert_held_exclusive!(lock);
/// # drop(guard);
/// # }
/// ```
#[macro_export]
macro_rules! assert_held_exclusive {
    ($lock:expr) => {
        $crate::__assert_lock!($lock, HeldExclusive)
    };
}

/// Asserts that this thread does not hold the lock.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "parking_lot")] {
/// use lockdep::{Mutex, assert_not_held};
///
/// assert_not_held!(Mutex::new(1));
/// # }
/// ```
#[macro_export]
macro_rules! assert_not_held {
    ($lock:expr) => {
        $crate::__assert_lock!($lock, NotHeld)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __assert_lock {
    ($lock:expr, $demand:ident) => {{
        use $crate::HasLockMap as _;
        // A method call, so that a reference or an `Arc` to the lock will do.
        $crate::__assert_lock(($lock).lock_map(), $crate::__Demand::$demand)
    }};
}

/// Asserts that this thread holds no lock at all.
///
/// # Examples
///
/// ```
/// lockdep::assert_none_held!();
/// ```
#[macro_export]
macro_rules! assert_none_held {
    () => {
        $crate::__assert_none()
    };
}
