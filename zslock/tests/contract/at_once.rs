//! Rule 8: the read unlock after which the lock is not touched, or which hands the guard back.

use std::thread;

use crate::common::{for_both_policies, for_every_lock, fresh};

/// The validator has to be told first, so with it every guard comes back.
const VALIDATED: bool = cfg!(feature = "debug-lockdep");

for_every_lock! {
    fn one_reader_after_the_other_leaves_at_once<R>() {
        let lock = fresh::<R, ()>(());
        // SAFETY: the guards below are of the raw lock itself.
        let lock = unsafe { lock.raw() };
        let second = || lock.try_lock_shared().expect("a reader does not keep readers out");
        let guards = [lock.lock_shared(), second()];
        for guard in guards {
            assert!(lock.is_locked());
            // SAFETY: the guard of a read lock taken above.
            let unlocked = unsafe { lock.try_unlock_shared_at_once(guard) };
            assert_eq!(unlocked.is_err(), VALIDATED, "nobody waits");
            if let Err(guard) = unlocked {
                // SAFETY: as above; it is still held.
                unsafe { lock.unlock_shared(guard) };
            }
        }
        assert!(!lock.is_locked());
    }
}

/// A reader in a slot leaves at once whoever waits; `biased::slots` shows that.
mod counted {
    use super::*;

    for_both_policies! {
        fn the_guard_comes_back_if_a_writer_waits<R>() {
            let lock = R::INIT;
            let guard = lock.lock_shared();
            thread::scope(|scope| {
                scope.spawn(|| {
                    let guard = lock.lock_exclusive();
                    // SAFETY: the guard of the lock just taken.
                    unsafe { lock.unlock_exclusive(guard) };
                });
                while !format!("{lock:?}").contains("parked: true") {
                    thread::yield_now();
                }
                // SAFETY: the guard of the read lock taken above.
                let guard = unsafe { lock.try_unlock_shared_at_once(guard) };
                let guard = guard.expect_err("somebody waits");
                assert!(lock.is_locked() && lock.try_lock_exclusive().is_none(), "still held");
                // SAFETY: as above. The writer is woken, or the scope does not end.
                unsafe { lock.unlock_shared(guard) };
            });
            assert!(!lock.is_locked());
        }
    }
}
