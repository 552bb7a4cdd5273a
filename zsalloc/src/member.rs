//! A zspage as a member of its class, with the class locked.

use std::cmp::Ordering;
use std::ops::BitOr;

use crate::class::Class;
use crate::zspage::{Zspage, ZspageId};

/// A zspage of a locked class.
pub(crate) struct Member<'c, L> {
    class: &'c Class<L>,
    zspage: &'c Zspage<L>,
}

impl<'c, L> Member<'c, L> {
    pub(crate) fn new(class: &'c Class<L>, zspage: &'c Zspage<L>) -> Self {
        Self { class, zspage }
    }

    pub(crate) fn zspage(&self) -> &'c Zspage<L> {
        self.zspage
    }

    pub(crate) fn id(&self) -> ZspageId {
        self.zspage.id()
    }

    pub(crate) fn slots(&self) -> usize {
        self.zspage.slots.count()
    }

    pub(crate) fn used(&self) -> usize {
        self.zspage.slots.used()
    }

    /// The slots that an object may move or be stored to.
    pub(crate) fn room(&self) -> usize {
        self.zspage.slots.room()
    }

    /// Compaction has this zspage and will retire it, should it become empty meanwhile.
    pub(crate) fn isolated(&self) -> bool {
        self.zspage.slots.isolated()
    }

    /// Its length in pages. No zspage has a page at its end that belongs to no slot, as no slot is longer
    /// than a page.
    pub(crate) fn pages(&self) -> usize {
        (self.slots() * self.class.slot_size()).div_ceil(self.class.page_size())
    }

    /// Whether there are enough free slots for an idle page, and any that may hold memory.
    pub(crate) fn may_be_idle(&self) -> bool {
        let free = self.slots() - self.used();
        let touched = self.zspage.slots.touched.get();
        touched != 0 && free * self.class.slot_size() >= self.class.page_size()
    }

    /// The pages that may hold memory though no object has a byte in them, as bits.
    pub(crate) fn idle_pages(&self) -> u16 {
        self.zspage.slots.touched.get() & !self.used_pages()
    }

    /// The pages in which an object has a byte, as bits.
    pub(crate) fn used_pages(&self) -> u16 {
        let (size, page_size) = (self.class.slot_size(), self.class.page_size());
        let pages = |(slot, _)| slot_pages(slot, size, page_size);
        self.zspage.slots.objects().map(pages).fold(0, BitOr::bitor)
    }

    /// Compares the shares of slots in use.
    pub(crate) fn cmp_fullness(&self, other: &Self) -> Ordering {
        (self.used() * other.slots()).cmp(&(other.used() * self.slots()))
    }
}

/// The pages that a slot has bytes in, as bits.
#[inline]
pub(crate) fn slot_pages(slot: usize, size: usize, page_size: usize) -> u16 {
    // A power of two: a division would be a good part of what storing an object costs.
    let shift = page_size.trailing_zeros();
    let first = (slot * size) >> shift;
    let last = (slot * size + size - 1) >> shift;
    // A zspage has at most 16 pages.
    ((2u32 << last) - (1 << first)) as u16
}
