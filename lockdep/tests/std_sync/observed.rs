//! What `LOCKDEP=stat` counts. The variable is the process's, so the case runs in one of its own.

use std::process::Command;

use lockdep::Mode::{Exclusive, Shared};
use lockdep::std_sync::{Mutex, RwLock};
use lockdep::{LockClassKey, Mode, lock_stat};

static MUTEX: LockClassKey = LockClassKey::new("observed mutex");
static RWLOCK: LockClassKey = LockClassKey::new("observed rwlock");

/// Acquisitions, contentions, holds.
fn counts(class: &str, mode: Mode) -> [u64; 3] {
    let stat = lock_stat();
    let mut rows = stat.rows.iter().filter(|row| row.class == class);
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
    let (mutex, rwlock) = (
        Mutex::with_class(&MUTEX, ()),
        RwLock::with_class(&RWLOCK, ()),
    );
    let wait = |class, mode, lock: &(dyn Fn() + Sync)| {
        let write = (mutex.lock().unwrap(), rwlock.write().unwrap());
        std::thread::scope(|scope| {
            scope.spawn(lock);
            while counts(class, mode)[1] == 0 {
                std::thread::yield_now();
            }
            drop(write);
        });
    };
    wait("observed mutex", Exclusive, &|| drop(mutex.lock().unwrap()));
    wait("observed rwlock", Shared, &|| drop(rwlock.read().unwrap()));
    wait("observed rwlock", Exclusive, &|| {
        drop(rwlock.write().unwrap())
    });
    assert_eq!(counts("observed mutex", Exclusive), [4, 1, 4]);
    assert_eq!(counts("observed rwlock", Shared), [1, 1, 1]);
    assert_eq!(counts("observed rwlock", Exclusive), [4, 1, 4]);
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
