//! Folds the record into columns of equal time, for the terminal and for the picture.

use crate::events::{Event, Kind, Lane, Purpose, Record, Role};
use crate::sample::Sample;
use examples::units;

/// What one lane did in each column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LaneColumns {
    /// Share of the column's time, 0 to 1, in which a recorded map was held.
    pub(crate) held: Vec<f64>,
    /// Maps that had to wait; a wait counts where it began, like all that follows.
    pub(crate) waits: Vec<u64>,
    /// Zspages moved to other pages.
    pub(crate) moved: Vec<u64>,
    /// Write sections of compaction.
    pub(crate) compacted: Vec<u64>,
    /// Migrations refused because a map was held.
    pub(crate) refused: Vec<u64>,
}

/// What a row of the timeline counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    Moved,
    Refused,
    Compacted,
}

/// One of the rows in which the migrator's lane is shown.
#[derive(Debug)]
pub(crate) struct MigratorRow<'a> {
    pub(crate) label: &'static str,
    pub(crate) counted: Counted,
    pub(crate) counts: &'a [u64],
    pub(crate) total: String,
}

/// The migrator does three things that are counted; the other lanes have one row each.
pub(crate) fn migrator_rows<'a>(lane: &Lane, columns: &'a LaneColumns) -> [MigratorRow<'a>; 3] {
    let row = |label, counted, counts: &'a Vec<u64>, total: u64| {
        let most = units::count(counts.iter().copied().max().unwrap_or(0));
        MigratorRow {
            label,
            counted,
            counts,
            total: format!("{}, max {most}", units::count(total)),
        }
    };
    [
        row(
            "moved",
            Counted::Moved,
            &columns.moved,
            lane.migrations.len(),
        ),
        row(
            "refused",
            Counted::Refused,
            &columns.refused,
            lane.refused_migrations,
        ),
        row(
            "compaction",
            Counted::Compacted,
            &columns.compacted,
            columns.compacted.iter().sum(),
        ),
    ]
}

/// The sum at the end of a lane's row.
pub(crate) fn total(lane: &Lane) -> String {
    match lane.role {
        Role::Sleeper => format!("{} held asleep", units::counted(lane.held, "map")),
        _ => format!("{} waited", units::counted(lane.waits.len(), "map")),
    }
}

/// Cuts `lane` into `columns` columns that cover `0..length` nanoseconds.
pub(crate) fn fold(lane: &Lane, length: u64, columns: usize) -> LaneColumns {
    let scale = Scale {
        length: length.max(1),
        columns,
    };
    let mut folded = LaneColumns {
        held: vec![0.0; columns],
        waits: vec![0; columns],
        moved: vec![0; columns],
        compacted: vec![0; columns],
        refused: vec![0; columns],
    };
    for event in &lane.events {
        let counts = match event.kind {
            Kind::Held => {
                scale.spread(event, &mut folded.held);
                continue;
            }
            Kind::Waited => &mut folded.waits,
            Kind::Wrote(Purpose::Migration) => &mut folded.moved,
            Kind::Wrote(Purpose::Compaction) => &mut folded.compacted,
            Kind::Refused(Purpose::Migration) => &mut folded.refused,
            Kind::Wrote(Purpose::Other) | Kind::Refused(_) => continue,
        };
        counts[scale.column(event.start)] += 1;
    }
    folded
}

/// Resident pages of the pool in each column: the last sample in it, or before it.
pub(crate) fn resident(record: &Record, columns: usize) -> Vec<u64> {
    let scale = Scale {
        length: record.length.max(1),
        columns,
    };
    let mut folded = vec![None; columns];
    for Sample { at, pool_pages, .. } in &record.samples {
        folded[scale.column(*at)] = Some(*pool_pages);
    }
    let mut last = record.samples.first().map_or(0, |sample| sample.pool_pages);
    folded
        .into_iter()
        .map(|pages| {
            last = pages.unwrap_or(last);
            last
        })
        .collect()
}

struct Scale {
    length: u64,
    columns: usize,
}

impl Scale {
    /// The column of a moment; what lies beyond the end belongs to the last one.
    fn column(&self, at: u64) -> usize {
        let column = u128::from(at) * self.columns as u128 / u128::from(self.length);
        (column as usize).min(self.columns - 1)
    }

    /// Adds to each column the share of its time that `event` covers.
    fn spread(&self, event: &Event, shares: &mut [f64]) {
        let width = self.length as f64 / self.columns as f64;
        let (first, last) = (self.column(event.start), self.column(event.end));
        for (column, share) in shares.iter_mut().enumerate().take(last + 1).skip(first) {
            let begin = (column as f64 * width).max(event.start as f64);
            let end = ((column + 1) as f64 * width).min(event.end as f64);
            *share += ((end - begin) / width).max(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Role;

    fn lane(events: &[(Kind, u64, u64)]) -> Lane {
        let mut lane = Lane::new("x".into(), Role::Reader);
        for &(kind, start, end) in events {
            lane.add(Event::new(kind, 1, start, end));
        }
        lane
    }

    #[test]
    fn events_count_in_the_column_where_they_began() {
        let lane = lane(&[
            (Kind::Waited, 0, 5),
            (Kind::Waited, 24, 26),
            (Kind::Waited, 100, 101),
            (Kind::Wrote(Purpose::Migration), 25, 30),
            (Kind::Wrote(Purpose::Compaction), 50, 60),
            (Kind::Wrote(Purpose::Other), 50, 60),
            (Kind::Refused(Purpose::Migration), 75, 75),
            (Kind::Refused(Purpose::Compaction), 75, 75),
        ]);
        let folded = fold(&lane, 100, 4);
        assert_eq!(folded.waits, [2, 0, 0, 1]);
        assert_eq!(folded.moved, [0, 1, 0, 0]);
        assert_eq!(folded.compacted, [0, 0, 1, 0]);
        assert_eq!(folded.refused, [0, 0, 0, 1]);
    }

    #[test]
    fn a_map_is_spread_over_the_columns_that_it_covers() {
        let folded = fold(&lane(&[(Kind::Held, 20, 75)]), 100, 4);
        for (share, expected) in folded.held.iter().zip([0.2, 1.0, 1.0, 0.0]) {
            assert!((share - expected).abs() < 1e-9, "{:?}", folded.held);
        }
    }

    #[test]
    fn resident_size_holds_until_the_next_sample() {
        let sample = |at, pool_pages| Sample {
            at,
            pool_pages,
            process_bytes: None,
        };
        let samples = vec![sample(0, 9), sample(30, 7), sample(40, 5), sample(100, 4)];
        let record = Record {
            lanes: vec![],
            samples,
            length: 100,
        };
        assert_eq!(resident(&record, 4), [9, 5, 5, 4]);
    }
}
