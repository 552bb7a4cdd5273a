//! Rule 7: deadlines, at their limits and in races.

use std::thread;
use std::time::{Duration, Instant};

use zslock::lock_api::RwLockUpgradableReadGuard;
use zslock::{RawPolicyLock, lock_api::RwLock};

/// Runs `f` on another thread: there its wait depends on this thread, and is no recursion that lockdep would report.
fn elsewhere<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(f).join()).expect("no panic there")
}

fn a_past_deadline_tries_once<const GATED: bool>() {
    let lock = RwLock::<RawPolicyLock<GATED>, u32>::new(0);
    let past = Instant::now() - Duration::from_secs(1);
    assert!(
        lock.try_write_for(Duration::ZERO).is_some(),
        "a free lock is taken"
    );
    assert!(lock.try_read_until(past).is_some());
    let reader = lock.read();
    assert!(elsewhere(|| lock.try_write_for(Duration::ZERO).is_none()));
    assert!(elsewhere(|| lock.try_write_until(past).is_none()));
    drop(reader);
    let writer = lock.write();
    assert!(elsewhere(|| lock.try_read_for(Duration::ZERO).is_none()));
    assert!(elsewhere(|| lock.try_upgradable_read_until(past).is_none()));
    drop(writer);
}

fn a_deadline_that_passes_leaves_no_trace<const GATED: bool>() {
    const SHORT: Duration = Duration::from_millis(20);
    let lock = RwLock::<RawPolicyLock<GATED>, u32>::new(0);
    let reader = lock.read();
    let start = Instant::now();
    assert!(elsewhere(|| lock.try_write_for(SHORT).is_none()));
    assert!(
        start.elapsed() >= SHORT,
        "a failing wait must not end early"
    );
    assert!(
        lock.try_read().is_some(),
        "the writer that gave up keeps readers out"
    );
    elsewhere(|| {
        let upgradable = lock.upgradable_read();
        let upgradable = RwLockUpgradableReadGuard::try_upgrade_for(upgradable, SHORT)
            .expect_err("a reader is inside");
        assert!(
            lock.try_read().is_some(),
            "the upgrade that was given up keeps readers out"
        );
        drop(upgradable);
    });
    drop(reader);
    let writer = lock.write();
    assert!(elsewhere(|| lock.try_read_for(SHORT).is_none()));
    assert!(elsewhere(|| lock.try_upgradable_read_for(SHORT).is_none()));
    drop(writer);
    // SAFETY: only `Debug` of the raw lock is used, which looks.
    let state = format!("{:?}", unsafe { lock.raw() });
    assert_eq!(state.matches("true").count(), 0, "{state}");
    assert!(lock.try_write().is_some());
}

fn a_huge_duration_waits_for_ever<const GATED: bool>() {
    let lock = RwLock::<RawPolicyLock<GATED>, u32>::new(0);
    thread::scope(|scope| {
        let writer = lock.write();
        let reader = scope.spawn(|| lock.try_read_for(Duration::MAX).map(|guard| *guard));
        let next = scope.spawn(|| lock.try_write_for(Duration::MAX).is_some());
        thread::sleep(Duration::from_millis(10));
        drop(writer);
        assert_eq!(reader.join().unwrap(), Some(0));
        assert!(next.join().unwrap());
    });
}

/// Deadlines about as long as the sections they wait for. A wake-up that a time-out swallowed would leave a thread that
/// blocks without a deadline asleep for ever; a claim that was not taken back would keep everyone out.
fn timeouts_race_with_unlocks<const GATED: bool>() {
    const ROUNDS: u32 = 2_000;
    let lock = RwLock::<RawPolicyLock<GATED>, u64>::new(0);
    let written = thread::scope(|scope| {
        let timed = scope.spawn(|| {
            let mut written = 0;
            for i in 0..ROUNDS {
                let wait = Duration::from_micros(u64::from(i % 50));
                if let Some(mut guard) = lock.try_write_for(wait) {
                    *guard += 1;
                    written += 1;
                }
                drop(lock.try_read_for(wait));
                if let Some(guard) = lock.try_upgradable_read_for(wait)
                    && let Ok(mut guard) = RwLockUpgradableReadGuard::try_upgrade_for(guard, wait)
                {
                    *guard += 1;
                    written += 1;
                }
            }
            written
        });
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    *lock.write() += 1;
                    drop(lock.read());
                }
            });
        }
        timed.join().unwrap()
    });
    assert_eq!(lock.into_inner(), written + 2 * u64::from(ROUNDS));
}

macro_rules! for_both {
    ($($name:ident)*) => {
        mod plain { $(#[test] fn $name() { super::$name::<false>(); })* }
        mod gated { $(#[test] fn $name() { super::$name::<true>(); })* }
    };
}
for_both!(
    a_past_deadline_tries_once
    a_deadline_that_passes_leaves_no_trace
    a_huge_duration_waits_for_ever
    timeouts_race_with_unlocks
);
