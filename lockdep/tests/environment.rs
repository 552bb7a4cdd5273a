//! The policy and the variable `LOCKDEP`. Both belong to the process, so each
//! case runs in a process of its own: this test binary, started again.

use std::process::{Command, Output};

use lock_api::RawMutex as _;
use lockdep::{LockClassKey, Mutex, Policy, Tracked, set_policy};

const CASE: &str = "LOCKDEP_TEST_CASE";

/// An inversion; `true` if the program went on.
fn invert() -> bool {
    static A: LockClassKey = LockClassKey::new("a");
    static B: LockClassKey = LockClassKey::new("b");
    let lock = |key| Mutex::from_raw(Tracked::with_class(parking_lot::RawMutex::INIT, key), ());
    let (a, b) = (lock(&A), lock(&B));
    {
        let _a = a.lock();
        let _b = b.lock();
    }
    let inverted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _b = b.lock();
        let _a = a.lock();
    }));
    inverted.is_ok()
}

/// What the child process does; does nothing in the parent.
#[test]
fn child() {
    let Ok(case) = std::env::var(CASE) else {
        return;
    };
    match case.as_str() {
        "log" => set_policy(Policy::Log),
        "panic" => set_policy(Policy::Panic),
        "abort" => set_policy(Policy::Abort),
        _ => {}
    }
    let (went_on, _) = lockdep::collect(|| lockdep::nested(1, || lockdep::atomic(|| 5)));
    assert_eq!(went_on, 5);
    assert!(lockdep::held().is_empty());
    lockdep::detach(&Mutex::new(()));
    let went_on = invert();
    let stats = lockdep::stats();
    println!(
        "went on: {went_on}, dependencies: {}, threads: {}",
        stats.dependencies, stats.threads
    );
}

fn run(case: &str, lockdep: Option<&str>) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child", "--exact", "--nocapture"]);
    command.env(CASE, case).env_remove("LOCKDEP");
    if let Some(value) = lockdep {
        command.env("LOCKDEP", value);
    }
    command.output().unwrap()
}

fn prints(case: &str, lockdep: Option<&str>) -> String {
    let output = run(case, lockdep);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{case} {lockdep:?}: {text}");
    text
}

#[test]
fn the_policy_decides_what_a_report_does() {
    assert!(prints("default", None).contains("went on: false"));
    assert!(prints("panic", None).contains("went on: false"));
    assert!(prints("log", None).contains("went on: true"));
}

#[test]
fn abort_shows_the_report_and_ends_the_process() {
    let output = run("abort", None);
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("*** DEADLOCK ***"), "{text}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("went on"));
}

#[test]
fn the_environment_wins_over_the_program() {
    assert!(prints("panic", Some("log")).contains("went on: true"));
    assert!(prints("log", Some("panic")).contains("went on: false"));
    assert!(!run("log", Some("abort")).status.success());
}

#[test]
fn off_validates_and_records_nothing() {
    let off = prints("panic", Some("off"));
    assert!(
        off.contains("went on: true, dependencies: 0, threads: 0"),
        "{off}"
    );
    let on = prints("log", None);
    assert!(
        on.contains("went on: true, dependencies: 2, threads: 1"),
        "{on}"
    );
}
