//! How long compaction holds its locks.
//!
//! A hold is timed from just before the lock is asked for until just after it is released. So the
//! figure is never below what another thread can see of the hold; it includes the time that
//! compaction itself waited for the lock of a class (for a zspage lock it never waits).

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

/// The longest hold of each kind of lock so far.
#[derive(Debug, Default)]
pub(crate) struct HoldTimes {
    class: Cell<Duration>,
    zspage: Cell<Duration>,
}

impl HoldTimes {
    /// Times a hold of a class lock, which `lock` takes.
    pub(crate) fn class<G>(&self, lock: impl FnOnce() -> G) -> Timed<'_, G> {
        let time = Stopwatch::start(&self.class);
        Timed {
            guard: lock(),
            _time: time,
        }
    }

    /// Times a hold of a zspage lock, if `try_lock` gets it.
    pub(crate) fn zspage<G>(&self, try_lock: impl FnOnce() -> Option<G>) -> Option<Timed<'_, G>> {
        let time = Stopwatch::start(&self.zspage);
        match try_lock() {
            Some(guard) => Some(Timed { guard, _time: time }),
            None => {
                // No hold, nothing to time.
                std::mem::forget(time);
                None
            }
        }
    }

    pub(crate) fn longest_class(&self) -> Duration {
        self.class.get()
    }

    pub(crate) fn longest_zspage(&self) -> Duration {
        self.zspage.get()
    }
}

/// A guard whose hold is timed.
pub(crate) struct Timed<'t, G> {
    guard: G,
    // Fields are dropped in this order: the time ends after the hold.
    _time: Stopwatch<'t>,
}

impl<G> Deref for Timed<'_, G> {
    type Target = G;

    fn deref(&self) -> &G {
        &self.guard
    }
}

impl<G> DerefMut for Timed<'_, G> {
    fn deref_mut(&mut self) -> &mut G {
        &mut self.guard
    }
}

struct Stopwatch<'t> {
    longest: &'t Cell<Duration>,
    since: Instant,
}

impl<'t> Stopwatch<'t> {
    fn start(longest: &'t Cell<Duration>) -> Self {
        let since = Instant::now();
        Self { longest, since }
    }
}

impl Drop for Stopwatch<'_> {
    fn drop(&mut self) {
        self.longest
            .set(self.longest.get().max(self.since.elapsed()));
    }
}
