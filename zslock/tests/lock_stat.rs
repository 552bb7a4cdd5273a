//! What the validator counts for `ZsLock`, in a process with `LOCKDEP=stat`: this
//! test binary, started again.
#![cfg(all(feature = "debug-lockdep", not(zslock_loom)))]

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use lockdep::{LockStatRow, Mode, lock_stat};
use zslock::{ZsLock, lock_api::RwLockUpgradableReadGuard};

const CASE: &str = "ZSLOCK_TEST_CASE";

fn row(mode: Mode) -> Option<LockStatRow> {
    lock_stat().rows.into_iter().find(|row| row.mode == mode)
}

/// Comes back when somebody waits. Ends a process in which nobody says so.
fn until_contended(mode: Mode) {
    let start = Instant::now();
    while row(mode).is_none_or(|row| row.contentions == 0) {
        if start.elapsed() > Duration::from_secs(60) {
            eprintln!("nobody waits\n{}", lock_stat());
            std::process::exit(1);
        }
        thread::yield_now();
    }
}

/// Acquisitions, contentions, waits, holds.
fn counts(mode: Mode) -> [u64; 4] {
    let row = row(mode).unwrap();
    [
        row.acquisitions,
        row.contentions,
        row.wait.count,
        row.hold.count,
    ]
}

/// What the child process does; does nothing in the parent.
#[test]
fn child() {
    if std::env::var_os(CASE).is_none() {
        return;
    }
    let lock = ZsLock::new(0);
    let writer = lock.write();
    thread::scope(|scope| {
        let reader = scope.spawn(|| drop(lock.read()));
        until_contended(Mode::SharedRecursive);
        drop(writer);
        reader.join().unwrap();
    });
    assert_eq!(counts(Mode::SharedRecursive), [1, 1, 1, 1]);
    assert_eq!(counts(Mode::Exclusive), [1, 0, 0, 1]);
    let reader = lock.read();
    thread::scope(|scope| {
        let upgrader = scope.spawn(|| {
            drop(RwLockUpgradableReadGuard::upgrade(lock.upgradable_read()));
        });
        until_contended(Mode::Exclusive);
        drop(reader);
        upgrader.join().unwrap();
    });
    assert_eq!(counts(Mode::UpgradableRecursive), [1, 0, 0, 1]);
    assert_eq!(counts(Mode::Exclusive), [2, 1, 1, 2]);
    println!("counted");
}

#[test]
fn waits_are_counted_where_the_lock_waits() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .env(CASE, "1")
        .env("LOCKDEP", "stat")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains("counted"), "{stdout}");
}
