//! Wait types: how long a wait may take, and how long one may wait while
//! holding a lock.
//!
//! Source: `Documentation/locking/lockdep-design.rst` and the `wait_type_inner`
//! and `wait_type_outer` fields of the kernel's `struct lockdep_map`.

use std::panic::Location;

use crate::call::Call;
use crate::emit::{self, Unwind};
use crate::mode::Mode;
use crate::{acquire, config, thread, validate};

/// How long a wait may take, from "does not wait" to "may sleep".
///
/// Each class and mode has an *outer* type (how long a waiter may wait) and an
/// *inner* type (the longest wait that is allowed while it is held). Waiting
/// longer than the innermost section allows is
/// [`ReportKind::InvalidWaitContext`](crate::ReportKind::InvalidWaitContext).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum WaitType {
    /// Does not wait.
    Free,
    /// Spins.
    Spin,
    /// May park, but only behind a section that ends soon.
    Bounded,
    /// May sleep for any time.
    Sleep,
}

impl WaitType {
    #[inline]
    pub(crate) const fn from_bits(bits: u32) -> WaitType {
        match bits & 0b11 {
            0 => WaitType::Free,
            1 => WaitType::Spin,
            2 => WaitType::Bounded,
            _ => WaitType::Sleep,
        }
    }
}

/// The declared outer and inner wait type of each mode, five bits a mode: bit 4
/// says "declared", bits 2-3 are the outer and bits 0-1 the inner type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaitTable(u32);

impl WaitTable {
    const BITS: u32 = 5;
    const DECLARED: u32 = 0b1_0000;

    pub(crate) const UNDECLARED: WaitTable = WaitTable(0);

    pub(crate) const fn with(self, mode: Mode, outer: WaitType, inner: WaitType) -> WaitTable {
        let shift = mode as u32 * Self::BITS;
        let entry = Self::DECLARED | (outer as u32) << 2 | inner as u32;
        WaitTable(self.0 & !(0b1_1111 << shift) | entry << shift)
    }

    pub(crate) const fn with_all(self, outer: WaitType, inner: WaitType) -> WaitTable {
        let mut table = self;
        let mut i = 0;
        while i < Mode::ALL.len() {
            table = table.with(Mode::ALL[i], outer, inner);
            i += 1;
        }
        table
    }

    const fn entry(self, mode: Mode) -> u32 {
        self.0 >> (mode as u32 * Self::BITS)
    }

    /// What this table says, else `fallback`, else that it is an ordinary
    /// sleeping lock.
    pub(crate) const fn or(self, fallback: WaitTable) -> Waits {
        let mut waits = 0;
        let mut i = 0;
        while i < Mode::ALL.len() {
            let mode = Mode::ALL[i];
            let entry = if self.entry(mode) & Self::DECLARED != 0 {
                self.entry(mode)
            } else if fallback.entry(mode) & Self::DECLARED != 0 {
                fallback.entry(mode)
            } else {
                0b1111
            };
            waits |= (entry & 0b1111) << (i as u32 * Waits::BITS);
            i += 1;
        }
        Waits(waits)
    }
}

/// The wait types of each mode, four bits a mode: bits 2-3 are the outer and bits
/// 0-1 the inner type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waits(u32);

impl Waits {
    const BITS: u32 = 4;

    pub(crate) const fn to_bits(self) -> u32 {
        self.0
    }

    #[inline]
    pub(crate) const fn from_bits(bits: u32) -> Waits {
        Waits(bits)
    }

    /// Those of the mode that is wanted.
    #[inline]
    pub(crate) const fn of(self, call: Call) -> Wait {
        Wait(self.0 >> (call.mode_bits() * Self::BITS))
    }

    pub(crate) const fn get(self, mode: Mode) -> Wait {
        Wait(self.0 >> (mode as u32 * Self::BITS))
    }
}

/// The outer and inner wait type of one mode. Their bits are ordered as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait(u32);

impl Wait {
    /// The bits of [`WaitType::Sleep`].
    pub(crate) const SLEEP: u32 = WaitType::Sleep as u32;

    #[inline]
    pub(crate) const fn outer_bits(self) -> u32 {
        self.0 >> 2 & 0b11
    }

    #[inline]
    pub(crate) const fn inner_bits(self) -> u32 {
        self.0 & 0b11
    }

    pub(crate) const fn outer(self) -> WaitType {
        WaitType::from_bits(self.outer_bits())
    }

    pub(crate) const fn inner(self) -> WaitType {
        WaitType::from_bits(self.inner_bits())
    }
}

/// Declares that the code from here on may sleep.
///
/// Inside a section that does not allow it, that is
/// [`ReportKind::InvalidWaitContext`](crate::ReportKind::InvalidWaitContext),
/// whether or not it sleeps this time.
///
/// # Panics
///
/// With [`Policy::Panic`](crate::Policy), when it is reported.
#[track_caller]
pub fn might_sleep() {
    if config::validates() {
        might_sleep_at(Location::caller());
    }
}

#[track_caller]
pub(crate) fn might_sleep_at(site: &'static Location<'static>) {
    let report = thread::with_tracked(|_, owner| {
        if acquire::limit(owner) >= WaitType::Sleep {
            return None;
        }
        let section = owner.held.iter().rfind(|held| held.inner < WaitType::Sleep);
        let sleep = WaitType::Sleep;
        Some(validate::too_long(owner, section, sleep, "a sleep", site))
    });
    if let Some(report) = report.flatten() {
        emit::deliver(vec![report], Unwind::Allowed);
    }
}

/// Runs `f` as an atomic section: waits inside it are
/// [`WaitType::Bounded`] at most.
///
/// # Examples
///
/// ```
/// use lockdep::{ReportKind, atomic, collect, might_sleep};
///
/// let ((), reports) = collect(|| atomic(might_sleep));
/// assert_eq!(reports[0].kind(), ReportKind::InvalidWaitContext);
/// ```
pub fn atomic<R>(f: impl FnOnce() -> R) -> R {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            thread::with(|_, owner| owner.atomic -= 1);
            thread::scope(-1);
        }
    }
    if !config::validates() {
        return f();
    }
    let entered = thread::with_tracked(|_, owner| owner.atomic += 1);
    let _leave = entered.map(|()| {
        thread::scope(1);
        Leave
    });
    f()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_mode_wins_over_the_fallback_and_the_default_is_sleep() {
        let lock = WaitTable::UNDECLARED
            .with(Mode::SharedRecursive, WaitType::Bounded, WaitType::Sleep)
            .with(Mode::Exclusive, WaitType::Sleep, WaitType::Bounded);
        let key = WaitTable::UNDECLARED.with(Mode::Exclusive, WaitType::Spin, WaitType::Free);
        let both = key.or(lock);
        let types = |mode| (both.get(mode).outer(), both.get(mode).inner());
        assert_eq!(types(Mode::Exclusive), (WaitType::Spin, WaitType::Free));
        let read = types(Mode::SharedRecursive);
        assert_eq!(read, (WaitType::Bounded, WaitType::Sleep));
        assert_eq!(types(Mode::Upgradable), (WaitType::Sleep, WaitType::Sleep));
    }
}
