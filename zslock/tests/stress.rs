//! Every kind of acquisition at once, on 2 to 16 threads, with the data checked in every section.
//!
//! Scoped threads and the lock only, and no test harness: `ci/tsan.sh` runs this under ThreadSanitizer with a standard library
//! that is not instrumented, whose channels it would take for racy.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use zslock::lock_api::{
    RawRwLockUpgradeDowngrade, RawRwLockUpgradeFair, RawRwLockUpgradeTimed, RwLock,
    RwLockReadGuard, RwLockUpgradableReadGuard as Upgradable, RwLockWriteGuard,
};
use zslock::{RawBiasedZsLock, RawGatedZsLock, RawZsLock};

/// Any of the locks.
trait Raw:
    RawRwLockUpgradeDowngrade
    + RawRwLockUpgradeFair
    + RawRwLockUpgradeTimed<Duration = Duration, Instant = Instant>
    + Sync
{
}
impl Raw for RawZsLock {}
impl Raw for RawGatedZsLock {}
impl Raw for RawBiasedZsLock {}

/// Equal outside write sections. Plain memory, so that a race on it is one.
#[derive(Clone, Copy, Default)]
struct Data {
    left: u64,
    right: u64,
}

type Lock<R> = RwLock<R, Data>;
type WriteGuard<'a, R> = RwLockWriteGuard<'a, R, Data>;

fn check(data: &Data) {
    assert_eq!(data.left, data.right, "half of a write section was seen");
}

/// Writes once, and says so.
fn write<R: Raw>(guard: &mut WriteGuard<'_, R>) -> u64 {
    check(guard);
    guard.left += 1;
    guard.right += 1;
    1
}

fn write_and_drop<R: Raw>(guard: Option<WriteGuard<'_, R>>) -> u64 {
    guard.map_or(0, |mut guard| write(&mut guard))
}

/// One acquisition, of the kind that `n` says. Returns how many writes it did.
fn acquire<R: Raw>(lock: &Lock<R>, n: u64) -> u64 {
    let soon = Duration::from_micros(n % 40);
    match n % 16 {
        0 => check(&lock.read()),
        1 => drop(lock.try_read().inspect(|guard| check(guard))),
        2 => drop(lock.try_read_for(soon).inspect(|guard| check(guard))),
        3 => {
            let mut guard = lock.read();
            RwLockReadGuard::bump(&mut guard);
            check(&guard);
            RwLockReadGuard::unlock_fair(guard);
        }
        4 => return write_and_drop(Some(lock.write())),
        5 => return write_and_drop(lock.try_write()),
        6 => return write_and_drop(lock.try_write_for(soon)),
        7 => {
            let mut guard = lock.write();
            let written = write(&mut guard);
            RwLockWriteGuard::bump(&mut guard);
            check(&guard);
            RwLockWriteGuard::unlock_fair(guard);
            return written;
        }
        8 => {
            let mut guard = lock.write();
            let written = write(&mut guard);
            check(&RwLockWriteGuard::downgrade(guard));
            return written;
        }
        9 => {
            let mut guard = lock.write();
            let written = write(&mut guard);
            let guard = RwLockWriteGuard::downgrade_to_upgradable(guard);
            check(&guard);
            Upgradable::unlock_fair(guard);
            return written;
        }
        10 => return write_and_drop(Some(Upgradable::upgrade(lock.upgradable_read()))),
        11 => return write_and_drop(Upgradable::try_upgrade(lock.upgradable_read()).ok()),
        12 => {
            let guard = lock.upgradable_read();
            return write_and_drop(Upgradable::try_upgrade_for(guard, soon).ok());
        }
        13 => check(&Upgradable::downgrade(lock.upgradable_read())),
        14 => drop(lock.try_upgradable_read().inspect(|guard| check(guard))),
        _ => drop(
            lock.try_upgradable_read_for(soon)
                .inspect(|guard| check(guard)),
        ),
    }
    0
}

fn every_kind_of_acquisition<R: Raw>() {
    const ACQUISITIONS: u64 = if cfg!(debug_assertions) {
        16_000
    } else {
        160_000
    };
    for threads in [2, 4, 8, 16] {
        let lock = Lock::<R>::new(Data::default());
        let written: u64 = thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|thread| {
                    let lock = &lock;
                    scope.spawn(move || {
                        let mut random = 0x9E37_79B9_7F4A_7C15 ^ thread;
                        let mut written = 0;
                        for _ in 0..ACQUISITIONS / threads {
                            // xorshift64 (Marsaglia 2003)
                            random ^= random << 13;
                            random ^= random >> 7;
                            random ^= random << 17;
                            written += acquire(lock, random >> 8);
                        }
                        written
                    })
                })
                .collect();
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap())
                .sum()
        });
        let data = lock.into_inner();
        check(&data);
        assert_eq!(
            data.left, written,
            "a write was lost with {threads} threads"
        );
    }
}

/// Mostly reads, so that the lock is biased, and writers that revoke.
fn revocations() {
    const READS: u64 = if cfg!(debug_assertions) {
        20_000
    } else {
        200_000
    };
    let lock = Lock::<RawBiasedZsLock>::new(Data::default());
    let biased = AtomicU64::new(0);
    let reader = || {
        for n in 0..READS {
            check(&lock.read());
            if n % 500 == 0 {
                // SAFETY: only `Debug` of the raw lock is used, which looks.
                let state = format!("{:?}", unsafe { lock.raw() });
                biased.fetch_add(u64::from(state.contains(" biased: true")), Relaxed);
                write_and_drop(lock.try_write());
            }
            if n % 4_000 == 0 {
                write_and_drop(Some(lock.write()));
            }
        }
    };
    thread::scope(|scope| {
        // Joined one by one, which ThreadSanitizer sees.
        for worker in [(); 4].map(|()| scope.spawn(reader)) {
            worker.join().unwrap();
        }
    });
    check(&lock.into_inner());
    if cfg!(target_os = "linux") {
        assert_ne!(biased.into_inner(), 0, "the lock was never biased");
    }
}

fn main() {
    every_kind_of_acquisition::<RawZsLock>();
    every_kind_of_acquisition::<RawGatedZsLock>();
    every_kind_of_acquisition::<RawBiasedZsLock>();
    revocations();
    println!(
        "every kind of acquisition, plain, gated and biased, on 2 to 16 threads: no write lost, none seen in half"
    );
}
