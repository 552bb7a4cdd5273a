//! Cases that need a `LOCKDEP` of their own: each in a process, which is this test
//! program again, asked for its test `child`.

use std::process::Command;

/// Names the case; set in the processes that run one.
pub(crate) const CASE: &str = "LOCKDEP_TEST_CASE";

/// A name, and what to do.
pub(crate) type Case = (&'static str, fn());

/// For the test `child`: runs the case that is asked for, none in the parent.
pub(crate) fn run_asked_for(cases: &[Case]) {
    let Ok(name) = std::env::var(CASE) else {
        return;
    };
    let (_, case) = cases.iter().find(|(case, _)| *case == name).unwrap();
    case();
    println!("ran: {name}");
}

/// Runs each case in a process with these words in `LOCKDEP`.
pub(crate) fn run_all(cases: &[Case], lockdep: &str) {
    for (name, _) in cases {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture"])
            .env(CASE, name)
            .env("LOCKDEP", lockdep)
            .output()
            .unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {stdout}{stderr}");
        assert!(stdout.contains(&format!("ran: {name}")), "{name}: {stdout}");
    }
}
