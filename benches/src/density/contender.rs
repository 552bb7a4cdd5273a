//! Who is compared.

use std::alloc::System;

use zsalloc::lock_api::RawRwLock;
use zsalloc::{AutoCompact, ClassPolicy, Mmap, Pool, PoolBuilder};

use super::blocks::{self, Blocks};
use super::child::Process;

/// An allocator with its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// glibc's malloc.
    Glibc,
    /// jemalloc 5.3.
    #[cfg(feature = "allocators")]
    Jemalloc,
    /// mimalloc 3.
    #[cfg(feature = "allocators")]
    Mimalloc,
    /// snmalloc 0.7.
    #[cfg(feature = "allocators")]
    Snmalloc,
    /// A pool with the size classes and zspages of zsmalloc.
    Zsmalloc,
    /// The default pool.
    Adaptive,
    /// The default pool, which compacts when objects are freed.
    Automatic,
    /// The default pool with the lock whose waiting writers keep new readers out.
    Gated,
    /// The default pool with the lock that most programs have.
    ParkingLot,
}

impl Contender {
    /// All that this build has, in the order of the report.
    pub const ALL: &'static [Self] = &[
        Self::Glibc,
        #[cfg(feature = "allocators")]
        Self::Jemalloc,
        #[cfg(feature = "allocators")]
        Self::Mimalloc,
        #[cfg(feature = "allocators")]
        Self::Snmalloc,
        Self::Zsmalloc,
        Self::Adaptive,
        Self::Automatic,
        Self::Gated,
        Self::ParkingLot,
    ];

    /// For tables, files and arguments.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Glibc => "glibc",
            #[cfg(feature = "allocators")]
            Self::Jemalloc => "jemalloc",
            #[cfg(feature = "allocators")]
            Self::Mimalloc => "mimalloc",
            #[cfg(feature = "allocators")]
            Self::Snmalloc => "snmalloc",
            Self::Zsmalloc => "zsmalloc's classes",
            Self::Adaptive => "adaptive",
            Self::Automatic => "automatic",
            Self::Gated => "gated zslock",
            Self::ParkingLot => "parking_lot",
        }
    }

    /// The contender of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.name() == name)
    }

    /// Whether it is a pool.
    #[must_use]
    pub const fn is_pool(self) -> bool {
        matches!(
            self,
            Self::Zsmalloc | Self::Adaptive | Self::Automatic | Self::Gated | Self::ParkingLot
        )
    }

    /// Whether it differs from [`Adaptive`](Self::Adaptive) in the lock only.
    #[must_use]
    pub const fn differs_in_lock_only(self) -> bool {
        matches!(self, Self::Gated | Self::ParkingLot)
    }

    /// Does everything with its store.
    ///
    /// # Errors
    ///
    /// In words, if an object changed or the other process is gone.
    pub fn perform(self, process: &mut Process) -> Result<(), String> {
        let plain = Pool::builder;
        match self {
            Self::Glibc => process.perform(|| Blocks::new(System, blocks::trim_glibc)),
            #[cfg(feature = "allocators")]
            Self::Jemalloc => {
                process.perform(|| Blocks::new(tikv_jemallocator::Jemalloc, blocks::purge_jemalloc))
            }
            #[cfg(feature = "allocators")]
            Self::Mimalloc => {
                process.perform(|| Blocks::new(mimalloc::MiMalloc, blocks::collect_mimalloc))
            }
            // Its interface has no such call.
            #[cfg(feature = "allocators")]
            Self::Snmalloc => process.perform(|| Blocks::new(snmalloc_rs::SnMalloc, || {})),
            Self::Zsmalloc => pool(
                process,
                plain().classes(ClassPolicy::Zsmalloc { chain_size: 8 }),
            ),
            Self::Adaptive => pool(process, plain()),
            Self::Automatic => pool(process, plain().auto_compact(AutoCompact::default())),
            Self::Gated => pool(process, plain().lock_with(|| zslock::RawGatedZsLock::INIT)),
            Self::ParkingLot => pool(
                process,
                plain().lock_with(|| parking_lot::RawRwLock::<false>::INIT),
            ),
        }
    }
}

fn pool<L>(process: &mut Process, builder: PoolBuilder<L, Mmap>) -> Result<(), String>
where
    L: RawRwLock + Send + Sync + 'static,
{
    process.perform(|| {
        let pool = builder.build();
        pool.expect("settings within their ranges and a system with pages of 4 KiB")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_name_one_and_need_no_quotes() {
        for &contender in Contender::ALL {
            assert_eq!(Contender::of_name(contender.name()), Some(contender));
            assert!(!contender.name().contains([',', '"']));
        }
    }
}
