//! Finds two incidents worth a closer look: a map that waited, and a map that kept a zspage where
//! it was.
//!
//! A close-up shows what the record has about one zspage in a short span of time.

use crate::events::{Event, Kind, Purpose, Record, Role};
use crate::history::History;
use examples::units;

const MIGRATION: Kind = Kind::Wrote(Purpose::Migration);
const REFUSED: Kind = Kind::Refused(Purpose::Migration);

/// One incident.
#[derive(Debug)]
pub(crate) struct Closeup {
    pub(crate) title: String,
    pub(crate) story: String,
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// The lanes that take part and their events in the span, all of one zspage.
    pub(crate) lanes: Vec<(usize, Vec<Event>)>,
}

/// A map that waited for a migration; of all of them the one with the median wait, neither lucky
/// nor unlucky.
pub(crate) fn of_a_wait(record: &Record, history: &History) -> Option<Closeup> {
    let waits = record.of_kind(Kind::Waited);
    let explained = waits.filter_map(|(lane, wait)| {
        history
            .met(wait, MIGRATION)
            .map(|write| (lane, *wait, write))
    });
    let (lane, wait, (mover, write)) =
        median_by_length(explained.collect(), |(_, wait, _)| wait.length())?;
    // A third more on both sides, to show the map that the thread got in the end.
    let (from, to) = widened(wait.start.min(write.start), wait.end.max(write.end), 3);
    Some(Closeup {
        title: format!("A map waits for a migration (zspage {})", wait.zspage),
        story: format!(
            "{} asked for an object of zspage {} while the {} was moving it, waited {}, and then \
             read the object in its new place.",
            record.lanes[lane].name,
            wait.zspage,
            record.lanes[mover].name,
            units::duration(wait.length()),
        ),
        from,
        to,
        lanes: lanes_of(record, wait.zspage, from, to),
    })
}

/// A sleeper's map that kept a migration out, again the median one by its length.
pub(crate) fn of_a_refusal(record: &Record, history: &History) -> Option<Closeup> {
    let maps = record.of_kind(Kind::Held);
    let met = maps.filter(|(lane, map)| {
        record.lanes[*lane].role == Role::Sleeper && history.met(map, REFUSED).is_some()
    });
    let (lane, map) =
        median_by_length(met.map(|(lane, map)| (lane, *map)).collect(), |(_, map)| {
            map.length()
        })?;
    let (from, to) = widened(map.start, map.end, 10);

    let of_this_zspage = |kind| {
        record
            .of_kind(kind)
            .map(|(_, e)| e)
            .filter(|e| e.zspage == map.zspage)
    };
    let refusals = of_this_zspage(REFUSED)
        .filter(|e| e.overlaps(map.start, map.end))
        .count();
    let moved = of_this_zspage(MIGRATION)
        .map(|e| e.start)
        .filter(|start| *start >= map.end)
        .min();
    let ending = match moved {
        Some(start) => format!(
            "moved it {} after the map was gone",
            units::duration(start - map.end)
        ),
        None => "did not find it free again before the end".to_owned(),
    };
    Some(Closeup {
        title: format!(
            "A held map keeps its zspage in place (zspage {})",
            map.zspage
        ),
        story: format!(
            "{} slept for {} with an object of zspage {} mapped; the migrator was refused {} \
             without waiting, and {ending}.",
            record.lanes[lane].name,
            units::duration(map.length()),
            map.zspage,
            units::counted(refusals as u64, "time"),
        ),
        from,
        to,
        lanes: lanes_of(record, map.zspage, from, to),
    })
}

fn median_by_length<T>(mut candidates: Vec<T>, length: impl Fn(&T) -> u64) -> Option<T> {
    candidates.sort_by_key(&length);
    let middle = candidates.len() / 2;
    (!candidates.is_empty()).then(|| candidates.swap_remove(middle))
}

/// Widens a span by one `part`th on both sides.
fn widened(from: u64, to: u64, part: u64) -> (u64, u64) {
    let margin = (to - from) / part + 1;
    (from.saturating_sub(margin), to + margin)
}

fn lanes_of(record: &Record, zspage: u32, from: u64, to: u64) -> Vec<(usize, Vec<Event>)> {
    let shown = |event: &&Event| event.zspage == zspage && event.overlaps(from, to);
    let lanes = record
        .lanes
        .iter()
        .map(|lane| lane.events.iter().filter(shown).copied().collect());
    lanes
        .enumerate()
        .filter(|(_, events): &(usize, Vec<Event>)| !events.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::tests::record;

    #[test]
    fn the_median_wait_is_shown_with_the_migration_that_caused_it() {
        let record = record(
            1_000,
            [
                &[
                    (Kind::Waited, 1, 100, 101),
                    (Kind::Waited, 2, 205, 220),
                    (Kind::Held, 2, 220, 230),
                    (Kind::Waited, 3, 300, 390),
                ],
                &[(Kind::Held, 9, 200, 240)],
                &[
                    (MIGRATION, 1, 90, 101),
                    (MIGRATION, 2, 200, 221),
                    (MIGRATION, 3, 290, 390),
                ],
            ],
        );
        let closeup = of_a_wait(&record, &History::of(&record)).unwrap();
        assert!(
            closeup
                .story
                .starts_with("reader 0 asked for an object of zspage 2 while the migrator")
        );
        assert!(closeup.story.contains("waited 15 ns"), "{}", closeup.story);
        // The sleeper's map is of another zspage and does not belong here.
        assert_eq!(
            closeup
                .lanes
                .iter()
                .map(|(lane, _)| *lane)
                .collect::<Vec<_>>(),
            [0, 2]
        );
        assert_eq!(closeup.lanes[0].1.len(), 2);
    }

    #[test]
    fn a_refusal_is_told_with_its_holder_and_its_end() {
        let record = record(
            1_000,
            [
                &[],
                &[(Kind::Held, 5, 100, 500)],
                &[
                    (REFUSED, 5, 200, 201),
                    (REFUSED, 6, 210, 211),
                    (REFUSED, 5, 400, 401),
                    (MIGRATION, 5, 650, 660),
                ],
            ],
        );
        let closeup = of_a_refusal(&record, &History::of(&record)).unwrap();
        assert!(
            closeup.story.contains("refused 2 times"),
            "{}",
            closeup.story
        );
        assert!(
            closeup.story.contains("moved it 150 ns after"),
            "{}",
            closeup.story
        );
        assert!(closeup.from < 100 && closeup.to > 500);
    }

    #[test]
    fn nothing_is_shown_that_did_not_happen() {
        let record = record(
            100,
            [
                &[(Kind::Waited, 1, 5, 9)],
                &[(Kind::Held, 1, 20, 30)],
                &[(REFUSED, 2, 25, 26)],
            ],
        );
        let history = History::of(&record);
        assert!(of_a_wait(&record, &history).is_none());
        assert!(of_a_refusal(&record, &history).is_none());
    }
}
