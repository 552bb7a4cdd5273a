//! `lock_stat`: what is counted, exactly. The variable `LOCKDEP` belongs to the
//! process, so each case runs in a process of its own: this test binary, started
//! again.

#[path = "support/cases.rs"]
mod cases;

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use cases::Case;
use lock_api::{RawMutex as _, RawRwLock as _, RwLockWriteGuard};
use lockdep::{
    Attempt, Condvar, LockClassKey, LockMap, LockStatRow, Mode, Mutex, RwLock,
    RwLockUpgradableReadGuard, Times, Tracked, lock_stat,
};

const MOMENT: Duration = Duration::from_millis(5);

static MUTEX: LockClassKey = LockClassKey::new("mutex");
static RWLOCK: LockClassKey = LockClassKey::new("rwlock");

fn mutex() -> Mutex<u32> {
    Mutex::from_raw(Tracked::with_class(parking_lot::RawMutex::INIT, &MUTEX), 0)
}

fn rwlock() -> RwLock<u32> {
    RwLock::from_raw(
        Tracked::with_class(parking_lot::RawRwLock::INIT, &RWLOCK),
        0,
    )
}

/// The row of a class and mode; what every row must satisfy holds for it.
fn find(class: &str, mode: Mode) -> Option<LockStatRow> {
    let row = lock_stat()
        .rows
        .into_iter()
        .find(|row| row.class == class && row.mode == mode)?;
    for times in [&row.wait, &row.hold] {
        assert_eq!(times.histogram.iter().sum::<u64>(), times.count);
        assert!(times.min_ns <= times.mean_ns() && times.mean_ns() <= times.max_ns);
        assert!(times.max_ns <= times.total_ns);
    }
    let at_sites: u64 = row.sites.iter().map(|site| site.contentions).sum();
    assert_eq!(at_sites + row.contentions_elsewhere, row.contentions);
    Some(row)
}

fn row(class: &str, mode: Mode) -> LockStatRow {
    find(class, mode).unwrap_or_else(|| panic!("no row {class} {mode}\n{}", lock_stat()))
}

/// Acquisitions, contentions, waits, holds.
fn counts(class: &str, mode: Mode) -> [u64; 4] {
    let row = row(class, mode);
    [
        row.acquisitions,
        row.contentions,
        row.wait.count,
        row.hold.count,
    ]
}

/// Comes back when `contentions` threads have waited or wait. Ends a process in
/// which nobody says so, where it would wait forever.
fn until_contended(class: &str, mode: Mode, contentions: u64) {
    let start = Instant::now();
    while find(class, mode).is_none_or(|row| row.contentions < contentions) {
        if start.elapsed() > Duration::from_secs(60) {
            eprintln!("nobody waits for {class} {mode}\n{}", lock_stat());
            std::process::exit(1);
        }
        thread::yield_now();
    }
}

fn longest_bucket(times: &Times) -> u32 {
    times.histogram.len() as u32 - 1
}

/// The cases, each in a process of its own.
const CASES: &[Case] = &[
    ("nothing waits", || {
        let lock = mutex();
        for _ in 0..10 {
            *lock.lock() += 1;
        }
        drop(lock.try_lock().unwrap());
        assert_eq!(counts("mutex", Mode::Exclusive), [11, 0, 0, 11]);
        let row = row("mutex", Mode::Exclusive);
        assert!(row.sites.is_empty());
        assert_eq!(lock_stat().rows.len(), 1);
    }),
    ("a try that fails", || {
        let lock = mutex();
        let held = lock.lock();
        assert!(lock.try_lock().is_none());
        drop(held);
        assert_eq!(counts("mutex", Mode::Exclusive), [1, 0, 0, 1]);
    }),
    ("three waits", || {
        let lock = mutex();
        for round in 1..=3 {
            let held = lock.lock();
            thread::scope(|scope| {
                let waiter = scope.spawn(|| *lock.lock() += 1);
                until_contended("mutex", Mode::Exclusive, round);
                assert_eq!(row("mutex", Mode::Exclusive).wait.count, round - 1);
                thread::sleep(MOMENT);
                drop(held);
                waiter.join().unwrap();
            });
        }
        assert_eq!(counts("mutex", Mode::Exclusive), [6, 3, 3, 6]);
        let row = row("mutex", Mode::Exclusive);
        let moment = MOMENT.as_nanos() as u64;
        assert!(row.wait.min_ns >= moment, "{row:?}");
        assert!(row.wait.total_ns >= 3 * moment && row.hold.max_ns >= moment);
        assert!(longest_bucket(&row.wait) >= moment.ilog2());
        assert_eq!(row.sites.len(), 1);
        assert_eq!(row.sites[0].contentions, 3);
        assert_eq!(row.sites[0].location.file, file!());
        let json: serde_json::Value = serde_json::from_str(&lock_stat().to_json()).unwrap();
        assert_eq!(json["rows"][0]["sites"][0]["contentions"], 3);
        assert_eq!(json["rows"][0]["wait"]["count"], 3);
        let table = lock_stat().to_string();
        let place = format!("3  at {}", row.sites[0].location);
        assert!(table.contains(&place), "{table}");
    }),
    ("modes", || {
        let lock = rwlock();
        drop(lock.read());
        drop(lock.try_read().unwrap());
        let writer = lock.write();
        let reader = RwLockWriteGuard::downgrade(writer);
        drop(reader);
        assert_eq!(counts("rwlock", Mode::Exclusive), [1, 0, 0, 1]);
        assert_eq!(counts("rwlock", Mode::Shared), [2, 0, 0, 3]);
    }),
    ("upgrades", || {
        let lock = rwlock();
        let upgradable = lock.upgradable_read();
        let writer = RwLockUpgradableReadGuard::upgrade(upgradable);
        drop(writer);
        let upgradable = lock.upgradable_read();
        let Ok(writer) = RwLockUpgradableReadGuard::try_upgrade(upgradable) else {
            panic!("nobody else has the lock");
        };
        let upgradable = RwLockWriteGuard::downgrade_to_upgradable(writer);
        drop(upgradable);
        // Upgradable: two acquired, and one that was left over of a writer.
        assert_eq!(counts("rwlock", Mode::Upgradable), [2, 0, 0, 3]);
        assert_eq!(counts("rwlock", Mode::Exclusive), [2, 0, 0, 2]);
    }),
    ("an upgrade that waits, and one that gives up", || {
        let lock = rwlock();
        let reader = lock.read();
        thread::scope(|scope| {
            let upgrader = scope.spawn(|| {
                let upgradable = lock.upgradable_read();
                let upgradable =
                    RwLockUpgradableReadGuard::try_upgrade_for(upgradable, MOMENT).unwrap_err();
                drop(RwLockUpgradableReadGuard::upgrade(upgradable));
            });
            until_contended("rwlock", Mode::Exclusive, 2);
            drop(reader);
            upgrader.join().unwrap();
        });
        assert_eq!(counts("rwlock", Mode::Upgradable), [1, 0, 0, 1]);
        assert_eq!(counts("rwlock", Mode::Exclusive), [1, 2, 2, 1]);
        let wait = row("rwlock", Mode::Exclusive).wait;
        assert!(wait.max_ns >= MOMENT.as_nanos() as u64);
    }),
    ("a wait that times out", || {
        let lock = mutex();
        let held = lock.lock();
        thread::scope(|scope| {
            scope.spawn(|| assert!(lock.try_lock_for(MOMENT).is_none()));
        });
        drop(held);
        assert_eq!(counts("mutex", Mode::Exclusive), [1, 1, 1, 1]);
        let wait = row("mutex", Mode::Exclusive).wait;
        assert!(wait.min_ns >= MOMENT.as_nanos() as u64);
    }),
    ("a release on another thread", || {
        let map = LockMap::with_class(&MUTEX);
        let held = map.acquire(Mode::Exclusive, Attempt::Block);
        map.acquired(&held);
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(MOMENT);
                map.release(held);
            });
        });
        assert_eq!(counts("mutex", Mode::Exclusive), [1, 0, 0, 1]);
        let hold = row("mutex", Mode::Exclusive).hold;
        assert!(hold.min_ns >= MOMENT.as_nanos() as u64);
    }),
    ("a detached hold", || {
        let lock = mutex();
        let held = lock.lock();
        lockdep::detach(&lock);
        thread::sleep(MOMENT);
        assert_eq!(counts("mutex", Mode::Exclusive), [1, 0, 0, 0]);
        drop(held);
        assert_eq!(counts("mutex", Mode::Exclusive), [1, 0, 0, 1]);
        let hold = row("mutex", Mode::Exclusive).hold;
        assert!(hold.min_ns >= MOMENT.as_nanos() as u64);
    }),
    ("a release without a token", || {
        let map = LockMap::with_class(&MUTEX);
        let held = map.acquire(Mode::Exclusive, Attempt::Block);
        map.acquired(&held);
        map.force_release();
        assert_eq!(counts("mutex", Mode::Exclusive), [1, 0, 0, 1]);
    }),
    #[cfg(feature = "lock-api-04")]
    ("a release without a token on another thread", || {
        let raw = <parking_lot_012::RawMutex as lockdep::lock_api_04::RawMutex>::INIT;
        let raw = Tracked::<_, lockdep::Queued>::with_class(raw, &MUTEX);
        let lock = lockdep::lock_api_04::Mutex::from_raw(raw, 0);
        std::mem::forget(lock.lock());
        thread::scope(|scope| {
            // SAFETY: the guard was forgotten, so the lock is held by nothing else.
            scope.spawn(|| unsafe { lock.force_unlock() });
        });
        assert_eq!(counts("mutex", Mode::Exclusive), [1, 0, 0, 1]);
    }),
    ("a lock that says itself that it waits", || {
        let map = LockMap::with_class(&MUTEX);
        let held = map.acquire(Mode::Shared, Attempt::Block);
        map.contended(&held);
        map.contended(&held);
        map.abandon(held);
        assert_eq!(counts("mutex", Mode::Shared), [0, 1, 1, 0]);
    }),
    ("a condition variable", || {
        let (lock, changed) = (mutex(), Condvar::new());
        let (begun, begins) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut guard = lock.lock();
                begun.send(()).unwrap();
                while *guard == 0 {
                    changed.wait(&mut guard);
                }
            });
            begins.recv().unwrap();
            *lock.lock() = 1;
            changed.notify_one();
        });
        // Locked, and taken again after the wait; and once by the other thread.
        let [acquisitions, _, _, holds] = counts("mutex", Mode::Exclusive);
        assert_eq!([acquisitions, holds], [3, 3]);
    }),
    ("many locks and threads", || {
        let lone = Mutex::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..250 {
                        *mutex().lock() += 1;
                        *Mutex::new(0).lock() += 1;
                        *lone.lock() += 1;
                    }
                });
            }
        });
        assert_eq!(counts("mutex", Mode::Exclusive), [1000, 0, 0, 1000]);
        let dropped = "dropped lone locks";
        assert_eq!(counts(dropped, Mode::Exclusive), [1000, 0, 0, 1000]);
        // The class, the lock that lives, and what the others left.
        assert_eq!(lock_stat().rows.len(), 3);
        let others = lock_stat()
            .rows
            .iter()
            .map(|row| row.acquisitions)
            .sum::<u64>();
        assert_eq!(others, 3000);
        drop(lone);
        assert_eq!(lock_stat().rows.len(), 2);
        assert_eq!(row(dropped, Mode::Exclusive).acquisitions, 2000);
    }),
    ("an acquisition that is reported and unwinds", || {
        let lock = mutex();
        let held = lock.lock();
        let again = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(lock.lock())));
        assert!(again.is_err());
        drop(held);
        assert_eq!(counts("mutex", Mode::Exclusive), [1, 0, 0, 1]);
    }),
];

/// What the child process does; does nothing in the parent.
#[test]
fn child() {
    cases::run_asked_for(CASES);
}

#[test]
fn the_counts_are_exact() {
    cases::run_all(CASES, "stat");
}

#[test]
fn the_counts_are_the_same_with_events() {
    cases::run_all(CASES, "trace,stat");
}

#[test]
fn nothing_is_counted_unless_asked_for() {
    if std::env::var_os("LOCKDEP").is_some_and(|words| words.to_string_lossy().contains("stat")) {
        return;
    }
    let lock = mutex();
    *lock.lock() += 1;
    let stat = lock_stat();
    assert!(stat.rows.is_empty());
    assert_eq!(stat.to_json(), r#"{"rows":[]}"#);
    assert_eq!(stat.to_string().lines().count(), 2, "the header alone");
}
