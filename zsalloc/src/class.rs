//! A size class: its zspages and which of their slots hold which object. Everything here is under
//! the class lock.

use std::cmp::Ordering;
use std::ops::BitOr;
use std::ptr::NonNull;

use crate::auto_compact::Account;
use crate::fullness::{Groups, group_of};
use crate::primitive::is_broken;
use crate::zspage::{NOT_LISTED, Zspage};

/// The owner of a free slot; an index that no table gives out.
const FREE: u32 = u32::MAX;

/// The slots of one zspage.
pub(crate) struct Slots<L> {
    zspage: NonNull<Zspage<L>>,
    /// For each slot the index of the handle of its object, or `FREE`: how compaction finds the
    /// entry of an object that it moves.
    owners: Box<[u32]>,
    used: u16,
    /// No slot below is free. Slots are used in ascending order, so the pages at the end of a
    /// zspage that was never full were never touched and take no memory.
    first_free: u16,
    /// The place in the fullness group.
    rank: u32,
    group: u8,
    /// Compaction has this zspage and will retire it, should it become empty meanwhile.
    pub(crate) isolated: bool,
    /// No free slot may be taken: pages of it are being discarded. Isolated, too.
    closed: bool,
    /// Bit n: page n may hold memory: an object was stored in it since it came or was discarded.
    touched: u16,
    /// Bit n: page n was discarded and not touched since.
    discarded: u16,
}

impl<L> Slots<L> {
    pub(crate) fn header(&self) -> NonNull<Zspage<L>> {
        self.zspage
    }

    pub(crate) fn zspage(&self) -> &Zspage<L> {
        // SAFETY: a header is retired only after its slots were removed from the class.
        unsafe { self.zspage.as_ref() }
    }

    pub(crate) fn slots(&self) -> usize {
        self.owners.len()
    }

    pub(crate) fn used(&self) -> usize {
        self.used as usize
    }

    /// The slots that an object may move or be stored to.
    pub(crate) fn room(&self) -> usize {
        if self.closed {
            0
        } else {
            self.slots() - self.used()
        }
    }

    fn group_now(&self) -> u8 {
        let taken = self.slots() - self.room();
        group_of(taken, self.slots())
    }

    /// The pages that may hold memory though no object has a byte in them, as bits.
    pub(crate) fn idle_pages(&self, page_size: usize) -> u16 {
        self.touched & !self.used_pages(page_size)
    }

    /// The pages in which an object has a byte, as bits.
    fn used_pages(&self, page_size: usize) -> u16 {
        let size = self.zspage().slot_size();
        let pages = |(slot, _)| slot_pages(slot, size, page_size);
        self.objects().map(pages).fold(0, BitOr::bitor)
    }

    /// The pages are new.
    fn new_run(&mut self, touched: bool, page_size: usize) {
        self.touched = if touched {
            ((1u32 << self.zspage().pages()) - 1) as u16
        } else {
            self.used_pages(page_size)
        };
        self.discarded = 0;
    }

    /// Compares the shares of slots in use.
    pub(crate) fn cmp_fullness(&self, other: &Self) -> Ordering {
        (self.used() * other.slots()).cmp(&(other.used() * self.slots()))
    }

    /// The slots in use, ascending, with the handles of their objects.
    pub(crate) fn objects(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        let owners = self.owners.iter().copied().enumerate();
        owners.filter(|&(_, owner)| owner != FREE)
    }
}

/// The pages that a slot has bytes in, as bits.
fn slot_pages(slot: usize, size: usize, page_size: usize) -> u16 {
    // A power of two: a division would be a good part of what storing an object costs.
    let shift = page_size.trailing_zeros();
    let first = (slot * size) >> shift;
    let last = (slot * size + size - 1) >> shift;
    // A zspage has at most 16 pages.
    ((2u32 << last) - (1 << first)) as u16
}

/// The part of a size class that changes.
pub(crate) struct Class<L> {
    page_size: usize,
    /// The same for all zspages; here so that to look for idle pages costs no look at their headers.
    slot_size: usize,
    /// Whether new runs may hold memory: some were retained.
    runs_touched: bool,
    /// In no order; a zspage knows its place.
    zspages: Vec<Slots<L>>,
    groups: Groups,
    objects: usize,
    pages: usize,
    slots: usize,
    discarded_pages: usize,
    /// Counts what may have made a page idle: slots freed, runs that may hold memory.
    idle_hints: u64,
    /// What that was when all idle pages were last discarded.
    hints_followed: u64,
    /// Zspages removed so far.
    removals: u64,
    /// Handles that are free, kept for the next insertions so that they need not lock the table.
    pub(crate) spare_handles: Vec<u32>,
    /// What automatic compaction may do.
    pub(crate) account: Account,
}

// SAFETY: the pointers are to headers, which threads share by design; with `L: Send + Sync` a
// header may be reached and (when retired) dropped from any thread.
unsafe impl<L: Send + Sync> Send for Class<L> {}

impl<L> Class<L> {
    /// `retains`: whether the pool retains free runs.
    pub(crate) fn new(page_size: usize, slot_size: usize, retains: bool) -> Self {
        Self {
            page_size,
            slot_size,
            runs_touched: retains,
            zspages: Vec::new(),
            groups: Groups::default(),
            objects: 0,
            pages: 0,
            slots: 0,
            discarded_pages: 0,
            idle_hints: 0,
            hints_followed: 0,
            removals: 0,
            spare_handles: Vec::new(),
            account: Account::default(),
        }
    }

    pub(crate) fn objects(&self) -> usize {
        self.objects
    }

    pub(crate) fn pages(&self) -> usize {
        self.pages
    }

    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    pub(crate) fn zspages(&self) -> &[Slots<L>] {
        &self.zspages
    }

    /// How many zspages were removed so far: while that stays, no zspage changes its place.
    pub(crate) fn removals(&self) -> u64 {
        self.removals
    }

    /// The slots of a zspage, or `None` if it was retired. The header is alive (the caller is
    /// pinned) and of this class.
    pub(crate) fn get(&self, zspage: &Zspage<L>) -> Option<&Slots<L>> {
        match zspage.place() {
            NOT_LISTED => None,
            place => Some(&self.zspages[place as usize]),
        }
    }

    pub(crate) fn page_size(&self) -> usize {
        self.page_size
    }

    /// Whether a zspage has enough free slots for an idle page, and any that may hold memory.
    pub(crate) fn may_be_idle(&self, slots: &Slots<L>) -> bool {
        let free = slots.slots() - slots.used();
        slots.touched != 0 && free * self.slot_size >= self.page_size
    }

    /// Hints at idle pages that nobody has followed to the end: how many there are so far.
    pub(crate) fn idle_hints(&self) -> Option<u64> {
        (self.idle_hints != self.hints_followed).then_some(self.idle_hints)
    }

    /// Whatever these many hinted at was discarded.
    pub(crate) fn hints_followed(&mut self, hints: u64) {
        self.hints_followed = hints;
    }

    /// There may be an idle page.
    pub(crate) fn hint_idle(&mut self) {
        self.idle_hints += 1;
    }

    /// Pages that were discarded and not touched since.
    pub(crate) fn discarded_pages(&self) -> usize {
        self.discarded_pages
    }

    /// Isolates a zspage and lets nobody take a free slot of it, so that `pages`, which are idle, can
    /// be discarded without the class lock.
    pub(crate) fn close(&mut self, zspage: &Zspage<L>, pages: u16) {
        let place = zspage.place();
        let slots = &mut self.zspages[place as usize];
        debug_assert!(!slots.isolated && pages & !slots.touched == 0);
        slots.isolated = !is_broken("idle zspage not isolated");
        slots.closed = !is_broken("idle pages not closed");
        self.regroup(place);
    }

    /// The memory of `pages` of a closed zspage has gone back.
    pub(crate) fn discarded(&mut self, zspage: &Zspage<L>, pages: u16) {
        let slots = &mut self.zspages[zspage.place() as usize];
        slots.touched &= !pages;
        slots.discarded |= pages;
        self.discarded_pages += pages.count_ones() as usize;
    }

    /// The zspage has moved to other pages.
    pub(crate) fn new_run(&mut self, zspage: &Zspage<L>) {
        let slots = &mut self.zspages[zspage.place() as usize];
        self.discarded_pages -= slots.discarded.count_ones() as usize;
        slots.new_run(self.runs_touched, self.page_size);
        self.idle_hints += 1;
    }

    /// Makes an isolated zspage an ordinary one. If it is empty, the caller has to remove it.
    pub(crate) fn end_isolation(&mut self, zspage: &Zspage<L>) {
        let place = zspage.place();
        let slots = &mut self.zspages[place as usize];
        (slots.isolated, slots.closed) = (false, false);
        self.regroup(place);
    }

    /// Zspages with a free slot, the fullest first.
    pub(crate) fn with_room(&self) -> impl Iterator<Item = &Slots<L>> + '_ {
        self.groups
            .with_room()
            .map(|place| &self.zspages[place as usize])
    }

    /// Zspages with objects and a free slot, roughly the sparsest first.
    pub(crate) fn sparse(&self) -> impl Iterator<Item = &Slots<L>> + '_ {
        self.groups
            .sparse()
            .map(|place| &self.zspages[place as usize])
    }

    /// The handle of the object in a slot.
    pub(crate) fn owner(&self, zspage: &Zspage<L>, slot: usize) -> Option<u32> {
        let owner = self.zspages[zspage.place() as usize].owners[slot];
        (owner != FREE).then_some(owner)
    }

    pub(crate) fn groups(&self) -> &Groups {
        &self.groups
    }

    /// Adds a zspage without objects.
    ///
    /// # Safety
    ///
    /// The header is of this class, in no list, and stays alive until [`remove`](Self::remove).
    pub(crate) unsafe fn add(&mut self, zspage: NonNull<Zspage<L>>, slots: usize, isolated: bool) {
        let place = self.zspages.len() as u32;
        let group = group_of(0, slots);
        let mut slots = Slots {
            zspage,
            owners: vec![FREE; slots].into(),
            used: 0,
            first_free: 0,
            rank: self.groups.insert(group, place),
            group,
            isolated,
            closed: false,
            touched: 0,
            discarded: 0,
        };
        slots.new_run(self.runs_touched, self.page_size);
        slots.zspage().set_place(place);
        self.pages += slots.zspage().pages();
        self.slots += slots.slots();
        self.idle_hints += 1;
        self.zspages.push(slots);
    }

    /// Removes a zspage without objects; the caller retires it.
    pub(crate) fn remove(&mut self, zspage: &Zspage<L>) -> NonNull<Zspage<L>> {
        let place = zspage.place();
        debug_assert_eq!(self.zspages[place as usize].used, 0);
        self.leave_group(place);
        let removed = self.zspages.swap_remove(place as usize);
        zspage.set_place(NOT_LISTED);
        if let Some(moved) = self.zspages.get(place as usize) {
            moved.zspage().set_place(place);
            self.groups.rename(moved.group, moved.rank, place);
        }
        self.removals += 1;
        self.pages -= zspage.pages();
        self.slots -= removed.slots();
        self.discarded_pages -= removed.discarded.count_ones() as usize;
        let capacity = self.zspages.capacity();
        if capacity > 4 && self.zspages.len() < capacity / 4 {
            self.zspages.shrink_to(self.zspages.len() * 2);
        }
        removed.zspage
    }

    /// Takes out any zspage, when the pool ends.
    pub(crate) fn pop(&mut self) -> Option<NonNull<Zspage<L>>> {
        self.zspages.pop().map(|slots| slots.zspage)
    }

    /// Gives the lowest free slot of a zspage to the object of handle `owner`; there is one, as
    /// `room` says.
    pub(crate) fn take_slot(&mut self, zspage: &Zspage<L>, owner: u32) -> usize {
        let place = zspage.place();
        let slots = &mut self.zspages[place as usize];
        debug_assert!(!slots.closed, "its pages are being discarded");
        let first = slots.first_free as usize;
        let free = slots.owners[first..].iter().position(|&o| o == FREE);
        let slot = first + free.expect("the zspage has room");
        slots.owners[slot] = owner;
        slots.first_free = slot as u16 + 1;
        slots.used += 1;
        let pages = slot_pages(slot, zspage.slot_size(), self.page_size);
        let back = slots.discarded & pages;
        if back != 0 {
            slots.discarded -= back;
            self.discarded_pages -= back.count_ones() as usize;
        }
        slots.touched |= pages;
        self.objects += 1;
        self.regroup(place);
        slot
    }

    /// Frees a slot. True if the zspage is now empty and the caller has to retire it.
    pub(crate) fn put_slot(&mut self, zspage: &Zspage<L>, slot: usize) -> bool {
        let place = zspage.place();
        let slots = &mut self.zspages[place as usize];
        debug_assert_ne!(slots.owners[slot], FREE, "double free");
        slots.owners[slot] = FREE;
        slots.first_free = slots.first_free.min(slot as u16);
        slots.used -= 1;
        let empty = slots.used == 0 && !slots.isolated;
        self.objects -= 1;
        self.idle_hints += 1;
        self.regroup(place);
        empty
    }

    /// Moves a zspage to the fullness group that it belongs to now.
    fn regroup(&mut self, place: u32) {
        let slots = &self.zspages[place as usize];
        let group = slots.group_now();
        if group != slots.group {
            self.leave_group(place);
            let rank = self.groups.insert(group, place);
            let slots = &mut self.zspages[place as usize];
            (slots.group, slots.rank) = (group, rank);
        }
    }

    fn leave_group(&mut self, place: u32) {
        let Slots { group, rank, .. } = self.zspages[place as usize];
        if let Some(moved) = self.groups.remove(group, rank) {
            self.zspages[moved as usize].rank = rank;
        }
    }

    /// Gives back the room that the lists have to grow.
    pub(crate) fn shrink_lists(&mut self) {
        self.zspages.shrink_to_fit();
        self.groups.shrink_to_fit();
        self.spare_handles.shrink_to_fit();
    }

    /// The bytes of the class's lists and headers.
    pub(crate) fn bytes(&self) -> usize {
        self.zspages.capacity() * size_of::<Slots<L>>()
            + self.zspages.len() * size_of::<Zspage<L>>()
            + self.slots * size_of::<u32>()
            + self.groups.bytes()
            + self.spare_handles.capacity() * size_of::<u32>()
    }
}
