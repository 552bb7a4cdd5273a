//! What compaction wants: which zspages of a class to empty, which to fill, which to make.
//!
//! The target is [`Chain::target_pages`], the same that [`freeable`](crate::Pool::freeable)
//! promises. A plan is made from a survey, a list of what each zspage looked like a moment ago, with
//! no lock held: to sort a hundred thousand zspages takes longer than anybody should wait for a
//! class.

use std::cmp::Ordering;
use std::collections::HashSet;

use lock_api::RawRwLock;

use crate::backend::PageSource;
use crate::chain::{Chain, Run};
use crate::class::Class;
use crate::hold_time::HoldTimes;
use crate::member::Member;
use crate::pool::Pool;
use crate::zspage::ZspageId;

/// A zspage as the survey found it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) id: ZspageId,
    pages: u16,
    slots: u16,
    used: u16,
    /// Another compaction has it.
    isolated: bool,
    /// An object of it is mapped.
    mapped: bool,
}

impl Seen {
    pub(crate) fn of<L: RawRwLock>(member: Member<'_, L>) -> Self {
        Self {
            id: member.id(),
            // A zspage has at most 16 pages and 32768 slots.
            pages: member.pages() as u16,
            slots: member.slots() as u16,
            used: member.used() as u16,
            isolated: member.isolated(),
            mapped: member.zspage().lock().is_locked(),
        }
    }

    pub(crate) fn pages(&self) -> usize {
        self.pages.into()
    }

    pub(crate) fn slots(&self) -> usize {
        self.slots.into()
    }

    pub(crate) fn used(&self) -> usize {
        self.used.into()
    }

    pub(crate) fn room(&self) -> usize {
        self.slots() - self.used()
    }

    /// Compares what it costs to gain a page by emptying them: the objects to be moved for each.
    fn cmp_cost(&self, other: &Self) -> Ordering {
        (self.used() * other.pages()).cmp(&(other.used() * self.pages()))
    }
}

/// Which zspages of a class to empty and where their objects go.
pub(crate) struct Plan {
    /// Those whose pages cost the fewest moves first.
    pub(crate) sources: Vec<Seen>,
    /// Those that stay anyway and have room: busy ones first, then the fullest.
    pub(crate) destinations: Vec<ZspageId>,
    /// Zspages to make when the destinations are full.
    pub(crate) new: Vec<Run>,
}

/// The pages of a class beyond what its objects need.
pub(crate) fn surplus<L>(chain: &Chain, class: &Class<L>) -> usize {
    let target = chain.target_pages(class.objects());
    class.pages().saturating_sub(target)
}

impl<L: RawRwLock, S: PageSource> Pool<L, S> {
    /// Lists the zspages of a class; `None` if it has no surplus. Zspages seen locked, and those
    /// in `busy`, are mapped, and in `busy` afterwards.
    ///
    /// Listed [slice by slice](Self::list_class).
    #[track_caller]
    pub(crate) fn survey(
        &self,
        class: usize,
        busy: &mut HashSet<ZspageId>,
        times: &HoldTimes,
    ) -> Option<Vec<Seen>> {
        let chain = self.table.chain(class);
        if surplus(chain, &times.class(|| self.lock_class(class))) == 0 {
            return None;
        }
        let mut survey = self.list_class(class, times, Seen::of, |zspage| zspage.id);
        for zspage in &mut survey {
            zspage.mapped |= busy.contains(&zspage.id);
            if zspage.mapped && !zspage.isolated {
                busy.insert(zspage.id);
            }
        }
        Some(survey)
    }
}

/// Chooses what to keep so that the class ends with the pages that its objects need, or as few as
/// busy zspages allow. Plans no new zspages unless `may_grow`. `None` if nothing can be gained.
pub(crate) fn plan(chain: &Chain, survey: Vec<Seen>, may_grow: bool) -> Option<Plan> {
    let all = survey.iter().map(Seen::used).sum();
    let (mut forced, mut movable): (Vec<_>, Vec<_>) = survey
        .into_iter()
        .partition(|zspage| zspage.isolated || zspage.mapped);
    let objects = beyond(all, &forced);
    let pages: usize = movable.iter().map(Seen::pages).sum();
    if pages <= chain.target_pages(objects) {
        return None;
    }
    let fullest_first = |one: &Seen, other: &Seen| other.cmp_cost(one);
    movable.sort_unstable_by(fullest_first);
    // The sparse ones may keep pages without objects, whose memory goes back.
    forced.sort_unstable_by(fullest_first);

    let mut keep = choose(chain, objects, movable);
    if !may_grow {
        keep.do_without_new(objects);
    }
    let destinations = forced.iter().chain(&keep.kept);
    let destinations = destinations.filter(|zspage| zspage.room() > 0);
    Some(Plan {
        destinations: destinations.map(|zspage| zspage.id).collect(),
        sources: keep.others.into_iter().rev().collect(),
        new: keep.new,
    })
}

/// The objects for which the slots of these zspages do not suffice.
fn beyond<'s>(objects: usize, zspages: impl IntoIterator<Item = &'s Seen>) -> usize {
    let slots: usize = zspages.into_iter().map(Seen::slots).sum();
    objects.saturating_sub(slots)
}

/// Why a class has pages beyond what its objects need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Left {
    /// All of them.
    pub(crate) pages: usize,
    /// Those that cannot be gained while busy zspages stay as they are.
    pub(crate) pages_mapped: usize,
    /// The busy zspages that would be emptied if nothing were mapped.
    pub(crate) zspages_mapped: usize,
}

/// Explains what stayed behind. A zspage is mapped here if it was at any time of the compaction.
pub(crate) fn explain(chain: &Chain, mut survey: Vec<Seen>) -> Left {
    let objects = survey.iter().map(Seen::used).sum();
    let target = chain.target_pages(objects);
    let held: usize = survey.iter().map(Seen::pages).sum();
    let busy = || survey.iter().filter(|zspage| zspage.mapped);
    let busy_pages: usize = busy().map(Seen::pages).sum();
    let reachable = busy_pages + chain.target_pages(beyond(objects, busy()));
    let pages = held.saturating_sub(target);

    // Of equally full ones the busy ones stay.
    survey.sort_unstable_by(|one, other| {
        let by_cost = other.cmp_cost(one);
        by_cost.then(other.mapped.cmp(&one.mapped))
    });
    let emptied = choose(chain, objects, survey).others;
    Left {
        pages,
        pages_mapped: reachable.min(held).saturating_sub(target),
        zspages_mapped: emptied.iter().filter(|zspage| zspage.mapped).count(),
    }
}

/// A choice of zspages that hold a class's objects.
struct Choice {
    kept: Vec<Seen>,
    new: Vec<Run>,
    /// The rest, in the order given.
    others: Vec<Seen>,
}

/// Chooses full runs and one tail for `objects` objects; of each length the first in the list.
fn choose(chain: &Chain, objects: usize, zspages: Vec<Seen>) -> Choice {
    let full = chain.full();
    let mut full_wanted = objects / full.slots;
    let rest = objects % full.slots;
    let mut tail_wanted = (rest > 0).then(|| chain.tail(rest));
    let (kept, others) = zspages.into_iter().partition(|zspage| {
        let pages = zspage.pages();
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

impl Choice {
    /// Keeps the fullest of the others instead of making new zspages.
    fn do_without_new(&mut self, objects: usize) {
        self.new.clear();
        let mut slots: usize = self.kept.iter().map(Seen::slots).sum();
        let more = self.others.iter().take_while(|other| {
            let wanted = slots < objects;
            slots += other.slots();
            wanted
        });
        let more = more.count();
        self.kept.extend(self.others.drain(..more));
    }
}
