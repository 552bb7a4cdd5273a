//! What `LOCKDEP=stat` counts. The variable is the process's, so the case runs in one of its own.

use std::process::Command;

use lockdep::Mode::{Exclusive, Shared, Upgradable};
use lockdep::lock_api_04::{RawRwLock as _, RwLock, RwLockUpgradableReadGuard};
use lockdep::{LockClassKey, Mode, Tracked, lock_stat};

use crate::ParkingRwLock;

static CLASS: LockClassKey = LockClassKey::new("observed");

/// Acquisitions, contentions, holds.
fn counts(mode: Mode) -> [u64; 3] {
    let stat = lock_stat();
    let mut rows = stat.rows.iter().filter(|row| row.class == "observed");
    rows.find(|row| row.mode == mode).map_or([0; 3], |row| {
        [row.acquisitions, row.contentions, row.hold.count]
    })
}

/// Run by `waits_are_counted` in a process of its own.
#[test]
fn one_wait_of_each_kind() {
    if std::env::var_os("LOCKDEP_TEST_OBSERVED").is_none() {
        return;
    }
    let raw = Tracked::with_class(parking_lot_012::RawRwLock::INIT, &CLASS);
    let lock: ParkingRwLock<()> = RwLock::const_new(raw, ());
    let lock = &lock;
    let contended = |mode, count| {
        while counts(mode)[1] < count {
            std::thread::yield_now();
        }
    };
    std::thread::scope(|scope| {
        let write = lock.write();
        scope.spawn(|| drop(lock.read()));
        contended(Shared, 1);
        drop(write);
    });
    std::thread::scope(|scope| {
        let read = lock.read();
        scope.spawn(|| drop(RwLockUpgradableReadGuard::upgrade(lock.upgradable_read())));
        contended(Exclusive, 1);
        drop(read);
    });
    drop(RwLockUpgradableReadGuard::upgrade(lock.upgradable_read()));
    assert_eq!(counts(Exclusive), [3, 1, 3], "written, and upgraded twice");
    assert_eq!(counts(Shared), [2, 1, 2]);
    assert_eq!(counts(Upgradable)[..2], [2, 0]);
    println!("counted");
}

#[test]
fn waits_are_counted() {
    let ended = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "observed::one_wait_of_each_kind", "--nocapture"])
        .env("LOCKDEP_TEST_OBSERVED", "1")
        .env("LOCKDEP", "stat")
        .output()
        .expect("this test runs");
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(
        ended.status.success() && said.contains("counted"),
        "{ended:?}"
    );
}
