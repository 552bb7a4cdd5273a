//! The timeline and the close-ups as text: colours on a terminal, plain characters in a log.

use std::fmt::Write;

use crate::closeup::Closeup;
use crate::events::{Event, Kind, Lane, Purpose, Record, Role};
use crate::timeline::{self, Counted, LaneColumns, MigratorRow};
use examples::units;
use examples::wrap::wrapped;

/// Columns of a row; with its label and its total a row fits into 108 characters.
const COLUMNS: usize = 64;
const LABEL: usize = 10;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The colours of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    /// No control sequences: stdout is not a terminal, or `NO_COLOR` is set.
    Plain,
    Ansi,
}

#[derive(Clone, Copy, Debug)]
enum Colour {
    Map,
    Wait,
    Move,
    Compact,
    Refuse,
    Size,
}

impl Paint {
    /// Colours only where a person looks at a terminal, and never against `NO_COLOR`
    /// (no-color.org).
    pub(crate) fn for_output(is_terminal: bool) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if is_terminal && !unwanted {
            Paint::Ansi
        } else {
            Paint::Plain
        }
    }

    fn text(self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Map => 36,
            Colour::Wait => 33,
            Colour::Move => 32,
            Colour::Compact => 35,
            Colour::Refuse => 31,
            Colour::Size => 34,
        };
        match self {
            Paint::Plain => text.to_owned(),
            Paint::Ansi => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

/// One row for each lane over the whole run, then the size of the pool.
pub(crate) fn timeline(record: &Record, paint: Paint) -> String {
    let mut out = String::new();
    let folded: Vec<(&Lane, LaneColumns)> = record
        .lanes
        .iter()
        .map(|lane| (lane, timeline::fold(lane, record.length, COLUMNS)))
        .collect();
    // One scale for all lanes, so that bars can be compared.
    let waits = Bars::up_to(folded.iter().flat_map(|(_, columns)| &columns.waits));

    let column = units::duration(record.length / COLUMNS as u64);
    row(
        &mut out,
        "timeline",
        &axis(0, record.length),
        &format!("({column} a column)"),
    );
    for (lane, columns) in &folded {
        let cells = match lane.role {
            Role::Migrator => {
                migrator_rows(&mut out, lane, columns, paint);
                continue;
            }
            Role::Sleeper => {
                let cells: String = columns.held.iter().map(|&share| held_cell(share)).collect();
                paint.text(Colour::Map, &cells)
            }
            Role::Reader | Role::Churner => paint.text(Colour::Wait, &waits.cells(&columns.waits)),
        };
        row(&mut out, &lane.name, &cells, &timeline::total(lane));
    }
    let resident = timeline::resident(record, COLUMNS);
    let size = paint.text(Colour::Size, &Bars::up_to(&resident).cells(&resident));
    let (first, last) = (resident[0], resident[COLUMNS - 1]);
    let total = format!("{} -> {} pages", units::count(first), units::count(last));
    row(&mut out, "pool size", &size, &total);
    let _ = writeln!(
        out,
        "{:LABEL$}  bars count what happened in a column, · is nothing; maps that waited: █ is {}\n\
         {:LABEL$}  moved, refused: zspages; compaction: write sections; ━ map of a sleeping thread",
        "",
        units::count(waits.peak),
        "",
    );
    out
}

fn migrator_rows(out: &mut String, lane: &Lane, columns: &LaneColumns, paint: Paint) {
    for MigratorRow {
        label,
        counted,
        counts,
        total,
    } in timeline::migrator_rows(lane, columns)
    {
        let colour = match counted {
            Counted::Moved => Colour::Move,
            Counted::Refused => Colour::Refuse,
            Counted::Compacted => Colour::Compact,
        };
        row(
            out,
            label,
            &paint.text(colour, &Bars::up_to(counts).cells(counts)),
            &total,
        );
    }
}

/// What happened to one zspage, lane by lane, and the sentence that tells it.
pub(crate) fn closeup(closeup: &Closeup, record: &Record, paint: Paint) -> String {
    let mut out = format!("{}, at {:.6} s\n", closeup.title, closeup.from as f64 / 1e9);
    row(&mut out, "", &axis(closeup.from, closeup.to), "");
    for (lane, events) in &closeup.lanes {
        let mut cells = [None; COLUMNS];
        // Later kinds paint over earlier ones: a refusal lasts nanoseconds and must not vanish
        // below a map.
        for mark in [
            Mark::Map,
            Mark::Wait,
            Mark::Compact,
            Mark::Move,
            Mark::Refuse,
        ] {
            for event in events.iter().filter(|event| Mark::of(event) == Some(mark)) {
                let (first, last) = span(event, closeup);
                cells[first..=last].fill(Some(mark));
            }
        }
        let text: String = cells
            .chunk_by(|a, b| a == b)
            .map(|run| mark_text(run, paint))
            .collect();
        row(&mut out, &record.lanes[*lane].name, &text, "");
    }
    for line in wrapped(&closeup.story, 84) {
        let _ = writeln!(out, "{:LABEL$}  {line}", "");
    }
    let _ = writeln!(
        out,
        "{:LABEL$}  ━ map held  w waiting for it  M zspage moves  C compaction  x migration refused",
        ""
    );
    out
}

/// What one cell of a close-up shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Map,
    Wait,
    Compact,
    Move,
    Refuse,
}

impl Mark {
    fn of(event: &Event) -> Option<Mark> {
        match event.kind {
            Kind::Held => Some(Mark::Map),
            Kind::Waited => Some(Mark::Wait),
            Kind::Wrote(Purpose::Migration) => Some(Mark::Move),
            Kind::Wrote(Purpose::Compaction) => Some(Mark::Compact),
            Kind::Refused(Purpose::Migration) => Some(Mark::Refuse),
            Kind::Wrote(Purpose::Other) | Kind::Refused(_) => None,
        }
    }
}

fn mark_text(run: &[Option<Mark>], paint: Paint) -> String {
    let (glyph, colour) = match run[0] {
        None => return "·".repeat(run.len()),
        Some(Mark::Map) => ("━", Colour::Map),
        Some(Mark::Wait) => ("w", Colour::Wait),
        Some(Mark::Compact) => ("C", Colour::Compact),
        Some(Mark::Move) => ("M", Colour::Move),
        Some(Mark::Refuse) => ("x", Colour::Refuse),
    };
    paint.text(colour, &glyph.repeat(run.len()))
}

/// First and last cell of an event in a close-up.
fn span(event: &Event, closeup: &Closeup) -> (usize, usize) {
    let cell = |at: u64| {
        let offset = at.clamp(closeup.from, closeup.to) - closeup.from;
        ((offset as usize * COLUMNS) / (closeup.to - closeup.from).max(1) as usize).min(COLUMNS - 1)
    };
    (cell(event.start), cell(event.end))
}

fn row(out: &mut String, label: &str, cells: &str, total: &str) {
    let line = format!("{label:LABEL$}  {cells}  {total}");
    let _ = writeln!(out, "{}", line.trim_end());
}

/// Five times from `from` on, as offsets, spread over a row.
fn axis(from: u64, to: u64) -> String {
    let mut axis = String::new();
    for quarter in 0..=3 {
        let text = format!("|{}", units::duration((to - from) * quarter / 4));
        let _ = write!(axis, "{text:width$}", width = COLUMNS / 4);
    }
    axis
}

fn held_cell(share: f64) -> char {
    match share {
        _ if share >= 0.5 => '━',
        _ if share > 0.0 => '╺',
        _ => '·',
    }
}

/// Counts as bars of eight heights.
struct Bars {
    peak: u64,
}

impl Bars {
    fn up_to<'a>(counts: impl IntoIterator<Item = &'a u64>) -> Self {
        Bars {
            peak: counts.into_iter().copied().max().unwrap_or(0),
        }
    }

    fn cells(&self, counts: &[u64]) -> String {
        counts.iter().map(|&count| self.cell(count)).collect()
    }

    /// Nothing is a dot and never a bar; the peak is the full block.
    fn cell(&self, count: u64) -> char {
        match count {
            0 => '·',
            _ => BARS[((count * 8).div_ceil(self.peak) - 1) as usize],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::tests::record;

    #[test]
    fn bars_reach_from_one_to_the_peak() {
        let counts = [0, 1, 4, 8];
        assert_eq!(Bars::up_to(&counts).cells(&counts), "·▁▄█");
        assert_eq!(Bars::up_to(&[0, 0]).cells(&[0, 0]), "··");
        // Even one of very many is seen.
        assert_eq!(Bars { peak: 1_000_000 }.cell(1), '▁');
    }

    #[test]
    fn the_plain_timeline_has_no_control_sequences() {
        let record = record(
            64_000,
            [
                &[(Kind::Waited, 1, 10, 20)],
                &[(Kind::Held, 1, 2_000, 4_000)],
                &[(Kind::Wrote(Purpose::Migration), 1, 5, 20)],
            ],
        );
        let plain = timeline(&record, Paint::Plain);
        assert!(!plain.contains('\x1b'));
        assert!(timeline(&record, Paint::Ansi).contains('\x1b'));
        let lines: Vec<&str> = plain.lines().collect();
        assert!(lines[1].starts_with("reader 0    █··"), "{}", lines[1]);
        assert!(lines[2].starts_with("sleeper 0   ··━━"), "{}", lines[2]);
        assert!(lines[3].starts_with("moved       █··"), "{}", lines[3]);
    }

    #[test]
    fn a_refusal_shows_through_a_map() {
        let refused = Kind::Refused(Purpose::Migration);
        let record = record(
            100,
            [&[], &[(Kind::Held, 1, 0, 64)], &[(refused, 1, 32, 32)]],
        );
        let incident = Closeup {
            title: "incident".into(),
            story: "told".into(),
            from: 0,
            to: 64,
            lanes: vec![(
                0,
                vec![record.lanes[1].events[0], record.lanes[2].events[0]],
            )],
        };
        let text = closeup(&incident, &record, Paint::Plain);
        let row = text.lines().nth(2).unwrap();
        assert!(
            row.ends_with(&format!("{}x{}", "━".repeat(32), "━".repeat(31))),
            "{row}"
        );
    }
}
