//! Where the bytes of a pool are.

use zsalloc::lock_api::RawRwLock;
use zsalloc::testbed::Store;
use zsalloc::{PageSource, Pool};

use crate::allocator::corpus::PAGE;

/// What a pool tells of itself, in bytes; of another store all zero. Objects, `rounding`, `tails` and `free` add up to the
/// pages that the pool holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breakdown {
    /// Slots with an object beyond their objects: what the classes' sizes cost.
    pub rounding: u64,
    /// Ends of zspages that are shorter than a slot.
    pub tails: u64,
    /// Slots without an object.
    pub free: u64,
    /// Handle table, zspage table, headers, lists.
    pub metadata: u64,
    /// Pages beyond those that the objects need when packed: what compaction would give back.
    pub freeable: u64,
    /// What malloc, from which a pool has its metadata, holds free since the pool exists: gaps between what is left of
    /// metadata that was more once.
    pub gaps: u64,
}

impl Breakdown {
    /// The fields, as they are told through a pipe.
    #[must_use]
    pub const fn to_array(self) -> [u64; 6] {
        [
            self.rounding,
            self.tails,
            self.free,
            self.metadata,
            self.freeable,
            self.gaps,
        ]
    }

    /// The fields of [`to_array`](Self::to_array).
    #[must_use]
    pub const fn from_array([rounding, tails, free, metadata, freeable, gaps]: [u64; 6]) -> Self {
        Self {
            rounding,
            tails,
            free,
            metadata,
            freeable,
            gaps,
        }
    }
}

/// A store that may tell where its bytes are.
pub trait Explained: Store {
    /// Where they are; `live` is how many the objects have.
    fn breakdown(&self, live: u64) -> Breakdown {
        let _ = live;
        Breakdown::default()
    }

    /// How many objects it has moved so far.
    fn moved(&self) -> u64 {
        0
    }
}

impl<A> Explained for super::blocks::Blocks<A> where Self: Store {}

impl<L: RawRwLock, S: PageSource> Explained for Pool<L, S> {
    fn breakdown(&self, live: u64) -> Breakdown {
        let stats = Pool::stats(self);
        let mut breakdown = Breakdown {
            metadata: stats.metadata_bytes as u64,
            freeable: (stats.freeable * PAGE) as u64,
            ..Breakdown::default()
        };
        let mut used = 0;
        for class in self.class_stats() {
            let slots = class.obj_allocated * class.size;
            used += class.obj_used * class.size;
            breakdown.tails += (class.pages_used * PAGE - slots) as u64;
            breakdown.free += ((class.obj_allocated - class.obj_used) * class.size) as u64;
        }
        breakdown.rounding = used as u64 - live;
        breakdown
    }

    fn moved(&self) -> u64 {
        Pool::stats(self).objects_moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_add_up_to_the_pages() {
        let pool = Pool::new();
        let handles: Vec<_> = (0..1000)
            .map(|number| pool.insert(&vec![1; 1000 + number % 2]).unwrap())
            .collect();
        let live: usize = handles.iter().map(|handle| pool.len(handle)).sum();
        let breakdown = pool.breakdown(live as u64);
        let held = (pool.resident_pages() * PAGE) as u64;
        let parts = breakdown.rounding + breakdown.tails + breakdown.free;
        assert_eq!(live as u64 + parts, held);
        // 1000 and 1001 bytes in slots of 1024.
        assert_eq!(breakdown.rounding, 500 * 24 + 500 * 23);
        assert!(breakdown.metadata > 8000);
        assert_eq!(Breakdown::from_array(breakdown.to_array()), breakdown);
        handles.into_iter().for_each(|handle| pool.free(handle));
    }
}
