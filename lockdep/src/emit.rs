//! Delivering reports: the `tracing` event, the handler, `collect` and the
//! policy.
//!
//! No internal lock is held here, and while a subscriber or a handler runs this
//! thread's acquisitions are not followed: both may lock what they like.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use crate::config;
use crate::report::Report;
use crate::thread;

/// What to do about a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Policy {
    /// Go on: the `tracing` event and the handler are all.
    Log,
    /// Panic with the report as the message. While the thread already unwinds,
    /// or in a release, a drop or a thread's end: like `Log`.
    Panic,
    /// Abort the process, after the panic hook has shown the report.
    Abort,
}

/// Whether the caller can be unwound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unwind {
    Allowed,
    Never,
}

pub(crate) type Handler = Arc<dyn Fn(&Report) + Send + Sync>;

static HANDLER: RwLock<Option<Handler>> = RwLock::new(None);

pub(crate) type HandlerGuard = RwLockWriteGuard<'static, Option<Handler>>;

/// Keeps the handler from being read or replaced.
pub(crate) fn lock_handler() -> HandlerGuard {
    HANDLER.write().unwrap_or_else(PoisonError::into_inner)
}

/// Sets the process-wide policy. The default is [`Policy::Panic`]; the
/// environment variable `LOCKDEP` wins over this.
pub fn set_policy(policy: Policy) {
    config::set_policy(policy);
}

/// Calls `handler` with every report, on the thread that ran into it, after the
/// `tracing` event and before the policy. Replaces the handler set before.
///
/// The handler may lock anything; what it locks is not validated.
pub fn on_report(handler: impl Fn(&Report) + Send + Sync + 'static) {
    let handler: Handler = Arc::new(handler);
    let previous = lock_handler().replace(handler);
    // Outside of the lock: what it captured may have a drop of its own.
    drop(previous);
}

/// Runs `f` and returns the reports of this thread from inside it. The policy is
/// suspended for them: nothing panics or aborts. The event and the handler are
/// not.
///
/// # Examples
///
/// ```
/// use lockdep::{Attempt, LockMap, Mode, ReportKind, collect};
///
/// let (a, b) = (LockMap::instance(), LockMap::instance());
/// let in_order = |first: &LockMap, second: &LockMap| {
///     let held = first.acquire(Mode::Exclusive, Attempt::Block);
///     let inner = second.acquire(Mode::Exclusive, Attempt::Block);
///     second.release(inner);
///     first.release(held);
/// };
/// let ((), reports) = collect(|| in_order(&a, &b));
/// assert!(reports.is_empty());
/// let ((), reports) = collect(|| in_order(&b, &a));
/// assert_eq!(reports[0].kind(), ReportKind::CircularDependency);
/// ```
pub fn collect<R>(f: impl FnOnce() -> R) -> (R, Vec<Report>) {
    /// Closes the list also when `f` unwinds.
    struct Close;
    impl Drop for Close {
        fn drop(&mut self) {
            thread::with(|_, owner| owner.collectors.pop());
        }
    }
    if !config::validates() {
        return (f(), Vec::new());
    }
    let opened = thread::with(|_, owner| owner.collectors.push(Vec::new())).is_some();
    let close = opened.then_some(Close);
    let result = f();
    let reports = opened
        .then(|| thread::with(|_, owner| owner.collectors.last_mut().map(std::mem::take)))
        .flatten()
        .flatten();
    drop(close);
    (result, reports.unwrap_or_default())
}

/// Delivers reports; must not be called from inside [`thread::with`].
#[cold]
#[track_caller]
pub(crate) fn deliver(reports: Vec<Report>, unwind: Unwind) {
    let mut message = String::new();
    for report in reports {
        match unwind {
            Unwind::Allowed => announce(&report),
            // A handler that panics must not take the caller's drop with it.
            Unwind::Never => drop(catch_unwind(AssertUnwindSafe(|| announce(&report)))),
        }
        let Some(report) = collected(report) else {
            continue;
        };
        match config::policy() {
            Policy::Log => {}
            Policy::Panic if unwind == Unwind::Never || std::thread::panicking() => {}
            Policy::Panic => {
                let _ = writeln!(message, "{report}");
            }
            Policy::Abort => abort(&report),
        }
    }
    if !message.is_empty() {
        panic!("{}", message.trim_end());
    }
}

/// Gives the report to the innermost `collect` of this thread, or back.
fn collected(report: Report) -> Option<Report> {
    let mut report = Some(report);
    thread::with(|_, owner| {
        if let Some(list) = owner.collectors.last_mut() {
            list.extend(report.take());
        }
    });
    report
}

fn announce(report: &Report) {
    let handler = HANDLER
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    thread::untracked(|| {
        event(report);
        if let Some(handler) = handler {
            handler(report);
        }
    });
}

/// The report as one event: the headline is the message, the rest are fields.
fn event(report: &Report) {
    let acquiring = report.acquisition.as_ref().map(ToString::to_string);
    let conflict = report.conflict.as_ref().map(ToString::to_string);
    let cycle: Vec<_> = report.cycle.iter().map(ToString::to_string).collect();
    let held: Vec<_> = report.held.iter().map(ToString::to_string).collect();
    let traces = report.cycle.iter().zip(0..).filter_map(|(edge, number)| {
        let trace = edge.backtrace.as_ref()?;
        Some(format!("#{number}:\n{trace}"))
    });
    let traces: Vec<_> = traces.collect();
    tracing::error!(
        target: "lockdep",
        kind = report.kind.name(),
        thread = report.thread,
        location = %report.location,
        acquiring,
        holding = conflict,
        cycle = (!cycle.is_empty()).then(|| cycle.join("; ")),
        recovers = report.recovers.then_some(true),
        held = held.join("; "),
        guard = report.guard,
        backtrace = report.backtrace,
        cycle_backtraces = (!traces.is_empty()).then(|| traces.join("\n")),
        detail = report.detail,
        "{}", report.kind.headline(),
    );
}

fn abort(report: &Report) -> ! {
    // A panic that goes nowhere: the panic hook decides how a message of a
    // process that dies is shown.
    let _ = catch_unwind(|| panic!("{report}"));
    std::process::abort()
}
