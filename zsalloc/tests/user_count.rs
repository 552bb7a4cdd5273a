//! Why a plain count of users is not enough: it keeps migration away from what is mapped, but not
//! new maps away from what is being migrated (a reviewer's question in the LKML thread "zsmalloc:
//! make zspage lock preemptible").
//!
//! The broken lock breaks the pool's memory safety, so it runs in a child process, which has to come
//! to grief; the same scenario with a real lock has to pass.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use zsalloc::lock_api::{GuardSend, RawRwLock};
use zsalloc::{Pool, SOURCE_PAGE};

const LOCK: &str = "ZSALLOC_TEST_LOCK";
const CORRUPTED: i32 = 42;
/// SIGABRT, SIGBUS and SIGSEGV of Linux: what corrupted memory ends in. Not SIGKILL, say.
const CRASHES: [i32; 3] = [6, 7, 11];

/// `users++` to map, `users--` to unmap, and "if nobody uses it, migrate it".
struct UserCount {
    users: AtomicUsize,
}

// SAFETY: this is a lie, and the point of the test: an exclusive acquisition leaves no trace, so
// shared ones succeed while it lasts. It is used only in a child process.
unsafe impl RawRwLock for UserCount {
    const INIT: Self = Self {
        users: AtomicUsize::new(0),
    };
    type SharedGuard = GuardSend;
    type ExclusiveGuard = GuardSend;

    fn lock_shared(&self) -> GuardSend {
        // Acquire and Release, here and below: what is broken is the protocol, not the ordering.
        self.users.fetch_add(1, Ordering::Acquire);
        GuardSend::new()
    }

    fn try_lock_shared(&self) -> Option<GuardSend> {
        Some(self.lock_shared())
    }

    unsafe fn unlock_shared(&self, _: GuardSend) {
        self.users.fetch_sub(1, Ordering::Release);
    }

    fn lock_exclusive(&self) -> GuardSend {
        unreachable!("the pool only tries")
    }

    fn try_lock_exclusive(&self) -> Option<GuardSend> {
        let unused = self.users.load(Ordering::Acquire) == 0;
        // Being preempted between check and act is what the kernel's authors had to expect, too.
        thread::yield_now();
        unused.then(GuardSend::new)
    }

    unsafe fn unlock_exclusive(&self, _: GuardSend) {}

    fn is_locked(&self) -> bool {
        self.users.load(Ordering::Relaxed) > 0
    }

    fn is_locked_exclusive(&self) -> bool {
        false
    }
}

/// One thread writes an object and reads it back, another migrates its zspage. False as soon as a
/// write is lost.
fn writes_survive_migration<L>(new_lock: fn() -> L, rounds: u32) -> bool
where
    L: RawRwLock + Send + Sync + 'static,
{
    let pool = Pool::builder()
        .lock_with(new_lock)
        // Keeps the old pages, so that a stray write hits memory and not a hole.
        .retain_pages(64)
        .build()
        .unwrap();
    let mut handle = pool.alloc(SOURCE_PAGE).unwrap();
    let id = pool.zspages().next().unwrap().id;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let _ = pool.migrate(id);
            }
        });
        let intact = (0..rounds).all(|round| {
            let written = round as u8;
            pool.write(&mut handle).fill(written);
            // Compared when it is unmapped again, so that migrations get their turn.
            let read = pool.read(&handle).to_vec();
            read.iter().all(|&byte| byte == written)
        });
        // Not before the migrations had a chance.
        while intact && pool.stats().migrations < 1000 {
            thread::yield_now();
        }
        done.store(true, Ordering::Relaxed);
        intact
    })
}

/// Run by the other tests, in a process of its own.
#[test]
#[ignore = "the child of the other tests"]
fn child() {
    let intact = match std::env::var(LOCK).as_deref() {
        Ok("user count") => writes_survive_migration(|| UserCount::INIT, 10_000_000),
        Ok("zslock") => writes_survive_migration(|| zslock::RawZsLock::INIT, 30_000),
        // Run by hand, with `--ignored`.
        _ => return,
    };
    if !intact {
        std::process::exit(CORRUPTED);
    }
}

fn run_child(lock: &str) -> ExitStatus {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["child", "--exact", "--ignored"])
        .env(LOCK, lock);
    command.output().unwrap().status
}

#[test]
fn a_plain_user_count_loses_writes() {
    let status = run_child("user count");
    // It may also crash, which shows the same.
    let crashed = status
        .signal()
        .is_some_and(|signal| CRASHES.contains(&signal));
    assert!(status.code() == Some(CORRUPTED) || crashed, "{status}");
}

#[test]
fn the_same_scenario_passes_with_a_lock_that_keeps_new_maps_out() {
    let status = run_child("zslock");
    assert!(status.success(), "{status}");
}
