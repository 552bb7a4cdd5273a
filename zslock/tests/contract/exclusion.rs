//! Who keeps whom out, and that data is handed on whole.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use zslock::lock_api::RwLockWriteGuard;

use crate::common::{for_every_lock, fresh};

const ROUNDS: u64 = if cfg!(debug_assertions) {
    3_000
} else {
    30_000
};

for_every_lock! {
    fn readers_share_and_writers_do_not<R>() {
        let lock = fresh::<R, u32>(0);
        let (a, b) = (lock.read(), lock.try_read().expect("readers share"));
        assert!(lock.try_write().is_none());
        assert!(lock.is_locked() && !lock.is_locked_exclusive());
        drop((a, b));
        let w = lock.try_write().expect("free");
        assert!(lock.is_locked_exclusive());
        assert!(lock.try_read().is_none() && lock.try_write().is_none());
        assert!(lock.try_upgradable_read().is_none());
        drop(w);
        assert!(!lock.is_locked());
    }

    fn a_downgraded_writer_reads_beside_readers<R>() {
        let lock = fresh::<R, u32>(0);
        let mut w = lock.write();
        *w = 7;
        let r = RwLockWriteGuard::downgrade(w);
        assert_eq!((*r, *lock.try_read().expect("readers share")), (7, 7));
        assert!(lock.try_write().is_none());
        drop(r);
        assert!(lock.try_write().is_some());
    }

    /// Two words that are equal outside write sections, and a sum that no lost update may shorten.
    fn writers_and_readers_under_stress<R>() {
        let lock = fresh::<R, (u64, u64)>((0, 0));
        let written = AtomicU64::new(0);
        thread::scope(|scope| {
            for n in 0..4_u64 {
                let (lock, written) = (&lock, &written);
                scope.spawn(move || {
                    for i in 0..ROUNDS {
                        match (i + n) % 8 {
                            0 => increment(lock.write(), written),
                            1 => {
                                if let Some(guard) = lock.try_write() {
                                    increment(guard, written);
                                }
                            }
                            2 => {
                                let guard = lock.write();
                                let guard = RwLockWriteGuard::downgrade(guard);
                                assert_eq!(guard.0, guard.1);
                            }
                            _ => {
                                let guard = lock.read();
                                assert_eq!(guard.0, guard.1, "half of a write section was seen");
                            }
                        }
                    }
                });
            }
        });
        assert_eq!(lock.into_inner().0, written.into_inner());
    }

    fn fair_unlocks_and_bumps_under_stress<R>() {
        use zslock::lock_api::{RwLockReadGuard, RwLockUpgradableReadGuard};
        let lock = fresh::<R, u64>(0);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..ROUNDS / 10 {
                        let mut w = lock.write();
                        *w += 1;
                        RwLockWriteGuard::bump(&mut w);
                        *w += 1;
                        RwLockWriteGuard::unlock_fair(w);
                        let mut r = lock.read();
                        RwLockReadGuard::bump(&mut r);
                        RwLockReadGuard::unlock_fair(r);
                        let mut u = lock.upgradable_read();
                        RwLockUpgradableReadGuard::bump(&mut u);
                        RwLockUpgradableReadGuard::unlock_fair(u);
                    }
                });
            }
        });
        assert_eq!(lock.into_inner(), 4 * (ROUNDS / 10));
    }
}

fn increment<R: crate::common::Raw>(
    mut guard: RwLockWriteGuard<'_, R, (u64, u64)>,
    written: &AtomicU64,
) {
    guard.0 += 1;
    guard.1 += 1;
    written.fetch_add(1, Relaxed);
}
