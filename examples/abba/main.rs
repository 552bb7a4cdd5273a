//! A lock-order inversion, found without a deadlock.
//!
//! Thread `one` reads A and then writes B. It ends. Only then thread `two` reads B and then
//! writes A. Nothing ever waits here, but run at the same time the two could wait for each
//! other for ever. The validator knows both orders and reports the second one.
//!
//! `cargo run --example abba --features debug-lockdep`

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;

use clap::Parser;
use examples::stdout;
use zslock::ZsLock;
use zslock::lockdep::{Policy, Report, ReportKind, on_report, set_policy};

static A: ZsLock<u32> = zslock::with_class(zslock::lock_class_key!("A"), 0);
static B: ZsLock<u32> = zslock::with_class(zslock::lock_class_key!("B"), 0);

/// What the validator reported.
static REPORTS: Mutex<Vec<Report>> = Mutex::new(Vec::new());

/// A lock-order inversion, found without a deadlock: two threads take two locks in opposite order, one
/// after the other, and the validator reports the deadlock that could have been.
///
/// Exit status: 0 it was reported, 1 it was not or the output could not be written, 2 bad option.
#[derive(Debug, Parser)]
#[command(name = "abba", verbatim_doc_comment)]
struct Options {}

fn main() -> ExitCode {
    Options::parse();
    stdout::ended(run(&mut io::stdout()))
}

/// The whole story; returns whether the inversion was found.
fn run(out: &mut impl Write) -> io::Result<bool> {
    // A report is one `tracing` event, here a line of the log ...
    tracing_subscriber::fmt()
        .without_time()
        .with_ansi(io::stdout().is_terminal())
        .init();
    // ... and goes to a handler.
    on_report(|report| REPORTS.lock().unwrap().push(report.clone()));
    // The default is a panic, so that a test fails; this program goes on.
    set_policy(Policy::Log);

    writeln!(out, "thread `one` reads A, then writes B")?;
    let one = in_thread("one", || {
        let a = A.read();
        let mut b = B.write();
        *b = *a + 1;
    });
    writeln!(
        out,
        "thread `one` has ended; thread `two` reads B, then writes A"
    )?;
    let two = in_thread("two", || {
        let b = B.read();
        let mut a = A.write();
        *a = *b + 1;
    });
    let reports = REPORTS.lock().unwrap();
    // As a kernel developer expects it.
    for report in reports.iter() {
        writeln!(out, "\n{report}\n")?;
    }
    let (a, b) = (*A.read(), *B.read());
    writeln!(out, "thread `two` has ended: A = {a}, B = {b}")?;

    let went_on = one && two && a == 2;
    let found = matches!(reports.as_slice(), [report] if is_inversion(report));
    if found && went_on {
        writeln!(
            out,
            "verdict: the inversion of A and B was reported, and the program went on"
        )?;
    } else {
        writeln!(
            out,
            "verdict: FAILED, {} reports instead of one (is LOCKDEP set?), the threads went on: {went_on}",
            reports.len()
        )?;
    }
    Ok(found && went_on)
}

/// Runs `body` to its end in a thread of this name; whether it got there.
fn in_thread(name: &str, body: fn()) -> bool {
    let thread = thread::Builder::new().name(name.to_owned());
    let joined = thread.spawn(body).map(thread::JoinHandle::join);
    matches!(joined, Ok(Ok(())))
}

/// B was held and A wanted, where A had been held and B wanted.
fn is_inversion(report: &Report) -> bool {
    let held: Vec<_> = report.cycle.iter().map(|edge| edge.held.as_str()).collect();
    report.kind() == ReportKind::CircularDependency && held == ["B", "A"]
}
