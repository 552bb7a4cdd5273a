//! The report in Markdown: ratios, goals, figures, windows, machine.

use std::fmt::Write;

use crate::cell::{Cell, Unit};
use crate::contender::Contender;
use crate::goal::Goal;
use crate::machine::Machine;
use crate::peers::{Gated, ParkingLot, Plain};
use crate::run::{Peer, Plan, Sample};
use crate::stats::{Figure, Stats};
use crate::table::Table;
use crate::window::TOLERATED_LOAD;

/// Renders everything that was measured.
#[must_use]
pub fn render(plan: &Plan, samples: &[Sample], machine: &Machine) -> String {
    let stats = Stats(samples);
    let mut out = String::from("# Reader-writer locks side by side\n\n");
    let mut section = |title: &str, text: &str, table: &dyn std::fmt::Display| {
        write!(out, "## {title}\n\n{text}\n\n{table}\n").expect("writing to a string");
    };
    section("Goals", GOALS, &goals(plan, stats));
    section(
        "Ratios to parking_lot 0.13: median of rounds",
        RATIOS,
        &matrix(plan, |cell, peer| {
            two(stats
                .ratio(cell, peer, ParkingLot::NAME)
                .map(|figure| figure.median))
        }),
    );
    section(
        "Ratios of the fastest deciles",
        "The mean of the best tenth of a lock's windows by that of parking_lot 0.13.",
        &matrix(plan, |cell, peer| {
            two(stats
                .ratio(cell, peer, ParkingLot::NAME)
                .map(|figure| figure.fastest))
        }),
    );
    section("Figures: median of windows", FIGURES, &figures(plan, stats));
    section(
        "Windows",
        &format!(
            "Dropped of all: windows in which other programs had more than {} % of the cores. locks.csv has every one.",
            TOLERATED_LOAD * 100.0
        ),
        &matrix(plan, |cell, peer| {
            let (all, dropped) = stats.windows(cell, peer);
            if all == 0 {
                String::new()
            } else {
                format!("{dropped} of {all}")
            }
        }),
    );
    section("Rows", &rows(plan), &"");
    section("Machine", &machine.to_string(), &"");
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

const GOALS: &str = "A goal is met if both the median and the fastest deciles meet it; that of the longest wait is one for the median.";
const RATIOS: &str = "Of times in the first four columns and the longest wait (less is better), of throughput in the others (more is better).";
const FIGURES: &str = "Nanoseconds a pair, million operations a second of all threads, milliseconds; and the bytes of the lock.";

fn heading(cell: Cell) -> &'static str {
    match cell {
        Cell::Read => "read",
        Cell::Write => "write",
        Cell::TryWrite => "try_write",
        Cell::FailingTryWrite => "failing",
        Cell::TwoReaders => "2 readers",
        Cell::Mixed => "99/1",
        Cell::Oversubscribed => "8 threads",
        Cell::LongestWait => "longest wait",
    }
}

fn two(figure: Option<f64>) -> String {
    figure.map_or_else(String::new, |figure| format!("{figure:.2}"))
}

/// A row a contender, a column a cell.
fn matrix(plan: &Plan, entry: impl Fn(Cell, &str) -> String) -> Table {
    let headings = plan.cells.iter().map(|cell| heading(*cell));
    let mut table = Table::new(std::iter::once("lock").chain(headings));
    for peer in Peer::ALL {
        let entries = plan.cells.iter().map(|cell| entry(*cell, peer.name));
        table.row(
            std::iter::once(peer.name.to_owned())
                .chain(entries)
                .collect(),
        );
    }
    table
}

fn figures(plan: &Plan, stats: Stats<'_>) -> Table {
    let unit = |cell: Cell| match cell.unit() {
        Unit::Nanoseconds => "ns",
        Unit::MillionPerSecond => "M/s",
        Unit::Milliseconds => "ms",
    };
    let headings = plan
        .cells
        .iter()
        .map(|cell| format!("{}, {}", heading(*cell), unit(*cell)));
    let mut table = Table::new(
        std::iter::once("lock".to_owned())
            .chain(headings)
            .chain(["bytes".to_owned()]),
    );
    for peer in Peer::ALL {
        let entries = plan
            .cells
            .iter()
            .map(|cell| two(stats.figure(*cell, peer.name).map(|figure| figure.median)));
        table.row(
            std::iter::once(peer.name.to_owned())
                .chain(entries)
                .chain([peer.bytes.to_string()])
                .collect(),
        );
    }
    table
}

fn goals(plan: &Plan, stats: Stats<'_>) -> Table {
    let mut table = Table::new([
        "row", "lock", "against", "goal", "median", "fastest", "rounds", "verdict",
    ]);
    let three = |figure: Option<Figure>, pick: fn(Figure) -> f64| {
        figure.map_or_else(String::new, |figure| format!("{:.3}", pick(figure)))
    };
    for goal in Goal::ALL
        .iter()
        .filter(|goal| plan.cells.contains(&goal.cell))
    {
        let measured = goal.measured(stats);
        table.row(vec![
            goal.cell.title().to_owned(),
            goal.peer.to_owned(),
            goal.against.unwrap_or("milliseconds").to_owned(),
            goal.bound.to_string(),
            three(measured, |figure| figure.median),
            three(measured, |figure| figure.fastest),
            measured.map_or(0, |figure| figure.count).to_string(),
            goal.verdict(measured).to_string(),
        ]);
    }
    for (name, bytes) in [(Plain::NAME, Plain::BYTES), (Gated::NAME, Gated::BYTES)] {
        table.row(vec![
            "bytes of the lock".to_owned(),
            name.to_owned(),
            "bytes".to_owned(),
            "<= 4".to_owned(),
            bytes.to_string(),
            String::new(),
            String::new(),
            if bytes <= 4 { "met" } else { "missed" }.to_owned(),
        ]);
    }
    table
}

fn rows(plan: &Plan) -> String {
    let mut list = String::new();
    for &cell in &plan.cells {
        writeln!(
            list,
            "- {}: {}; windows of {} ms",
            heading(cell),
            cell.title(),
            plan.length(cell).as_millis()
        )
        .expect("writing to a string");
    }
    list + "\nAll locks run in one process, round by round, in an order that is shuffled for each row and round. Every window has a \
            lock of its own, a u64 behind it, on cache lines of its own; nothing is pinned. The longest wait has windows of its \
            own, because two looks at the clock around each acquisition cost throughput. It contains what the scheduler takes \
            from a thread between these looks, for every lock alike. In the rows with one or two threads, load is the time that our threads \
            could run and did not get a core; with eight threads it is the busy time of the machine without that of this process."
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::stats::tests::sample;

    fn plan() -> Plan {
        Plan {
            cells: vec![Cell::Read],
            rounds: 3,
            window: Duration::from_millis(5),
        }
    }

    fn three_rounds(zslock: f64) -> Vec<Sample> {
        (0..3)
            .flat_map(|round| {
                [
                    sample(round, Cell::Read, Plain::NAME, zslock, 0.0),
                    sample(round, Cell::Read, ParkingLot::NAME, 10.0, 0.0),
                ]
            })
            .collect()
    }

    /// The verdict that the goals table has for plain zslock against parking_lot.
    fn verdict(report: &str) -> &str {
        let goal = ["zslock", "parking_lot 0.13", "<= 0.78"];
        report
            .lines()
            .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>())
            .find(|cells| cells.get(2..5) == Some(&goal))
            .expect("the goal has a line")[8]
    }

    #[test]
    fn the_report_says_met_and_missed_by_what_was_measured() {
        let machine = Machine::here();
        assert_eq!(
            verdict(&render(&plan(), &three_rounds(7.5), &machine)),
            "met"
        );
        assert_eq!(
            verdict(&render(&plan(), &three_rounds(7.9), &machine)),
            "missed"
        );
        assert_eq!(verdict(&render(&plan(), &[], &machine)), "too few windows");
    }

    #[test]
    fn dropped_windows_are_printed() {
        let samples = [sample(0, Cell::Read, Plain::NAME, 5.0, 0.5)];
        let report = render(&plan(), &samples, &Machine::here());
        assert!(report.contains("1 of 1"), "{report}");
    }
}
