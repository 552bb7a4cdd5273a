//! Wait types: how long a wait may take, and how long one may wait while
//! holding a lock.
//!
//! Source: `Documentation/locking/lockdep-design.rst` and the `wait_type_inner`
//! and `wait_type_outer` fields of the kernel's `struct lockdep_map`.

use std::panic::Location;

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
    const fn from_bits(bits: u32) -> WaitType {
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

    /// `(outer, inner)` of `mode`: from this table, else from `fallback`, else
    /// an ordinary sleeping lock.
    pub(crate) const fn get(self, mode: Mode, fallback: WaitTable) -> (WaitType, WaitType) {
        let shift = mode as u32 * Self::BITS;
        let mut entry = self.0 >> shift;
        if entry & Self::DECLARED == 0 {
            entry = fallback.0 >> shift;
        }
        if entry & Self::DECLARED == 0 {
            return (WaitType::Sleep, WaitType::Sleep);
        }
        (WaitType::from_bits(entry >> 2), WaitType::from_bits(entry))
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
        let mut holds = owner.held.as_slice().iter();
        let section = holds.rfind(|held| held.inner < WaitType::Sleep).copied();
        validate::too_long(owner, section, WaitType::Sleep, "a sleep", site)
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
        }
    }
    if !config::validates() {
        return f();
    }
    let entered = thread::with_tracked(|_, owner| owner.atomic += 1);
    let _leave = entered.map(|()| Leave);
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
        assert_eq!(
            key.get(Mode::Exclusive, lock),
            (WaitType::Spin, WaitType::Free)
        );
        assert_eq!(
            key.get(Mode::SharedRecursive, lock),
            (WaitType::Bounded, WaitType::Sleep)
        );
        assert_eq!(
            key.get(Mode::Upgradable, lock),
            (WaitType::Sleep, WaitType::Sleep)
        );
    }
}
