//! Who is compared.

use std::fmt::Debug;

use zsalloc::lock_api::RawRwLock;
use zsalloc::testbed::Boxes;
use zsalloc::{ClassPolicy, Mmap, Pool, PoolBuilder};

use super::floor::{Floor, LockedBoxes};
use super::keeping::Keeping;
use super::subject::{Of, Subject};

/// The pages that [`Contender::Retaining`] keeps: 32 MiB.
pub const RETAINED: usize = 8192;

/// The pages that [`Contender::Keeping`] keeps: 1 GiB.
pub const KEPT: usize = 262_144;

/// An allocator with its lock and settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// Boxed slices of malloc, the reference.
    Glibc,
    /// The default pool.
    Zslock,
    /// With the lock whose waiting writers keep new readers out.
    Gated,
    /// With the lock that most programs have.
    ParkingLot,
    /// With the size classes and zspages of zsmalloc.
    Zsmalloc,
    /// The default pool, with up to [`RETAINED`] free pages kept for the next zspages.
    Retaining,
    /// The default pool, with up to [`KEPT`] free pages kept, which are more than a store of the default size has. Its
    /// compaction ends when the objects are moved: what moving alone costs.
    Keeping,
    /// Malloc with a `fetch_add` and a `fetch_sub` around each read, the least that a pool with a counting lock can do.
    Locked,
    /// No allocator: the pair below within two pins of an epoch, the least that a pool can do whose headers are reclaimed by
    /// epochs and whose lock may touch its word late.
    Pinned,
    /// No allocator: a `fetch_add` and a `fetch_sub` on one word, the least that a counting lock can do.
    Pair,
}

impl Contender {
    /// All, in the order of the report.
    pub const ALL: [Self; 10] = [
        Self::Glibc,
        Self::Zslock,
        Self::Gated,
        Self::ParkingLot,
        Self::Zsmalloc,
        Self::Retaining,
        Self::Keeping,
        Self::Locked,
        Self::Pinned,
        Self::Pair,
    ];

    /// For tables, files and arguments.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Glibc => "glibc",
            Self::Zslock => "zslock",
            Self::Gated => "gated zslock",
            Self::ParkingLot => "parking_lot",
            Self::Zsmalloc => "zsmalloc's classes",
            Self::Retaining => "retaining 32 MiB",
            Self::Keeping => "keeping pages",
            Self::Locked => "glibc + pair",
            Self::Pinned => "pair + 2 pins",
            Self::Pair => "atomic pair",
        }
    }

    /// Whether it differs from [`Zslock`](Self::Zslock) only in what becomes of free pages.
    #[must_use]
    pub const fn differs_in_pages_only(self) -> bool {
        matches!(self, Self::Retaining | Self::Keeping)
    }

    /// Whether it only bounds the pools from below.
    #[must_use]
    pub const fn is_floor(self) -> bool {
        matches!(self, Self::Locked | Self::Pinned | Self::Pair)
    }

    /// Ready to be measured.
    #[must_use]
    pub fn subject(self) -> Box<dyn Subject> {
        let plain = Pool::builder;
        match self {
            Self::Glibc => Box::new(Of::new(|| Boxes)),
            Self::Zslock => pool(plain),
            Self::Gated => pool(|| Pool::builder().lock_with(|| zslock::RawGatedZsLock::INIT)),
            Self::ParkingLot => {
                pool(|| Pool::builder().lock_with(|| parking_lot::RawRwLock::<false>::INIT))
            }
            Self::Zsmalloc => {
                pool(|| Pool::builder().classes(ClassPolicy::Zsmalloc { chain_size: 8 }))
            }
            Self::Retaining => pool(|| Pool::builder().retain_pages(RETAINED)),
            Self::Keeping => Box::new(Of::new(Keeping::new)),
            Self::Locked => Box::new(Of::new(LockedBoxes::new)),
            Self::Pinned => Box::new(Floor::<true>::default()),
            Self::Pair => Box::new(Floor::<false>::default()),
        }
    }
}

fn pool<L>(builder: fn() -> PoolBuilder<L, Mmap>) -> Box<dyn Subject>
where
    L: RawRwLock + Send + Sync + 'static,
{
    Box::new(Of::new(move || {
        builder()
            .build()
            .expect("settings within their ranges and a system with pages of 4 KiB")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_need_no_quotes() {
        let mut names = Contender::ALL.map(Contender::name);
        assert!(names.iter().all(|name| !name.contains([',', '"'])));
        names.sort_unstable();
        assert!(names.windows(2).all(|two| two[0] != two[1]));
    }
}
