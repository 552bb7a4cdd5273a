//! An acquisition under way and the hold that it leads to, step by step: what
//! is counted when.

use std::panic::Location;
use std::time::{Duration, Instant};

use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::class::{NodeKey, Origin, Serial};
use crate::lock_stat::{Counters, Row};
use crate::mode::{Attempt, HoldKind, Mode};

/// One acquisition and its hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) lock: Serial,
    pub(crate) node: NodeKey,
    pub(crate) origin: Origin,
    /// How the lock is held; until it is held, how it is wanted.
    pub(crate) mode: Mode,
    pub(crate) attempt: Attempt,
    pub(crate) site: &'static Location<'static>,
    pub(super) phase: Phase,
    /// Since when the thread waits for the lock, or for the upgrade.
    pub(super) contended: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    /// Wanted since then, and not held.
    Wanted(Instant),
    /// Held in this mode since then.
    Held(Instant),
    /// Held since `since`, and wanted exclusively since `begun`.
    Upgrading { since: Instant, begun: Instant },
}

impl Record {
    pub(crate) const fn is_upgrading(&self) -> bool {
        matches!(self.phase, Phase::Upgrading { .. })
    }

    /// What a wait is for.
    pub(crate) const fn wanted_mode(&self) -> Mode {
        match self.phase {
            Phase::Upgrading { .. } => Mode::Exclusive,
            Phase::Wanted(_) | Phase::Held(_) => self.mode,
        }
    }
}

/// What happened, to be told as an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// As it is afterwards.
    pub(crate) record: Record,
    /// How long the thread waited, if a wait ended.
    pub(crate) wait: Duration,
    /// How long the lock was held in one mode, if that ended.
    pub(crate) hold: Duration,
}

impl Step {
    const fn new(record: Record) -> Step {
        Step {
            record,
            wait: Duration::ZERO,
            hold: Duration::ZERO,
        }
    }
}

/// The acquisitions of some threads, and their counts.
#[derive(Debug)]
pub(super) struct Shard {
    /// What is under way or held, by token.
    records: FxHashMap<u64, Record>,
    /// Nothing is counted without it.
    pub(super) counters: Option<Counters>,
}

impl Shard {
    pub(super) const fn new() -> Shard {
        Shard {
            records: FxHashMap::with_hasher(FxBuildHasher),
            counters: None,
        }
    }

    pub(super) fn wanted(&mut self, token: u64, record: Record) -> Option<Step> {
        self.records.insert(token, record);
        Some(Step::new(record))
    }

    pub(super) fn contended(&mut self, token: u64, now: Instant) -> Option<Step> {
        let record = self.records.get_mut(&token)?;
        if record.contended.is_some() {
            // A lock may wait in several steps.
            return None;
        }
        record.contended = Some(now);
        let record = *record;
        if let Some(row) = self.row(&record, record.wanted_mode()) {
            row.contended(record.site);
        }
        Some(Step::new(record))
    }

    pub(super) fn acquired(&mut self, token: u64, now: Instant) -> Option<Step> {
        let mut record = *self.records.get(&token)?;
        if matches!(record.phase, Phase::Held(_)) {
            return None;
        }
        let wait = self.end_wait(&mut record, now);
        let hold = self.enter(&mut record, now);
        self.records.insert(token, record);
        Some(Step { record, wait, hold })
    }

    pub(super) fn changed(&mut self, token: u64, mode: Mode, now: Instant) -> Option<Step> {
        let mut record = *self.records.get(&token)?;
        let mut step = Step::new(record);
        if let Phase::Upgrading { since, begun } = record.phase {
            step.wait = self.end_wait(&mut record, now);
            if mode.hold_kind() == HoldKind::Upgradable {
                // The upgrade failed.
                record.phase = Phase::Held(since);
            } else {
                self.enter(&mut record, begun);
            }
        }
        match record.phase {
            Phase::Held(since) if begins_upgrade(record.mode, mode) => {
                record.phase = Phase::Upgrading { since, begun: now };
            }
            Phase::Held(since) if mode != record.mode => {
                step.hold = self.end_hold(&record, since, now);
                record.mode = mode;
                record.phase = Phase::Held(now);
            }
            Phase::Held(_) => {}
            Phase::Wanted(_) | Phase::Upgrading { .. } => record.mode = mode,
        }
        self.records.insert(token, record);
        step.record = record;
        Some(step)
    }

    pub(super) fn abandoned(&mut self, token: u64, now: Instant) -> Option<Step> {
        let mut record = *self.records.get(&token)?;
        if !matches!(record.phase, Phase::Wanted(_)) {
            // An upgrade that unwinds gives up what was held.
            return self.released(token, now);
        }
        let wait = self.end_wait(&mut record, now);
        self.records.remove(&token);
        Some(Step {
            wait,
            ..Step::new(record)
        })
    }

    pub(super) fn released(&mut self, token: u64, now: Instant) -> Option<Step> {
        let mut record = self.records.remove(&token)?;
        let wait = self.end_wait(&mut record, now);
        // A lock that never says `acquired` has the lock since it asked.
        if let Phase::Wanted(begun) | Phase::Upgrading { begun, .. } = record.phase {
            self.enter(&mut record, begun);
        }
        let hold = match record.phase {
            Phase::Held(since) => self.end_hold(&record, since, now),
            Phase::Wanted(_) | Phase::Upgrading { .. } => Duration::ZERO,
        };
        Some(Step { record, wait, hold })
    }

    /// The tokens of the acquisitions of a lock.
    #[cfg(feature = "lock-api-04")]
    pub(super) fn tokens_of(&self, lock: Serial) -> Vec<u64> {
        let of_lock = self
            .records
            .iter()
            .filter(|(_, record)| record.lock == lock);
        of_lock.map(|(token, _)| *token).collect()
    }

    /// Forgets the holds of a lock that is gone.
    pub(super) fn forget(&mut self, lock: Serial) {
        self.records.retain(|_, record| record.lock != lock);
    }

    /// The lock is held as it was wanted.
    fn enter(&mut self, record: &mut Record, at: Instant) -> Duration {
        let hold = match record.phase {
            Phase::Upgrading { since, .. } => self.end_hold(record, since, at),
            Phase::Wanted(_) | Phase::Held(_) => Duration::ZERO,
        };
        record.mode = record.wanted_mode();
        record.phase = Phase::Held(at);
        if let Some(row) = self.row(record, record.mode) {
            row.acquisitions += 1;
        }
        hold
    }

    fn end_wait(&mut self, record: &mut Record, now: Instant) -> Duration {
        let Some(since) = record.contended.take() else {
            return Duration::ZERO;
        };
        let wait = now.saturating_duration_since(since);
        if let Some(row) = self.row(record, record.wanted_mode()) {
            row.wait.record(wait);
        }
        wait
    }

    fn end_hold(&mut self, record: &Record, since: Instant, now: Instant) -> Duration {
        let hold = now.saturating_duration_since(since);
        if let Some(row) = self.row(record, record.mode) {
            row.hold.record(hold);
        }
        hold
    }

    fn row(&mut self, record: &Record, mode: Mode) -> Option<&mut Row> {
        let counters = self.counters.as_mut()?;
        Some(counters.row(record.node, record.origin, mode))
    }
}

fn begins_upgrade(from: Mode, to: Mode) -> bool {
    from.hold_kind() == HoldKind::Upgradable && to.hold_kind() == HoldKind::Exclusive
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock_stat::{LockStat, LockStatRow};

    const TOKEN: u64 = 1;

    /// A shard that counts, one acquisition in it, and a clock in nanoseconds.
    struct Script {
        shard: Shard,
        start: Instant,
    }

    impl Script {
        fn new(mode: Mode) -> Script {
            let start = Instant::now();
            let mut shard = Shard::new();
            shard.counters = Some(Counters::default());
            let node = NodeKey {
                class: 1,
                subclass: 0,
            };
            let record = Record {
                lock: 1,
                node,
                origin: Origin::Instance,
                mode,
                attempt: Attempt::Block,
                site: Location::caller(),
                phase: Phase::Wanted(start),
                contended: None,
            };
            shard.wanted(TOKEN, record);
            Script { shard, start }
        }

        fn at(&self, ns: u64) -> Instant {
            self.start + Duration::from_nanos(ns)
        }

        fn contended(&mut self, ns: u64) {
            let _ = self.shard.contended(TOKEN, self.at(ns));
        }

        fn acquired(&mut self, ns: u64) -> Step {
            self.shard.acquired(TOKEN, self.at(ns)).unwrap()
        }

        fn changed(&mut self, mode: Mode, ns: u64) -> Step {
            self.shard.changed(TOKEN, mode, self.at(ns)).unwrap()
        }

        fn released(&mut self, ns: u64) -> Step {
            self.shard.released(TOKEN, self.at(ns)).unwrap()
        }

        /// Acquisitions, waits and their sum, holds and their sum.
        fn counts(&self, mode: Mode) -> (u64, [u64; 2], [u64; 2]) {
            assert!(self.shard.records.is_empty(), "the hold has ended");
            let stat = LockStat::from(self.shard.counters.clone().unwrap());
            let count = |row: &LockStatRow| {
                assert_eq!(row.contentions, row.wait.count, "no wait is under way");
                let times = |times: &crate::Times| [times.count, times.total_ns];
                (row.acquisitions, times(&row.wait), times(&row.hold))
            };
            let row = stat.rows.iter().find(|row| row.mode == mode);
            row.map(count).unwrap_or_default()
        }
    }

    #[test]
    fn a_wait_begins_when_the_lock_is_not_free() {
        let mut script = Script::new(Mode::Exclusive);
        script.contended(10);
        script.contended(20);
        assert_eq!(script.acquired(110).wait, Duration::from_nanos(100));
        assert_eq!(script.released(115).hold, Duration::from_nanos(5));
        assert_eq!(script.counts(Mode::Exclusive), (1, [1, 100], [1, 5]));
    }

    #[test]
    fn a_free_lock_is_not_waited_for() {
        let mut script = Script::new(Mode::Exclusive);
        assert_eq!(script.acquired(110).wait, Duration::ZERO);
        assert!(script.shard.acquired(TOKEN, script.at(120)).is_none());
        script.released(115);
        assert_eq!(script.counts(Mode::Exclusive), (1, [0, 0], [1, 5]));
    }

    #[test]
    fn a_wait_that_is_given_up_is_a_wait_and_no_hold() {
        let mut script = Script::new(Mode::Shared);
        script.contended(10);
        let step = script.shard.abandoned(TOKEN, script.at(30)).unwrap();
        assert_eq!(step.wait, Duration::from_nanos(20));
        assert_eq!(script.counts(Mode::Shared), (0, [1, 20], [0, 0]));
    }

    #[test]
    fn a_downgrade_ends_one_hold_and_begins_another() {
        let mut script = Script::new(Mode::Exclusive);
        script.acquired(0);
        let step = script.changed(Mode::Shared, 7);
        assert_eq!(step.hold, Duration::from_nanos(7));
        script.released(10);
        assert_eq!(script.counts(Mode::Exclusive), (1, [0, 0], [1, 7]));
        assert_eq!(script.counts(Mode::Shared), (0, [0, 0], [1, 3]));
    }

    #[test]
    fn an_upgrade_is_an_acquisition_when_it_has_succeeded() {
        let mut script = Script::new(Mode::Upgradable);
        script.acquired(0);
        assert!(script.changed(Mode::Exclusive, 7).record.is_upgrading());
        script.contended(8);
        assert_eq!(script.acquired(28).wait, Duration::from_nanos(20));
        script.released(30);
        assert_eq!(script.counts(Mode::Upgradable), (1, [0, 0], [1, 28]));
        assert_eq!(script.counts(Mode::Exclusive), (1, [1, 20], [1, 2]));
    }

    #[test]
    fn an_upgrade_that_failed_never_held_the_lock_exclusively() {
        let mut script = Script::new(Mode::UpgradableRecursive);
        script.acquired(0);
        script.changed(Mode::Exclusive, 7);
        script.contended(8);
        script.changed(Mode::UpgradableRecursive, 28);
        script.released(30);
        assert_eq!(
            script.counts(Mode::UpgradableRecursive),
            (1, [0, 0], [1, 30])
        );
        assert_eq!(script.counts(Mode::Exclusive), (0, [1, 20], [0, 0]));
    }

    #[test]
    fn without_acquired_the_lock_is_held_since_it_was_wanted() {
        let mut script = Script::new(Mode::Upgradable);
        script.changed(Mode::Upgradable, 1);
        script.shard.acquired(TOKEN, script.at(2));
        script.changed(Mode::Exclusive, 10);
        script.changed(Mode::Shared, 15);
        script.released(16);
        assert_eq!(script.counts(Mode::Upgradable), (1, [0, 0], [1, 8]));
        assert_eq!(script.counts(Mode::Exclusive), (1, [0, 0], [1, 5]));
        assert_eq!(script.counts(Mode::Shared), (0, [0, 0], [1, 1]));
        let mut script = Script::new(Mode::Shared);
        script.released(9);
        assert_eq!(script.counts(Mode::Shared), (1, [0, 0], [1, 9]));
    }

    #[test]
    fn an_upgrade_that_unwinds_gives_up_the_hold() {
        let mut script = Script::new(Mode::Upgradable);
        script.acquired(0);
        let step = script.shard.abandoned(TOKEN, script.at(4)).unwrap();
        assert_eq!(step.hold, Duration::from_nanos(4));
        assert_eq!(script.counts(Mode::Upgradable), (1, [0, 0], [1, 4]));
    }

    #[test]
    fn the_holds_of_a_lock_that_is_gone_are_forgotten() {
        let mut script = Script::new(Mode::Exclusive);
        script.shard.forget(2);
        assert_eq!(script.shard.records.len(), 1);
        script.shard.forget(1);
        assert!(script.shard.released(TOKEN, script.at(4)).is_none());
    }
}
