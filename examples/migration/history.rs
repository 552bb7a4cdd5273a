//! The record sorted by zspage: who met whom.

use std::collections::HashMap;

use hdrhistogram::Histogram;

use crate::events::{self, Event, Kind, Purpose, Record};

/// The events of every zspage, each with the number of its lane, in the order in which they began.
#[derive(Debug)]
pub(crate) struct History {
    by_zspage: HashMap<u32, Vec<(usize, Event)>>,
}

/// The waits of the record, in nanoseconds, by what the zspage's writer was doing.
#[derive(Clone, Debug)]
pub(crate) struct Causes {
    pub(crate) migration: Histogram<u64>,
    pub(crate) compaction: Histogram<u64>,
    pub(crate) other: Histogram<u64>,
    /// Nobody held the write lock. With a complete record there is no such wait: a reader is blocked only by a
    /// writer that holds the lock, so a wait without one is a fault of the lock.
    pub(crate) unexplained: Histogram<u64>,
}

impl History {
    pub(crate) fn of(record: &Record) -> Self {
        let mut by_zspage: HashMap<u32, Vec<(usize, Event)>> = HashMap::new();
        for (i, lane) in record.lanes.iter().enumerate() {
            for event in &lane.events {
                by_zspage.entry(event.zspage).or_default().push((i, *event));
            }
        }
        for events in by_zspage.values_mut() {
            events.sort_by_key(|(_, event)| event.start);
        }
        History { by_zspage }
    }

    /// Everything about one zspage.
    pub(crate) fn of_zspage(&self, zspage: u32) -> &[(usize, Event)] {
        self.by_zspage.get(&zspage).map_or(&[], Vec::as_slice)
    }

    /// The first event of `kind` about the same zspage that overlaps `event`, and its lane.
    pub(crate) fn met(&self, event: &Event, kind: Kind) -> Option<(usize, Event)> {
        let mut candidates = self.of_zspage(event.zspage).iter();
        candidates
            .find(|(_, other)| other.kind == kind && other.overlaps(event.start, event.end))
            .copied()
    }

    pub(crate) fn causes_of_waits(&self, record: &Record) -> Causes {
        let none = events::histogram();
        let mut causes = Causes {
            migration: none.clone(),
            compaction: none.clone(),
            other: none.clone(),
            unexplained: none,
        };
        for (_, wait) in record.of_kind(Kind::Waited) {
            let behind = |purpose| self.met(wait, Kind::Wrote(purpose)).is_some();
            let times = if behind(Purpose::Migration) {
                &mut causes.migration
            } else if behind(Purpose::Compaction) {
                &mut causes.compaction
            } else if behind(Purpose::Other) {
                &mut causes.other
            } else {
                &mut causes.unexplained
            };
            times.saturating_record(wait.length());
        }
        causes
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::events::{Lane, Role};

    /// A record whose lanes are a reader, a sleeper and the migrator.
    pub(crate) fn record(length: u64, events: [&[(Kind, u32, u64, u64)]; 3]) -> Record {
        let roles = [
            ("reader 0", Role::Reader),
            ("sleeper 0", Role::Sleeper),
            ("migrator", Role::Migrator),
        ];
        let lanes = roles.into_iter().zip(events).map(|((name, role), events)| {
            let mut lane = Lane::new(name.into(), role);
            for &(kind, zspage, start, end) in events {
                lane.add(Event {
                    kind,
                    zspage,
                    start,
                    end,
                });
            }
            lane
        });
        Record {
            lanes: lanes.collect(),
            samples: vec![],
            length,
        }
    }

    #[test]
    fn a_wait_is_explained_only_by_a_writer_of_its_zspage_at_its_time() {
        let record = record(
            100,
            [
                &[
                    (Kind::Waited, 1, 5, 9),   // migration of zspage 1 at 8
                    (Kind::Waited, 2, 30, 40), // compaction
                    (Kind::Waited, 1, 50, 60), // nobody writes zspage 1 any more
                    (Kind::Waited, 3, 8, 10),  // nobody ever wrote zspage 3
                ],
                &[],
                &[
                    (Kind::Wrote(Purpose::Migration), 1, 8, 20),
                    (Kind::Wrote(Purpose::Compaction), 2, 25, 31),
                ],
            ],
        );
        let causes = History::of(&record).causes_of_waits(&record);
        let counts = [
            &causes.migration,
            &causes.compaction,
            &causes.other,
            &causes.unexplained,
        ]
        .map(|times| times.len());
        assert_eq!(counts, [1, 1, 0, 2]);
        assert_eq!(causes.migration.max(), 4);
    }
}
