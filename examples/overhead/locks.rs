//! The locks that a zspage could have, and how large they are.

use comfy_table::CellAlignment::Right;

use crate::tables::{self, Row};

/// One candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lock {
    pub(crate) name: &'static str,
    pub(crate) bytes: usize,
    /// How the size is known.
    source: &'static str,
}

/// The candidates, smallest first. The sizes of Rust's locks are those of this program; the kernel's
/// cannot be measured here and are the sums of their declarations, for x86-64 without debugging
/// options: an input of the computation.
pub(crate) fn candidates() -> [Lock; 7] {
    const DANTON: &str = "lore.kernel.org/lkml/20250213113248.2225-1-hdanton@sina.com";
    let measured = |name, bytes| Lock {
        name,
        bytes,
        source: "measured: size_of in this program",
    };
    let stated = |name, bytes, source| Lock {
        name,
        bytes,
        source,
    };
    let mut locks = [
        measured("zslock", size_of::<zslock::RawZsLock>()),
        measured("parking_lot", size_of::<parking_lot::RawRwLock>()),
        stated("kernel spinlock_t + int", 4 + 4, DANTON),
        stated("kernel rwlock_t", 4 + 4, "atomic_t and spinlock, 4 + 4"),
        measured("std", size_of::<std::sync::RwLock<()>>()),
        stated(
            "kernel rw_semaphore, 7.3",
            8 + 8 + 4 + 4 + 8,
            "8 + 8 + 4 + 4 + 8, since git.kernel.org/tip/1ea4b473504b",
        ),
        stated(
            "kernel rw_semaphore, 2025",
            8 + 8 + 4 + 4 + 16,
            "8 + 8 + 4 + 4 + 16, include/linux/rwsem.h before that",
        ),
    ];
    locks.sort_by_key(|lock| lock.bytes);
    locks
}

/// The different sizes among the candidates, smallest first.
pub(crate) fn sizes(locks: &[Lock]) -> Vec<usize> {
    let mut sizes: Vec<usize> = locks.iter().map(|lock| lock.bytes).collect();
    sizes.dedup();
    sizes
}

/// The candidates as a table.
pub(crate) fn listed(locks: &[Lock]) -> String {
    let rows = locks
        .iter()
        .map(|lock| -> Row { vec![lock.name.into(), lock.bytes.to_string(), lock.source.into()] });
    tables::titled(
        "The locks. One is in every zspage.",
        &["lock", "bytes", "how the size is known"],
        &[1],
        Right,
        rows,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_in_the_order_of_their_sizes() {
        let locks = candidates();
        assert!(locks.is_sorted_by_key(|lock| lock.bytes));
        assert!(sizes(&locks).len() < locks.len());
    }

    #[cfg(all(target_pointer_width = "64", not(feature = "debug-lockdep")))]
    #[test]
    fn sizes_are_those_that_the_documentation_names() {
        let measured = |name| {
            candidates()
                .into_iter()
                .find(|lock| lock.name == name)
                .unwrap()
                .bytes
        };
        assert_eq!(
            [measured("zslock"), measured("parking_lot"), measured("std")],
            [4, 8, 12]
        );
        assert_eq!(sizes(&candidates()), [4, 8, 12, 32, 40]);
    }
}
