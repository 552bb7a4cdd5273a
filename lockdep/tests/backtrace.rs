//! `LOCKDEP_BACKTRACE`: the calls that led to each dependency of a cycle. The
//! variable is read once, so each case runs in a process of its own: this test
//! binary, started again.

mod support;

use std::process::Command;

use support::{Lock, nest, reports};

const CASE: &str = "LOCKDEP_TEST_BACKTRACE";

#[inline(never)]
fn takes_a_then_b(a: &Lock, b: &Lock) {
    nest(&[a, b]);
}

#[inline(never)]
fn takes_b_then_a(a: &Lock, b: &Lock) {
    nest(&[b, a]);
}

/// What the child process does; does nothing in the parent.
#[test]
fn child() {
    if std::env::var_os(CASE).is_none() {
        return;
    }
    let (a, b) = (Lock::instance(), Lock::instance());
    takes_a_then_b(&a, &b);
    let mut found = reports(|| takes_b_then_a(&a, &b));
    assert_eq!(found.len(), 1);
    let report = found.remove(0);
    let shows = |backtrace: &Option<String>, function: &str| match backtrace {
        None => "none",
        Some(text) if text.contains(function) => "function",
        Some(_) => "other",
    };
    println!(
        "new: {}, known: {}, report: {}, recursion: {}",
        shows(&report.cycle[0].backtrace, "takes_b_then_a"),
        shows(&report.cycle[1].backtrace, "takes_a_then_b"),
        shows(&report.backtrace, "takes_b_then_a"),
        shows(
            &reports(|| takes_a_then_b(&a, &a))[0].backtrace,
            "takes_a_then_b"
        ),
    );
}

fn prints(value: Option<&str>) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child", "--exact", "--nocapture"]);
    command.env(CASE, "1").env_remove("LOCKDEP");
    command.env_remove("LOCKDEP_BACKTRACE");
    if let Some(value) = value {
        command.env("LOCKDEP_BACKTRACE", value);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{value:?}: {text}");
    text
}

#[test]
fn each_dependency_has_the_calls_that_first_led_to_it() {
    let text = prints(Some("1"));
    let all = "new: function, known: function, report: function, recursion: function";
    assert!(text.contains(all), "{text}");
}

#[test]
fn nothing_is_captured_unless_asked_for() {
    for value in [None, Some("0"), Some("")] {
        let text = prints(value);
        let none = "new: none, known: none, report: none, recursion: none";
        assert!(text.contains(none), "{value:?}: {text}");
    }
}
