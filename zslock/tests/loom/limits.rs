//! Too many readers. The models start with the count nearly full, as if guards had been forgotten.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use loom::thread;
use zslock::lock_api::RwLockUpgradableReadGuard;

use crate::model::{Lock, Raw, check, for_both_policies, lock};

const MAX_READERS: u32 = (1 << 25) - 1;

/// Whether `body` ends with the panic that says there are too many readers. (Its thousands of messages are not printed.)
fn is_refused(body: impl FnOnce()) -> bool {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !info.to_string().contains("too many readers") {
                default(info);
            }
        }));
    });
    catch_unwind(AssertUnwindSafe(body)).is_err()
}

fn raw<R: Raw>(lock: &Lock<R>) -> &R {
    // SAFETY: the models only count forgotten readers in and out with it.
    unsafe { lock.raw() }
}

for_both_policies! {
    /// Rules out: two readers that both get the last place, and an overflow that shows in the word afterwards.
    fn the_last_place_is_given_once<R>() {
        check(3, || {
            let lock = lock::<R>();
            raw(&lock).forget_readers(MAX_READERS - 1);
            let other = lock.clone();
            let second = thread::spawn(move || is_refused(|| std::mem::forget(other.read())));
            let refused = [is_refused(|| std::mem::forget(lock.read())), second.join().unwrap()];
            let admitted = refused.iter().filter(|refused| !**refused).count();
            assert!(admitted <= 1, "both got the last place");
            raw(&lock).remember_readers(MAX_READERS - 1);
            raw(&lock).remember_readers(u32::try_from(admitted).unwrap());
            assert!(lock.try_write().is_some(), "the word is not as it was");
        });
    }

    /// Rules out: a downgrade that finds the count full and gives up its access without releasing it. (If the other thread
    /// comes first, the count is not full any more and the downgrade succeeds.)
    fn a_refused_downgrade_releases<R>() {
        check(3, || {
            let lock = lock::<R>();
            raw(&lock).forget_readers(MAX_READERS);
            let other = lock.clone();
            let first = thread::spawn(move || {
                let upgradable = other.upgradable_read();
                assert!(upgradable.get() <= 1);
                is_refused(|| drop(RwLockUpgradableReadGuard::downgrade(upgradable)));
            });
            let upgradable = lock.upgradable_read();
            raw(&lock).remember_readers(MAX_READERS);
            if let Ok(guard) = RwLockUpgradableReadGuard::try_upgrade(upgradable) {
                guard.add(1);
            }
            first.join().unwrap();
            assert!(lock.try_write().is_some(), "the word is not as it was");
        });
    }

    /// Rules out: a refused reader that is the last one counted and leaves the parked writer asleep.
    fn a_refused_reader_wakes_the_writer<R>() {
        check(3, || {
            let lock = lock::<R>();
            raw(&lock).forget_readers(MAX_READERS - 1);
            let last = lock.read();
            let refused = {
                let lock = lock.clone();
                thread::spawn(move || is_refused(|| drop(lock.read())))
            };
            let writer = {
                let lock = lock.clone();
                thread::spawn(move || lock.write().add(1))
            };
            raw(&lock).remember_readers(MAX_READERS - 1);
            drop(last);
            refused.join().unwrap();
            writer.join().unwrap();
            assert_eq!(lock.read().get(), 1);
        });
    }

    /// The same for a refused downgrade.
    fn a_refused_downgrade_wakes_the_writer<R>() {
        check(3, || {
            let lock = lock::<R>();
            raw(&lock).forget_readers(MAX_READERS - 1);
            let last = lock.read();
            let refused = {
                let lock = lock.clone();
                thread::spawn(move || {
                    let upgradable = lock.upgradable_read();
                    is_refused(|| drop(RwLockUpgradableReadGuard::downgrade(upgradable)))
                })
            };
            let writer = {
                let lock = lock.clone();
                thread::spawn(move || lock.write().add(1))
            };
            raw(&lock).remember_readers(MAX_READERS - 1);
            drop(last);
            refused.join().unwrap();
            writer.join().unwrap();
            assert_eq!(lock.read().get(), 1);
        });
    }
}
