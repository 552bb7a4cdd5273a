//! Why a plain count of users is not enough: a writer of an object and a migration of its zspage, with a
//! lock that only counts, and with one that shuts new users out.
//!
//! The count breaks the pool's memory safety, on purpose, so each lock gets a process of its own. The
//! example `orderings` shows the same on a model, step by step.

use std::env;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use clap::{Parser, ValueEnum};
use examples::stdout;
use zsalloc::lock_api::{GuardSend, RawRwLock};
use zsalloc::{Pool, SOURCE_PAGE};

const CORRUPTED: u8 = 42;
/// What corrupted memory may end in as well: SIGABRT, SIGBUS, SIGSEGV.
const CRASHES: [i32; 3] = [6, 7, 11];

/// `users++` to map, `users--` to unmap, and "if nobody uses it, migrate it".
struct UserCount(AtomicUsize);

// SAFETY: this is a lie, which the example is about: the exclusive lock leaves no trace, so a reader that
// comes after the check is let in. Used only in a child process.
unsafe impl RawRwLock for UserCount {
    #[allow(clippy::declare_interior_mutable_const, reason = "lock_api's way")]
    const INIT: Self = Self(AtomicUsize::new(0));
    type SharedGuard = GuardSend;
    type ExclusiveGuard = GuardSend;

    fn lock_shared(&self) -> GuardSend {
        // Acquire here and below, Release to unlock: what is wrong is the protocol, not the ordering.
        self.0.fetch_add(1, Ordering::Acquire);
        GuardSend::new()
    }

    fn try_lock_shared(&self) -> Option<GuardSend> {
        Some(self.lock_shared())
    }

    unsafe fn unlock_shared(&self, _: GuardSend) {
        self.0.fetch_sub(1, Ordering::Release);
    }

    fn lock_exclusive(&self) -> GuardSend {
        unreachable!("a pool only tries")
    }

    fn try_lock_exclusive(&self) -> Option<GuardSend> {
        let unused = self.0.load(Ordering::Acquire) == 0;
        // A thread may lose its core here, between check and act.
        thread::yield_now();
        unused.then(GuardSend::new)
    }

    unsafe fn unlock_exclusive(&self, _: GuardSend) {}

    fn is_locked(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }

    fn is_locked_exclusive(&self) -> bool {
        false
    }
}

/// A plain count of users as the lock of a real pool, and zslock in its place: a write meets a migration.
///
/// Exit status: 0 the count failed and the lock did not, 1 otherwise or if the output could not be written,
/// 2 bad option.
#[derive(Debug, Parser)]
#[command(name = "user_count", verbatim_doc_comment)]
struct Options {
    /// Run with this lock, in this process, for the program that started it.
    #[arg(long, value_enum, hide = true)]
    child: Option<Child>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Child {
    Count,
    Zslock,
}

fn main() -> ExitCode {
    let mut out = io::stdout();
    let lost = match Options::parse().child {
        Some(Child::Count) => write_under_migration(|| UserCount::INIT, 10_000_000, &mut out),
        Some(Child::Zslock) => write_under_migration(|| zslock::RawZsLock::INIT, 30_000, &mut out),
        None => return stdout::ended(compare(&mut out)),
    };
    match lost {
        Ok(true) => ExitCode::from(CORRUPTED),
        none_or_error => stdout::ended(none_or_error.map(|lost| !lost)),
    }
}

/// Both locks; returns whether the count failed and the lock did not.
fn compare(out: &mut impl Write) -> io::Result<bool> {
    writeln!(out, "a plain user count:")?;
    let counted = run_child("--child=count");
    writeln!(out, "zslock:")?;
    let locked = run_child("--child=zslock");
    let (counted, locked) = match (counted, locked) {
        (Ok(counted), Ok(locked)) => (counted, locked),
        (Err(cause), _) | (_, Err(cause)) => {
            writeln!(out, "verdict: FAILED, cannot start a process: {cause}")?;
            return Ok(false);
        }
    };
    let fault = fault_of(counted).filter(|_| locked.success());
    match &fault {
        Some(fault) => writeln!(out, "verdict: {fault}; the lock lost none")?,
        None => writeln!(
            out,
            "verdict: FAILED, the count ended with {counted}, the lock with {locked}"
        )?,
    }
    Ok(fault.is_some())
}

/// What became of the process with the count, if that is what must come of it.
fn fault_of(counted: ExitStatus) -> Option<String> {
    if counted.code() == Some(CORRUPTED.into()) {
        return Some("the count lost a write to a migration that had already looked".to_owned());
    }
    let signal = counted.signal().filter(|signal| CRASHES.contains(signal))?;
    Some(format!(
        "the process with the count crashed: signal {signal}"
    ))
}

fn run_child(argument: &str) -> io::Result<ExitStatus> {
    Command::new(env::current_exe()?).arg(argument).status()
}

/// Fills an object and reads it back, while another thread migrates its zspage to and fro; whether a write
/// was lost.
fn write_under_migration<L>(
    new_lock: fn() -> L,
    rounds: u32,
    out: &mut impl Write,
) -> io::Result<bool>
where
    L: RawRwLock + Send + Sync + 'static,
{
    // With retained pages a stray write hits the copy that was left, and not a hole.
    let builder = Pool::builder().lock_with(new_lock).retain_pages(64);
    let pool = builder.build().expect("the configuration is possible");
    let mut handle = pool.alloc(SOURCE_PAGE).expect("there is memory");
    let zspage = pool.zspages().next().expect("it holds the object").id;
    let done = AtomicBool::new(false);
    let lost = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                // Refused while the object is mapped.
                let _ = pool.migrate(zspage);
            }
        });
        let lost = (0..rounds).find_map(|round| {
            let written = round as u8;
            pool.write(&mut handle).fill(written);
            // A copy, so that migrations get their turn while it is compared.
            let read = pool.read(&handle).to_vec();
            let wrong = read.iter().copied().find(|&byte| byte != written)?;
            Some((round, written, wrong))
        });
        // Not before the migrations had a chance.
        while lost.is_none() && pool.stats().migrations < 1000 {
            thread::yield_now();
        }
        done.store(true, Ordering::Relaxed);
        lost
    });
    match lost {
        Some((round, written, read)) => writeln!(
            out,
            "  write {round} is lost: wrote {written:#04x}, read {read:#04x}"
        )?,
        None => writeln!(
            out,
            "  {rounds} writes and {} migrations: none lost",
            pool.stats().migrations
        )?,
    }
    Ok(lost.is_some())
}
