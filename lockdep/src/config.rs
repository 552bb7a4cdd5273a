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
const OFF: u8 = 1;
const VALIDATE: u8 = 2;

const LOG: u8 = 0;
const PANIC: u8 = 1;
const ABORT: u8 = 2;
/// Set by the environment, so that `set_policy` changes nothing.
const FORCED: u8 = 0b1000;

#[inline]
pub(crate) fn validates() -> bool {
    // Relaxed: the byte says all; nothing is read through it.
    match MODE.load(Ordering::Relaxed) {
        VALIDATE => true,
        UNREAD => read_environment(),
        _ => false,
    }
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
    policy: Option<Policy>,
    unknown: Vec<&'a str>,
}

fn parse(value: &str) -> Words<'_> {
    let mut words = Words::default();
    for word in value.split(',').map(str::trim) {
        match word {
            "" => {}
            "off" => words.off = true,
            "log" => words.policy = Some(Policy::Log),
            "panic" => words.policy = Some(Policy::Panic),
            "abort" => words.policy = Some(Policy::Abort),
            unknown => words.unknown.push(unknown),
        }
    }
    words
}

/// Reads the environment once; whether the validator is on.
#[cold]
fn read_environment() -> bool {
    // Reading it allocates, and the allocator may lock.
    if thread::is_untracked() {
        return false;
    }
    thread::untracked(|| {
        let value = std::env::var("LOCKDEP").unwrap_or_default();
        let words = parse(&value);
        // Relaxed: as for `MODE`; two threads that get here store the same.
        if let Some(policy) = words.policy {
            POLICY.store(byte(policy) | FORCED, Ordering::Relaxed);
        }
        let mode = if words.off { OFF } else { VALIDATE };
        if MODE.swap(mode, Ordering::Relaxed) == UNREAD && !words.unknown.is_empty() {
            tracing::warn!(
                target: "lockdep",
                unknown = words.unknown.join(","),
                "LOCKDEP takes off, log, panic and abort, separated by commas; the rest is ignored",
            );
        }
        !words.off
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
        assert_eq!(parse("log,loud,quiet").unknown, ["loud", "quiet"]);
    }
}
