//! The child of a fork is validated like any process.

#![cfg(unix)]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use lockdep::ReportKind::CircularDependency;
use support::{Lock, NONE, kinds, nest};

/// Runs `f` in a forked child; whether it said that all is well.
fn in_child(f: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child calls `f`, which only uses this crate (that is what is
    // tested) and the allocator (which survives forks), and ends at once.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork failed");
    if pid == 0 {
        // A child that hangs fails the test instead of stopping it.
        // SAFETY: plain system calls.
        unsafe {
            libc::alarm(30);
            libc::_exit(i32::from(!f()));
        }
    }
    let mut status = 0;
    // SAFETY: `pid` is our child and `status` is writable.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    status == 0
}

#[test]
fn the_child_goes_on_without_the_other_threads() {
    let (a, b) = (Lock::instance(), Lock::instance());
    nest(&[&a, &b]);
    let stop = AtomicBool::new(false);
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        let stop = &stop;
        // One thread that keeps taking the internal locks, and one that holds.
        scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                nest(&[&Lock::instance(), &Lock::instance()]);
            }
        });
        scope.spawn(move || {
            let (lock, detached) = (Lock::instance(), Lock::instance());
            let held = (lock.lock(), detached.lock());
            lockdep::detach(&detached.0);
            send.send((lock, detached)).unwrap();
            while !stop.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            drop(held);
        });
        let mut theirs = Some(receive.recv().unwrap());
        // Asserted at the end: a failure must not leave the threads running.
        let mut all_well = true;
        for _ in 0..50 {
            let own = a.lock();
            all_well &= in_child(|| {
                let still_held = lockdep::held().len() == 1;
                a.unlock(own);
                let inversion = kinds(|| nest(&[&b, &a])) == [CircularDependency];
                // The thread that held it is not there: no "held lock freed".
                let ignored = kinds(|| drop(theirs.take())) == NONE;
                still_held && inversion && ignored
            });
            all_well &= lockdep::held().len() == 1;
            a.0.force_release();
        }
        stop.store(true, Ordering::Relaxed);
        std::mem::forget(theirs);
        assert!(all_well);
    });
}
