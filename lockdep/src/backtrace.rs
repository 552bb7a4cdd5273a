//! Backtraces of new dependencies and of reports, when `LOCKDEP_BACKTRACE` asks
//! for them.

use std::backtrace::Backtrace;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// The calls that led here, if the environment asks for them. Only addresses are
/// collected; symbols are looked up when it is shown.
pub(crate) fn capture() -> Option<Arc<Backtrace>> {
    wanted().then(|| Arc::new(Backtrace::force_capture()))
}

/// [`capture`] with its symbols, which takes long: for a report, and not under a
/// lock.
pub(crate) fn text() -> Option<String> {
    capture().map(|backtrace| backtrace.to_string())
}

/// What `LOCKDEP_BACKTRACE` says; read once.
fn wanted() -> bool {
    const UNREAD: u8 = 0;
    const NO: u8 = 1;
    const YES: u8 = 2;
    static WANTED: AtomicU8 = AtomicU8::new(UNREAD);
    // Relaxed: the byte says all; two threads that read the environment store the
    // same. (No `OnceLock`: a fork could find it half-way, for ever.)
    match WANTED.load(Ordering::Relaxed) {
        UNREAD => {
            let value = std::env::var_os("LOCKDEP_BACKTRACE");
            let wanted = value.is_some_and(|value| !value.is_empty() && value != "0");
            // Relaxed: see above.
            WANTED.store(if wanted { YES } else { NO }, Ordering::Relaxed);
            wanted
        }
        known => known == YES,
    }
}
