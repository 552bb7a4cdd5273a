//! The mode byte and the policy, from the environment variable `LOCKDEP` and
//! from [`set_policy`](crate::set_policy).

use std::sync::atomic::{AtomicU8, Ordering};

use crate::emit::Policy;
use crate::thread;

/// What is switched on. One load and one predictable branch a call.
static MODE: AtomicU8 = AtomicU8::new(UNREAD);
/// The policy in force.
static POLICY: AtomicU8 = AtomicU8::new(PANIC);

/// The environment was not read yet.
const UNREAD: u8 = 0;
pub(crate) const OFF: u8 = 1;
/// The order is validated. Alone it is the usual case, and the fast one.
pub(crate) const VALIDATE: u8 = 2;
/// Added to `VALIDATE`: each step of an acquisition is a `tracing` event.
pub(crate) const TRACE: u8 = 4;
/// Added to `VALIDATE`: acquisitions are counted and timed.
pub(crate) const STAT: u8 = 8;

const LOG: u8 = 0;
const PANIC: u8 = 1;
const ABORT: u8 = 2;
/// Set by the environment, so that `set_policy` changes nothing.
const FORCED: u8 = 0b1000;

/// What is switched on: `OFF`, or `VALIDATE` and perhaps more bits.
#[inline]
pub(crate) fn mode() -> u8 {
    // Relaxed: the byte says all; nothing is read through it.
    match MODE.load(Ordering::Relaxed) {
        VALIDATE => VALIDATE,
        UNREAD => read_environment(),
        other => other,
    }
}

/// Whether `trace` or `stat` is on.
pub(crate) fn observes() -> bool {
    mode() & (TRACE | STAT) != 0
}

#[inline]
pub(crate) fn validates() -> bool {
    mode() & VALIDATE != 0
}

pub(crate) fn policy() -> Policy {
    // Relaxed: as for `MODE`.
    match POLICY.load(Ordering::Relaxed) & !FORCED {
        LOG => Policy::Log,
        ABORT => Policy::Abort,
        _ => Policy::Panic,
    }
}

pub(crate) fn set_policy(policy: Policy) {
    validates();
    // Relaxed: as for `MODE`.
    let _ = POLICY.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
        (now & FORCED == 0).then_some(byte(policy))
    });
}

const fn byte(policy: Policy) -> u8 {
    match policy {
        Policy::Log => LOG,
        Policy::Panic => PANIC,
        Policy::Abort => ABORT,
    }
}

/// What the words of `LOCKDEP` ask for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Words<'a> {
    off: bool,
    trace: bool,
    stat: bool,
    policy: Option<Policy>,
    unknown: Vec<&'a str>,
}

impl Words<'_> {
    fn mode(&self) -> u8 {
        if self.off {
            return OFF;
        }
        let bit = |asked: bool, bit: u8| if asked { bit } else { 0 };
        VALIDATE | bit(self.trace, TRACE) | bit(self.stat, STAT)
    }
}

fn parse(value: &str) -> Words<'_> {
    let mut words = Words::default();
    for word in value.split(',').map(str::trim) {
        match word {
            "" => {}
            "off" => words.off = true,
            "trace" => words.trace = true,
            "stat" => words.stat = true,
            "log" => words.policy = Some(Policy::Log),
            "panic" => words.policy = Some(Policy::Panic),
            "abort" => words.policy = Some(Policy::Abort),
            unknown => words.unknown.push(unknown),
        }
    }
    words
}

/// Reads the environment once; the mode it asks for.
#[cold]
fn read_environment() -> u8 {
    // Reading it allocates, and the allocator may lock.
    if thread::is_untracked() {
        return OFF;
    }
    thread::untracked(|| {
        let value = std::env::var("LOCKDEP").unwrap_or_default();
        let words = parse(&value);
        // Relaxed: as for `MODE`; two threads that get here store the same.
        if let Some(policy) = words.policy {
            POLICY.store(byte(policy) | FORCED, Ordering::Relaxed);
        }
        let mode = words.mode();
        if MODE.swap(mode, Ordering::Relaxed) == UNREAD && !words.unknown.is_empty() {
            tracing::warn!(
                target: "lockdep",
                unknown = words.unknown.join(","),
                "LOCKDEP takes off, log, panic, abort, trace and stat, separated by commas; the rest is ignored",
            );
        }
        mode
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_understood_and_unknown_ones_are_named() {
        assert_eq!(parse(""), Words::default());
        assert!(parse("off").off);
        assert_eq!(parse("log").policy, Some(Policy::Log));
        assert_eq!(parse(" panic , abort").policy, Some(Policy::Abort));
        assert!(parse("stat,trace").trace && parse("stat").stat && !parse("stat").trace);
        assert_eq!(parse("log,loud,quiet").unknown, ["loud", "quiet"]);
    }

    #[test]
    fn off_wins_and_the_others_add_to_validation() {
        assert_eq!(parse("").mode(), VALIDATE);
        assert_eq!(parse("log").mode(), VALIDATE);
        assert_eq!(parse("trace").mode(), VALIDATE | TRACE);
        assert_eq!(parse("stat,panic").mode(), VALIDATE | STAT);
        assert_eq!(parse("stat,trace").mode(), VALIDATE | STAT | TRACE);
        assert_eq!(parse("stat,off,trace").mode(), OFF);
    }
}
