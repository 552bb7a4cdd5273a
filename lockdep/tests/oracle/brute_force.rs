//! The oracle: every closed walk over every recorded dependency.

use std::collections::BTreeSet;

use lockdep::Mode;

/// How a lock is held, as far as others notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Reader,
    Upgrader,
    Writer,
}
use Kind::{Reader, Upgrader, Writer};

pub(crate) fn kind(mode: Mode) -> Kind {
    match mode {
        Mode::Exclusive => Writer,
        Mode::Upgradable | Mode::UpgradableRecursive => Upgrader,
        _ => Reader,
    }
}

/// The kinds of hold that make a request wait. When writers only ever try, no
/// reader queues behind one.
pub(crate) fn blockers(mode: Mode, upgrade: bool, writers_try: bool) -> &'static [Kind] {
    match mode {
        _ if upgrade => &[Reader],
        Mode::Shared if writers_try => &[Writer],
        Mode::Upgradable if writers_try => &[Upgrader, Writer],
        Mode::SharedRecursive => &[Writer],
        Mode::UpgradableRecursive => &[Upgrader, Writer],
        _ => &[Reader, Upgrader, Writer],
    }
}

/// While `from` was held as `hold`, `to` was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) from: usize,
    pub(crate) hold: Kind,
    pub(crate) to: usize,
    pub(crate) blocked_by: &'static [Kind],
}

#[derive(Default)]
pub(crate) struct Oracle {
    pub(crate) records: Vec<Record>,
    /// Class cycles that can deadlock, smallest class first.
    cycles: BTreeSet<Vec<usize>>,
    pub(crate) unsafe_: bool,
    pub(crate) reported: BTreeSet<Vec<usize>>,
    pub(crate) recursed: BTreeSet<usize>,
}

impl Oracle {
    /// Extends a walk that begins with the record `walk[0]` by every record that
    /// fits; `true` if it closes.
    fn closes(&self, walk: &mut Vec<usize>) -> bool {
        let (first, last) = (self.records[walk[0]], self.records[walk[walk.len() - 1]]);
        if last.to == first.from && last.blocked_by.contains(&first.hold) {
            return true;
        }
        for (next, record) in self.records.iter().enumerate() {
            let joins = record.from == last.to && last.blocked_by.contains(&record.hold);
            if joins && !walk.contains(&next) {
                walk.push(next);
                if self.closes(walk) {
                    return true;
                }
                walk.pop();
            }
        }
        false
    }

    /// Every cycle of distinct classes for which some choice of records fits
    /// the rule at all joints.
    fn class_cycles(&self, classes: usize) -> BTreeSet<Vec<usize>> {
        let mut found = BTreeSet::new();
        for first in 0..classes {
            self.paths(classes, &mut vec![first], &mut found);
        }
        found
    }

    fn paths(&self, classes: usize, path: &mut Vec<usize>, found: &mut BTreeSet<Vec<usize>>) {
        let last = path[path.len() - 1];
        if path.len() > 1 && self.fits(path, &mut Vec::new()) {
            found.insert(path.clone());
        }
        for next in path[0] + 1..classes {
            let edge = |record: &Record| record.from == last && record.to == next;
            if !path.contains(&next) && self.records.iter().any(edge) {
                path.push(next);
                self.paths(classes, path, found);
                path.pop();
            }
        }
    }

    /// Whether records for each pair of neighbours of the cycle can be chosen.
    fn fits(&self, cycle: &[usize], chosen: &mut Vec<Record>) -> bool {
        let at = chosen.len();
        if at == cycle.len() {
            return chosen[at - 1].blocked_by.contains(&chosen[0].hold);
        }
        self.records.iter().any(|record| {
            let pair = record.from == cycle[at] && record.to == cycle[(at + 1) % cycle.len()];
            if !pair || at > 0 && !chosen[at - 1].blocked_by.contains(&record.hold) {
                return false;
            }
            chosen.push(*record);
            let fits = self.fits(cycle, chosen);
            chosen.pop();
            fits
        })
    }

    /// Records a wait and says what must be reported: whether anything, and the
    /// new class cycles of which one must be among it.
    pub(crate) fn wait(
        &mut self,
        new: Vec<Record>,
        classes: usize,
    ) -> (bool, BTreeSet<Vec<usize>>) {
        let before = self.records.len();
        for record in new {
            if !self.records.contains(&record) {
                self.records.push(record);
            }
        }
        if self.records.len() == before {
            return (false, BTreeSet::new());
        }
        let cycles = self.class_cycles(classes);
        let news: BTreeSet<_> = cycles.difference(&self.cycles).cloned().collect();
        let mut must = !news.is_empty();
        if !self.unsafe_ {
            self.unsafe_ = (before..self.records.len()).any(|new| self.closes(&mut vec![new]));
            must |= self.unsafe_;
        }
        self.cycles = cycles;
        (must, news)
    }
}
