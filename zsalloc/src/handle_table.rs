//! The handle table: from a handle's index to where its object is, in 8 bytes.

use std::fmt;

use crate::class_lock::HANDLE_TABLE;
use crate::index_table::IndexTable;
use crate::metadata::MetadataPages;
use crate::order;
use crate::primitive::size::HANDLE_SEGMENT;
use crate::primitive::{AtomicU64, note, ordering};
use crate::reclaim::Pin;

/// Where an object is: zspage index 32 bits, slot 16 bits, length - 1 16 bits. Exact lengths cost
/// nothing, and the length determines the class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry(u64);

impl Entry {
    /// `slot` is below 65536, `len` in 1..=65536.
    #[inline]
    pub(crate) fn new(zspage: u32, slot: usize, len: usize) -> Self {
        debug_assert!(slot <= 0xffff && (1..=0x1_0000).contains(&len));
        Self(u64::from(zspage) << 32 | (slot as u64) << 16 | (len as u64 - 1))
    }

    #[inline]
    pub(crate) fn zspage(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    pub(crate) fn slot(self) -> usize {
        (self.0 >> 16) as usize & 0xffff
    }

    #[inline]
    pub(crate) fn len(self) -> usize {
        (self.0 as usize & 0xffff) + 1
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (zspage, slot, len) = (self.zspage(), self.slot(), self.len());
        write!(f, "zspage {zspage} slot {slot} length {len}")
    }
}

/// The place of one handle's entry.
///
/// Invariant: while the handle may be shared, an entry changes only under the class lock of the zspage
/// that it names *and* with that zspage locked exclusively. So a reader that holds the zspage lock and
/// finds the entry unchanged has the object pinned in its slot. The owner of a handle may change its
/// entry under the class lock (storing, freeing) or while holding the zspage (changing the length).
#[derive(Debug, Default)]
pub(crate) struct EntryCell(AtomicU64);

impl EntryCell {
    #[inline]
    pub(crate) fn load(&self) -> Entry {
        // Acquire: pairs with the Release in `publish`. A reader that sees the new place of a moved
        // object also sees the bytes copied there and the header they are reached through.
        let entry = Entry(self.0.load(ordering(order::ENTRY_LOAD)));
        note(|| format!("finds entry {entry}"));
        entry
    }

    /// Call with the locks that the invariant asks for.
    #[inline]
    pub(crate) fn publish(&self, entry: Entry) {
        // Release: pairs with the Acquire in `load`; comes after the copy of the object's bytes.
        self.0.store(entry.0, ordering(order::ENTRY_PUBLISH));
        note(|| format!("publishes entry {entry}"));
    }
}

/// All handles of a pool.
pub(crate) struct HandleTable(IndexTable<EntryCell, HANDLE_SEGMENT>);

impl HandleTable {
    pub(crate) fn new(pages: MetadataPages) -> Self {
        Self(IndexTable::new(&HANDLE_TABLE, pages))
    }

    /// The entry of the handle with this index, which must be live.
    #[inline]
    pub(crate) fn cell<'p>(&self, index: u32, pin: &'p Pin) -> &'p EntryCell {
        let cell = self.0.get(index, pin);
        // Only a handle forged with `from_raw` gets here, so this need not be an error value.
        cell.expect("the handle was made with `Handle::from_raw` from a number that is no handle")
    }

    /// Adds up to `count` free handles to `spare`; none when all are in use or the table cannot grow.
    pub(crate) fn acquire(&self, count: usize, spare: &mut Vec<u32>, pin: &Pin) {
        self.0.acquire(count, spare, pin);
    }

    pub(crate) fn release(&self, indices: impl IntoIterator<Item = u32>, pin: &Pin) {
        self.0.release(indices, pin);
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::primitive::size::HANDLE_SEGMENT as SEGMENT;
    use crate::{AllocError, Failing, Heap, Pool};

    #[test]
    fn entries_keep_the_extremes() {
        for (zspage, slot, len) in [(0, 0, 1), (u32::MAX, 0xffff, 0x1_0000), (7, 32_767, 4096)] {
            let entry = Entry::new(zspage, slot, len);
            assert_eq!(
                (entry.zspage(), entry.slot(), entry.len()),
                (zspage, slot, len)
            );
        }
    }

    #[test]
    fn without_a_page_for_a_segment_nothing_is_stored_and_nothing_lost() {
        let source = Arc::new(Failing::new(Heap));
        let mut pool = Pool::builder().backend(Heap).build().unwrap();
        pool.handles = HandleTable::new(MetadataPages::of(Arc::clone(&source)));
        let empty = pool.stats();

        source.fail_from(0);
        assert_eq!(pool.insert(b"abc").unwrap_err(), AllocError::OutOfMemory);
        assert_eq!(pool.stats(), empty);
        assert_eq!(source.calls(), 1);

        // The first segment's handles all serve; then there is a page for one more, and no other.
        source.fail_from(2);
        let stored: Vec<_> = std::iter::from_fn(|| pool.insert(b"abc").ok()).collect();
        assert_eq!(stored.len(), SEGMENT);
        source.fail_from(source.calls() + 1);
        let more: Vec<_> = std::iter::from_fn(|| pool.insert(b"def").ok()).collect();
        assert_eq!(more.len(), SEGMENT);
        assert_eq!(pool.stats().objects, 2 * SEGMENT);
        assert!(stored.iter().all(|handle| *pool.read(handle) == *b"abc"));
        pool.free_many(stored.into_iter().chain(more));
        assert_eq!(pool.resident_pages(), 0);
    }
}
