//! Assertions and scopes.

use super::Mode;
use crate::biased::RawBiasedZsLock;
use crate::raw::RawLock;

/// A lock that the validator can follow when the feature is on: a raw lock of this crate, and lock_api's locks over it.
pub trait HasLockMap {
    /// Nothing.
    #[doc(hidden)]
    fn lock_map(&self) {}
}

impl<const GATED: bool, const BIASED: bool> HasLockMap for RawLock<GATED, BIASED> {}
impl HasLockMap for RawBiasedZsLock {}
impl<R: HasLockMap, T: ?Sized> HasLockMap for lock_api::RwLock<R, T> {}
impl<R: HasLockMap, T: ?Sized> HasLockMap for lock_api::Mutex<R, T> {}
impl<L: HasLockMap + ?Sized> HasLockMap for &L {}
impl<L: HasLockMap + ?Sized> HasLockMap for alloc::boxed::Box<L> {}
impl<L: HasLockMap + ?Sized> HasLockMap for alloc::sync::Arc<L> {}

/// Would assert what is held of the lock.
#[doc(hidden)]
#[macro_export]
macro_rules! __assert_held {
    ($lock:expr) => {{
        use $crate::lockdep::HasLockMap as _;
        ($lock).lock_map()
    }};
}
/// Would assert that this thread holds the lock.
pub use crate::__assert_held as assert_held;
/// Would assert that this thread holds the lock exclusively.
pub use crate::__assert_held as assert_held_exclusive;
/// Would assert that this thread does not hold the lock.
pub use crate::__assert_held as assert_not_held;

/// Would assert that this thread holds no lock at all.
#[doc(hidden)]
#[macro_export]
macro_rules! __assert_none_held {
    () => {{}};
}
pub use crate::__assert_none_held as assert_none_held;

/// Would validate an acquisition of `lock` that may happen here.
#[inline(always)]
pub fn might_lock<L: HasLockMap + ?Sized>(lock: &L, mode: Mode) {
    let _ = (lock, mode);
}

/// Would take this thread's hold of `lock` off its stack, for a guard that is sent away on purpose.
#[inline(always)]
pub fn detach<L: HasLockMap + ?Sized>(lock: &L) {
    let _ = lock;
}

/// Would report an atomic section that contains this call.
#[inline(always)]
pub fn might_sleep() {}

/// Runs `f`, in which nothing may sleep.
#[inline(always)]
pub fn atomic<R>(f: impl FnOnce() -> R) -> R {
    f()
}

/// Runs `f`, whose first acquisition is of the given subclass.
#[inline(always)]
pub fn nested<R>(subclass: u8, f: impl FnOnce() -> R) -> R {
    let _ = subclass;
    f()
}
