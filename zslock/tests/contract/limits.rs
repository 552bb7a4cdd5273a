//! Rule 7: too many readers.

use std::panic::{AssertUnwindSafe, catch_unwind};

use zslock::lock_api::{RwLock, RwLockUpgradableReadGuard};

use crate::common::for_both_policies;

const MAX_READERS: usize = (1 << 25) - 1;

/// The message of the panic of `body`, which must panic.
fn panic_message(body: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(body)).expect_err("no panic");
    *payload.downcast::<String>().expect("a formatted message")
}

for_both_policies! {
    /// Fills the count by forgetting guards. Each further reader panics, and the word is as it was.
    #[cfg_attr(feature = "debug-lockdep", ignore = "33 million holds of one thread: minutes under the validator")]
    fn one_reader_too_many_panics_and_changes_nothing<R>() {
        let lock = RwLock::<R, u32>::new(0);
        for _ in 0..MAX_READERS {
            std::mem::forget(lock.read());
        }
        // SAFETY: only `Debug` of the raw lock is used, which looks.
        let state = || format!("{:?}", unsafe { lock.raw() });
        let full = state();
        assert!(full.contains(&format!("readers: {MAX_READERS}")), "{full}");

        assert!(panic_message(|| drop(lock.read())).contains("too many readers"));
        assert!(panic_message(|| drop(lock.try_read())).contains("too many readers"));
        assert_eq!(state(), full);

        let upgradable = lock.try_upgradable_read().expect("it is not counted");
        assert!(lock.try_upgradable_read().is_none());
        let upgradable = RwLockUpgradableReadGuard::try_upgrade(upgradable).expect_err("readers are inside");
        let message = panic_message(|| drop(RwLockUpgradableReadGuard::downgrade(upgradable)));
        assert!(message.contains("too many readers"));
        assert_eq!(state(), full, "the panicking downgrade released its upgradable lock");
        assert!(lock.try_write().is_none());
    }
}
