//! The steps of acquisitions as `tracing` events at `TRACE`, target `lockdep`,
//! named as the kernel's tracepoints (`include/trace/events/lock.h`).
//!
//! Nothing of the validator is locked here, and this thread's acquisitions are
//! not followed: a subscriber may lock what it likes.

use std::panic::Location;
use std::time::Duration;

use crate::class::ClassName;
use crate::mode::Attempt;
use crate::observe::{Record, Step};

/// One event: its name, the fields that all have, and its own.
macro_rules! event {
    ($name:literal, $record:expr, $site:expr, $($fields:tt)*) => {
        tracing::event!(
            name: $name,
            target: "lockdep",
            tracing::Level::TRACE,
            class = %class($record),
            lock = $record.lock,
            mode = $record.wanted_mode().name(),
            location = %$site,
            $($fields)*
            // Shown by subscribers that do not show the name of an event.
            $name
        )
    };
}

/// A thread wants the lock; it has been validated.
pub(crate) fn acquire(step: &Step) {
    let record = &step.record;
    event!(
        "lock_acquire",
        record,
        record.site,
        attempt = attempt(record),
    );
}

/// The lock is not free: the thread begins to wait.
pub(crate) fn contended(step: &Step) {
    let record = &step.record;
    event!(
        "lock_contended",
        record,
        record.site,
        attempt = attempt(record),
    );
}

/// The thread has the lock.
pub(crate) fn acquired(step: &Step) {
    let record = &step.record;
    event!(
        "lock_acquired",
        record,
        record.site,
        wait_ns = ns(step.wait),
    );
}

/// The hold ended, or what never became one.
pub(crate) fn release(step: &Step, site: &'static Location<'static>) {
    let record = &step.record;
    event!("lock_release", record, site, hold_ns = ns(step.hold),);
}

/// The hold goes on in another mode, or begins an upgrade.
pub(crate) fn changed(step: &Step) {
    let record = &step.record;
    if record.is_upgrading() {
        return acquire(step);
    }
    event!(
        "lock_downgrade",
        record,
        record.site,
        hold_ns = ns(step.hold),
    );
}

fn class(record: &Record) -> ClassName {
    ClassName {
        origin: record.origin,
        node: record.node,
    }
}

const fn attempt(record: &Record) -> &'static str {
    if record.is_upgrading() {
        return "upgrade";
    }
    match record.attempt {
        Attempt::Block => "block",
        Attempt::Try => "try",
        Attempt::Timed => "timed",
    }
}

/// A u64 of nanoseconds is 584 years.
fn ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
