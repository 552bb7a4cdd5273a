//! What compaction wants: which zspages of a class to empty, which to fill, which to make.
//!
//! The target is [`Chain::target_pages`], the same that [`freeable`](crate::Pool::freeable)
//! promises.

use std::collections::HashSet;

use lock_api::RawRwLock;

use crate::chain::{Chain, Run};
use crate::class::{Class, Slots};
use crate::zspage::ZspageId;

/// Which zspages of a class to empty and where their objects go.
pub(crate) struct Plan {
    /// Emptiest first.
    pub(crate) sources: Vec<ZspageId>,
    /// Those that stay anyway: busy ones first, then the fullest.
    pub(crate) destinations: Vec<ZspageId>,
    /// Zspages to make when the destinations are full.
    pub(crate) new: Vec<Run>,
}

/// The pages of a class beyond what its objects need.
pub(crate) fn surplus<L>(chain: &Chain, class: &Class<L>) -> usize {
    let target = chain.target_pages(class.objects());
    class.pages().saturating_sub(target)
}

/// Chooses what to keep so that the class ends with the pages that its objects need, or as few as
/// busy zspages allow. Adds zspages seen locked to `busy`. Plans no new zspages unless `may_grow`.
/// `None` if nothing can be gained.
pub(crate) fn plan<L: RawRwLock>(
    chain: &Chain,
    class: &Class<L>,
    busy: &mut HashSet<ZspageId>,
    may_grow: bool,
) -> Option<Plan> {
    if surplus(chain, class) == 0 {
        return None;
    }
    let (mut forced, mut movable) = (Vec::new(), Vec::new());
    for slots in class.zspages() {
        let zspage = slots.zspage();
        if slots.isolated {
            // Another compaction is filling it.
            forced.push(slots);
        } else if busy.contains(&zspage.id()) || zspage.lock.is_locked() {
            busy.insert(zspage.id());
            forced.push(slots);
        } else {
            movable.push(slots);
        }
    }
    // The movable zspages only need to hold what the slots of the others cannot.
    let forced_slots: usize = forced.iter().map(|slots| slots.slots()).sum();
    let objects = class.objects().saturating_sub(forced_slots);
    let pages: usize = movable.iter().map(|slots| slots.zspage().pages()).sum();
    if pages <= chain.target_pages(objects) {
        return None;
    }
    movable.sort_by_key(|slots| std::cmp::Reverse(slots.used()));

    let mut keep = choose(chain, objects, movable);
    if !may_grow {
        keep.do_without_new(objects);
    }
    let id = |slots: &Slots<L>| slots.zspage().id();
    Some(Plan {
        sources: keep.others.into_iter().rev().map(id).collect(),
        destinations: forced.into_iter().chain(keep.kept).map(id).collect(),
        new: keep.new,
    })
}

/// The zspages in `busy` that would be emptied if nothing were mapped.
pub(crate) fn held_back<L>(chain: &Chain, class: &Class<L>, busy: &HashSet<ZspageId>) -> usize {
    if surplus(chain, class) == 0 {
        return 0;
    }
    let is_busy = |slots: &Slots<L>| busy.contains(&slots.zspage().id());
    let mut zspages: Vec<_> = class.zspages().iter().collect();
    // Of equally full ones the busy ones stay.
    zspages.sort_by_key(|slots| (std::cmp::Reverse(slots.used()), !is_busy(slots)));
    let emptied = choose(chain, class.objects(), zspages).others;
    emptied.into_iter().filter(|slots| is_busy(slots)).count()
}

/// A choice of zspages that hold a class's objects.
struct Choice<'c, L> {
    kept: Vec<&'c Slots<L>>,
    new: Vec<Run>,
    /// The rest, fullest first.
    others: Vec<&'c Slots<L>>,
}

/// Chooses full runs and one tail for `objects` objects; `zspages` is sorted, the fullest first.
fn choose<'c, L>(chain: &Chain, objects: usize, zspages: Vec<&'c Slots<L>>) -> Choice<'c, L> {
    let full = chain.full();
    let mut full_wanted = objects / full.slots;
    let rest = objects % full.slots;
    let mut tail_wanted = (rest > 0).then(|| chain.tail(rest));
    let (kept, others) = zspages.into_iter().partition(|slots| {
        let pages = slots.zspage().pages();
        if full_wanted > 0 && pages == full.pages {
            full_wanted -= 1;
            true
        } else {
            tail_wanted.take_if(|tail| tail.pages == pages).is_some()
        }
    });
    let new = std::iter::repeat_n(full, full_wanted).chain(tail_wanted);
    Choice {
        kept,
        new: new.collect(),
        others,
    }
}

impl<L> Choice<'_, L> {
    /// Keeps the fullest of the others instead of making new zspages.
    fn do_without_new(&mut self, objects: usize) {
        self.new.clear();
        let mut slots: usize = self.kept.iter().map(|slots| slots.slots()).sum();
        let more = self.others.iter().take_while(|other| {
            let wanted = slots < objects;
            slots += other.slots();
            wanted
        });
        let more = more.count();
        self.kept.extend(self.others.drain(..more));
    }
}
