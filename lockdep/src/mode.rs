//! How a lock is requested, and how it is held.

/// The way in which a lock is acquired.
///
/// The *recursive* shared modes are for locks whose readers wait only for a
/// holder, never for a waiting writer: such a reader may nest. A lock that
/// queues readers behind waiting writers (parking_lot, std) uses
/// [`Mode::Shared`].
///
/// | request | can be blocked by holds of kind |
/// |---|---|
/// | `Exclusive`, `Shared`, `Upgradable` | any |
/// | `SharedRecursive` | exclusive |
/// | `UpgradableRecursive` | exclusive, upgradable |
///
/// Source: read-recursion in `Documentation/locking/lockdep-design.rst` of the
/// Linux kernel ("Recursive read locks").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "kebab-case")
)]
#[non_exhaustive]
pub enum Mode {
    /// One holder, no other holders of any kind.
    Exclusive,
    /// Shared; the request waits behind a queued writer.
    Shared,
    /// Shared; the request waits only for an exclusive holder.
    SharedRecursive,
    /// Shared with readers, at most one, may become exclusive; the request
    /// waits behind a queued writer.
    Upgradable,
    /// Like [`Mode::Upgradable`], but the request waits only for an exclusive
    /// or upgradable holder.
    UpgradableRecursive,
}

impl Mode {
    /// Every mode, in declaration order.
    pub(crate) const ALL: [Mode; 5] = [
        Mode::Exclusive,
        Mode::Shared,
        Mode::SharedRecursive,
        Mode::Upgradable,
        Mode::UpgradableRecursive,
    ];

    #[inline]
    pub(crate) const fn from_bits(bits: u32) -> Mode {
        match bits & 0b111 {
            0 => Mode::Exclusive,
            1 => Mode::Shared,
            2 => Mode::SharedRecursive,
            3 => Mode::Upgradable,
            _ => Mode::UpgradableRecursive,
        }
    }

    /// The word used for this mode in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Mode::Exclusive => "exclusive",
            Mode::Shared => "shared",
            Mode::SharedRecursive => "shared-recursive",
            Mode::Upgradable => "upgradable",
            Mode::UpgradableRecursive => "upgradable-recursive",
        }
    }
}

impl core::fmt::Display for Mode {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether an acquisition waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "kebab-case")
)]
#[non_exhaustive]
pub enum Attempt {
    /// Waits as long as it takes.
    Block,
    /// Never waits. It cannot deadlock, so nothing comes to depend on it; but
    /// what it acquired is held, and later waits depend on that.
    Try,
    /// Waits, but gives up. Counts as blocking: a deadlock that ends by a
    /// timeout is still a bug, and the report says that it would recover.
    Timed,
}

impl Attempt {
    #[inline]
    pub(crate) const fn from_bits(bits: u32) -> Attempt {
        match bits & 0b11 {
            0 => Attempt::Block,
            1 => Attempt::Try,
            _ => Attempt::Timed,
        }
    }
}

/// What a hold is to those who wait for it: recursive or not makes no
/// difference once the lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum HoldKind {
    Shared = 0,
    Upgradable = 1,
    Exclusive = 2,
}

impl Mode {
    pub(crate) const fn hold_kind(self) -> HoldKind {
        match self {
            Mode::Exclusive => HoldKind::Exclusive,
            Mode::Shared | Mode::SharedRecursive => HoldKind::Shared,
            Mode::Upgradable | Mode::UpgradableRecursive => HoldKind::Upgradable,
        }
    }

    /// What blocks a request in this mode. When the writers of the class never
    /// wait, no reader can queue behind one.
    pub(crate) const fn request(self, blocking_writers: bool) -> Request {
        match self {
            Mode::Exclusive => Request::Any,
            Mode::Shared | Mode::Upgradable if blocking_writers => Request::Any,
            Mode::Shared | Mode::SharedRecursive => Request::PastReaders,
            Mode::Upgradable | Mode::UpgradableRecursive => Request::PastSharers,
        }
    }
}

/// A request, by the kinds of hold that can block it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Request {
    /// Any hold: an exclusive request, or one that queues behind a writer.
    Any = 0,
    /// Exclusive holds only: a recursive reader.
    PastReaders = 1,
    /// Exclusive and upgradable holds: a recursive upgradable reader.
    PastSharers = 2,
    /// Shared holds only: an upgrade, which excludes the others already.
    Upgrade = 3,
}

impl Request {
    pub(crate) const COUNT: usize = 4;

    pub(crate) const fn from_bits(bits: u8) -> Request {
        match bits & 0b11 {
            0 => Request::Any,
            1 => Request::PastReaders,
            2 => Request::PastSharers,
            _ => Request::Upgrade,
        }
    }

    /// The joint rule: can a hold of this kind make the request wait?
    pub(crate) const fn blocked_by(self, hold: HoldKind) -> bool {
        match self {
            Request::Any => true,
            Request::PastReaders => matches!(hold, HoldKind::Exclusive),
            Request::PastSharers => !matches!(hold, HoldKind::Shared),
            Request::Upgrade => matches!(hold, HoldKind::Shared),
        }
    }
}

/// How an edge was made: how the earlier lock was held, and what could block
/// the later request. Twelve values; bits 2-3 are the hold, 0-1 the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Label(u8);

impl Label {
    pub(crate) const fn new(hold: HoldKind, request: Request) -> Label {
        Label((hold as u8) << 2 | request as u8)
    }

    pub(crate) const fn hold(self) -> HoldKind {
        match self.0 >> 2 {
            0 => HoldKind::Shared,
            1 => HoldKind::Upgradable,
            _ => HoldKind::Exclusive,
        }
    }

    pub(crate) const fn request(self) -> Request {
        Request::from_bits(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blocking_table_of_the_documentation() {
        let blockers = |mode: Mode, blocking_writers| {
            [HoldKind::Shared, HoldKind::Upgradable, HoldKind::Exclusive]
                .map(|hold| mode.request(blocking_writers).blocked_by(hold))
        };
        for mode in [Mode::Exclusive, Mode::Shared, Mode::Upgradable] {
            assert_eq!(blockers(mode, true), [true, true, true], "{mode}");
        }
        assert_eq!(blockers(Mode::SharedRecursive, true), [false, false, true]);
        assert_eq!(
            blockers(Mode::UpgradableRecursive, true),
            [false, true, true]
        );
        assert_eq!(blockers(Mode::Shared, false), [false, false, true]);
        assert_eq!(blockers(Mode::Upgradable, false), [false, true, true]);
        assert_eq!(blockers(Mode::Exclusive, false), [true, true, true]);
        assert!(Request::Upgrade.blocked_by(HoldKind::Shared));
        assert!(!Request::Upgrade.blocked_by(HoldKind::Upgradable));
        assert!(!Request::Upgrade.blocked_by(HoldKind::Exclusive));
    }

    #[test]
    fn a_label_keeps_its_hold_and_its_request() {
        for hold in [HoldKind::Shared, HoldKind::Upgradable, HoldKind::Exclusive] {
            for bits in 0..Request::COUNT as u8 {
                let label = Label::new(hold, Request::from_bits(bits));
                assert_eq!(label.hold(), hold);
                assert_eq!(label.request() as u8, bits);
            }
        }
    }
}
