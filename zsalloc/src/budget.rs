//! How much one call of compaction may do.

use std::time::{Duration, Instant};

/// A limit for one call of [`Pool::compact_budget`](crate::Pool::compact_budget).
///
/// Pages in budgets are net: those that go back, less those that denser zspages take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// Gives back at most so many pages. A zspage goes back as a whole: as long as a call has gained
    /// nothing, one zspage is allowed whatever its length, so every budget of at least one page
    /// makes progress. 0: nothing is done.
    Pages(usize),
    /// Begins nothing new when so much time has passed. What is begun is ended: one zspage's
    /// objects are moved, and pages that were taken for a denser zspage are earned back first.
    ///
    /// Planning does not count: neither the plan of a class, which takes longer the more zspages it
    /// has, nor [`prepare_exclusive`](crate::PoolBuilder::prepare_exclusive). And the first zspage of
    /// a call is allowed however late it is. So every budget but 0 makes progress, and a call may
    /// take longer than it says. A duration beyond what the clock can represent is no limit. 0:
    /// nothing is done.
    Time(Duration),
}

/// What is left of a budget.
#[derive(Debug)]
pub(crate) struct Allowance {
    limit: Limit,
    /// Pages given back in this call.
    freed: usize,
    /// Pages taken in this call.
    taken: usize,
    /// Something was begun in this call.
    begun: bool,
}

#[derive(Debug)]
enum Limit {
    None,
    Pages(usize),
    Until(Instant),
}

impl Allowance {
    pub(crate) fn unlimited() -> Self {
        Self::limited(Limit::None)
    }

    pub(crate) fn new(budget: Budget) -> Self {
        Self::limited(match budget {
            Budget::Pages(pages) => Limit::Pages(pages),
            Budget::Time(Duration::ZERO) => Limit::Pages(0),
            Budget::Time(time) => match Instant::now().checked_add(time) {
                Some(end) => Limit::Until(end),
                None => Limit::None,
            },
        })
    }

    fn limited(limit: Limit) -> Self {
        Self {
            limit,
            freed: 0,
            taken: 0,
            begun: false,
        }
    }

    pub(crate) fn is_limited(&self) -> bool {
        !matches!(self.limit, Limit::None)
    }

    /// Whether a zspage of `pages` pages may be emptied. One that is in debt may always go on: who
    /// stops then leaves the pool with more pages than before.
    pub(crate) fn allows(&self, pages: usize) -> bool {
        match self.limit {
            Limit::None => true,
            Limit::Pages(0) => false,
            Limit::Pages(most) => {
                self.freed <= self.taken || self.freed + pages <= most.saturating_add(self.taken)
            }
            Limit::Until(end) => !self.begun || self.freed < self.taken || Instant::now() < end,
        }
    }

    /// From now on what is allowed must be in time.
    pub(crate) fn begin(&mut self) {
        self.begun = true;
    }

    /// Lets time pass that is not the budget's.
    pub(crate) fn extend(&mut self, by: Duration) {
        if let Limit::Until(end) = &mut self.limit {
            // Beyond what the clock can represent: far enough as it is.
            *end = end.checked_add(by).unwrap_or(*end);
        }
    }

    /// Whether what touches no page may still begin.
    pub(crate) fn has_time(&self) -> bool {
        match self.limit {
            Limit::None | Limit::Pages(1..) => true,
            Limit::Pages(0) => false,
            Limit::Until(end) => Instant::now() < end,
        }
    }

    pub(crate) fn freed(&mut self, pages: usize) {
        self.freed += pages;
    }

    pub(crate) fn taken(&mut self, pages: usize) {
        self.taken += pages;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_net_and_the_first_zspage_is_free() {
        let mut allowance = Allowance::new(Budget::Pages(3));
        assert!(allowance.allows(16));
        allowance.freed(1);
        assert!(allowance.allows(2) && !allowance.allows(3));
        // In debt, or even: nothing is gained so far.
        allowance.taken(13);
        assert!(allowance.allows(100));
        allowance.freed(12);
        assert!(allowance.allows(100));
        allowance.freed(3);
        assert!(!allowance.allows(1));
    }

    #[test]
    fn nothing_is_allowed_by_nothing() {
        for budget in [Budget::Pages(0), Budget::Time(Duration::ZERO)] {
            let allowance = Allowance::new(budget);
            assert!(!allowance.allows(1) && !allowance.has_time());
        }
    }

    #[test]
    fn the_largest_budgets_do_not_overflow() {
        for budget in [Budget::Pages(usize::MAX), Budget::Time(Duration::MAX)] {
            let mut allowance = Allowance::new(budget);
            assert!(allowance.allows(16));
            allowance.taken(16);
            allowance.freed(40);
            assert!(allowance.allows(16) && allowance.has_time());
        }
    }

    #[test]
    fn when_time_is_up_a_debt_is_paid_and_nothing_else_done() {
        let mut allowance = Allowance::new(Budget::Time(Duration::from_nanos(1)));
        allowance.extend(Duration::from_hours(1));
        assert!(allowance.has_time());
        let mut allowance = Allowance::new(Budget::Time(Duration::from_nanos(1)));
        std::thread::sleep(Duration::from_micros(1));
        assert!(allowance.allows(16) && !allowance.has_time());
        allowance.begin();
        assert!(!allowance.allows(1));
        allowance.taken(2);
        assert!(allowance.allows(1));
        allowance.freed(2);
        assert!(!allowance.allows(1));
    }
}
