//! `Condvar`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use lockdep::Mode::Exclusive;
use lockdep::ReportKind::{CircularDependency, InvalidWaitContext};
use lockdep::std_sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use lockdep::{LockClassKey, assert_held, assert_not_held, atomic, detach, held, nested};

use crate::support::{NONE, kinds, reports};
use crate::{modes, poison};

const SHORT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(10);

fn lines() -> Vec<u32> {
    held().iter().map(|held| held.location.line).collect()
}

#[test]
fn a_wait_takes_the_mutex_again_under_what_else_is_held() {
    let (queue, log, wake) = (Mutex::new(()), Mutex::new(()), Condvar::new());
    let guard = queue.lock().unwrap();
    let line = line!();
    let _log = log.lock().unwrap();
    let mut wait = None;
    let found = reports(|| wait = Some(wake.wait_timeout(guard, SHORT).unwrap()));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind(), CircularDependency);
    assert_eq!(found[0].location.line, line + 3, "where the wait is");
    assert_eq!(lines(), [line + 1, line + 3], "log is the older hold now");
    let (guard, result) = wait.expect("waited");
    assert!(result.timed_out());
    drop(guard);
    assert_eq!(lines(), [line + 1]);
}

#[test]
fn every_wait_is_announced_and_waits() {
    type Wait = for<'a> fn(&Condvar, MutexGuard<'a, u32>) -> MutexGuard<'a, u32>;
    #[expect(deprecated, reason = "a drop-in has it")]
    let waits: [(&str, Wait); 5] = [
        ("wait", |wake, mut guard| {
            while *guard == 0 {
                guard = wake.wait(guard).unwrap();
            }
            guard
        }),
        ("wait_while", |wake, guard| {
            wake.wait_while(guard, |value| *value == 0).unwrap()
        }),
        ("wait_timeout", |wake, mut guard| {
            while *guard == 0 {
                let (again, result) = wake.wait_timeout(guard, LONG).unwrap();
                assert!(!result.timed_out());
                guard = again;
            }
            guard
        }),
        ("wait_timeout_ms", |wake, mut guard| {
            while *guard == 0 {
                let (again, in_time) = wake.wait_timeout_ms(guard, 10_000).unwrap();
                assert!(in_time);
                guard = again;
            }
            guard
        }),
        ("wait_timeout_while", |wake, guard| {
            let waits = |value: &mut u32| *value == 0;
            let (guard, result) = wake.wait_timeout_while(guard, LONG, waits).unwrap();
            assert!(!result.timed_out());
            guard
        }),
    ];
    for (name, wait) in waits {
        let (value, wake) = (Mutex::new(0), Condvar::new());
        std::thread::scope(|scope| {
            let guard = value.lock().unwrap();
            scope.spawn(|| {
                *value.lock().unwrap() = 3;
                wake.notify_all();
                wake.notify_one();
            });
            let mut waited = None;
            let found = kinds(|| waited = Some(atomic(|| wait(&wake, guard))));
            assert_eq!(found, [InvalidWaitContext], "{name}");
            assert_eq!(waited.as_deref(), Some(&3), "{name}");
            assert_eq!(modes(), [Exclusive], "{name}");
        });
        assert_eq!(modes(), [], "{name}");
    }
}

#[test]
fn a_wait_that_need_not_wait_is_no_wait() {
    let (value, wake) = (Mutex::new(1), Condvar::new());
    let found = kinds(|| {
        atomic(|| {
            let guard = value.try_lock().unwrap();
            let guard = wake.wait_while(guard, |value| *value == 0).unwrap();
            drop(wake.wait_timeout_while(guard, LONG, |value| *value == 0));
        });
    });
    assert_eq!(found, NONE);
}

#[test]
fn a_wait_keeps_the_subclass_and_a_detached_hold_detached() {
    static LEVEL: LockClassKey = LockClassKey::new("level");
    let level = || Mutex::with_class(&LEVEL, ());
    let (outer, inner, wake) = (level(), level(), Condvar::new());
    let found = kinds(|| {
        let _outer = outer.lock().unwrap();
        let guard = nested(1, || inner.lock().unwrap());
        drop(wake.wait_timeout(guard, SHORT));
    });
    assert_eq!(found, NONE);

    let lone = Mutex::new(());
    let guard = lone.lock().unwrap();
    detach(&lone);
    let (guard, _) = wake.wait_timeout(guard, SHORT).unwrap();
    assert!(held().is_empty());
    assert_held!(lone);
    drop(guard);
    assert_not_held!(lone);
}

#[test]
fn a_wait_that_panics_drops_its_guard() {
    let (queue, log, wake) = (Mutex::new(()), Mutex::new(()), Condvar::new());
    let waits: [fn(&Condvar, MutexGuard<'_, ()>); 2] = [
        |wake, guard| drop(wake.wait(guard)),
        |wake, guard| drop(wake.wait_timeout_while(guard, LONG, |()| true)),
    ];
    for wait in waits {
        queue.clear_poison();
        let guard = queue.lock().unwrap();
        let inner = log.lock().unwrap();
        let waited = catch_unwind(AssertUnwindSafe(|| atomic(|| wait(&wake, guard))));
        assert!(waited.is_err());
        assert_eq!(held().len(), 1, "only log");
        drop(inner);
        assert!(queue.is_poisoned(), "the panic was while it was held");
        assert!(
            queue
                .try_lock()
                .is_err_and(|error| !matches!(error, TryLockError::WouldBlock))
        );
    }
}

#[test]
fn a_wait_on_a_poisoned_mutex_returns_the_guard() {
    let (mutex, wake) = (Mutex::new(()), Condvar::new());
    poison(&mutex);
    let guard = mutex.lock().unwrap_or_else(PoisonError::into_inner);
    let (guard, result) = wake.wait_timeout(guard, SHORT).unwrap_err().into_inner();
    assert!(result.timed_out());
    assert_eq!(modes(), [Exclusive]);
    drop(guard);
    assert_eq!(modes(), []);
}
