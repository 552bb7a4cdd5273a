//! The biased lock beside threads that end. A process of its own: guards that outlive their threads keep slots from the next.

#![cfg(all(feature = "std", target_os = "linux", not(zslock_loom)))]

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;

use zslock::lock_api::RwLockUpgradableReadGuard;
use zslock::{BiasedZsLock, BiasedZsLockReadGuard, RawBiasedZsLock};

type Lock = BiasedZsLock<u32>;

/// Threads that come, read, leave guards to others and end, while others revoke in every way.
#[test]
fn revocations_beside_threads_that_end() {
    static WAS_BIASED: AtomicBool = AtomicBool::new(false);
    const THREADS: usize = if cfg!(debug_assertions) { 60 } else { 300 };
    let locks: [Lock; 3] = std::array::from_fn(|_| Lock::new(0));
    let is_over = AtomicBool::new(false);
    let (send, guards) = mpsc::channel();
    let written = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut written = [0; 3];
            // SAFETY: nothing is unlocked through these.
            let raw = locks.each_ref().map(|lock| unsafe { lock.raw() });
            for round in 0_usize.. {
                if is_over.load(Relaxed) {
                    break;
                }
                let at = round % 3;
                match round % 7 {
                    0 => RawBiasedZsLock::revoke_all(&raw),
                    1 => {
                        *locks[at].write() += 1;
                        written[at] += 1;
                    }
                    2 => {
                        let upgradable = locks[at].upgradable_read();
                        *RwLockUpgradableReadGuard::upgrade(upgradable) += 1;
                        written[at] += 1;
                    }
                    _ => {
                        if let Some(mut guard) = locks[at].try_write() {
                            *guard += 1;
                            written[at] += 1;
                        }
                        thread::yield_now();
                    }
                }
            }
            written
        });
        scope.spawn(|| {
            guards
                .into_iter()
                .for_each(drop::<BiasedZsLockReadGuard<'_, u32>>)
        });
        for pair in 0..THREADS / 2 {
            let [one, other] = [pair, pair + 1].map(|n| {
                let (lock, send) = (&locks[n % 3], send.clone());
                scope.spawn(move || {
                    for _ in 0..100 {
                        let guard = lock.read();
                        assert_eq!(*guard, *lock.read(), "the data moved under a map");
                        // SAFETY: only `Debug` of the raw lock is used, which looks.
                        if format!("{:?}", unsafe { lock.raw() }).contains(" biased: true") {
                            WAS_BIASED.store(true, Relaxed);
                        }
                    }
                    send.send(lock.read()).expect("somebody drops it");
                })
            });
            one.join().unwrap();
            other.join().unwrap();
        }
        drop(send);
        is_over.store(true, Relaxed);
        writer.join().unwrap()
    });
    assert!(
        WAS_BIASED.load(Relaxed),
        "no lock was ever biased: nothing was revoked"
    );
    assert_eq!(locks.map(Lock::into_inner), written);
}
