//! The mutex of classes and leaves, as the checkers have it.

use std::mem::transmute;

#[cfg(zslock_loom)]
use loom::sync::{Mutex, MutexGuard};
#[cfg(zsalloc_shuttle)]
use shuttle::sync::{Mutex, MutexGuard};

/// A checker's mutex as a raw one: lock_api's guard carries the checker's.
pub(crate) struct RawMutex(Mutex<()>);

impl RawMutex {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(()))
    }
}

/// # Safety
///
/// The guard is dropped before its mutex.
unsafe fn detached(guard: MutexGuard<'_, ()>) -> MutexGuard<'static, ()> {
    // SAFETY: only the lifetime changes; the caller's promise.
    unsafe { transmute::<MutexGuard<'_, ()>, MutexGuard<'static, ()>>(guard) }
}

// SAFETY: the inner mutex excludes; its guard is kept from `lock` to `unlock`.
unsafe impl lock_api::RawMutex for RawMutex {
    const INIT: Self = panic!("a checker's mutex has no constant: `RawMutex::new`");
    type Guard = MutexGuard<'static, ()>;

    fn lock(&self) -> Self::Guard {
        // A failed model unwinds with locks held; its destructors take them again.
        let guard = self.0.lock().unwrap_or_else(|poison| poison.into_inner());
        // SAFETY: lock_api's guard, which contains it, borrows the mutex.
        unsafe { detached(guard) }
    }

    fn try_lock(&self) -> Option<Self::Guard> {
        let guard = self.0.try_lock().ok()?;
        // SAFETY: as in `lock`.
        Some(unsafe { detached(guard) })
    }

    unsafe fn unlock(&self, guard: Self::Guard) {
        drop(guard);
    }

    fn is_locked(&self) -> bool {
        self.0.try_lock().is_err()
    }
}
