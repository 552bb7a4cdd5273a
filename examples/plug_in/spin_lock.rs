//! A reader-writer lock as small as they come: what a user writes to plug in a lock of their own.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::yield_now;

use zsalloc::lock_api::{GuardSend, RawRwLock};

/// The number of readers, or `WRITER`.
pub(crate) struct SpinLock(AtomicU32);

const WRITER: u32 = u32::MAX;

// SAFETY: a reader gets in only where there is no writer, a writer only where there is nobody. Acquire
// (success) pairs with the Release of the unlocks.
unsafe impl RawRwLock for SpinLock {
    #[allow(clippy::declare_interior_mutable_const, reason = "lock_api's way")]
    const INIT: Self = Self(AtomicU32::new(0));
    // Guards may be sent to other threads, and so may maps.
    type SharedGuard = GuardSend;
    type ExclusiveGuard = GuardSend;

    fn lock_shared(&self) -> GuardSend {
        loop {
            match self.try_lock_shared() {
                Some(guard) => return guard,
                None => yield_now(),
            }
        }
    }

    fn try_lock_shared(&self) -> Option<GuardSend> {
        let enter = |state: u32| (state < WRITER - 1).then(|| state + 1);
        let state = &self.0;
        let entered = state.fetch_update(Ordering::Acquire, Ordering::Relaxed, enter);
        entered.ok().map(|_| GuardSend::new())
    }

    unsafe fn unlock_shared(&self, _: GuardSend) {
        self.0.fetch_sub(1, Ordering::Release);
    }

    fn lock_exclusive(&self) -> GuardSend {
        unreachable!("a pool only tries")
    }

    fn try_lock_exclusive(&self) -> Option<GuardSend> {
        let state = &self.0;
        let entered = state.compare_exchange(0, WRITER, Ordering::Acquire, Ordering::Relaxed);
        entered.ok().map(|_| GuardSend::new())
    }

    unsafe fn unlock_exclusive(&self, _: GuardSend) {
        self.0.store(0, Ordering::Release);
    }

    fn is_locked(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    fn is_locked_exclusive(&self) -> bool {
        self.0.load(Ordering::Relaxed) == WRITER
    }
}
