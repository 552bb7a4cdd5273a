//! Rule 3: a try that fails stores nothing. The word lies in a page that is mapped read-only, where a store faults.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};
use zslock::lock_api::{RwLock, RwLockUpgradableReadGuard};

use crate::common::{for_every_lock, fresh};

const PAGE: usize = 4096;

/// A `T` alone in a page of its own, never unmapped.
fn in_its_own_page<T>(value: T) -> &'static T {
    assert!(size_of::<T>() <= PAGE && align_of::<T>() <= PAGE);
    // SAFETY: a fresh anonymous mapping at an address of the kernel's choice.
    let page = unsafe {
        mmap_anonymous(
            std::ptr::null_mut(),
            PAGE,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
        )
    };
    let place = NonNull::new(page.expect("one page"))
        .expect("not null")
        .cast::<T>();
    // SAFETY: the page is writable, aligned, large enough, and lives for ever.
    unsafe {
        place.write(value);
        place.as_ref()
    }
}

fn protect<T>(value: &'static T) {
    // SAFETY: the page holds only `value`, which is not written from here on.
    unsafe {
        mprotect(
            std::ptr::from_ref(value).cast_mut().cast(),
            PAGE,
            MprotectFlags::READ,
        )
    }
    .expect("mprotect");
}

for_every_lock! {
    #[cfg_attr(feature = "debug-lockdep", ignore = "the validator's map in the lock is written")]
    fn failing_tries_on_a_read_lock_store_nothing<R>() {
        let lock = in_its_own_page(fresh::<R, u32>(0));
        let upgradable = lock.upgradable_read();
        std::mem::forget(lock.read());
        protect(lock);
        assert!(lock.try_write().is_none());
        assert!(lock.try_upgradable_read().is_none());
        let upgradable = RwLockUpgradableReadGuard::try_upgrade(upgradable);
        std::mem::forget(upgradable.expect_err("a reader is inside"));
    }

    #[cfg_attr(feature = "debug-lockdep", ignore = "the validator's map in the lock is written")]
    fn failing_tries_on_a_write_lock_store_nothing<R>() {
        let lock = in_its_own_page(fresh::<R, u32>(0));
        std::mem::forget(lock.write());
        protect(lock);
        assert!(lock.try_read().is_none());
        assert!(lock.try_write().is_none());
        assert!(lock.try_upgradable_read().is_none());
    }
}

/// The control: on the same kind of page a compare-exchange faults even when it fails, and so does a try that succeeds.
#[test]
fn a_compare_exchange_there_faults() {
    const ACT: &str = "ZSLOCK_TEST_FAULT";
    match std::env::var(ACT).as_deref() {
        Ok("compare-exchange") => {
            let word = in_its_own_page(AtomicU32::new(1));
            protect(word);
            let _ = word.compare_exchange(0, 1, Relaxed, Relaxed);
        }
        Ok("try-read") => {
            let lock = in_its_own_page(RwLock::<zslock::RawZsLock, u32>::new(0));
            protect(lock);
            std::mem::forget(lock.try_read());
        }
        _ => {
            for act in ["compare-exchange", "try-read"] {
                let killed_by = this_test_again(ACT, act).signal();
                assert_eq!(killed_by, Some(SIGSEGV), "{act} did not fault");
            }
        }
    }
}

const SIGSEGV: i32 = 11;

/// Runs the control in a child process, which it is to kill.
fn this_test_again(variable: &str, act: &str) -> ExitStatus {
    Command::new(std::env::current_exe().expect("this test's binary"))
        .args(["--exact", "stores_nothing::a_compare_exchange_there_faults"])
        .env(variable, act)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("the test binary runs")
}
