//! What compaction achieved.

use std::time::Duration;

use crate::hold_time::HoldTimes;
use crate::plan::Left;

/// The result of [`Pool::compact`](crate::Pool::compact) and
/// [`compact_budget`](crate::Pool::compact_budget).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactReport {
    /// Pages given back, net of those taken for denser zspages. Some of them may be
    /// [retained](crate::PoolBuilder::retain_pages) and so still resident.
    pub pages_freed: usize,
    /// Pages that the pool has more than before; 0 if `pages_freed` is not. Only when something came
    /// in between: see [`ClassCompaction::pages_grown`].
    pub pages_grown: usize,
    /// Objects moved.
    pub objects_moved: usize,
    /// Pages whose memory went back while their zspage stayed: no byte of an object was in them. The
    /// pool still holds their addresses, so they are not part of `pages_freed` and still count in
    /// [`resident_pages`](crate::Pool::resident_pages). (A pool that
    /// [retains](crate::PoolBuilder::retain_pages) pages cannot tell which of them hold memory, and
    /// counts all those without objects.)
    pub pages_discarded: usize,
    /// Whether the budget ended this compaction: a class with
    /// [freeable](crate::Pool::freeable) pages was left, or not begun. Where only maps keep those,
    /// the next call finds that out.
    pub budget_spent: bool,
    /// The longest time for which this compaction had a size class locked, so that others could not
    /// store or free objects of that class: planning, and emptying one zspage at a time.
    ///
    /// Timed from just before the lock was asked for to just after it was released. So it covers
    /// the whole hold, and the time that compaction itself waited. Who waited for it may have waited
    /// longer, by its own wake-up.
    pub longest_class_hold: Duration,
    /// The longest time for which this compaction had a zspage locked exclusively, so that others
    /// could not map its objects. Timed likewise; zero if nothing was locked.
    pub longest_zspage_hold: Duration,
    /// The classes where something moved or stayed behind, by size.
    pub classes: Vec<ClassCompaction>,
}

/// The part of a [`CompactReport`] that is about one size class: what was gained, and what stayed
/// behind and why.
///
/// Every page that stayed is explained: `pages_left` is the sum of `pages_mapped` and
/// `pages_unfinished`, and where the latter is not 0, one of `source_failed`, `overtaken` and
/// `budget_spent` says why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassCompaction {
    /// The slot size in bytes.
    pub size: usize,
    /// Pages given back, net of those taken for denser zspages.
    pub pages_freed: usize,
    /// Pages taken for denser zspages beyond those given back; 0 if `pages_freed` is not. Only when
    /// something came in between: the source failed, or other threads mapped, stored or freed
    /// objects of the class meanwhile. The next compaction makes use of them.
    pub pages_grown: usize,
    /// Objects moved.
    pub objects_moved: usize,
    /// Pages whose memory went back while their zspage stayed.
    pub pages_discarded: usize,
    /// Pages that the class has beyond what its objects need. 0: nothing stayed behind.
    pub pages_left: usize,
    /// Those of `pages_left` that cannot be gained while what was mapped stays where it is.
    pub pages_mapped: usize,
    /// The rest of `pages_left`: what another compaction could gain.
    pub pages_unfinished: usize,
    /// Zspages that would have been emptied had no object of them been mapped; they served as
    /// destinations. Mapped zspages that would have stayed anyway are not counted.
    pub zspages_mapped: usize,
    /// The page source, or the page limit, refused a zspage to move objects to.
    pub source_failed: bool,
    /// Other threads stored, freed or compacted objects of the class meanwhile, so that the rest of
    /// the class stayed.
    pub overtaken: bool,
    /// The budget ended the compaction in this class. What of the rest is mapped was not looked
    /// into: all of `pages_left` counts as unfinished.
    pub budget_spent: bool,
    pub(crate) pages_removed: usize,
    pub(crate) pages_added: usize,
}

impl ClassCompaction {
    pub(crate) fn new(size: usize) -> Self {
        Self {
            size,
            pages_freed: 0,
            pages_grown: 0,
            objects_moved: 0,
            pages_discarded: 0,
            pages_left: 0,
            pages_mapped: 0,
            pages_unfinished: 0,
            zspages_mapped: 0,
            source_failed: false,
            overtaken: false,
            budget_spent: false,
            pages_removed: 0,
            pages_added: 0,
        }
    }

    /// Says why pages stayed.
    pub(crate) fn explain(&mut self, left: Left) {
        self.pages_left = left.pages;
        self.pages_mapped = left.pages_mapped;
        self.pages_unfinished = left.pages - left.pages_mapped;
        self.zspages_mapped = left.zspages_mapped;
        let other_reason = self.source_failed || self.budget_spent;
        self.overtaken = self.pages_unfinished > 0 && !other_reason;
    }
}

impl CompactReport {
    pub(crate) fn of(
        classes: impl IntoIterator<Item = ClassCompaction>,
        times: &HoldTimes,
    ) -> Self {
        let mut report = Self {
            longest_class_hold: times.longest_class(),
            longest_zspage_hold: times.longest_zspage(),
            ..Self::default()
        };
        let (mut removed, mut added) = (0, 0);
        for mut class in classes {
            removed += class.pages_removed;
            added += class.pages_added;
            class.pages_freed = class.pages_removed.saturating_sub(class.pages_added);
            class.pages_grown = class.pages_added.saturating_sub(class.pages_removed);
            report.objects_moved += class.objects_moved;
            report.pages_discarded += class.pages_discarded;
            report.budget_spent |= class.budget_spent;
            let changed = class.objects_moved > 0 || class.pages_removed != class.pages_added;
            if changed || class.pages_discarded > 0 || class.pages_left > 0 {
                report.classes.push(class);
            }
        }
        report.classes.sort_unstable_by_key(|class| class.size);
        report.pages_freed = removed.saturating_sub(added);
        report.pages_grown = added.saturating_sub(removed);
        report
    }

    /// What the pages cost: objects moved for each page given back. `None` if none was.
    pub fn moves_per_page(&self) -> Option<f64> {
        (self.pages_freed > 0).then(|| self.objects_moved as f64 / self.pages_freed as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_not_reported_as_nothing() {
        let of = |classes: &[ClassCompaction]| {
            CompactReport::of(classes.iter().cloned(), &HoldTimes::default())
        };
        let class = |size, pages_removed, pages_added| ClassCompaction {
            pages_removed,
            pages_added,
            ..ClassCompaction::new(size)
        };
        let report = of(&[class(96, 4, 0), class(64, 2, 5), class(80, 0, 0)]);
        assert_eq!((report.pages_freed, report.pages_grown), (1, 0));
        // By size; the class in which nothing happened is not listed.
        let classes = report.classes.iter();
        let classes: Vec<_> = classes.map(|c| (c.pages_freed, c.pages_grown)).collect();
        assert_eq!(classes, [(0, 3), (4, 0)]);
        let report = of(&[class(64, 2, 5)]);
        assert_eq!((report.pages_freed, report.pages_grown), (0, 3));
        assert_eq!(report.moves_per_page(), None);
    }
}
