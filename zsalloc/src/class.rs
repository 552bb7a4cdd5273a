//! A size class: its zspages and which of their slots hold which object. Everything here is under
//! the class lock.

use std::ops::Range;
use std::ptr::NonNull;

use crate::auto_compact::Account;
use crate::fullness::{Groups, group_of};
use crate::member::{Member, slot_pages};
use crate::primitive::is_broken;
use crate::slots::NOT_LISTED;
use crate::sweep::Sweep;
use crate::zspage::Zspage;

/// The part of a size class that changes.
pub(crate) struct Class<L> {
    page_size: usize,
    /// The same for all zspages; here so that to look for idle pages costs no look at their headers.
    slot_size: usize,
    /// Whether new runs may hold memory: some were retained.
    runs_touched: bool,
    /// In no order; a zspage knows its place.
    zspages: Vec<NonNull<Zspage<L>>>,
    groups: Groups,
    objects: usize,
    pages: usize,
    slots: usize,
    /// The bytes of the boxes with the owners of slots.
    owner_bytes: usize,
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
    /// How far the sweep for idle pages has come.
    pub(crate) sweep: Sweep,
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
            owner_bytes: 0,
            discarded_pages: 0,
            idle_hints: 0,
            hints_followed: 0,
            removals: 0,
            spare_handles: Vec::new(),
            account: Account::default(),
            sweep: Sweep::default(),
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

    /// How many zspages there are.
    pub(crate) fn len(&self) -> usize {
        self.zspages.len()
    }

    /// The zspages at these places, as far as there are any, from the end if reversed.
    pub(crate) fn members(
        &self,
        places: Range<usize>,
    ) -> impl DoubleEndedIterator<Item = Member<'_, L>> {
        let zspages = &self.zspages[places.start..places.end.min(self.zspages.len())];
        zspages.iter().map(|&zspage| self.member(zspage))
    }

    fn member(&self, zspage: NonNull<Zspage<L>>) -> Member<'_, L> {
        // SAFETY: a listed header is retired only after it was removed.
        Member::new(self, unsafe { zspage.as_ref() })
    }

    /// How many zspages were removed so far: while that stays, no zspage changes its place.
    pub(crate) fn removals(&self) -> u64 {
        self.removals
    }

    /// A zspage of this class, or `None` if it was retired. The caller is pinned.
    pub(crate) fn get<'c>(&'c self, zspage: &Zspage<L>) -> Option<Member<'c, L>> {
        match zspage.slots.place.get() {
            NOT_LISTED => None,
            place => Some(self.member(self.zspages[place as usize])),
        }
    }

    pub(crate) fn page_size(&self) -> usize {
        self.page_size
    }

    /// The same for all zspages.
    pub(crate) fn slot_size(&self) -> usize {
        self.slot_size
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
        let slots = &zspage.slots;
        debug_assert!(!slots.isolated() && pages & !slots.touched.get() == 0);
        slots.isolate(
            !is_broken("idle zspage not isolated"),
            !is_broken("idle pages not closed"),
        );
        self.regroup(zspage);
    }

    /// The memory of `pages` of a closed zspage has gone back.
    pub(crate) fn discarded(&mut self, zspage: &Zspage<L>, pages: u16) {
        let slots = &zspage.slots;
        slots.touched.set(slots.touched.get() & !pages);
        slots.discarded.set(slots.discarded.get() | pages);
        self.discarded_pages += pages.count_ones() as usize;
    }

    /// The zspage has moved to other pages.
    pub(crate) fn new_run(&mut self, zspage: &Zspage<L>) {
        let slots = &zspage.slots;
        self.discarded_pages -= slots.discarded.get().count_ones() as usize;
        let member = Member::new(self, zspage);
        let touched = if self.runs_touched {
            ((1u32 << member.pages()) - 1) as u16
        } else {
            member.used_pages()
        };
        slots.touched.set(touched);
        slots.discarded.set(0);
        self.idle_hints += 1;
    }

    /// Makes an isolated zspage an ordinary one. If it is empty, the caller has to remove it.
    pub(crate) fn end_isolation(&mut self, zspage: &Zspage<L>) {
        zspage.slots.isolate(false, false);
        self.regroup(zspage);
    }

    /// Zspages with a free slot, the fullest first.
    pub(crate) fn with_room(&self) -> impl Iterator<Item = Member<'_, L>> {
        let places = self.groups.with_room();
        places.map(|place| self.member(self.zspages[place as usize]))
    }

    /// Zspages with objects and a free slot, roughly the sparsest first.
    pub(crate) fn sparse(&self) -> impl Iterator<Item = Member<'_, L>> {
        let places = self.groups.sparse();
        places.map(|place| self.member(self.zspages[place as usize]))
    }

    pub(crate) fn groups(&self) -> &Groups {
        &self.groups
    }

    /// Adds a zspage without objects.
    ///
    /// # Safety
    ///
    /// The header is of this class, in no list, and stays alive until [`remove`](Self::remove).
    pub(crate) unsafe fn add(&mut self, header: NonNull<Zspage<L>>, isolated: bool) {
        let place = self.zspages.len() as u32;
        self.zspages.push(header);
        // SAFETY: alive.
        let zspage = unsafe { header.as_ref() };
        let slots = &zspage.slots;
        slots.isolate(isolated, false);
        slots.place.set(place);
        let group = group_of(0, slots.count());
        slots.set_group(group);
        self.groups.push(group);
        self.new_run(zspage);
        self.pages += Member::new(self, zspage).pages();
        self.slots += slots.count();
        self.owner_bytes += slots.owner_bytes();
    }

    /// Removes a zspage without objects; the caller retires it.
    pub(crate) fn remove(&mut self, zspage: &Zspage<L>) -> NonNull<Zspage<L>> {
        let slots = &zspage.slots;
        let place = slots.place.get();
        debug_assert_eq!(slots.used(), 0);
        self.pages -= Member::new(self, zspage).pages();
        self.slots -= slots.count();
        self.owner_bytes -= slots.owner_bytes();
        self.discarded_pages -= slots.discarded.get().count_ones() as usize;
        self.removals += 1;
        self.groups.swap_remove(slots.group(), place);
        let removed = self.zspages.swap_remove(place as usize);
        slots.place.set(NOT_LISTED);
        if let Some(&moved) = self.zspages.get(place as usize) {
            self.member(moved).zspage().slots.place.set(place);
        }
        let capacity = self.zspages.capacity();
        if capacity > 4 && self.zspages.len() < capacity / 4 {
            self.zspages.shrink_to(self.zspages.len() * 2);
        }
        removed
    }

    /// Takes out any zspage, when the pool ends.
    pub(crate) fn pop(&mut self) -> Option<NonNull<Zspage<L>>> {
        self.zspages.pop()
    }

    /// Gives the lowest free slot of a zspage to the object of handle `owner`; there is one, as
    /// `room` says.
    pub(crate) fn take_slot(&mut self, zspage: &Zspage<L>, owner: u32) -> usize {
        let slots = &zspage.slots;
        debug_assert!(!slots.closed(), "its pages are being discarded");
        let slot = slots.take(owner);
        let pages = slot_pages(slot, self.slot_size, self.page_size);
        let back = slots.discarded.get() & pages;
        if back != 0 {
            slots.discarded.set(slots.discarded.get() - back);
            self.discarded_pages -= back.count_ones() as usize;
        }
        slots.touched.set(slots.touched.get() | pages);
        self.objects += 1;
        self.regroup(zspage);
        slot
    }

    /// Frees a slot. True if the zspage is now empty and the caller has to retire it.
    pub(crate) fn put_slot(&mut self, zspage: &Zspage<L>, slot: usize) -> bool {
        let slots = &zspage.slots;
        slots.put(slot);
        self.objects -= 1;
        self.idle_hints += 1;
        self.regroup(zspage);
        slots.used() == 0 && !slots.isolated()
    }

    /// Moves a zspage to the fullness group that it belongs to now.
    #[inline]
    fn regroup(&mut self, zspage: &Zspage<L>) {
        let slots = &zspage.slots;
        let old = slots.group();
        let new = group_of(slots.count() - slots.room(), slots.count());
        if new != old {
            self.groups.change(old, new, slots.place.get());
            slots.set_group(new);
        }
    }

    /// Gives back the room that the lists have to grow.
    pub(crate) fn shrink_lists(&mut self) {
        self.zspages.shrink_to_fit();
        self.groups.shrink_to_fit();
        self.spare_handles.shrink_to_fit();
    }

    /// The bytes of the class's lists and owners.
    pub(crate) fn bytes(&self) -> usize {
        self.zspages.capacity() * size_of::<NonNull<Zspage<L>>>()
            + self.owner_bytes
            + self.groups.bytes()
            + self.spare_handles.capacity() * size_of::<u32>()
    }
}
