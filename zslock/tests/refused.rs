//! What becomes of the biased lock if the kernel refuses `membarrier`: from the beginning, or after it had accepted.
//!
//! Each case runs in a child process, under a filter of system calls that it installs for itself.

#![cfg(all(
    feature = "std",
    target_os = "linux",
    target_arch = "x86_64",
    not(zslock_loom)
))]

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

use zslock::BiasedZsLock;

const CASE: &str = "ZSLOCK_TEST_REFUSED";

/// From here on `membarrier` fails in this thread, and in those that it makes, with `EPERM`.
fn refuse_membarrier() {
    const LOAD_NUMBER: libc::sock_filter = filter(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0);
    const fn filter(code: u32, skip_unless_equal: u8, k: u32) -> libc::sock_filter {
        libc::sock_filter {
            code: code as u16,
            jt: 0,
            jf: skip_unless_equal,
            k,
        }
    }
    let number = u32::try_from(libc::SYS_membarrier).expect("a small number");
    let refusal = libc::SECCOMP_RET_ERRNO | u32::try_from(libc::EPERM).expect("a small number");
    let mut program = [
        LOAD_NUMBER,
        filter(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, number),
        filter(libc::BPF_RET | libc::BPF_K, 0, refusal),
        filter(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: 4,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: integers only; nothing is gained by a program that this process starts.
    let refused = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(refused, 0, "PR_SET_NO_NEW_PRIVS");
    // SAFETY: `program` points to four instructions that live until the call is over; the kernel copies them.
    let refused = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    };
    assert_eq!(refused, 0, "PR_SET_SECCOMP");
}

fn is_biased(lock: &BiasedZsLock<u32>) -> bool {
    // SAFETY: only `Debug` of the raw lock is used, which looks.
    format!("{:?}", unsafe { lock.raw() }).contains(" biased: true")
}

fn read_often(lock: &BiasedZsLock<u32>) {
    for _ in 0..10_000 {
        assert_eq!(*lock.read(), 0);
    }
}

/// Runs `test` again in a child process, which is to do what `case` says.
fn in_a_child(test: &str, case: &str) -> ExitStatus {
    Command::new(std::env::current_exe().expect("this test's binary"))
        .args(["--exact", test])
        .env(CASE, case)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("the test binary runs")
}

fn is_child(case: &str) -> bool {
    std::env::var(CASE).as_deref() == Ok(case)
}

#[test]
fn a_lock_that_cannot_be_biased_counts() {
    if !is_child("from the beginning") {
        let ended = in_a_child("a_lock_that_cannot_be_biased_counts", "from the beginning");
        assert!(ended.success(), "{ended}");
        return;
    }
    refuse_membarrier();
    let lock = BiasedZsLock::new(0);
    read_often(&lock);
    assert!(!is_biased(&lock));
    let guard = lock.read();
    assert!(lock.try_write().is_none());
    drop(guard);
    *lock.try_write().expect("nobody is inside") += 1;
    assert_eq!(*lock.read(), 1);
}

#[test]
fn a_fence_that_was_promised_and_is_refused_aborts() {
    const SIGABRT: i32 = 6;
    if !is_child("afterwards") {
        let test = "a_fence_that_was_promised_and_is_refused_aborts";
        assert_eq!(in_a_child(test, "afterwards").signal(), Some(SIGABRT));
        return;
    }
    let lock = BiasedZsLock::new(0);
    read_often(&lock);
    assert!(
        is_biased(&lock),
        "nothing to revoke: this test tests nothing"
    );
    refuse_membarrier();
    // Without the fence a writer might come in beside a reader.
    drop(lock.try_write());
}

/// The child of a fork inherits the registration: it revokes, and biases, as its parent does.
#[test]
fn a_fork_inherits_the_registration() {
    let lock = BiasedZsLock::new(0);
    read_often(&lock);
    let can_be_biased = is_biased(&lock);
    // SAFETY: the child calls nothing but the lock, which neither allocates nor takes the locks of other threads, and `_exit`.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let refuses = {
            let guard = lock.read();
            let refuses = lock.try_write().is_none();
            drop(guard);
            refuses
        };
        let wrote = lock.try_write().map(|mut value| *value += 1).is_some();
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(i32::from(!(refuses && wrote && *lock.read() == 1))) };
    }
    assert!(child > 0, "fork");
    let mut status = 0;
    // SAFETY: the child of this process, and a place for its status.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!((waited, status), (child, 0));
    assert_eq!(
        is_biased(&lock),
        can_be_biased,
        "the child's locks are its own"
    );
}
