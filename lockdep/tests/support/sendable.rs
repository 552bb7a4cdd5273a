//! A mutex whose guards may be sent to another thread.

use lock_api::{GuardNoSend, GuardSend};
use lockdep::{Tracked, TrackedCondvar};

pub(crate) type Mutex<T> = lock_api::Mutex<Tracked<RawMutex>, T>;
pub(crate) type Condvar = lock_api::Condvar<TrackedCondvar<RawCondvar>>;

pub(crate) struct RawMutex(parking_lot::RawMutex);

// SAFETY: all operations are those of parking_lot's mutex, which any thread may
// unlock.
unsafe impl lock_api::RawMutex for RawMutex {
    const INIT: Self = RawMutex(parking_lot::RawMutex::INIT);

    type Guard = GuardSend;

    fn lock(&self) -> GuardSend {
        let _ = self.0.lock();
        GuardSend::new()
    }

    fn try_lock(&self) -> Option<GuardSend> {
        self.0.try_lock().map(|_| GuardSend::new())
    }

    unsafe fn unlock(&self, _: GuardSend) {
        // SAFETY: the caller holds the mutex; the state is only a marker.
        unsafe { self.0.unlock(GuardNoSend::new()) }
    }

    fn is_locked(&self) -> bool {
        self.0.is_locked()
    }
}

/// Every wait ends at once, spuriously.
pub(crate) struct RawCondvar;

// SAFETY: a wait unlocks the mutex and locks it again; all wake-ups are spurious.
unsafe impl lock_api::RawCondvar for RawCondvar {
    const INIT: Self = RawCondvar;

    type RawMutex = RawMutex;

    unsafe fn wait(&self, mutex: &RawMutex, guard: &mut GuardSend) {
        // SAFETY: the caller holds the mutex.
        unsafe { lock_api::RawMutex::unlock(mutex, GuardSend::new()) };
        *guard = lock_api::RawMutex::lock(mutex);
    }

    fn notify_one(&self) -> bool {
        false
    }

    fn notify_all(&self) -> usize {
        0
    }
}
