//! What the locks cost: who waits where and for how long, and how long locks
//! are held, per class and mode.
//!
//! The counts are the shards' of [`observe`](crate::observe); here they are
//! added up.

mod table;
mod times;

use std::panic::Location;

use rustc_hash::FxHashMap;

use crate::class::{ClassName, NodeKey, Origin, Serial};
use crate::mode::Mode;
use crate::observe;
use crate::report::SourceLocation;

pub use times::Times;

/// How many places one row tells apart; waits at further ones are only counted.
const MAX_SITES: usize = 16;

/// The class serial under which the counts of dropped lone locks are added up.
const DROPPED: Serial = 0;

/// What [`lock_stat`] returns: the counts of one moment.
///
/// `Display` is a table after the kernel's `/proc/lock_stat`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct LockStat {
    /// One row for each class and mode that was acquired or waited for; most
    /// contended first, then longest waited for, then most acquired.
    pub rows: Vec<LockStatRow>,
}

/// The counts of one class in one mode.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct LockStatRow {
    /// The name of the class, as in reports. All lone locks that were dropped
    /// share the rows called `dropped lone locks`.
    pub class: String,
    /// How the lock was acquired. What an upgrade acquires is exclusive.
    pub mode: Mode,
    /// How often the lock was acquired. A downgrade acquires nothing.
    pub acquisitions: u64,
    /// How often a thread found the lock taken and had to wait.
    pub contentions: u64,
    /// How long those threads waited, also those that gave up. Who waits now is
    /// not among them.
    pub wait: Times,
    /// How long the lock was held in this mode. A change of mode ends one hold
    /// and begins another. Who holds it now is not among them.
    pub hold: Times,
    /// Where threads waited, most often first; at most 16 places.
    pub sites: Vec<ContentionSite>,
    /// Waits at further places than `sites` has.
    pub contentions_elsewhere: u64,
}

/// A place in the source where threads waited for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ContentionSite {
    /// The acquisition that waited.
    pub location: SourceLocation,
    /// How often.
    pub contentions: u64,
}

/// What was counted so far in a process that runs with `LOCKDEP=stat`; else
/// without rows.
///
/// A lock is contended when it was not free at once: `Mutex`, `RwLock` and
/// [`Tracked`](crate::Tracked) try it first, other locks say so with
/// [`LockMap::contended`](crate::LockMap::contended).
///
/// What is kept does not grow with the number of acquisitions, nor with the
/// number of locks of a class by key or by site. A lone lock has rows of its own
/// while it lives; when it is dropped they are added to `dropped lone locks`.
///
/// # Examples
///
/// ```
/// let stat = lockdep::lock_stat();
/// for row in &stat.rows {
///     println!("{} waited for in all {} ns", row.class, row.wait.total_ns);
/// }
/// // The same as a table, and for other programs.
/// println!("{stat}");
/// println!("{}", stat.to_json());
/// # assert!(stat.rows.is_empty(), "LOCKDEP=stat was not asked for");
/// ```
///
/// # Source
///
/// `Documentation/locking/lockstat.rst` of the Linux kernel, which counts the
/// same per class.
#[must_use]
pub fn lock_stat() -> LockStat {
    let mut sum = Counters::default();
    observe::each_shard(|counters| sum.add(counters));
    sum.into()
}

/// The counts of one class and mode.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    node: NodeKey,
    origin: Origin,
    mode: Mode,
    pub(crate) acquisitions: u64,
    pub(crate) wait: Times,
    pub(crate) hold: Times,
    contentions: u64,
    sites: Vec<(&'static Location<'static>, u64)>,
    elsewhere: u64,
}

impl Row {
    fn new(node: NodeKey, origin: Origin, mode: Mode) -> Row {
        Row {
            node,
            origin,
            mode,
            acquisitions: 0,
            wait: Times::default(),
            hold: Times::default(),
            contentions: 0,
            sites: Vec::new(),
            elsewhere: 0,
        }
    }

    /// Somebody waits at `site`.
    pub(crate) fn contended(&mut self, site: &'static Location<'static>) {
        self.contentions += 1;
        self.contended_at(site, 1);
    }

    /// Locations are compared by value: a generic function has one for each
    /// crate that makes an instance of it.
    fn contended_at(&mut self, site: &'static Location<'static>, count: u64) {
        if let Some(known) = self.sites.iter_mut().find(|known| known.0 == site) {
            known.1 += count;
        } else if self.sites.len() < MAX_SITES {
            self.sites.push((site, count));
        } else {
            self.elsewhere += count;
        }
    }

    fn add(&mut self, other: &Row) {
        self.acquisitions += other.acquisitions;
        self.wait.add(&other.wait);
        self.hold.add(&other.hold);
        self.contentions += other.contentions;
        self.elsewhere += other.elsewhere;
        for (site, count) in &other.sites {
            self.contended_at(site, *count);
        }
    }

    fn class_name(&self) -> String {
        let (node, origin) = (self.node, self.origin);
        if node.class == DROPPED {
            return "dropped lone locks".to_owned();
        }
        ClassName { origin, node }.to_string()
    }
}

impl From<Row> for LockStatRow {
    fn from(row: Row) -> LockStatRow {
        let mut sites: Vec<_> = row
            .sites
            .iter()
            .map(|(site, contentions)| ContentionSite {
                location: SourceLocation::from(*site),
                contentions: *contentions,
            })
            .collect();
        sites.sort_by_key(|site| (u64::MAX - site.contentions, site.location.file));
        LockStatRow {
            class: row.class_name(),
            mode: row.mode,
            acquisitions: row.acquisitions,
            contentions: row.contentions,
            wait: row.wait,
            hold: row.hold,
            sites,
            contentions_elsewhere: row.elsewhere,
        }
    }
}

/// The rows of some threads' acquisitions, by class.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    /// A class has a row for each of its subclasses and modes: a few.
    classes: FxHashMap<Serial, Vec<Row>>,
}

impl Counters {
    pub(crate) fn row(&mut self, node: NodeKey, origin: Origin, mode: Mode) -> &mut Row {
        let rows = self.classes.entry(node.class).or_default();
        let known = rows
            .iter()
            .position(|row| row.mode == mode && row.node.subclass == node.subclass);
        let at = known.unwrap_or_else(|| {
            rows.push(Row::new(node, origin, mode));
            rows.len() - 1
        });
        &mut rows[at]
    }

    fn add(&mut self, other: &Counters) {
        for row in other.classes.values().flatten() {
            self.row(row.node, row.origin, row.mode).add(row);
        }
    }

    /// A lone lock was dropped: its rows go, their sums stay.
    pub(crate) fn fold(&mut self, class: Serial) {
        for row in self.classes.remove(&class).into_iter().flatten() {
            let node = NodeKey {
                class: DROPPED,
                subclass: 0,
            };
            self.row(node, Origin::Instance, row.mode).add(&row);
        }
    }
}

impl From<Counters> for LockStat {
    fn from(counters: Counters) -> LockStat {
        let rows = counters.classes.into_values().flatten();
        let mut rows: Vec<LockStatRow> = rows.map(LockStatRow::from).collect();
        rows.sort_by(|a, b| {
            let rank = |row: &LockStatRow| (row.contentions, row.wait.total_ns, row.acquisitions);
            let by_name = || (&a.class, a.mode.name()).cmp(&(&b.class, b.mode.name()));
            rank(b).cmp(&rank(a)).then_with(by_name)
        });
        LockStat { rows }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// With a class name that JSON has to escape, for the tables of the submodules.
    pub(super) fn example() -> LockStat {
        let times = |ns: &[u64]| {
            let mut times = Times::default();
            ns.iter()
                .for_each(|ns| times.record(Duration::from_nanos(*ns)));
            times
        };
        let location = SourceLocation {
            file: "src/bank.rs",
            line: 14,
            column: 26,
        };
        let inode = LockStatRow {
            class: "say \"inode\"".to_owned(),
            mode: Mode::Exclusive,
            acquisitions: 12345,
            contentions: 3,
            wait: times(&[900, 2_500_000]),
            hold: times(&[40]),
            sites: vec![ContentionSite {
                location,
                contentions: 2,
            }],
            contentions_elsewhere: 1,
        };
        let page = LockStatRow {
            class: "page".to_owned(),
            mode: Mode::SharedRecursive,
            acquisitions: 1,
            contentions: 0,
            wait: times(&[]),
            hold: times(&[]),
            sites: Vec::new(),
            contentions_elsewhere: 0,
        };
        LockStat {
            rows: vec![inode, page],
        }
    }

    fn node(class: Serial) -> NodeKey {
        NodeKey { class, subclass: 0 }
    }

    #[test]
    fn what_several_threads_counted_is_added_up() {
        let mut sum = Counters::default();
        for wait in [10, 1000] {
            let mut shard = Counters::default();
            let row = shard.row(node(7), Origin::Instance, Mode::Exclusive);
            row.acquisitions += 2;
            row.contended(Location::caller());
            row.wait.record(Duration::from_nanos(wait));
            sum.add(&shard);
        }
        let stat = LockStat::from(sum);
        assert_eq!(stat.rows.len(), 1);
        let row = &stat.rows[0];
        assert_eq!((row.acquisitions, row.contentions), (4, 2));
        assert_eq!((row.wait.min_ns, row.wait.max_ns), (10, 1000));
        // Two calls of one loop are one place; equal by value, not by address.
        assert_eq!(row.sites.len(), 1);
        assert_eq!(row.sites[0].contentions, 2);
    }

    #[test]
    fn the_rows_of_dropped_lone_locks_become_one() {
        let mut counters = Counters::default();
        for lock in 1..=100 {
            let row = counters.row(node(lock), Origin::Instance, Mode::Shared);
            row.acquisitions += lock;
            counters.fold(lock);
        }
        assert_eq!(counters.classes.len(), 1);
        let stat = LockStat::from(counters);
        assert_eq!(stat.rows[0].class, "dropped lone locks");
        assert_eq!(stat.rows[0].acquisitions, 5050);
    }

    #[test]
    fn places_beyond_the_bound_are_only_counted() {
        let places = [
            here(),
            here(),
            here(),
            here(),
            here(),
            here(),
            here(),
            here(),
            here(),
            here(),
            here(),
            here(),
            here(),
            here(),
            here(),
            here(),
            here(),
            here(),
        ];
        let mut row = Row::new(node(1), Origin::Instance, Mode::Shared);
        for place in places {
            row.contended(place);
            row.contended(places[0]);
        }
        assert_eq!(row.sites.len(), MAX_SITES);
        assert_eq!(row.elsewhere, (places.len() - MAX_SITES) as u64);
        assert_eq!(row.contentions, 2 * places.len() as u64);
        let row = LockStatRow::from(row);
        assert_eq!(row.sites[0].location, SourceLocation::from(places[0]));
        assert_eq!(row.sites[0].contentions, places.len() as u64 + 1);
    }

    #[track_caller]
    fn here() -> &'static Location<'static> {
        Location::caller()
    }

    #[test]
    fn the_json_has_every_field() {
        let json = example().to_json();
        let expected = r#"{"rows":[{"class":"say \"inode\"","mode":"exclusive","acquisitions":12345,"contentions":3,"wait":{"count":2,"min_ns":900,"max_ns":2500000,"total_ns":2500900,"histogram":[0,0,0,0,0,0,0,0,0,1,0,0,0,0,0,0,0,0,0,0,0,1]},"hold":{"count":1,"min_ns":40,"max_ns":40,"total_ns":40,"histogram":[0,0,0,0,0,1]},"sites":[{"location":"src/bank.rs:14:26","contentions":2}],"contentions_elsewhere":1},{"class":"page","mode":"shared-recursive","acquisitions":1,"contentions":0,"wait":{"count":0,"min_ns":0,"max_ns":0,"total_ns":0,"histogram":[]},"hold":{"count":0,"min_ns":0,"max_ns":0,"total_ns":0,"histogram":[]},"sites":[],"contentions_elsewhere":0}]}"#;
        assert_eq!(json, expected);
    }

    #[cfg(feature = "serde")]
    #[test]
    fn serde_writes_the_same() {
        let serde = serde_json::to_string(&example()).unwrap();
        assert_eq!(serde, example().to_json());
    }
}
