//! An acquisition that must not unwind, because a guard exists already.
//!
//! `MutexGuard::unlocked` and its kin of `lock_api` 0.4 unlock, run a closure,
//! and lock again while they borrow the guard. If the second `lock` unwinds, the
//! guard is dropped by its owner and unlocks a lock that it does not hold.
//! `lock_api` 0.5 aborts in this place; 0.4 leaves it to the raw lock. The raw
//! lock cannot see which call it is in, but these calls, and no others that take
//! a lock for a new guard, come from `lock_api`'s own source: the others carry
//! the user's location.

use core::cell::Cell;
use core::panic::Location;
use std::sync::OnceLock;

use lock_api_04::{GuardNoSend, Mutex, MutexGuard, RawMutex};

/// Dropped by unwinding out of an acquisition that began at the location.
pub(super) struct AbortOnUnwind(pub(super) &'static Location<'static>);

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        if self.0.file().starts_with(lock_api_folder()) {
            // The report was delivered, and the panic's message printed.
            std::process::abort();
        }
    }
}

/// The folder of `lock_api`'s source as its locations name it.
fn lock_api_folder() -> &'static str {
    static FOLDER: OnceLock<&'static str> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let mutex: Mutex<Probe, ()> = Mutex::new(());
        MutexGuard::unlocked(&mut mutex.lock(), || ());
        // SAFETY: the mutex is not locked, and no operation is made on it.
        let file = unsafe { mutex.raw() }
            .last_lock
            .get()
            .map_or("", Location::file);
        file.strip_suffix("mutex.rs").unwrap_or(file)
    })
}

/// A mutex that remembers where it was locked last.
struct Probe {
    locked: Cell<bool>,
    last_lock: Cell<Option<&'static Location<'static>>>,
}

// SAFETY: the mutex is of one thread, because a `Cell` is not `Sync`, and a
// second `lock` panics instead of returning.
unsafe impl RawMutex for Probe {
    const INIT: Probe = Probe {
        locked: Cell::new(false),
        last_lock: Cell::new(None),
    };

    type GuardMarker = GuardNoSend;

    #[track_caller]
    fn lock(&self) {
        assert!(self.try_lock(), "the probe is locked twice");
        self.last_lock.set(Some(Location::caller()));
    }

    fn try_lock(&self) -> bool {
        !self.locked.replace(true)
    }

    unsafe fn unlock(&self) {
        self.locked.set(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_lock_apis_and_not_this_ones() {
        let folder = lock_api_folder();
        assert!(folder.contains("lock_api"), "{folder}");
        assert!(!file!().starts_with(folder));
    }
}
