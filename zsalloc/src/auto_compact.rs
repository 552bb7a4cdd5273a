//! Automatic compaction: frees pay for it, so it cannot get out of hand.
//!
//! Every two frees earn their class a credit of one move. Now and then a free looks at its class,
//! under the class lock that it holds anyway. If the class has too many pages, the free goes on, with
//! no lock held, to a step of compaction that spends the credit.
//!
//! **Invariant:** in every class, objects moved by steps <= credit earned = objects freed / 2. What a
//! step may move is taken off the account before it begins and what it did not move is paid back
//! after, both under the class lock, so steps of several threads cannot spend the same credit.
//!
//! This is the accounting of incremental garbage collection (H. Baker, "List processing in real time
//! on a serial computer", 1978: work in proportion to allocation), with frees in the place of
//! allocations, as they are what makes memory sparse.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use lock_api::RawRwLock;

use crate::backend::PageSource;
use crate::chain::Chain;
use crate::class::Class;
use crate::error::AllocError;
use crate::plan::surplus;
use crate::pool::Pool;
use crate::reclaim::Pin;
use crate::zspage::Zspage;

/// How many frees pay for the move of one object.
const FREES_PER_MOVE: u32 = 2;
/// How many objects a free moves at most; a batch of frees, as many as it freed if that is more.
pub(crate) const STEP_MOVES: u32 = 64;
/// A class keeps free slots for one in so many objects of its longest zspage.
const RESERVE: usize = 16;
/// A class is looked at once in so many frees for each object in it, and at least as often as ..
const LOOKS: usize = 128;
/// .. once in so many frees.
const MAX_INTERVAL: usize = 64;
/// For how many frees a class is left alone after a step that moved nothing, and at how many zspages
/// the next one looks; doubled for each further such step, up to the number of zspages or ..
const MIN_PATIENCE: u32 = 16;
/// .. to one of these, if there are fewer or more.
const MAX_PATIENCE: RangeInclusive<usize> = 64..=4096;
/// How many insertions are refused at once after compaction at the page limit has gained nothing: what
/// keeps it from gaining may be maps, whose end nobody tells.
const REFUSALS: u32 = 15;
/// Distinguishes tickets from refusals.
const TICKET: u32 = 1 << 31;
/// At how many zspages of a class, whose lock it holds meanwhile, compaction at the page limit looks to
/// find some that are not mapped: at first, and at most.
const LIMIT_LOOKS: (u32, u32) = (512, 4096);

/// When and how much a pool compacts by itself: see
/// [`PoolBuilder::auto_compact`](crate::PoolBuilder::auto_compact).
///
/// ```
/// use zsalloc::{AutoCompact, Pool};
///
/// let pool = Pool::builder().auto_compact(AutoCompact::default().slack(0.02)).build()?;
/// let handles: Vec<_> = (0..10_000).map(|_| pool.alloc(1000).unwrap()).collect();
/// let full = pool.resident_pages();
///
/// // Nine of ten objects go, but every zspage keeps some.
/// let (kept, freed): (Vec<_>, Vec<_>) =
///     handles.into_iter().enumerate().partition(|(i, _)| i % 10 == 0);
/// freed.into_iter().for_each(|(_, handle)| pool.free(handle));
/// assert!(pool.resident_pages() < full / 8);
/// assert!(pool.stats().objects_moved <= 9000 / 2);
/// # drop(kept);
/// # Ok::<(), zsalloc::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct AutoCompact {
    slack: f32,
}

impl Default for AutoCompact {
    /// A slack of 0.03.
    fn default() -> Self {
        Self { slack: 0.03 }
    }
}

impl AutoCompact {
    /// The share of a class's pages, from 0.0 to 1.0, that may be surplus before the class is
    /// compacted: pages beyond those that its objects need when they are packed, as counted by
    /// [`freeable`](crate::Pool::freeable). A smaller slack is denser and moves more; 0.0 is as
    /// dense as the credit of the frees allows, 1.0 never moves anything.
    ///
    /// Values out of range are refused when the pool is built.
    ///
    /// A class also keeps up to one zspage and a sixteenth, whatever the slack.
    #[must_use]
    pub fn slack(mut self, slack: f32) -> Self {
        self.slack = slack;
        self
    }

    pub(crate) fn is_valid(&self) -> bool {
        (0.0..=1.0).contains(&self.slack)
    }

    /// Whether a class has so many pages that a step pays: more than the slack, and enough free slots
    /// to do without a zspage and still have some left for the next insertions. (Otherwise a class
    /// whose number of objects goes up and down a little would give the zspage back at each turn.)
    fn is_exceeded<L>(&self, chain: &Chain, class: &Class<L>) -> bool {
        let full = chain.full();
        let free = class.slots() - class.objects();
        if free < full.slots + full.slots.div_ceil(RESERVE) {
            return false;
        }
        let surplus = surplus(chain, class);
        surplus >= full.pages && surplus as f64 > f64::from(self.slack) * class.pages() as f64
    }
}

/// Automatic compaction of one pool.
#[derive(Debug)]
pub(crate) struct Automatic {
    policy: AutoCompact,
    /// 0; or how many insertions are refused at once, because compaction at the page limit gained
    /// nothing and nothing was freed since; or, beyond `REFUSALS`, the ticket of the compaction that
    /// began last and may find that out. A free sets it to 0. So a compaction during which something
    /// was freed, or another one began, does not find its ticket here in the end, and refuses nothing.
    refusals_left: AtomicU32,
    /// Tickets given out so far.
    tickets: AtomicU32,
    /// How far compaction at the page limit looks: doubled each time that it gains nothing.
    looks: AtomicU32,
}

impl Automatic {
    pub(crate) fn new(policy: AutoCompact) -> Self {
        Self {
            policy,
            refusals_left: AtomicU32::new(0),
            tickets: AtomicU32::new(0),
            looks: AtomicU32::new(LIMIT_LOOKS.0),
        }
    }

    /// Whether an insertion is refused at once, because one before was in vain.
    fn refuses(&self) -> bool {
        let count_down = |left: u32| (1..=REFUSALS).contains(&left).then(|| left - 1);
        // Relaxed: a hint.
        let left = &self.refusals_left;
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count_down)
            .is_ok()
    }

    /// A ticket for a compaction that may be in vain.
    fn begin(&self) -> u32 {
        // Relaxed: only unique, but for those 2^31 compactions ago.
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed) | TICKET;
        // Relaxed: the compaction locks every class after this. A free that it does not see locks its
        // class later, so it sees the ticket.
        self.refusals_left.store(ticket, Ordering::Relaxed);
        ticket
    }

    /// The compaction with this ticket was in vain: the next insertions are refused, unless something
    /// was freed meanwhile.
    fn in_vain(&self, ticket: u32) {
        // Relaxed: a hint.
        let relaxed = Ordering::Relaxed;
        let left = &self.refusals_left;
        let _ = left.compare_exchange(ticket, REFUSALS, relaxed, relaxed);
        let looks = self.looks.load(relaxed);
        self.looks.store((looks * 2).min(LIMIT_LOOKS.1), relaxed);
    }
}

/// What a class has earned and how long it is left alone. Under the class lock.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Frees that were not spent yet.
    frees: u32,
    /// Frees until the class is looked at again.
    wait: u32,
    /// What `wait` was after the last step in vain; halved by each step that moves something.
    patience: u32,
}

/// What a step may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grant {
    // Not zero, so that "no grant" is one register and costs a free without one nothing.
    moves: NonZeroU32,
    /// At how many zspages it may look.
    looks: u32,
}

impl Account {
    /// Counts frees. True if the class is to be looked at now.
    fn earn(&mut self, frees: u32) -> bool {
        self.frees = self.frees.saturating_add(frees);
        self.wait = self.wait.saturating_sub(frees);
        self.wait == 0
    }

    /// Takes up to `max` moves off the account.
    fn withdraw(&mut self, max: u32) -> Option<Grant> {
        let moves = (self.frees / FREES_PER_MOVE).min(max);
        self.frees -= moves * FREES_PER_MOVE;
        let looks = self.patience.max(MIN_PATIENCE);
        NonZeroU32::new(moves).map(|moves| Grant { moves, looks })
    }

    /// Pays back what a step in a class of so many zspages did not use.
    fn settle(&mut self, grant: Grant, moved: u32, zspages: usize) {
        let unused = grant.moves.get() - moved;
        self.frees = self.frees.saturating_add(unused * FREES_PER_MOVE);
        if moved > 0 {
            self.patience /= 2;
        } else {
            // The sparsest zspages are mapped, most likely, and maps may last. So the class is
            // asked again later, and then looks farther: to look costs each free the same.
            let max = zspages.clamp(*MAX_PATIENCE.start(), *MAX_PATIENCE.end());
            self.patience = (self.patience * 2).clamp(MIN_PATIENCE, max as u32);
            self.wait = self.patience;
        }
    }
}

impl<L: RawRwLock, S: PageSource> Pool<L, S> {
    /// Counts frees of the locked class. A grant, of at most `max` moves, is for
    /// [`compact_automatically`](Self::compact_automatically), once the class is unlocked.
    #[inline]
    pub(crate) fn earn(
        &self,
        class: &mut Class<L>,
        index: usize,
        frees: usize,
        max: u32,
    ) -> Option<Grant> {
        let automatic = self.automatic.as_ref()?;
        self.look(automatic, class, index, frees, max)
    }

    fn look(
        &self,
        automatic: &Automatic,
        class: &mut Class<L>,
        index: usize,
        frees: usize,
        max: u32,
    ) -> Option<Grant> {
        // Relaxed: a hint. Tested first, as a store would make every free fight for the line.
        if automatic.refusals_left.load(Ordering::Relaxed) > 0 {
            automatic.refusals_left.store(0, Ordering::Relaxed);
        }
        let frees = u32::try_from(frees).unwrap_or(u32::MAX);
        if !class.account.earn(frees) {
            return None;
        }
        class.account.wait = (class.objects() / LOOKS).clamp(1, MAX_INTERVAL) as u32;
        let chain = self.table.chain(index);
        if !automatic.policy.is_exceeded(chain, class) {
            return None;
        }
        class.account.withdraw(max)
    }

    /// Makes the step that [`earn`](Self::earn) has granted, and returns how many objects it moved.
    /// Call with no lock of the pool held.
    #[cold]
    #[track_caller]
    pub(crate) fn compact_automatically(&self, class: usize, grant: Grant) -> u32 {
        let moved = self.compact_step(class, grant.moves.get() as usize, grant.looks as usize);
        let moved = moved as u32;
        let mut class = self.lock_class(class);
        let zspages = class.len();
        class.account.settle(grant, moved, zspages);
        moved
    }

    /// A new zspage for an insertion that met the page limit, from what compaction of any class
    /// gains: the classes with the largest surplus first, whatever their credit, and no more than is
    /// needed. `error` if automatic compaction is off or nothing can be gained. Call with no lock of
    /// the pool held.
    #[cold]
    #[track_caller]
    pub(crate) fn grow_at_limit(
        &self,
        error: AllocError,
        class: usize,
        objects: usize,
        pin: &Pin,
    ) -> Result<NonNull<Zspage<L>>, AllocError> {
        let (AllocError::Limit { .. }, Some(automatic)) = (error, &self.automatic) else {
            return Err(error);
        };
        if automatic.refuses() {
            return Err(error);
        }
        let ticket = automatic.begin();
        // Relaxed: a hint.
        let looks = automatic.looks.load(Ordering::Relaxed) as usize;
        let chains = self.table.chains().iter().enumerate();
        let surpluses =
            chains.map(|(other, chain)| (surplus(chain, &self.lock_class(other)), other));
        let mut others: Vec<_> = surpluses.filter(|&(surplus, _)| surplus > 0).collect();
        others.sort_unstable_by(|one, other| other.cmp(one));
        for (_, other) in others {
            while self.compact_step(other, STEP_MOVES as usize, looks) > 0 {
                if let Ok(grown) = self.grow(class, objects, pin) {
                    // Relaxed: a hint.
                    automatic.looks.store(LIMIT_LOOKS.0, Ordering::Relaxed);
                    return Ok(grown);
                }
            }
        }
        automatic.in_vain(ticket);
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_spend_what_frees_have_earned_and_no_more() {
        let mut account = Account::default();
        let (mut freed, mut moved) = (0, 0);
        for (frees, used) in [(1, 0), (1, 1), (7, 2), (500, 40), (3, 64), (1, 64), (0, 64)] {
            account.earn(frees);
            freed += frees;
            if let Some(grant) = account.withdraw(STEP_MOVES) {
                let used = used.min(grant.moves.get());
                account.settle(grant, used, 100);
                moved += used;
            }
            assert_eq!(account.frees + FREES_PER_MOVE * moved, freed);
        }
        // 513 frees; 1 + 2 + 40 + 64 + 64 + 64 moves.
        assert_eq!((moved, account.frees), (235, 43));
        assert_eq!(account.withdraw(u32::MAX).unwrap().moves.get(), 21);
        assert!(account.withdraw(u32::MAX).is_none());
    }

    #[test]
    fn steps_in_vain_become_rare() {
        let mut account = Account::default();
        let mut looks = Vec::new();
        for _ in 0..4000 {
            if account.earn(1)
                && let Some(grant) = account.withdraw(STEP_MOVES)
            {
                looks.push(grant.looks);
                account.settle(grant, 0, 1000);
            }
        }
        // After 2 frees, then 16, 32, .. more; in the end as rarely as there are zspages.
        assert_eq!(looks, [16, 16, 32, 64, 128, 256, 512, 1000, 1000]);
        // Successes end that.
        let grant = Grant {
            moves: NonZeroU32::MIN,
            looks: 1,
        };
        (0..9).for_each(|_| account.settle(grant, 1, 1000));
        account.settle(grant, 0, 1000);
        assert_eq!(account.wait, 16);
    }

    #[test]
    fn a_compaction_in_vain_refuses_nothing_if_something_was_freed_meanwhile() {
        let automatic = Automatic::new(AutoCompact::default());
        let refused = || std::iter::repeat_with(|| automatic.refuses());
        let ticket = automatic.begin();
        assert!(!automatic.refuses());
        automatic.in_vain(ticket);
        assert_eq!(refused().take(20).filter(|&refused| refused).count(), 15);
        // Freed meanwhile, as in `look`.
        let ticket = automatic.begin();
        automatic.refusals_left.store(0, Ordering::Relaxed);
        automatic.in_vain(ticket);
        assert!(!automatic.refuses());
        // Freed before a second one began, which is not over yet.
        let (first, _second) = (automatic.begin(), automatic.begin());
        automatic.in_vain(first);
        assert!(!automatic.refuses());
        assert_eq!(automatic.looks.load(Ordering::Relaxed), 4096);
    }

    #[test]
    fn only_shares_are_slacks() {
        for slack in [0.0, -0.0, 0.5, 1.0] {
            assert!(AutoCompact::default().slack(slack).is_valid(), "{slack}");
        }
        for slack in [
            -f32::MIN_POSITIVE,
            1.0 + f32::EPSILON,
            f32::NAN,
            f32::INFINITY,
        ] {
            assert!(!AutoCompact::default().slack(slack).is_valid(), "{slack}");
        }
    }
}
