//! The rules of this crate's documentation besides the order of locks.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use lockdep::Mode::{Exclusive, SharedRecursive, UpgradableRecursive};
use lockdep::ReportKind::{
    AssertionFailed, BadUnlock, CircularDependency, HeldAtThreadExit, HeldLockFreed,
    InvalidWaitContext,
};
use lockdep::WaitType::{Bounded, Sleep};
use lockdep::{
    Attempt, LockMap, Report, ReportKind, assert_held, assert_held_exclusive, assert_none_held,
    assert_not_held, atomic, detach, might_lock, might_sleep, on_report,
};

use super::support::{Lock, kinds, nest};
use super::{ALL, Table, class};

pub(super) fn cases(table: &mut Table) {
    sections(table);
    #[cfg(feature = "parking_lot")]
    condition_variables(table);
    exits(table);
    freed(table);
    bad_unlocks(table);
    assertions(table);
    after_a_report(table);
}

/// As zslock declares itself: its write sections are atomic.
fn preemptible() -> Lock {
    Lock(
        LockMap::instance()
            .wait_for(SharedRecursive, Bounded, Sleep)
            .wait_for(UpgradableRecursive, Sleep, Sleep)
            .wait_for(Exclusive, Sleep, Bounded),
    )
}

/// What a section allows: a sleep, an ordinary lock, a read or a write of a
/// preemptible lock, a try.
fn sections(table: &mut Table) {
    type Inside = fn();
    let inside: [(&str, Inside, bool); 6] = [
        ("might_sleep", || might_sleep(), true),
        ("a mutex", || nest(&[&Lock::instance()]), true),
        ("a write", || nest(&[&preemptible()]), true),
        (
            "an upgrade",
            || {
                let lock = preemptible();
                let mut held = lock.try_in(UpgradableRecursive);
                lock.0.upgrade(&mut held, Attempt::Block);
                lock.unlock(held);
            },
            true,
        ),
        (
            "a read",
            || {
                let lock = preemptible();
                lock.unlock(lock.read());
            },
            false,
        ),
        (
            "a try",
            || {
                let lock = Lock::instance();
                lock.unlock(lock.try_in(Exclusive));
            },
            false,
        ),
    ];
    for (name, inside, waits) in inside {
        table.silent(&format!("{name} alone"), inside);
        let lock = preemptible();
        let name_in = |section: &str| format!("{name} in {section}");
        table.reported_if(waits, &name_in("a write"), InvalidWaitContext, || {
            let held = lock.lock();
            inside();
            lock.unlock(held);
        });
        let lock = preemptible();
        table.silent(&name_in("a read"), || {
            let held = lock.read();
            inside();
            lock.unlock(held);
        });
        let lock = preemptible();
        table.silent(&name_in("what was a write"), || {
            let mut held = lock.lock();
            lock.0.set_mode(&mut held, SharedRecursive);
            inside();
            lock.unlock(held);
        });
        let lock = preemptible();
        table.reported_if(
            waits,
            &name_in("an upgraded hold"),
            InvalidWaitContext,
            || {
                let mut held = lock.wait(UpgradableRecursive);
                lock.0.upgrade(&mut held, Attempt::Block);
                inside();
                lock.unlock(held);
            },
        );
        let lock = preemptible();
        table.reported_if(
            waits,
            &name_in("a mutex in a write"),
            InvalidWaitContext,
            || {
                let held = lock.lock();
                let mutex = Lock::instance();
                let tried = mutex.try_in(Exclusive);
                inside();
                mutex.unlock(tried);
                lock.unlock(held);
            },
        );
        table.reported_if(
            waits,
            &name_in("an atomic scope"),
            InvalidWaitContext,
            || {
                atomic(inside);
            },
        );
    }
}

#[cfg(feature = "parking_lot")]
fn condition_variables(table: &mut Table) {
    use std::time::Duration;

    use lockdep::{Condvar, Mutex};

    const SHORT: Duration = Duration::from_millis(1);
    for outer_first in [true, false] {
        let name = format!("a wait under another lock, taken before its own: {outer_first}");
        table.reported_if(!outer_first, &name, CircularDependency, || {
            let (other, own, wake) = (Mutex::new(()), Mutex::new(()), Condvar::new());
            if outer_first {
                let _other = other.lock();
                wake.wait_for(&mut own.lock(), SHORT);
            } else {
                let mut guard = own.lock();
                let _other = other.lock();
                wake.wait_for(&mut guard, SHORT);
            }
        });
    }
    for in_scope in [true, false] {
        let name = format!("a wait in an atomic scope: {in_scope}");
        table.reported_if(in_scope, &name, InvalidWaitContext, || {
            let (own, wake) = (Mutex::new(()), Condvar::new());
            let mut guard = own.lock();
            let mut wait = || wake.wait_for(&mut guard, SHORT);
            match in_scope {
                true => atomic(wait),
                false => wait(),
            };
        });
    }
}

/// Runs `f` on a thread; what the handler gets from it, also from its end, is
/// reported again here, where the table sees it.
fn on_a_thread(f: impl FnOnce() + Send) -> Vec<ReportKind> {
    static REPORTS: Mutex<Vec<Report>> = Mutex::new(Vec::new());
    on_report(|report| REPORTS.lock().unwrap().push(report.clone()));
    REPORTS.lock().unwrap().clear();
    std::thread::scope(|scope| {
        // Joined, because a scope does not wait for a thread's destructors.
        scope
            .spawn(f)
            .join()
            .expect("a report at exit does not panic");
    });
    let reports = REPORTS.lock().unwrap();
    reports.iter().map(Report::kind).collect()
}

fn exits(table: &mut Table) {
    let stays = || Lock(LockMap::instance().guard_stays(Exclusive));
    let holding = |lock: Lock| {
        let found = on_a_thread(|| lock.lock_and_forget());
        // Its drop would be a case of its own.
        std::mem::forget(lock);
        found
    };
    let of_found = [HeldAtThreadExit];
    table.found("exit with a lock whose guards stay", &of_found, || {
        holding(stays())
    });
    table.found("exit with a lock whose guards travel", &[], || {
        holding(Lock::instance())
    });
    table.found("exit after the release", &[], || {
        let lock = stays();
        on_a_thread(|| lock.unlock(lock.lock()))
    });
    table.found("exit after detaching", &[], || {
        let lock = stays();
        let mut token = None;
        let found = on_a_thread(|| {
            token = Some(lock.lock());
            detach(&lock.0);
        });
        lock.unlock(token.expect("the thread has run"));
        found
    });
}

fn freed(table: &mut Table) {
    for held in [true, false] {
        table.reported_if(
            held,
            &format!("dropped, held: {held}"),
            HeldLockFreed,
            || {
                let lock = Lock::instance();
                let token = lock.lock();
                if held {
                    drop(lock);
                } else {
                    lock.unlock(token);
                }
            },
        );
        let name = format!("dropped, held by another thread: {held}");
        table.reported_if(held, &name, HeldLockFreed, || {
            let (lock, (done, wait)) = (Arc::new(Lock::instance()), channel::<()>());
            let (ready, is_ready) = channel();
            let theirs = Arc::clone(&lock);
            let thread = std::thread::spawn(move || {
                let token = theirs.lock();
                if !held {
                    theirs.unlock(token);
                }
                drop(theirs);
                ready.send(()).unwrap();
                // An error: the other end is gone.
                let _ = wait.recv();
            });
            is_ready.recv().unwrap();
            drop(lock);
            drop(done);
            thread.join().unwrap();
        });
    }
}

fn bad_unlocks(table: &mut Table) {
    for other in [true, false] {
        let name = format!("a token released through another map: {other}");
        table.reported_if(other, &name, BadUnlock, || {
            let (a, b) = (Lock::instance(), Lock::instance());
            b.unlock(b.lock());
            let token = a.lock();
            match other {
                true => b.unlock(token),
                false => a.unlock(token),
            }
        });
    }
    table.reported("force_release by another thread", BadUnlock, || {
        let lock = Lock::instance();
        let token = std::thread::scope(|scope| scope.spawn(|| lock.lock()).join().unwrap());
        lock.0.force_release();
        lock.unlock(token);
    });
}

fn assertions(table: &mut Table) {
    type Claim = fn(&Lock);
    let claims: [(&str, Claim, [bool; 3]); 3] = [
        (
            "assert_held",
            |lock| assert_held!(lock.0),
            [false, true, true],
        ),
        (
            "assert_held_exclusive",
            |lock| assert_held_exclusive!(lock.0),
            [false, false, true],
        ),
        (
            "assert_not_held",
            |lock| assert_not_held!(lock.0),
            [true, false, false],
        ),
    ];
    let states = [None, Some(SharedRecursive), Some(Exclusive)];
    for (name, claim, holds) in claims {
        for (mode, holds) in states.into_iter().zip(holds) {
            let name = format!("{name} of a lock held {mode:?}");
            table.reported_if(!holds, &name, AssertionFailed, || {
                let lock = Lock::instance();
                let token = mode.map(|mode| lock.wait(mode));
                claim(&lock);
                token.into_iter().for_each(|token| lock.unlock(token));
            });
        }
    }
    for held in [true, false] {
        let name = format!("assert_none_held, held: {held}");
        table.reported_if(held, &name, AssertionFailed, || {
            let lock = Lock::instance();
            let token = held.then(|| lock.lock());
            assert_none_held!();
            token.into_iter().for_each(|token| lock.unlock(token));
        });
    }
    for mode in ALL {
        let name = format!("might_lock of B under A, after A under B; {mode}");
        table.reported(&name, CircularDependency, || {
            let (a, b) = (Lock::instance(), Lock::instance());
            nest(&[&b, &a]);
            let held = a.lock();
            might_lock(&b.0, mode);
            a.unlock(held);
        });
        table.silent(&format!("might_lock of B under A twice; {mode}"), || {
            let (a, b) = (Lock::instance(), Lock::instance());
            nest(&[&a, &b]);
            let held = a.lock();
            might_lock(&b.0, mode);
            a.unlock(held);
        });
    }
}

/// After a report: a new inversion, the same again, other locks of the classes.
fn after_a_report(table: &mut Table) {
    let [a, b, c] = [(); 3].map(|()| class("reported"));
    let invert = |a, b| {
        nest(&[&Lock::of(a), &Lock::of(b)]);
        nest(&[&Lock::of(b), &Lock::of(a)]);
    };
    table.reported("an inversion", CircularDependency, || invert(a, b));
    table.silent("the same again", || invert(a, b));
    table.silent("the same, the other way round", || invert(b, a));
    table.silent("the same on another thread", || {
        let found =
            std::thread::scope(|scope| scope.spawn(|| kinds(|| invert(a, b))).join().unwrap());
        assert_eq!(found, []);
    });
    table.reported("a new inversion", CircularDependency, || invert(a, c));
    // B and C have no dependency of their own, but B > A > C and C > A > B.
    table.reported(
        "another way round the same classes",
        CircularDependency,
        || {
            nest(&[&Lock::of(b), &Lock::of(c)]);
        },
    );
}
