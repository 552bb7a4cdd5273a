//! Compaction in small pieces, for those who do a little of it now and then.

use lock_api::RawRwLock;

use crate::backend::PageSource;
use crate::chain::Chain;
use crate::class::Class;
use crate::hold_time::HoldTimes;
use crate::listing::SLICE;
use crate::plan::{Plan, Seen, surplus};
use crate::pool::Pool;
use crate::relocate::{Destinations, Step};
use crate::returns::Returns;

/// How many zspages a step chooses from, and how many it empties at most.
const STEP_CANDIDATES: usize = 8;
const STEP_SOURCES: usize = 4;
/// At how many zspages a step may look that nobody counts.
pub(crate) const STEP_LOOKS: usize = SLICE;

impl<L: RawRwLock, S: PageSource> Pool<L, S> {
    /// A small piece of compaction, for those who do some of it now and then: moves at most `max_moves`
    /// objects of a class, from its sparsest zspages into free slots of fuller ones. Makes no
    /// zspage, and chooses by the fullness groups, in time proportional to `max_moves` and `looks`:
    /// how many zspages it looks at to find sparse ones that are not mapped. Returns the number of
    /// objects moved: 0 if nothing can be gained this way.
    ///
    /// A zspage with more objects than may move is thinned out; later steps find it even sparser.
    /// Call with no lock of the pool held.
    #[track_caller]
    pub(crate) fn compact_step(&self, class: usize, max_moves: usize, looks: usize) -> usize {
        let chain = self.table.chain(class);
        let plan = plan_step(chain, &self.lock_class(class), max_moves, looks);
        let Some(plan) = plan else { return 0 };
        self.prepare(plan.sources.iter().map(|source| source.id));
        let mut destinations = Destinations::new(plan.destinations);
        let mut returns = Returns::to(&self.pages);
        let times = HoldTimes::default();
        let mut moved = 0;
        for source in plan.sources {
            if moved == max_moves {
                break;
            }
            let step = self.empty_zspage(
                source.id,
                &mut destinations,
                max_moves - moved,
                &mut returns,
                &times,
            );
            match step {
                Step::Emptied { objects, .. } | Step::Thinned { objects } => moved += objects,
                Step::Busy | Step::Gone | Step::NoRoom => {}
            }
        }
        self.counters.moved(moved);
        moved
    }
}

/// Chooses a few sparse zspages to empty into fuller ones, by their fullness groups: a zspage of a
/// sparser group has fewer objects a page to be moved, whatever its length. `None` if that gains
/// nothing.
///
/// A zspage that was thinned out is the sparsest candidate of the next step, too, until it is empty. So
/// steps do not undo each other, though within a group others may be sparser.
pub(crate) fn plan_step<L: RawRwLock>(
    chain: &Chain,
    class: &Class<L>,
    max_moves: usize,
    looks: usize,
) -> Option<Plan> {
    if surplus(chain, class) == 0 {
        return None;
    }
    let candidates = class.sparse().take(looks);
    let candidates =
        candidates.filter(|member| !member.isolated() && !member.zspage().lock().is_locked());
    let mut candidates: Vec<_> = candidates.take(STEP_CANDIDATES).collect();
    candidates.sort_by(|one, other| one.cmp_fullness(other));

    let mut free = class.slots() - class.objects();
    let (mut sources, mut moves) = (Vec::new(), 0);
    for source in candidates.into_iter().take(STEP_SOURCES) {
        // The others' free slots must do for all its objects, even if some of them move later.
        if moves >= max_moves || free < source.slots() {
            break;
        }
        free -= source.slots();
        moves += source.used();
        sources.push(source);
    }
    if sources.is_empty() {
        return None;
    }
    let sources: Vec<_> = sources.into_iter().map(Seen::of).collect();
    let mut wanted = moves.min(max_moves);
    // Each has a free slot, and some may be sources.
    let destinations = class.with_room().take(wanted + sources.len());
    let destinations =
        destinations.filter(|member| sources.iter().all(|source| source.id != member.id()));
    let destinations = destinations.take_while(|member| {
        let needed = wanted > 0;
        wanted = wanted.saturating_sub(member.room());
        needed
    });
    Some(Plan {
        destinations: destinations.map(|member| member.id()).collect(),
        sources,
        new: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClassPolicy, Handle};

    /// Zspages of 16 slots, of which some objects stay: of the zspage `z` those whose number is
    /// `0 mod (z % 5 + 2)`.
    fn sparse() -> (Pool, Vec<Handle>) {
        let policy = ClassPolicy::Zsmalloc { chain_size: 4 };
        let pool = Pool::builder().classes(policy).build().unwrap();
        let handles = (0..80 * 16).map(|i| pool.insert(&[i as u8; 256]).unwrap());
        let handles: Vec<_> = handles.collect();
        assert_eq!(pool.zspages().count(), 80);
        let handles = handles.into_iter().enumerate();
        let (kept, freed): (Vec<_>, Vec<_>) =
            handles.partition(|(i, _)| i % 16 % (i / 16 % 5 + 2) == 0);
        pool.free_many(freed.into_iter().map(|(_, handle)| handle));
        (pool, kept.into_iter().map(|(_, handle)| handle).collect())
    }

    #[test]
    fn steps_move_no_more_than_they_may_and_get_there() {
        for max_moves in [1, 2, 3, 7, 40, usize::MAX] {
            let (pool, handles) = sparse();
            let class = pool.table.index_of(256);
            let contents: Vec<u8> = handles.iter().map(|h| pool.read(h)[0]).collect();
            let (mut steps, mut moves) = (0, 0);
            loop {
                let moved = pool.compact_step(class, max_moves, usize::MAX);
                assert!(moved <= max_moves);
                if moved == 0 {
                    break;
                }
                (steps, moves) = (steps + 1, moves + moved);
                assert!(steps < 10_000, "steps undo each other");
            }
            // Zspages of one length need no new ones, so steps reach what compaction does.
            assert_eq!(pool.freeable(), 0, "{max_moves}");
            assert_eq!(pool.stats().objects_moved, moves as u64);
            assert!(moves <= handles.len() + max_moves.min(16), "{moves} moves");
            for (handle, byte) in handles.iter().zip(contents) {
                assert_eq!(*pool.read(handle), [byte; 256]);
            }
            pool.free_many(handles);
            assert_eq!(pool.resident_pages(), 0);
        }
    }

    /// All zspages are in one fullness group, and the fuller ones come first.
    #[test]
    fn steps_within_a_group_do_not_undo_each_other() {
        let policy = ClassPolicy::Zsmalloc { chain_size: 4 };
        let pool = Pool::builder().classes(policy).build().unwrap();
        let class = pool.table.index_of(128);
        let handles: Vec<_> = (0..20 * 32).map(|_| pool.alloc(128).unwrap()).collect();
        let handles = handles.into_iter().enumerate();
        let (kept, freed): (Vec<_>, Vec<_>) = handles.partition(|(i, _)| {
            let used = if i / 32 < 10 { 15 } else { 13 };
            i % 32 < used
        });
        pool.free_many(freed.into_iter().map(|(_, handle)| handle));
        assert_eq!(pool.class_stats()[class].zspages[5], 20);
        let mut moves = 0;
        while pool.compact_step(class, 1, 8) > 0 {
            moves += 1;
            assert!(moves <= kept.len(), "steps undo each other");
        }
        assert_eq!(pool.freeable(), 0);
    }

    #[test]
    fn steps_work_around_maps() {
        let (pool, handles) = sparse();
        let class = pool.table.index_of(256);
        let maps: Vec<_> = handles.iter().step_by(9).map(|h| pool.read(h)).collect();
        let mapped = pool.zspages().filter(|zspage| zspage.mapped);
        let mapped: Vec<_> = mapped.map(|zspage| (zspage.id, zspage.used)).collect();
        while pool.compact_step(class, 10, usize::MAX) > 0 {}
        // No object of theirs moved; at most others came.
        for (id, used) in mapped {
            let now = pool.zspages().find(|zspage| zspage.id == id).unwrap();
            assert!(now.mapped && now.used >= used);
        }
        drop(maps);
        while pool.compact_step(class, 10, usize::MAX) > 0 {}
        assert_eq!(pool.freeable(), 0);
    }
}
