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
