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
//!
//! With a budget, a class first fills the free slots that it has, from the sparsest zspages: each
//! page so gained costs the fewest moves, needs no plan of the whole class, and takes no pages in
//! between. Only when that gains no more, the class is planned as a whole.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Instant;

use lock_api::RawRwLock;

use crate::backend::PageSource;
use crate::budget::{Allowance, Budget};
use crate::compact_step::{STEP_LOOKS, plan_step};
use crate::hold_time::HoldTimes;
use crate::plan::{Left, Plan, explain, plan, surplus};
use crate::pool::Pool;
use crate::reclaim;
use crate::relocate::{Destinations, Isolated, Step};
use crate::report::{ClassCompaction, CompactReport};
use crate::returns::Returns;
use crate::zspage::ZspageId;

impl<L: RawRwLock, S: PageSource> Pool<L, S> {
    /// Moves objects together and returns the pages gained: [`freeable`](Self::freeable) of them if
    /// nothing is mapped and nobody else uses the pool. With
    /// [`retain_pages`](crate::PoolBuilder::retain_pages) as many of them stay resident, until
    /// [`trim`](Self::trim).
    ///
    /// Never waits for a map. Zspages with mapped objects stay; the report says how many. Of those
    /// that stay, the pages in which no object has a byte give their memory back, too
    /// ([`pages_discarded`](CompactReport::pages_discarded)). The mutex of a class is held for the
    /// time of emptying one zspage at a time.
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
    /// When the page source fails half-way, the class gains what it can without new zspages; every
    /// object stays readable.
    #[track_caller]
    pub fn compact(&self) -> CompactReport {
        let mut compaction = Compaction::of(self, Allowance::unlimited());
        let classes: Vec<_> = (0..self.class_count())
            .map(|class| compaction.compact_class(class))
            .collect();
        CompactReport::of(classes, &compaction.times)
    }

    /// Like [`compact`](Self::compact), but ends when the budget is spent. The next call goes on with
    /// the next size class, so every class gets its turn, and calls in a loop reach what one `compact`
    /// reaches.
    ///
    /// Pages that cost few moves come first: within a class the sparsest zspages move into free slots
    /// of fuller ones. The pages that a denser zspage takes are earned back before the call ends, as
    /// far as maps, other threads and the page source allow; so a call never ends by its budget with
    /// more pages than it began with.
    ///
    /// ```
    /// use zsalloc::{Budget, Pool};
    ///
    /// let pool = Pool::new();
    /// let mut handles: Vec<_> = (0..1000).map(|_| pool.alloc(100)).collect::<Result<_, _>>()?;
    /// for handle in handles.drain(..900) {
    ///     pool.free(handle);
    /// }
    /// let freeable = pool.freeable();
    /// let mut freed = 0;
    /// loop {
    ///     let report = pool.compact_budget(Budget::Pages(4));
    ///     freed += report.pages_freed;
    ///     if !report.budget_spent {
    ///         break;
    ///     }
    /// }
    /// assert_eq!(freed, freeable);
    /// # handles.into_iter().for_each(|handle| pool.free(handle));
    /// # Ok::<(), zsalloc::AllocError>(())
    /// ```
    #[track_caller]
    pub fn compact_budget(&self, budget: Budget) -> CompactReport {
        let mut compaction = Compaction::of(self, Allowance::new(budget));
        let count = self.class_count();
        // Relaxed: only where to begin; two calls at once may begin with the same class.
        let first = self.compact_cursor.load(Ordering::Relaxed) % count;
        let mut classes = Vec::new();
        for class in (first..count).chain(0..first) {
            let report = compaction.compact_class(class);
            let spent = report.budget_spent;
            classes.push(report);
            if spent {
                // Not with the same class: one that is always sparse would starve the others.
                self.compact_cursor.store(class + 1, Ordering::Relaxed);
                break;
            }
        }
        CompactReport::of(classes, &compaction.times)
    }

    /// Gives back what the pool keeps for later: free pages that it
    /// [retains](crate::PoolBuilder::retain_pages), to their source, and spare handles and room in its
    /// lists. Moves nothing. Waits for each class's mutex in turn, and for no map. What was retired earlier
    /// by this thread is freed as well, unless another thread is pinned.
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
        self.trim_metadata();
        self.pages.trim(0);
        reclaim::collect();
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

/// One call of compaction.
struct Compaction<'p, L: RawRwLock, S: PageSource> {
    pool: &'p Pool<L, S>,
    allowance: Allowance,
    times: HoldTimes,
}

/// The compaction of one class.
struct ClassWork {
    class: usize,
    /// Zspages that were seen mapped.
    busy: HashSet<ZspageId>,
    report: ClassCompaction,
}

impl<'p, L: RawRwLock, S: PageSource> Compaction<'p, L, S> {
    fn of(pool: &'p Pool<L, S>, allowance: Allowance) -> Self {
        Self {
            pool,
            allowance,
            times: HoldTimes::default(),
        }
    }

    #[track_caller]
    fn compact_class(&mut self, class: usize) -> ClassCompaction {
        let mut work = ClassWork {
            class,
            busy: HashSet::new(),
            report: ClassCompaction::new(self.pool.table.chain(class).size()),
        };
        if self.surplus(class) > 0 {
            if self.allowance.is_limited() {
                self.fill_free_slots(&mut work);
            }
            if !work.report.budget_spent {
                self.repack(&mut work);
            }
            self.pool.counters.moved(work.report.objects_moved);
            self.explain(&mut work);
        }
        if !work.report.budget_spent {
            self.discard(&mut work);
            self.pool.release_spare_handles(class);
        }
        work.report
    }

    #[track_caller]
    fn surplus(&self, class: usize) -> usize {
        let chain = self.pool.table.chain(class);
        let class = self.times.class(|| self.pool.lock_class(class));
        surplus(chain, &class)
    }

    /// Gains what can be gained without a plan of the whole class.
    #[track_caller]
    fn fill_free_slots(&mut self, work: &mut ClassWork) {
        let chain = self.pool.table.chain(work.class);
        let mut removed = None;
        // Once a step gains nothing, its sources are busy, or others are faster.
        while !work.report.budget_spent && removed != Some(work.report.pages_removed) {
            removed = Some(work.report.pages_removed);
            let class = self.times.class(|| self.pool.lock_class(work.class));
            let plan = plan_step(chain, &class, usize::MAX, STEP_LOOKS);
            drop(class);
            let Some(plan) = plan else { break };
            self.carry_out(plan, work);
        }
    }

    /// Gets as close to the target as maps allow.
    #[track_caller]
    fn repack(&mut self, work: &mut ClassWork) {
        let chain = self.pool.table.chain(work.class);
        loop {
            if !self.allowance.allows(1) {
                work.report.budget_spent = true;
                return;
            }
            // Once the page source has failed, do what the zspages at hand allow.
            let may_grow = !work.report.source_failed;
            let begun = Instant::now();
            let survey = self.pool.survey(work.class, &mut work.busy, &self.times);
            let plan = survey.and_then(|survey| plan(chain, survey, may_grow));
            let Some(plan) = plan else {
                // This counts, so classes without a plan do not add up: each has its turn.
                self.allowance.begin();
                return;
            };
            // This does not, or a class that takes longer than the budget would never be compacted.
            self.allowance.extend(begun.elapsed());
            let known_busy = work.busy.len();
            self.carry_out(plan, work);
            // A source that turned out to be busy is a destination of the next plan, and the first
            // failure calls for a plan without new zspages. Each zspage turns out to be busy once,
            // and there is one first failure, so this ends.
            let found_busy = work.busy.len() > known_busy;
            let failed_now = may_grow && work.report.source_failed;
            if work.report.budget_spent || !(found_busy || failed_now) {
                return;
            }
        }
    }

    #[track_caller]
    fn carry_out(&mut self, plan: Plan, work: &mut ClassWork) {
        let pool = self.pool;
        let begun = Instant::now();
        pool.prepare(plan.sources.iter().map(|source| source.id));
        self.allowance.extend(begun.elapsed());
        let mut returns = Returns::to(&pool.pages);
        let mut destinations = Destinations::new(plan.destinations);
        let mut new = plan.new.into_iter();
        let (all, times) = (usize::MAX, &self.times);
        let mut isolated = Isolated::none(pool, work.class, times);
        let report = &mut work.report;
        'sources: for source in plan.sources {
            loop {
                if !self.allowance.allows(source.pages()) {
                    report.budget_spent = true;
                    break 'sources;
                }
                self.allowance.begin();
                let to = &mut destinations;
                match pool.empty_zspage(source.id, to, all, &mut returns, times) {
                    Step::Emptied { objects, pages } => {
                        report.objects_moved += objects;
                        report.pages_removed += pages;
                        self.allowance.freed(pages);
                        break;
                    }
                    Step::Thinned { objects } => {
                        report.objects_moved += objects;
                        break;
                    }
                    Step::Gone => break,
                    Step::Busy => {
                        work.busy.insert(source.id);
                        break;
                    }
                    Step::NoRoom => {
                        // They may be all that is left below the limit.
                        returns.flush();
                        // If no more are planned, others filled the destinations meanwhile.
                        let Some(run) = new.next() else {
                            break 'sources;
                        };
                        let Some(id) = isolated.make(run) else {
                            report.source_failed = true;
                            break 'sources;
                        };
                        destinations.push(id);
                        report.pages_added += run.pages;
                        self.allowance.taken(run.pages);
                    }
                }
            }
        }
        let pages = isolated.end();
        report.pages_removed += pages;
        self.allowance.freed(pages);
    }

    /// Gives back the memory of pages without objects in zspages that stay.
    #[track_caller]
    fn discard(&self, work: &mut ClassWork) {
        let is_time = || self.allowance.has_time();
        let discarded = self.pool.discard_idle(work.class, is_time, &self.times);
        work.report.pages_discarded += discarded;
    }

    /// Says why pages stayed.
    #[track_caller]
    fn explain(&self, work: &mut ClassWork) {
        let left = if work.report.budget_spent {
            Left {
                pages: self.surplus(work.class),
                ..Left::default()
            }
        } else {
            let survey = self.pool.survey(work.class, &mut work.busy, &self.times);
            let chain = self.pool.table.chain(work.class);
            survey.map_or(Left::default(), |survey| explain(chain, survey))
        };
        work.report.explain(left);
    }
}
