//! A reader-writer lock made of shuttle's mutex and condition variable. (zslock is not built on shuttle.)

use shuttle::sync::{Condvar, Mutex};
use zsalloc::lock_api::{GuardSend, RawRwLock};

const WRITER: usize = usize::MAX;

/// `WRITER`, or the number of readers.
pub(crate) struct Blocking {
    state: Mutex<usize>,
    free: Condvar,
}

impl Blocking {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(0),
            free: Condvar::new(),
        }
    }
}

// SAFETY: a writer is admitted only when the state is 0, and readers only when there is no writer; both under the mutex.
unsafe impl RawRwLock for Blocking {
    const INIT: Self = panic!("made by `new`");
    type SharedGuard = GuardSend;
    type ExclusiveGuard = GuardSend;

    fn lock_shared(&self) -> GuardSend {
        let mut state = self.state.lock().unwrap();
        while *state == WRITER {
            state = self.free.wait(state).unwrap();
        }
        *state += 1;
        GuardSend::new()
    }

    fn try_lock_shared(&self) -> Option<GuardSend> {
        let mut state = self.state.lock().unwrap();
        if *state == WRITER {
            return None;
        }
        *state += 1;
        Some(GuardSend::new())
    }

    unsafe fn unlock_shared(&self, _: GuardSend) {
        *self.state.lock().unwrap() -= 1;
    }

    fn lock_exclusive(&self) -> GuardSend {
        unreachable!("the pool only tries")
    }

    fn try_lock_exclusive(&self) -> Option<GuardSend> {
        let mut state = self.state.lock().unwrap();
        if *state != 0 {
            return None;
        }
        *state = WRITER;
        Some(GuardSend::new())
    }

    unsafe fn unlock_exclusive(&self, _: GuardSend) {
        *self.state.lock().unwrap() = 0;
        self.free.notify_all();
    }

    fn is_locked(&self) -> bool {
        *self.state.lock().unwrap() != 0
    }

    fn is_locked_exclusive(&self) -> bool {
        *self.state.lock().unwrap() == WRITER
    }
}
