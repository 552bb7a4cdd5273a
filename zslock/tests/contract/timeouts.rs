//! Rule 7: deadlines, at their limits and in races.

use std::thread;
use std::time::{Duration, Instant};

use zslock::lock_api::{RawRwLockUpgradeTimed, RwLockUpgradableReadGuard};
use zslock::{RawBiasedZsLock, RawGatedZsLock, RawZsLock};

use crate::common::{Raw, fresh};

/// Any of the locks, with what needs a clock.
trait Timed: Raw + RawRwLockUpgradeTimed<Duration = Duration, Instant = Instant> {}
impl<R: Raw + RawRwLockUpgradeTimed<Duration = Duration, Instant = Instant>> Timed for R {}

/// Runs `f` on another thread: there its wait depends on this thread, and is no recursion that lockdep would report.
fn elsewhere<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(f).join()).expect("no panic there")
}

fn a_past_deadline_tries_once<R: Timed>() {
    let lock = fresh::<R, u32>(0);
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

fn a_deadline_that_passes_leaves_no_trace<R: Timed>() {
    const SHORT: Duration = Duration::from_millis(20);
    let lock = fresh::<R, u32>(0);
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
    let state = state.replace(" biased: true", "");
    assert_eq!(state.matches("true").count(), 0, "{state}");
    assert!(lock.try_write().is_some());
}

fn a_huge_duration_waits_for_ever<R: Timed>() {
    let lock = fresh::<R, u32>(0);
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
fn timeouts_race_with_unlocks<R: Timed>() {
    const ROUNDS: u32 = 2_000;
    let lock = fresh::<R, u64>(0);
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

macro_rules! for_all {
    ($($name:ident)*) => {
        mod plain { $(#[test] fn $name() { super::$name::<super::RawZsLock>(); })* }
        mod gated { $(#[test] fn $name() { super::$name::<super::RawGatedZsLock>(); })* }
        mod biased { $(#[test] fn $name() { super::$name::<super::RawBiasedZsLock>(); })* }
    };
}
for_all!(
    a_past_deadline_tries_once
    a_deadline_that_passes_leaves_no_trace
    a_huge_duration_waits_for_ever
    timeouts_race_with_unlocks
);
