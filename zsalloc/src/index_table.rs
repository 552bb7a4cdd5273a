//! A table from 32-bit indices to atomic cells that is read without a lock, grows, and shrinks.
//!
//! Cells live in segments; a directory lists the segments. A full directory is replaced by one of
//! twice the size, a segment without live indices is taken out; both are retired through the epoch.
//! The handle table and the zspage table are the two users.
//!
//! The inner lock is a leaf: nothing else is locked, and nobody pins, while it is held.

#![cfg_attr(
    any(zslock_loom, zsalloc_shuttle),
    allow(clippy::modulo_one, reason = "a segment has one cell there")
)]

use std::collections::BTreeSet;
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering;

use crate::backend::SourceError;
use crate::class_lock::{PoolMutex, leaf_mutex};
use crate::metadata::MetadataPages;
use crate::order;
use crate::primitive::size::{DIRECTORY, MAX_SEGMENT};
use crate::primitive::{AtomicPtr, ordering, shadow};
use crate::reclaim::Pin;
use zslock::lockdep::LockClassKey;

const BITMAP_WORDS: usize = MAX_SEGMENT.div_ceil(64);

/// A table of `T`s, each free or live, in segments of `SEGMENT`.
pub(crate) struct IndexTable<T, const SEGMENT: usize> {
    /// Invariants: points to a live `Directory`, non-null pointers in it to live segments. Both
    /// change only under `inner`.
    directory: AtomicPtr<Directory<T, SEGMENT>>,
    inner: PoolMutex<Inner>,
    pages: MetadataPages,
}

struct Directory<T, const SEGMENT: usize> {
    segments: Box<[AtomicPtr<Segment<T, SEGMENT>>]>,
}

#[repr(C)]
struct Segment<T, const SEGMENT: usize> {
    /// The checkers tell memory apart by where it begins: a header not where its segment does.
    #[cfg(any(zslock_loom, zsalloc_shuttle))]
    begin: u64,
    cells: [T; SEGMENT],
}

impl<T: Default, const SEGMENT: usize> Segment<T, SEGMENT> {
    /// Makes the cells, one by one: together they may be too long for the stack.
    ///
    /// # Safety
    ///
    /// `place` is writable, as long and as aligned as a segment, and nobody else's.
    unsafe fn begin(place: NonNull<Self>) {
        // SAFETY: the caller's promise; no reference to what is not initialised is made.
        unsafe {
            #[cfg(any(zslock_loom, zsalloc_shuttle))]
            (&raw mut (*place.as_ptr()).begin).write(0);
            let cells = (&raw mut (*place.as_ptr()).cells).cast::<T>();
            (0..SEGMENT).for_each(|cell| cells.add(cell).write(T::default()));
        }
    }
}

/// Which indices are live.
#[derive(Default)]
struct Inner {
    /// One per place in the directory, up to the last that has a segment.
    uses: Vec<SegmentUse>,
    /// Segments that exist and have a free index. The lowest serves first, so that the higher ones
    /// get a chance to become empty.
    with_room: BTreeSet<u32>,
    /// Places in the directory whose segment was retired.
    vacant: BTreeSet<u32>,
}

#[derive(Default)]
struct SegmentUse {
    live: [u64; BITMAP_WORDS],
    count: usize,
}

impl Inner {
    /// The last segment of all, if it is empty and not at the lowest place: nothing is kept there, as
    /// `uses` would stay as long as that.
    fn misplaced_remainder(&self) -> Option<u32> {
        let only = self.with_room.first().copied()?;
        let segments = self.uses.len() - self.vacant.len();
        (only > 0 && segments == 1 && self.uses[only as usize].count == 0).then_some(only)
    }

    /// Nothing has to be known about places behind the last segment.
    fn forget_vacant_end(&mut self) {
        while self.vacant.last().copied() == (self.uses.len() as u32).checked_sub(1)
            && self.vacant.pop_last().is_some()
        {
            self.uses.pop();
        }
        let capacity = self.uses.capacity();
        if capacity > 4 && self.uses.len() < capacity / 4 {
            self.uses.shrink_to(self.uses.len() * 2);
        }
    }
}

impl SegmentUse {
    /// Marks up to `count` free indices as live, the lowest of those below `limit`, and tells `taken` each.
    fn take(&mut self, count: usize, limit: usize, mut taken: impl FnMut(usize)) {
        let wanted = count.min(limit - self.count);
        let mut left = wanted;
        for (place, word) in self.live.iter_mut().enumerate() {
            while left > 0 && *word != u64::MAX {
                let bit = word.trailing_ones();
                *word |= 1 << bit;
                taken(place * 64 + bit as usize);
                left -= 1;
            }
            if left == 0 {
                break;
            }
        }
        self.count += wanted;
    }

    fn put(&mut self, cell: usize) {
        debug_assert!(self.live[cell / 64] & 1 << (cell % 64) != 0, "double free");
        self.live[cell / 64] &= !(1 << (cell % 64));
        self.count -= 1;
    }
}

impl<T: Default, const SEGMENT: usize> IndexTable<T, SEGMENT> {
    /// One segment less than 2^32 indices need, so that index `u32::MAX` is never given out and can
    /// mean "none".
    const MAX_SEGMENTS: usize = (1 << 32) / SEGMENT - 1;

    /// `key` names the class of the inner lock; segments are made in `pages`.
    pub(crate) fn new(key: &'static LockClassKey, pages: MetadataPages) -> Self {
        let directory = Box::leak(Directory::with_capacity(DIRECTORY));
        shadow::written(NonNull::from(&mut *directory));
        Self {
            directory: AtomicPtr::new(directory),
            inner: leaf_mutex(key, Inner::default()),
            pages,
        }
    }

    /// The cell of `index`, or `None` if its segment does not exist.
    #[inline]
    pub(crate) fn get<'p>(&self, index: u32, _pin: &'p Pin) -> Option<&'p T> {
        let (segment, cell) = (index as usize / SEGMENT, index as usize % SEGMENT);
        // Acquire: pairs with the Release in `grow`; the directory's contents are visible.
        let directory = self.directory.load(ordering(order::DIRECTORY_LOAD));
        let directory = NonNull::new(directory).expect("a table has a directory");
        shadow::read(directory);
        // SAFETY: a directory is retired through the epoch after it was replaced, and this thread
        // was pinned before it loaded the pointer and stays so for 'p.
        let directory = unsafe { directory.as_ref() };
        // Acquire: pairs with the Release in `add_segment`; the cells are initialised.
        let segment = directory.segments.get(segment)?;
        let segment = NonNull::new(segment.load(ordering(order::SEGMENT_LOAD)))?;
        shadow::read(segment);
        // SAFETY: like the directory: non-null pointers are to live segments, which are retired
        // through the epoch after the pointer was taken out.
        let segment = unsafe { segment.as_ref() };
        Some(&segment.cells[cell])
    }

    /// Makes up to `count` free indices live and appends them to `out`; fewer (perhaps none) when
    /// almost 2^32 indices are used up, or there are no pages for a segment.
    pub(crate) fn acquire(&self, count: usize, out: &mut Vec<u32>, pin: &Pin) {
        let wanted = out.len() + count;
        let mut new = None;
        while !self.acquire_from(&mut new, wanted, out, pin) {
            // Without the lock, which is a leaf as the one of the pages is.
            // SAFETY: `begin` initialises it; the place is as it asks for.
            let segment = unsafe { self.pages.place_with(|place| Segment::begin(place)) };
            match segment {
                Ok(segment) => new = Some(segment),
                Err(SourceError) => break,
            }
        }
        if let Some(segment) = new {
            // Others made room meanwhile, or all segments exist.
            // SAFETY: just made, and nobody knows it.
            unsafe { self.pages.end(segment) };
        }
    }

    /// Makes free indices live until there are `wanted` in `out`, those of the `new` segment when there
    /// are no others. Returns whether it takes no other segment to go on.
    fn acquire_from(
        &self,
        new: &mut Option<NonNull<Segment<T, SEGMENT>>>,
        wanted: usize,
        out: &mut Vec<u32>,
        pin: &Pin,
    ) -> bool {
        let mut inner = self.inner.lock();
        loop {
            while out.len() < wanted
                && let Some(segment) = inner.with_room.first().copied()
            {
                let uses = &mut inner.uses[segment as usize];
                uses.take(wanted - out.len(), SEGMENT, |cell| {
                    out.push(segment * SEGMENT as u32 + cell as u32);
                });
                if uses.count == SEGMENT {
                    inner.with_room.remove(&segment);
                }
            }
            let all_exist = inner.vacant.is_empty() && inner.uses.len() == Self::MAX_SEGMENTS;
            if out.len() == wanted || all_exist {
                return true;
            }
            let Some(segment) = new.take() else {
                return false;
            };
            self.add_segment(&mut inner, segment, pin);
        }
    }

    /// Makes live indices free. Their cells must not be in use.
    pub(crate) fn release(&self, indices: impl IntoIterator<Item = u32>, pin: &Pin) {
        let mut inner = self.inner.lock();
        for index in indices {
            let segment = index / SEGMENT as u32;
            let uses = &mut inner.uses[segment as usize];
            let was_full = uses.count == SEGMENT;
            uses.put(index as usize % SEGMENT);
            let empty = uses.count == 0;
            if was_full {
                inner.with_room.insert(segment);
            }
            // One segment with room is kept, or a table at a segment's edge would thrash.
            if empty && inner.with_room.len() > 1 {
                self.remove_segment(&mut inner, segment, pin);
            }
            if empty && let Some(only) = inner.misplaced_remainder() {
                self.remove_segment(&mut inner, only, pin);
            }
        }
    }

    /// The bytes that the table occupies.
    pub(crate) fn bytes(&self) -> usize {
        let inner = self.inner.lock();
        let segments = inner.uses.len() - inner.vacant.len();
        segments * MetadataPages::bytes_for::<Segment<T, SEGMENT>>()
            + inner.uses.capacity() * size_of::<SegmentUse>()
            + self.capacity() * size_of::<AtomicPtr<Segment<T, SEGMENT>>>()
    }

    /// The number of places in the directory. Call with `inner` locked.
    fn capacity(&self) -> usize {
        // Relaxed: the directory changes only under `inner`, which the caller holds.
        let directory = self.directory.load(Ordering::Relaxed);
        // SAFETY: live, and it cannot be replaced while `inner` is held.
        let directory = unsafe { &*directory };
        directory.segments.len()
    }

    /// Adds a new segment; not all exist.
    fn add_segment(&self, inner: &mut Inner, segment: NonNull<Segment<T, SEGMENT>>, pin: &Pin) {
        let place = match inner.vacant.pop_first() {
            Some(place) => place,
            None => {
                inner.uses.push(SegmentUse::default());
                (inner.uses.len() - 1) as u32
            }
        };
        if place as usize == self.capacity() {
            self.grow(pin);
        }
        shadow::written(segment);
        // Relaxed: the directory changes only under `inner`, which the caller holds.
        let directory = self.directory.load(Ordering::Relaxed);
        // SAFETY: live, and it cannot be replaced while `inner` is held.
        let directory = unsafe { &*directory };
        // Release: pairs with the Acquire in `get`.
        directory.segments[place as usize]
            .store(segment.as_ptr(), ordering(order::SEGMENT_PUBLISH));
        inner.with_room.insert(place);
    }

    fn remove_segment(&self, inner: &mut Inner, place: u32, pin: &Pin) {
        inner.with_room.remove(&place);
        inner.vacant.insert(place);
        inner.forget_vacant_end();
        // Relaxed: the directory changes only under `inner`, which the caller holds.
        let directory = self.directory.load(Ordering::Relaxed);
        // SAFETY: live, and it cannot be replaced while `inner` is held.
        let directory = unsafe { &*directory };
        // Relaxed: readers that still see the segment are protected by the epoch, and find only
        // free cells in it.
        let segment = directory.segments[place as usize].swap(ptr::null_mut(), Ordering::Relaxed);
        let segment = NonNull::new(segment).expect("a listed place has a segment");
        // SAFETY: placed by `acquire`, and the swap took it out of the only directory that new readers
        // can load. No index of it is live, and then no `T` has anything to drop: this frees plain memory.
        unsafe { self.pages.retire(segment, pin) };
    }

    /// Replaces the directory by one of twice the size. Call with `inner` locked.
    fn grow(&self, pin: &Pin) {
        // Relaxed: the directory changes only under `inner`, which the caller holds.
        let old = self.directory.load(Ordering::Relaxed);
        // SAFETY: live until it is retired below.
        let segments = unsafe { &(*old).segments };
        let new = Box::leak(Directory::with_capacity(segments.len() * 2));
        for (new, old) in new.segments.iter().zip(segments) {
            // Relaxed: places change only under `inner`; the store of the directory publishes.
            new.store(old.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        // Release: pairs with the Acquire in `get`.
        shadow::written(NonNull::from(&mut *new));
        self.directory
            .store(new, ordering(order::DIRECTORY_PUBLISH));
        let old = NonNull::new(old).expect("a table has a directory");
        // SAFETY: from `Box::leak` in `new` or here, and just replaced, so no new reader can load it. A
        // directory holds pointers that nothing follows on drop: freeing it is freeing plain memory, on
        // any thread at any time.
        unsafe { pin.retire(old) };
    }
}

impl<T, const SEGMENT: usize> Directory<T, SEGMENT> {
    fn with_capacity(places: usize) -> Box<Self> {
        Box::new(Self {
            segments: (0..places).map(|_| AtomicPtr::default()).collect(),
        })
    }
}

impl<T, const SEGMENT: usize> Drop for IndexTable<T, SEGMENT> {
    fn drop(&mut self) {
        // SAFETY: exclusive access; the pointer came from `Box::leak` and was not retired.
        // Relaxed, here and below: nobody else is left.
        let directory = unsafe { Box::from_raw(self.directory.load(Ordering::Relaxed)) };
        for segment in directory.segments {
            if let Some(segment) = NonNull::new(segment.load(Ordering::Relaxed)) {
                // SAFETY: as above, but placed by `acquire`; retired segments were taken out of the
                // directory.
                unsafe { self.pages.end(segment) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class_lock;
    use crate::primitive::AtomicU64;
    use crate::primitive::size::HANDLE_SEGMENT as SEGMENT;
    use crate::reclaim::pin;

    fn table() -> IndexTable<AtomicU64, SEGMENT> {
        IndexTable::new(&class_lock::HANDLE_TABLE, MetadataPages::of_process())
    }

    #[test]
    fn indices_are_unique_and_low_ones_return_first() {
        let table = table();
        let mut indices = Vec::new();
        table.acquire(3 * SEGMENT, &mut indices, &pin());
        let expected: Vec<u32> = (0..3 * SEGMENT as u32).collect();
        assert!(indices == expected);
        table.release([700, 5], &pin());
        indices.clear();
        table.acquire(2, &mut indices, &pin());
        assert_eq!(indices, [5, 700]);
    }

    #[test]
    fn the_directory_grows_and_keeps_the_cells() {
        let table = table();
        let mut indices = Vec::new();
        let pin = pin();
        table.acquire(20 * SEGMENT, &mut indices, &pin);
        for &index in &indices {
            table
                .get(index, &pin)
                .unwrap()
                .store(index.into(), Ordering::Relaxed);
        }
        table.acquire(50 * SEGMENT, &mut Vec::new(), &pin);
        for &index in &indices {
            let cell = table.get(index, &pin).unwrap();
            assert_eq!(cell.load(Ordering::Relaxed), u64::from(index));
        }
    }

    #[test]
    fn an_emptied_table_keeps_one_segment_and_its_directory() {
        let table = table();
        let mut indices = Vec::new();
        let pin = pin();
        table.acquire(40 * SEGMENT, &mut indices, &pin);
        // The last to go is in the middle; it is not this segment that stays.
        indices.swap(0, 20 * SEGMENT);
        indices
            .drain(..)
            .rev()
            .for_each(|index| table.release([index], &pin));
        table.acquire(1, &mut indices, &pin);
        assert_eq!(indices, [0]);
        let uses = 4 * size_of::<SegmentUse>();
        let directory = 64 * size_of::<AtomicPtr<Segment<AtomicU64, SEGMENT>>>();
        assert!(table.bytes() <= size_of::<Segment<AtomicU64, SEGMENT>>() + uses + directory);
    }

    #[test]
    fn empty_segments_are_retired_and_their_places_used_again() {
        let table = table();
        let mut indices = Vec::new();
        let pin = pin();
        table.acquire(4 * SEGMENT, &mut indices, &pin);
        let full = table.bytes();
        table.release(indices.drain(SEGMENT..), &pin);
        assert!(table.bytes() <= full - 2 * size_of::<Segment<AtomicU64, SEGMENT>>());
        assert!(table.get(2 * SEGMENT as u32, &pin).is_none());
        table.acquire(3 * SEGMENT, &mut indices, &pin);
        assert!(table.get(2 * SEGMENT as u32, &pin).is_some());
        assert_eq!(indices.len(), 4 * SEGMENT);
    }
}
