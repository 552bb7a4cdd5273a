//! The timeline and the close-ups as a picture.

use crate::closeup::Closeup;
use crate::events::{Event, Kind, Lane, Purpose, Record, Role};
use crate::history::History;
use crate::plot::{self, Axis, GAP, LANE, LEFT, MARGIN, RIGHT};
use crate::timeline::{self, Counted, LaneColumns, MigratorRow};
use examples::corpus::PAGE;
use examples::svg::{Anchor, Canvas};
use examples::units;
use examples::wrap::wrapped;

const WIDTH: f64 = 1200.0;
/// One column for four pixels: narrow enough for detail, wide enough to see a single event.
const COLUMNS: usize = 220;
const SIZE_CHART: f64 = 84.0;

/// An opaque card, so that the picture reads the same on a light and on a dark page; where the
/// viewer says which it is, the card follows. The event colours (Okabe and Ito's, distinct for
/// colour-blind readers) fit both.
const STYLE: &str = "
text { font: 13px 'DejaVu Sans', Verdana, sans-serif; fill: #24292f }
.title { font-size: 19px; font-weight: bold }
.heading { font-size: 15px; font-weight: bold }
.small { font-size: 12px; fill: #57606a }
.card { fill: #ffffff; stroke: #d0d7de }
.lane { fill: #f3f5f7 }
.grid { stroke: #d0d7de; stroke-width: 1 }
.map { fill: #56b4e9 }
.wait { fill: #e69f00 }
.move { fill: #009e73 }
.compact { fill: #cc79a7 }
.refuse { fill: #d43f00 }
.size { fill: none; stroke: #7d8590; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .small { fill: #9aa4af }
  .card { fill: #0d1117; stroke: #3d444d }
  .lane { fill: #1b222b }
  .grid { stroke: #3d444d }
}
";

/// What stands above the picture.
#[derive(Debug)]
pub(crate) struct Heading {
    pub(crate) title: String,
    pub(crate) subtitle: String,
}

/// Draws the run and returns the SVG document.
pub(crate) fn draw(
    heading: &Heading,
    record: &Record,
    history: &History,
    closeups: &[Closeup],
) -> String {
    let mut canvas = Canvas::new(WIDTH);
    let mut y = legend(&mut canvas, heading);
    y = whole_run(&mut canvas, record, history, y);
    for closeup in closeups {
        y = one_zspage(&mut canvas, record, closeup, y + 44.0);
    }
    let bottom = y + 20.0;
    // The card lies below everything else, but its height is known last.
    let mut card = Canvas::new(WIDTH);
    card.rect("card", 0.5, 0.5, WIDTH - 1.0, bottom - 1.0);
    card.append(canvas);
    card.finish(bottom, &heading.title, STYLE)
}

fn legend(canvas: &mut Canvas, heading: &Heading) -> f64 {
    canvas.text("title", Anchor::Start, MARGIN, 38.0, &heading.title);
    canvas.text("small", Anchor::Start, MARGIN, 60.0, &heading.subtitle);
    let entries = [
        ("map", "map held", 110.0),
        ("wait", "map waits for a writer", 196.0),
        ("move", "zspage moves", 140.0),
        ("refuse", "migration refused: a map is held", 264.0),
        ("compact", "compaction", 120.0),
    ];
    let mut x = MARGIN;
    for (class, text, advance) in entries {
        canvas.rect(class, x, 79.0, 14.0, 14.0);
        canvas.text("", Anchor::Start, x + 20.0, 91.0, text);
        x += advance;
    }
    116.0
}

fn whole_run(canvas: &mut Canvas, record: &Record, history: &History, top: f64) -> f64 {
    let axis = Axis {
        from: 0,
        to: record.length,
    };
    let fold = |lane| timeline::fold(lane, record.length, COLUMNS);
    let folded: Vec<LaneColumns> = record.lanes.iter().map(fold).collect();
    // One scale for the waits of all lanes, so that their bars can be compared.
    let most_waits = folded
        .iter()
        .flat_map(|columns| &columns.waits)
        .copied()
        .max()
        .unwrap_or(0);
    let refusals = refusals_by_holder(record, history);

    // The ground lies under the grid, and the grid under the events.
    let first = top + 22.0;
    let rows: usize = record
        .lanes
        .iter()
        .map(|lane| if lane.role == Role::Migrator { 3 } else { 1 })
        .sum();
    (0..rows).for_each(|row| plot::ground(canvas, first + row as f64 * (LANE + GAP)));
    let chart = first + rows as f64 * (LANE + GAP);
    axis.draw(canvas, first - 4.0, chart + SIZE_CHART);
    let column = units::duration(record.length / COLUMNS as u64);
    canvas.text(
        "small",
        Anchor::Start,
        RIGHT + 34.0,
        first - 9.0,
        &format!("bars: number in {column}"),
    );

    let mut y = first;
    for (i, lane) in record.lanes.iter().enumerate() {
        match lane.role {
            Role::Migrator => {
                y = migrator_lanes(canvas, lane, &folded[i], y);
                continue;
            }
            Role::Sleeper => {
                let maps = lane.events.iter().filter(|event| event.kind == Kind::Held);
                plot::spans(canvas, "map", axis, maps, y);
                plot::ticks(canvas, "refuse", axis, refusals[i].iter(), y);
            }
            Role::Reader | Role::Churner => {
                plot::bars(canvas, "wait", &folded[i].waits, most_waits, y)
            }
        }
        plot::label(canvas, &lane.name, &timeline::total(lane), y);
        y += LANE + GAP;
    }
    pool_size(canvas, record, axis, chart);
    chart + SIZE_CHART
}

/// For each lane the refusals that one of its recorded maps caused.
fn refusals_by_holder(record: &Record, history: &History) -> Vec<Vec<Event>> {
    let mut by_holder = vec![Vec::new(); record.lanes.len()];
    for (_, refusal) in record.of_kind(Kind::Refused(Purpose::Migration)) {
        if let Some((holder, _)) = history.met(refusal, Kind::Held) {
            by_holder[holder].push(*refusal);
        }
    }
    by_holder
}

fn migrator_lanes(canvas: &mut Canvas, lane: &Lane, columns: &LaneColumns, mut y: f64) -> f64 {
    for MigratorRow {
        label,
        counted,
        counts,
        total,
    } in timeline::migrator_rows(lane, columns)
    {
        let class = match counted {
            Counted::Moved => "move",
            Counted::Refused => "refuse",
            Counted::Compacted => "compact",
        };
        plot::bars(
            canvas,
            class,
            counts,
            counts.iter().copied().max().unwrap_or(0),
            y,
        );
        plot::label(canvas, label, &total, y);
        y += LANE + GAP;
    }
    y
}

fn pool_size(canvas: &mut Canvas, record: &Record, axis: Axis, top: f64) {
    let peak = record
        .samples
        .iter()
        .map(|sample| sample.pool_pages)
        .max()
        .unwrap_or(0)
        .max(1);
    let y = |pages: u64| top + SIZE_CHART - (SIZE_CHART - 14.0) * pages as f64 / peak as f64;
    let points: Vec<_> = record
        .samples
        .iter()
        .map(|s| (axis.x(s.at), y(s.pool_pages)))
        .collect();
    canvas.line("grid", (LEFT, y(0)), (RIGHT, y(0)));
    canvas.line("grid", (LEFT, y(peak)), (RIGHT, y(peak)));
    canvas.polyline("size", &points);

    let bytes = |pages: u64| units::bytes(pages * PAGE as u64);
    canvas.text(
        "",
        Anchor::Start,
        MARGIN,
        top + SIZE_CHART / 2.0 + 12.0,
        "pool size",
    );
    canvas.text(
        "small",
        Anchor::End,
        LEFT - 6.0,
        y(peak) + 4.0,
        &bytes(peak),
    );
    canvas.text("small", Anchor::End, LEFT - 6.0, y(0) + 4.0, "0");
    if let Some(last) = record.samples.last() {
        let end = format!("{} at the end", bytes(last.pool_pages));
        canvas.text(
            "small",
            Anchor::Start,
            RIGHT + 10.0,
            y(last.pool_pages) + 4.0,
            &end,
        );
    }
}

fn one_zspage(canvas: &mut Canvas, record: &Record, closeup: &Closeup, top: f64) -> f64 {
    let axis = Axis {
        from: closeup.from,
        to: closeup.to,
    };
    let title = format!("{}, at {:.6} s", closeup.title, closeup.from as f64 / 1e9);
    canvas.text("heading", Anchor::Start, MARGIN, top, &title);
    let first = top + 32.0;
    let y = |row: usize| first + row as f64 * (LANE + GAP);
    let bottom = y(closeup.lanes.len());
    (0..closeup.lanes.len()).for_each(|row| plot::ground(canvas, y(row)));
    axis.draw(canvas, first - 4.0, bottom);
    for (row, (lane, events)) in closeup.lanes.iter().enumerate() {
        plot::label(canvas, &record.lanes[*lane].name, "", y(row));
        // A refusal lasts nanoseconds and must not vanish below a map, so it is drawn last.
        for class in ["map", "wait", "compact", "move", "refuse"] {
            let shown = events.iter().filter(|event| class_of(event) == Some(class));
            plot::spans(canvas, class, axis, shown, y(row));
        }
    }
    let mut text = bottom - 2.0;
    for line in wrapped(&closeup.story, 150) {
        text += 16.0;
        canvas.text("small", Anchor::Start, LEFT, text, &line);
    }
    text
}

fn class_of(event: &Event) -> Option<&'static str> {
    match event.kind {
        Kind::Held => Some("map"),
        Kind::Waited => Some("wait"),
        Kind::Wrote(Purpose::Migration) => Some("move"),
        Kind::Wrote(Purpose::Compaction) => Some("compact"),
        Kind::Refused(Purpose::Migration) => Some("refuse"),
        Kind::Wrote(Purpose::Other) | Kind::Refused(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::closeup;
    use crate::history::tests::record;
    use crate::sample::Sample;
    use examples::svg::assert_well_formed;

    #[test]
    fn the_picture_is_well_formed_and_shows_each_kind_of_event() {
        let (moved, refused) = (
            Kind::Wrote(Purpose::Migration),
            Kind::Refused(Purpose::Migration),
        );
        let mut record = record(
            10_000,
            [
                &[(Kind::Waited, 1, 110, 190)],
                &[(Kind::Held, 2, 2_000, 4_000)],
                &[
                    (moved, 1, 100, 200),
                    (refused, 2, 3_000, 3_001),
                    (Kind::Wrote(Purpose::Compaction), 3, 5_000, 5_100),
                ],
            ],
        );
        record.samples = vec![
            Sample {
                at: 0,
                pool_pages: 900,
                process_bytes: None,
            },
            Sample {
                at: 9_000,
                pool_pages: 500,
                process_bytes: None,
            },
        ];
        let history = History::of(&record);
        let closeups: Vec<_> = [
            closeup::of_a_wait(&record, &history),
            closeup::of_a_refusal(&record, &history),
        ]
        .into_iter()
        .flatten()
        .collect();
        assert_eq!(closeups.len(), 2);
        let heading = Heading {
            title: "a < b".into(),
            subtitle: "c & d".into(),
        };
        let svg = draw(&heading, &record, &history, &closeups);
        assert_well_formed(&svg);
        for class in ["map", "wait", "move", "refuse", "compact"] {
            // More than the legend's square.
            assert!(
                svg.matches(&format!(r#"<rect class="{class}""#)).count() > 1,
                "no {class}"
            );
        }
        assert!(svg.contains("reader 0") && svg.contains("sleeper 0") && svg.contains("3.5 MiB"));
    }
}
