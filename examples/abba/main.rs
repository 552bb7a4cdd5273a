//! A lock-order inversion, found without a deadlock.
//!
//! Thread `one` reads A and then writes B. It ends. Only then thread `two` reads B and then
//! writes A. Nothing ever waits here, but run at the same time the two could wait for each
//! other for ever. The validator knows both orders and reports the second one.
//!
//! `cargo run --example abba --features debug-lockdep`

use std::io::{IsTerminal, stdout};
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;

use zslock::ZsLock;
use zslock::lockdep::{Policy, Report, ReportKind, on_report, set_policy};

static A: ZsLock<u32> = zslock::with_class(zslock::lock_class_key!("A"), 0);
static B: ZsLock<u32> = zslock::with_class(zslock::lock_class_key!("B"), 0);

/// What the validator reported.
static REPORTS: Mutex<Vec<Report>> = Mutex::new(Vec::new());

fn main() -> ExitCode {
    // A report is one `tracing` event, here a line of the log ...
    tracing_subscriber::fmt()
        .without_time()
        .with_ansi(stdout().is_terminal())
        .init();
    // ... and goes to a handler, which prints it as a kernel developer expects it.
    on_report(|report| {
        println!("\n{report}\n");
        REPORTS.lock().unwrap().push(report.clone());
    });
    // The default is a panic, so that a test fails; this program goes on.
    set_policy(Policy::Log);

    println!("thread `one` reads A, then writes B");
    run("one", || {
        let a = A.read();
        let mut b = B.write();
        *b = *a + 1;
    });
    println!("thread `one` has ended; thread `two` reads B, then writes A");
    run("two", || {
        let b = B.read();
        let mut a = A.write();
        *a = *b + 1;
    });
    println!(
        "thread `two` has ended: A = {}, B = {}",
        *A.read(),
        *B.read()
    );

    verdict()
}

fn run(name: &str, body: fn()) {
    let thread = thread::Builder::new().name(name.to_owned());
    let joined = thread.spawn(body).map(thread::JoinHandle::join);
    if !matches!(joined, Ok(Ok(()))) {
        println!("thread `{name}` did not run to its end");
    }
}

fn verdict() -> ExitCode {
    let reports = REPORTS.lock().unwrap();
    let inversion = |report: &Report| {
        let held: Vec<_> = report.cycle.iter().map(|edge| edge.held.as_str()).collect();
        report.kind() == ReportKind::CircularDependency && held == ["B", "A"]
    };
    let went_on = *A.read() == 2;
    if reports.len() == 1 && inversion(&reports[0]) && went_on {
        println!("verdict: the inversion of A and B was reported, and the program went on");
        ExitCode::SUCCESS
    } else {
        println!(
            "verdict: FAILED, {} reports instead of one (is LOCKDEP set?)",
            reports.len()
        );
        ExitCode::FAILURE
    }
}
