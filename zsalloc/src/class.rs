//! A size class: its zspages and which of their slots hold which object. Everything here is under
//! the class lock.

use std::cmp::Ordering;
use std::ptr::NonNull;

use crate::fullness::{Groups, group_of};
use crate::zspage::{NOT_LISTED, Zspage};

/// The owner of a free slot; an index that no table gives out.
const FREE: u32 = u32::MAX;

/// The slots of one zspage.
pub(crate) struct Slots<L> {
    zspage: NonNull<Zspage<L>>,
    /// For each slot the index of the handle of its object, or `FREE`: how compaction finds the
    /// entry of an object that it moves.
    owners: Box<[u32]>,
    used: u32,
    /// No slot below is free. Slots are used in ascending order, so the pages at the end of a
    /// zspage that was never full were never touched and take no memory.
    first_free: u32,
    group: u8,
    /// The place in the fullness group.
    rank: u32,
    /// Compaction is filling this zspage and will retire it, should it become empty meanwhile.
    pub(crate) isolated: bool,
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
        self.slots() - self.used()
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

/// The part of a size class that changes.
pub(crate) struct Class<L> {
    /// In no order; a zspage knows its place.
    zspages: Vec<Slots<L>>,
    groups: Groups,
    objects: usize,
    pages: usize,
    slots: usize,
    /// Handles that are free, kept for the next insertions so that they need not lock the table.
    pub(crate) spare_handles: Vec<u32>,
}

// SAFETY: the pointers are to headers, which threads share by design; with `L: Send + Sync` a
// header may be reached and (when retired) dropped from any thread.
unsafe impl<L: Send + Sync> Send for Class<L> {}

impl<L> Class<L> {
    pub(crate) fn new() -> Self {
        Self {
            zspages: Vec::new(),
            groups: Groups::default(),
            objects: 0,
            pages: 0,
            slots: 0,
            spare_handles: Vec::new(),
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

    /// The slots of a zspage, or `None` if it was retired. The header is alive (the caller is
    /// pinned) and of this class.
    pub(crate) fn get(&self, zspage: &Zspage<L>) -> Option<&Slots<L>> {
        match zspage.place() {
            NOT_LISTED => None,
            place => Some(&self.zspages[place as usize]),
        }
    }

    pub(crate) fn set_isolated(&mut self, zspage: &Zspage<L>, isolated: bool) {
        self.zspages[zspage.place() as usize].isolated = isolated;
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
        let slots = Slots {
            zspage,
            owners: vec![FREE; slots].into(),
            used: 0,
            first_free: 0,
            group,
            rank: self.groups.insert(group, place),
            isolated,
        };
        slots.zspage().set_place(place);
        self.pages += slots.zspage().pages();
        self.slots += slots.slots();
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
        self.pages -= zspage.pages();
        self.slots -= removed.slots();
        let capacity = self.zspages.capacity();
        if capacity > 16 && self.zspages.len() < capacity / 4 {
            self.zspages.shrink_to(self.zspages.len() * 2);
        }
        removed.zspage
    }

    /// Gives the lowest free slot of a zspage to the object of handle `owner`; there is one.
    pub(crate) fn take_slot(&mut self, zspage: &Zspage<L>, owner: u32) -> usize {
        let place = zspage.place();
        let slots = &mut self.zspages[place as usize];
        let first = slots.first_free as usize;
        let free = slots.owners[first..].iter().position(|&o| o == FREE);
        let slot = first + free.expect("the zspage has room");
        slots.owners[slot] = owner;
        slots.first_free = slot as u32 + 1;
        slots.used += 1;
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
        slots.first_free = slots.first_free.min(slot as u32);
        slots.used -= 1;
        let empty = slots.used == 0 && !slots.isolated;
        self.objects -= 1;
        self.regroup(place);
        empty
    }

    /// Moves a zspage to the fullness group that it belongs to now.
    fn regroup(&mut self, place: u32) {
        let slots = &self.zspages[place as usize];
        let group = group_of(slots.used(), slots.slots());
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

    /// The bytes of the class's lists and headers.
    pub(crate) fn bytes(&self) -> usize {
        self.zspages.capacity() * size_of::<Slots<L>>()
            + self.zspages.len() * size_of::<Zspage<L>>()
            + self.slots * size_of::<u32>()
            + self.groups.bytes()
            + self.spare_handles.capacity() * size_of::<u32>()
    }
}
