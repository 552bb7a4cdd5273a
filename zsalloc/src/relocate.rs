//! Moving objects out of one zspage into others: the part of compaction that has the locks.

use lock_api::RawRwLock;

use crate::backend::PageSource;
use crate::chain::Run;
use crate::class::Class;
use crate::handle_table::Entry;
use crate::hold_time::HoldTimes;
use crate::pool::Pool;
use crate::primitive::{is_broken, shadow};
use crate::reclaim::{self, Pin};
use crate::returns::Returns;
use crate::zspage::{WriteHold, Zspage, ZspageId};

/// What became of one source.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Its objects moved and its pages go back.
    Emptied { objects: usize, pages: usize },
    /// As many of its objects moved as were allowed.
    Thinned { objects: usize },
    /// An object of it is mapped.
    Busy,
    /// It is gone, or another compaction has it.
    Gone,
    /// The destinations have too few free slots.
    NoRoom,
}

impl<L: RawRwLock, S: PageSource> Pool<L, S> {
    /// Tells the lock type which locks are about to be tried.
    pub(crate) fn prepare(&self, sources: impl IntoIterator<Item = ZspageId>) {
        if let Some(prepare) = self.prepare_exclusive {
            let pin = reclaim::pin();
            let headers = sources.into_iter().filter_map(|id| self.find(id, &pin));
            let locks: Vec<&L> = headers.map(Zspage::lock).collect();
            prepare(&locks);
        }
    }

    /// Moves all objects of a zspage to the destinations and gives its pages to `returns`; or `max_moves` of
    /// them, if it has more.
    #[track_caller]
    pub(crate) fn empty_zspage(
        &self,
        source: ZspageId,
        destinations: &mut Destinations,
        max_moves: usize,
        returns: &mut Returns<'_, S>,
        times: &HoldTimes,
    ) -> Step {
        let pin = reclaim::pin();
        let Some(zspage) = self.find(source, &pin) else {
            return Step::Gone;
        };
        let mut class = times.class(|| self.lock_class(zspage.slots.class()));
        let slots = &zspage.slots;
        if class.get(zspage).is_none_or(|member| member.isolated()) {
            return Step::Gone;
        }
        let objects = slots.used().min(max_moves);
        if !destinations.have_room(self, &class, objects, &pin) {
            return Step::NoRoom;
        }
        let Some(hold) = times.zspage(|| WriteHold::try_lock(zspage)) else {
            return Step::Busy;
        };
        // From the end: what is thinned keeps its first pages, and is filled from the front again.
        let (mut slot, mut left) = (slots.count(), objects);
        while left > 0 {
            slot -= 1;
            if let Some(owner) = slots.owner(slot) {
                let to = destinations.first_with_room(self, &class, &pin);
                self.move_object(&mut class, (zspage, slot), to, owner, &pin);
                left -= 1;
            }
        }
        // Readers that wait for this zspage find their entries changed and go where they point. Before
        // the zspage leaves its class, so that it is not lost should the lock's code panic.
        drop(hold);
        let header = (slots.used() == 0).then(|| class.remove(zspage));
        drop(class);
        let Some(header) = header else {
            return Step::Thinned { objects };
        };
        let pages = self.pages_of(zspage);
        // SAFETY: removed from its class just now, by us, empty, and the exclusive lock released.
        unsafe { self.retire_zspage_to(header, &pin, returns) };
        Step::Emptied { objects, pages }
    }

    /// Moves one object. With the class and the source (exclusively) locked.
    fn move_object(
        &self,
        class: &mut Class<L>,
        (source, slot): (&Zspage<L>, usize),
        destination: &Zspage<L>,
        owner: u32,
        pin: &Pin,
    ) {
        let cell = self.handles.cell(owner, pin);
        let len = cell.load().len();
        let to = class.take_slot(destination, owner);
        let moved = Entry::new(destination.slots.index(), to, len);
        if is_broken("publish before copy") {
            cell.publish(moved);
        }
        // SAFETY: both slots are at least `len` long and in different zspages. The object is not
        // mapped, as its zspage is locked exclusively. The other slot was free, so no reference
        // goes there, even if its neighbours are mapped.
        unsafe {
            let (from, to) = (source.slot(slot), destination.slot(to));
            shadow::read(from);
            shadow::stored(to, len);
            from.copy_to_nonoverlapping(to, len);
        }
        // After the copy: a reader that sees the entry sees the bytes.
        cell.publish(moved);
        shadow::freed(source.slot(slot));
        class.put_slot(source, slot);
    }

    /// Makes a zspage to move objects to. Should its objects be freed meanwhile, it stays until
    /// `end_isolation`: whoever isolates a zspage retires it.
    fn add_isolated(&self, class: usize, run: Run, times: &HoldTimes) -> Option<ZspageId> {
        let pin = reclaim::pin();
        let header = self.new_zspage(class, run, &pin).ok()?;
        // SAFETY: alive: nobody else knows it.
        let id = unsafe { header.as_ref() }.id();
        let mut class = times.class(|| self.lock_class(class));
        // SAFETY: a new header of this class; it is removed before it is retired.
        unsafe { class.add(header, true) };
        Some(id)
    }

    /// Makes an isolated zspage an ordinary one, or retires it if it is empty. Returns the pages
    /// given back.
    pub(crate) fn end_isolation(&self, class: usize, id: ZspageId, times: &HoldTimes) -> usize {
        let pin = reclaim::pin();
        let Some(zspage) = self.find(id, &pin) else {
            return 0;
        };
        let mut class = times.class(|| self.lock_class(class));
        // It is still in the class: nobody else retires an isolated zspage.
        class.end_isolation(zspage);
        let retired = (zspage.slots.used() == 0).then(|| class.remove(zspage));
        drop(class);
        let Some(header) = retired else { return 0 };
        let pages = self.pages_of(zspage);
        // SAFETY: removed from its class just now, by us, and empty. The exclusive lock is held only
        // with the class locked, so nobody holds it.
        unsafe { self.retire_zspage(header, &pin) };
        pages
    }
}

/// Zspages that a compaction has to itself: those it made to move objects to. Their isolation ends
/// even if the rest of the compaction panics (in a lock's code, say), or nobody would ever retire
/// them.
pub(crate) struct Isolated<'p, L: RawRwLock, S: PageSource> {
    pool: &'p Pool<L, S>,
    class: usize,
    times: &'p HoldTimes,
    ids: Vec<ZspageId>,
}

impl<'p, L: RawRwLock, S: PageSource> Isolated<'p, L, S> {
    pub(crate) fn none(pool: &'p Pool<L, S>, class: usize, times: &'p HoldTimes) -> Self {
        Self {
            pool,
            class,
            times,
            ids: Vec::new(),
        }
    }

    /// Makes a zspage; `None` if the source fails.
    pub(crate) fn make(&mut self, run: Run) -> Option<ZspageId> {
        let id = self.pool.add_isolated(self.class, run, self.times)?;
        self.ids.push(id);
        Some(id)
    }

    /// Takes care of one that is isolated already.
    pub(crate) fn adopt(&mut self, id: ZspageId) {
        self.ids.push(id);
    }

    /// Returns the pages of those that are empty by now.
    pub(crate) fn end(&mut self) -> usize {
        let mut pages = 0;
        // One by one: should one panic, `drop` goes on with the others.
        while let Some(id) = self.ids.pop() {
            pages += self.pool.end_isolation(self.class, id, self.times);
        }
        pages
    }
}

impl<L: RawRwLock, S: PageSource> Drop for Isolated<'_, L, S> {
    fn drop(&mut self) {
        self.end();
    }
}

/// The zspages that objects move to, in order of preference.
pub(crate) struct Destinations {
    ids: Vec<ZspageId>,
    /// Those before are full or gone.
    next: usize,
}

impl Destinations {
    pub(crate) fn new(ids: Vec<ZspageId>) -> Self {
        Self { ids, next: 0 }
    }

    pub(crate) fn push(&mut self, id: ZspageId) {
        self.ids.push(id);
    }

    /// Whether they have at least `wanted` free slots.
    fn have_room<L: RawRwLock, S: PageSource>(
        &self,
        pool: &Pool<L, S>,
        class: &Class<L>,
        wanted: usize,
        pin: &Pin,
    ) -> bool {
        let mut room = 0;
        // None is wanted for a zspage without objects, which may be the only one of its class.
        wanted == 0
            || self.ids[self.next..].iter().any(|&id| {
                room += room_of(pool, class, id, pin).map_or(0, |(_, room)| room);
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
            match room_of(pool, class, self.ids[self.next], pin) {
                Some((zspage, 1..)) => return zspage,
                _ => self.next += 1,
            }
        }
    }
}

fn room_of<'p, L: RawRwLock, S: PageSource>(
    pool: &Pool<L, S>,
    class: &Class<L>,
    id: ZspageId,
    pin: &'p Pin,
) -> Option<(&'p Zspage<L>, usize)> {
    let zspage = pool.find(id, pin)?;
    let room = class.get(zspage)?.room();
    Some((zspage, room))
}
