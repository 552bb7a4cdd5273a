//! The record sorted by zspage: who met whom.

use std::collections::HashMap;

use hdrhistogram::Histogram;

use crate::events::{self, Event, Kind, Purpose, Record};

/// The events of every zspage, kind by kind.
#[derive(Debug)]
pub(crate) struct History {
    groups: HashMap<(u32, Kind), Group>,
}

#[derive(Debug, Default)]
struct Group {
    /// With the numbers of their lanes, in the order in which they began.
    events: Vec<(usize, Event)>,
    /// The length of the longest of them: how far back a search has to go.
    longest: u64,
}

/// The waits of the record, in nanoseconds, by what the zspage's writer was doing.
#[derive(Clone, Debug)]
pub(crate) struct Causes {
    pub(crate) migration: Histogram<u64>,
    pub(crate) compaction: Histogram<u64>,
    pub(crate) other: Histogram<u64>,
    /// Nobody held the write lock. With a complete record there is no such wait: a reader is
    /// blocked only by a writer that holds the lock, so a wait without one is a fault of the lock.
    pub(crate) unexplained: Histogram<u64>,
}

impl History {
    pub(crate) fn of(record: &Record) -> Self {
        let mut groups: HashMap<(u32, Kind), Group> = HashMap::new();
        for (i, lane) in record.lanes.iter().enumerate() {
            for event in &lane.events {
                let group = groups.entry((event.zspage, event.kind)).or_default();
                group.events.push((i, *event));
                group.longest = group.longest.max(event.released - event.start);
            }
        }
        for group in groups.values_mut() {
            group.events.sort_by_key(|(_, event)| event.start);
        }
        History { groups }
    }

    /// The last event of `kind` about the same zspage that overlaps `event`, and its lane.
    pub(crate) fn met(&self, event: &Event, kind: Kind) -> Option<(usize, Event)> {
        let Group { events, longest } = self.groups.get(&(event.zspage, kind))?;
        let later = events.partition_point(|(_, other)| other.start <= event.end);
        let candidates = events[..later].iter().rev();
        candidates
            .take_while(|(_, other)| other.start.saturating_add(*longest) >= event.start)
            .find(|(_, other)| other.overlaps(event.start, event.end))
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
                lane.add(Event::new(kind, zspage, start, end));
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
    fn a_long_event_is_met_behind_shorter_ones() {
        let held = &[
            (Kind::Held, 1, 0, 100),
            (Kind::Held, 1, 10, 12),
            (Kind::Held, 1, 20, 22),
        ];
        let record = record(100, [&[], held, &[]]);
        let history = History::of(&record);
        let met = |start, end| {
            let event = Event::new(Kind::Refused(Purpose::Migration), 1, start, end);
            history.met(&event, Kind::Held).map(|(_, map)| map.start)
        };
        assert_eq!(met(50, 51), Some(0));
        assert_eq!(met(21, 21), Some(20));
        assert_eq!(met(101, 102), None);
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
