//! Compaction: moving objects out of sparse zspages until a class has no more pages than its
//! objects need.
//!
//! A class is planned as a whole and then compacted one source at a time, each under one hold of
//! the class lock, so insertions and frees get their turn in between. The plan is only a choice of
//! sources and destinations: every step checks again what it finds, so a plan that has become stale
//! costs pages, never an object.
//!
//! Unlike zsmalloc, which gives up a class at the first source that is read-locked, a busy zspage is
//! no source but the first choice as a *destination*: its pages cannot be gained now anyway, and
//! filling its free slots disturbs nobody.

use std::collections::HashSet;

use lock_api::RawRwLock;

use crate::backend::PageSource;
use crate::chain::Run;
use crate::class::Class;
use crate::handle_table::Entry;
use crate::plan::{Plan, held_back, plan, surplus};
use crate::pool::{ClassGuard, Pool};
use crate::primitive::{is_broken, shadow};
use crate::reclaim::{self, Pin};
use crate::report::{ClassCompaction, CompactReport};
use crate::zspage::{WriteHold, Zspage, ZspageId};

/// What became of one source.
pub(crate) enum Step {
    /// Its objects moved and its pages went back.
    Emptied,
    /// As many of its objects moved as were allowed.
    Thinned,
    /// An object of it is mapped.
    Busy,
    /// It is gone, or another compaction is filling it.
    Gone,
    /// The destinations have too few free slots.
    NoRoom,
}

impl<L: RawRwLock, S: PageSource> Pool<L, S> {
    /// Moves objects together and returns the pages gained: [`freeable`](Self::freeable) of them if
    /// nothing is mapped and nobody else uses the pool. With
    /// [`retain_pages`](crate::PoolBuilder::retain_pages) as many of them stay resident, until
    /// [`trim`](Self::trim).
    ///
    /// Never waits for a map. Zspages with mapped objects stay; the report says how many. The mutex
    /// of a class is held for the time of emptying one zspage at a time.
    ///
    /// ```
    /// let pool = zsalloc::Pool::new();
    /// let mut handles: Vec<_> = (0..1000).map(|_| pool.alloc(100)).collect::<Result<_, _>>()?;
    /// for handle in handles.drain(..900) {
    ///     pool.free(handle);
    /// }
    /// let (before, freeable) = (pool.resident_pages(), pool.freeable());
    /// assert_eq!(pool.compact().pages_freed, freeable);
    /// assert_eq!(pool.resident_pages(), before - freeable);
    /// # handles.into_iter().for_each(|handle| pool.free(handle));
    /// # Ok::<(), zsalloc::AllocError>(())
    /// ```
    ///
    /// When the page source fails half-way, compaction of that class ends; every object stays
    /// readable.
    #[track_caller]
    pub fn compact(&self) -> CompactReport {
        CompactReport::of((0..self.class_count()).map(|class| self.compact_class(class)))
    }

    #[track_caller]
    fn compact_class(&self, class: usize) -> ClassCompaction {
        let chain = self.table.chain(class);
        let mut report = ClassCompaction::new(chain.size());
        let mut busy = HashSet::new();
        loop {
            // Once the page source has failed, do what the zspages at hand allow.
            let may_grow = !report.source_failed;
            let plan = plan(chain, &self.lock_class(class), &mut busy, may_grow);
            let Some(plan) = plan else { break };
            let known_busy = busy.len();
            self.carry_out(class, plan, &mut busy, &mut report);
            // A source that turned out to be busy is a destination of the next plan, and the first
            // failure calls for a plan without new zspages. Each zspage turns out to be busy once,
            // and there is one first failure, so this ends.
            let found_busy = busy.len() > known_busy;
            let failed_now = may_grow && report.source_failed;
            if !found_busy && !failed_now {
                break;
            }
        }
        self.counters.moved(report.objects_moved);
        let class = self.lock_class(class);
        report.pages_left = surplus(chain, &class);
        report.zspages_mapped = held_back(chain, &class, &busy);
        report
    }

    #[track_caller]
    fn carry_out(
        &self,
        class: usize,
        plan: Plan,
        busy: &mut HashSet<ZspageId>,
        report: &mut ClassCompaction,
    ) {
        self.prepare(&plan.sources);
        let mut destinations = Destinations {
            ids: plan.destinations,
            next: 0,
        };
        let mut new = plan.new.into_iter();
        let mut isolated = Isolated {
            pool: self,
            class,
            ids: Vec::new(),
        };
        'sources: for source in plan.sources {
            loop {
                match self.empty_zspage(source, &mut destinations, usize::MAX, report) {
                    Step::Emptied | Step::Thinned | Step::Gone => break,
                    Step::Busy => {
                        busy.insert(source);
                        break;
                    }
                    Step::NoRoom => {
                        let Some(run) = new.next() else {
                            // No more planned: others filled the destinations meanwhile.
                            report.overtaken = true;
                            break 'sources;
                        };
                        match self.add_isolated(class, run) {
                            Some(id) => {
                                destinations.ids.push(id);
                                isolated.ids.push(id);
                                report.pages_added += run.pages;
                            }
                            None => {
                                report.source_failed = true;
                                break 'sources;
                            }
                        }
                    }
                }
            }
        }
        report.pages_removed += isolated.end();
    }

    /// Tells the lock type which locks are about to be tried.
    pub(crate) fn prepare(&self, sources: &[ZspageId]) {
        if let Some(prepare) = self.prepare_exclusive {
            let pin = reclaim::pin();
            let headers = sources.iter().filter_map(|&id| self.find(id, &pin));
            let locks: Vec<&L> = headers.map(|zspage| &zspage.lock).collect();
            prepare(&locks);
        }
    }

    /// Moves all objects of a zspage to the destinations and gives its pages back; or `max_moves` of
    /// them, if it has more.
    #[track_caller]
    pub(crate) fn empty_zspage(
        &self,
        source: ZspageId,
        destinations: &mut Destinations,
        max_moves: usize,
        report: &mut ClassCompaction,
    ) -> Step {
        let pin = reclaim::pin();
        let Some(zspage) = self.find(source, &pin) else {
            return Step::Gone;
        };
        let mut class = self.lock_class(zspage.class());
        let Some(slots) = class.get(zspage).filter(|slots| !slots.isolated) else {
            return Step::Gone;
        };
        let objects = slots.used().min(max_moves);
        if !destinations.have_room(self, &class, objects, &pin) {
            return Step::NoRoom;
        }
        let Some(hold) = WriteHold::try_lock(zspage) else {
            return Step::Busy;
        };
        // From the end: what is thinned keeps its first pages, and is filled from the front again.
        let (mut slot, mut left) = (slots.slots(), objects);
        while left > 0 {
            slot -= 1;
            if let Some(owner) = class.owner(zspage, slot) {
                let to = destinations.first_with_room(self, &class, &pin);
                self.move_object(&mut class, (zspage, slot), to, owner, &pin);
                left -= 1;
            }
        }
        let empty = class.get(zspage).is_some_and(|slots| slots.used() == 0);
        let header = empty.then(|| class.remove(zspage));
        // Readers that wait for this zspage find their entries changed and go where they point.
        drop(hold);
        drop(class);
        report.objects_moved += objects;
        let Some(header) = header else {
            return Step::Thinned;
        };
        report.pages_removed += zspage.pages();
        // SAFETY: removed from its class just now, by us, empty, and the exclusive lock released.
        unsafe { self.retire_zspage(header, &pin) };
        Step::Emptied
    }

    /// Moves one object. With the class and the source (exclusively) locked.
    fn move_object(
        &self,
        class: &mut ClassGuard<'_, L>,
        (source, slot): (&Zspage<L>, usize),
        destination: &Zspage<L>,
        owner: u32,
        pin: &Pin,
    ) {
        let cell = self.handles.cell(owner, pin);
        let len = cell.load().len();
        let to = class.take_slot(destination, owner);
        let moved = Entry::new(destination.id().index, to, len);
        if is_broken("publish before copy") {
            cell.publish(moved);
        }
        // SAFETY: both slots are at least `len` long and in different zspages. The object is not
        // mapped, as its zspage is locked exclusively. The other slot was free, so no reference
        // goes there, even if its neighbours are mapped.
        unsafe {
            let (from, to) = (source.slot(slot), destination.slot(to));
            shadow::read(from);
            shadow::written(to);
            from.copy_to_nonoverlapping(to, len);
        }
        // After the copy: a reader that sees the entry sees the bytes.
        cell.publish(moved);
        shadow::freed(source.slot(slot));
        class.put_slot(source, slot);
    }

    /// Makes a zspage to move objects to. Should its objects be freed meanwhile, it stays until
    /// `end_isolation`: whoever isolates a zspage retires it.
    fn add_isolated(&self, class: usize, run: Run) -> Option<ZspageId> {
        let pin = reclaim::pin();
        let header = self.new_zspage(class, run, &pin).ok()?;
        // SAFETY: alive: nobody else knows it.
        let id = unsafe { header.as_ref() }.id();
        // SAFETY: a new header of this class; it is removed before it is retired.
        unsafe { self.lock_class(class).add(header, run.slots, true) };
        Some(id)
    }

    /// Returns the pages given back because the zspage was empty.
    fn end_isolation(&self, class: usize, id: ZspageId) -> usize {
        let pin = reclaim::pin();
        let Some(zspage) = self.find(id, &pin) else {
            return 0;
        };
        let mut class = self.lock_class(class);
        // It is still in the class: nobody else retires an isolated zspage.
        class.set_isolated(zspage, false);
        let empty = class.get(zspage).is_some_and(|slots| slots.used() == 0);
        let retired = empty.then(|| class.remove(zspage));
        drop(class);
        let Some(header) = retired else { return 0 };
        let pages = zspage.pages();
        // SAFETY: removed from its class just now, by us, and empty. The exclusive lock is held only
        // with the class locked, so nobody holds it.
        unsafe { self.retire_zspage(header, &pin) };
        pages
    }

    /// Returns the free pages that the pool retains to their source. Moves nothing, waits for no
    /// class and no map.
    ///
    /// ```
    /// let pool = zsalloc::Pool::builder().retain_pages(8).build()?;
    /// pool.free(pool.insert(b"abc").unwrap());
    /// assert_eq!(pool.resident_pages(), 1);
    /// pool.trim();
    /// assert_eq!(pool.resident_pages(), 0);
    /// # Ok::<(), zsalloc::BuildError>(())
    /// ```
    pub fn trim(&self) {
        self.pages.trim(0);
    }

    /// The pages that [`compact`](Self::compact) would give back now if nothing were mapped. Waits
    /// for each class's mutex in turn.
    pub fn freeable(&self) -> usize {
        let chains = self.table.chains().iter().enumerate();
        chains
            .map(|(class, chain)| surplus(chain, &self.lock_class(class)))
            .sum()
    }
}

/// The zspages that a compaction made to move objects to. Their isolation ends even if the rest of
/// the compaction panics (in a lock's code, say), or nobody would ever retire them.
struct Isolated<'p, L: RawRwLock, S: PageSource> {
    pool: &'p Pool<L, S>,
    class: usize,
    ids: Vec<ZspageId>,
}

impl<L: RawRwLock, S: PageSource> Isolated<'_, L, S> {
    /// Returns the pages of those that had stayed empty.
    fn end(&mut self) -> usize {
        let ids = self.ids.drain(..);
        ids.map(|id| self.pool.end_isolation(self.class, id)).sum()
    }
}

impl<L: RawRwLock, S: PageSource> Drop for Isolated<'_, L, S> {
    fn drop(&mut self) {
        self.end();
    }
}

/// The zspages that objects move to, in order of preference.
pub(crate) struct Destinations {
    pub(crate) ids: Vec<ZspageId>,
    /// Those before are full or gone.
    pub(crate) next: usize,
}

impl Destinations {
    /// Whether they have at least `wanted` free slots.
    fn have_room<L: RawRwLock, S: PageSource>(
        &self,
        pool: &Pool<L, S>,
        class: &Class<L>,
        wanted: usize,
        pin: &Pin,
    ) -> bool {
        let mut room = 0;
        self.ids[self.next..].iter().any(|&id| {
            room += free_slots(pool, class, id, pin).map_or(0, |(_, free)| free);
            room >= wanted
        })
    }

    /// The first with a free slot; `have_room` has shown, under the same hold of the class lock,
    /// that there is one.
    fn first_with_room<'p, L: RawRwLock, S: PageSource>(
        &mut self,
        pool: &Pool<L, S>,
        class: &Class<L>,
        pin: &'p Pin,
    ) -> &'p Zspage<L> {
        loop {
            match free_slots(pool, class, self.ids[self.next], pin) {
                Some((zspage, 1..)) => return zspage,
                _ => self.next += 1,
            }
        }
    }
}

fn free_slots<'p, L: RawRwLock, S: PageSource>(
    pool: &Pool<L, S>,
    class: &Class<L>,
    id: ZspageId,
    pin: &'p Pin,
) -> Option<(&'p Zspage<L>, usize)> {
    let zspage = pool.find(id, pin)?;
    let slots = class.get(zspage)?;
    Some((zspage, slots.room()))
}
