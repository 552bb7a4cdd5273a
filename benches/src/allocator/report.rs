//! The report in Markdown: goals, ratios, figures, windows, machine.

use std::fmt::{Display, Write};

use super::bound::Floor;
use super::contender::Contender;
use super::corpus::Corpus;
use super::goal::{Goal, Subject};
use super::instructions::Count;
use super::ratio::Windows;
use super::row::{Mix, Row};
use super::run::{Plan, Sample};
use super::system::Pages;
use crate::machine::Machine;
use crate::stats::Figure;
use crate::table::Table;
use crate::window::TOLERATED_LOAD;

/// Everything that a report tells.
#[derive(Debug)]
pub struct Results<'a> {
    /// What was asked for.
    pub plan: &'a Plan,
    /// What was stored.
    pub corpus: &'a Corpus,
    /// What was timed.
    pub samples: &'a [Sample],
    /// What was counted.
    pub counts: &'a [Count],
    /// What the system takes.
    pub pages: &'a [Pages],
    /// What it takes for the pages of these objects.
    pub floor: &'a Floor,
    /// Where.
    pub machine: &'a Machine,
}

impl Results<'_> {
    /// The report.
    #[must_use]
    pub fn render(&self) -> String {
        let windows = Windows(self.samples);
        let mut out = String::from("# How fast zsalloc is beside malloc\n\n");
        let mut section = |title: &str, text: &str, table: &dyn Display| {
            write!(out, "## {title}\n\n{text}\n\n{table}\n").expect("writing to a string");
        };
        section("Goals", GOALS, &self.goals());
        section(
            "Ratios: median of rounds",
            RATIOS,
            &self.matrix(|row, contender| two(ratio(windows, row, contender), |one| one.median)),
        );
        section(
            "Ratios of the fastest deciles",
            "The mean of the best tenth of the windows by that of the reference.",
            &self.matrix(|row, contender| two(ratio(windows, row, contender), |one| one.fastest)),
        );
        section(
            "Two threads on one store by two threads on two",
            SHARED,
            &self.shared(),
        );
        section(
            "Figures: median of windows",
            "Nanoseconds of an operation; in the row of compaction of a page given back; with two threads of an operation of \
             one of them.",
            &self.matrix(|row, contender| {
                two(windows.nanoseconds((row, contender)), |one| one.median)
            }),
        );
        if !self.counts.is_empty() {
            section("Instructions", INSTRUCTIONS, &self.instructions());
        }
        section("What the system takes", SYSTEM, &self.system());
        section("What the objects take at least", FLOOR, &self.floor());
        let dropped = format!(
            "Dropped of all: windows in which our threads waited for a core for more than {} % of the time.",
            TOLERATED_LOAD * 100.0
        );
        section(
            "Windows",
            &dropped,
            &self.matrix(|row, contender| {
                let (all, dropped) = windows.count((row, contender));
                format!("{dropped} of {all}")
            }),
        );
        section("How", &self.how(), &"");
        section("Machine", &self.machine.to_string(), &"");
        section("Designs", include_str!("designs.md").trim_end(), &"");
        out.truncate(out.trim_end().len());
        out.push('\n');
        out
    }

    fn goals(&self) -> Table {
        let mut table = Table::new([
            "row",
            "contender",
            "against",
            "goal",
            "median",
            "fastest",
            "limit",
            "rounds",
            "verdict",
        ]);
        for goal in Goal::ALL {
            let (row, contender, against) = match goal.subject {
                Subject::Ratio(row, of, by) => (row.title(), of, by.name()),
                Subject::Microseconds(row, of) => (row.title(), of, "microseconds"),
                Subject::Shared(Mix::Reads, of) => ("2 threads read + drop", of, "own stores"),
                Subject::Shared(Mix::Churn, of) => ("2 threads free + insert", of, "own stores"),
                Subject::Shared(Mix::OneClass, of) => ("2 threads, one class", of, "own stores"),
            };
            let measured = goal.measured(Windows(self.samples));
            let limit = goal.limit(Windows(self.samples), self.floor);
            table.row(vec![
                row.to_owned(),
                contender.name().to_owned(),
                against.to_owned(),
                goal.bound.to_string(),
                two(measured, |one| one.median),
                two(measured, |one| one.fastest),
                limit.map_or_else(String::new, |limit| format!("{limit:.2}")),
                measured.map_or(0, |one| one.count).to_string(),
                goal.bound.verdict(measured).to_string(),
            ]);
        }
        table
    }

    /// A row a row, a column a contender.
    fn matrix(&self, entry: impl Fn(Row, Contender) -> String) -> Table {
        let names = Contender::ALL.map(Contender::name);
        let mut table = Table::new(std::iter::once("row").chain(names));
        for &row in &self.plan.rows {
            let entries = Contender::ALL.map(|contender| {
                if row.is_for(contender) {
                    entry(row, contender)
                } else {
                    String::new()
                }
            });
            let title = std::iter::once(row.title().to_owned());
            table.row(title.chain(entries).collect());
        }
        table
    }

    fn shared(&self) -> Table {
        let contenders = [
            Contender::Glibc,
            Contender::Zslock,
            Contender::Gated,
            Contender::ParkingLot,
            Contender::Zsmalloc,
        ];
        let names = contenders.map(Contender::name);
        let mut table = Table::new(std::iter::once("threads").chain(names));
        for (mix, title) in Mix::ALL.into_iter().zip([
            "read + drop, random objects",
            "free + insert, compressed pages",
            "free + insert, one class",
        ]) {
            let windows = Windows(self.samples);
            let entries =
                contenders.map(|contender| two(windows.shared(mix, contender), |one| one.median));
            let title = std::iter::once(title.to_owned());
            table.row(title.chain(entries).collect());
        }
        table
    }

    fn instructions(&self) -> Table {
        let names = Contender::ALL.map(Contender::name);
        let mut table = Table::new(std::iter::once("row").chain(names));
        for row in [Row::Copy, Row::Hot, Row::Refill] {
            let entries = Contender::ALL.map(|contender| {
                let count = self
                    .counts
                    .iter()
                    .find(|count| (count.row, count.contender) == (row, contender));
                count.map_or_else(String::new, |count| format!("{:.1}", count.instructions))
            });
            let title = match row {
                Row::Refill => "free + insert, random",
                _ => row.title(),
            };
            table.row(std::iter::once(title.to_owned()).chain(entries).collect());
        }
        table
    }

    fn system(&self) -> Table {
        let mut table = Table::new([
            "pages a call",
            "touching one, ns",
            "fetching one ahead, ns",
            "returning one, ns",
        ]);
        for pages in self.pages {
            let ahead = pages.ahead.map(|ahead| format!("{ahead:.0}"));
            table.row(vec![
                pages.run.to_string(),
                format!("{:.0}", pages.fault),
                ahead.unwrap_or_default(),
                format!("{:.0}", pages.back),
            ]);
        }
        table
    }

    /// What the system takes for the pages of these objects.
    fn floor(&self) -> Table {
        let mut table = Table::new(["what", "figure"]);
        for (what, figure) in [
            ("pages of an object", self.floor.pages),
            ("zspages of an object", self.floor.zspages),
            ("touching all pages, ns an object", self.floor.fault),
            ("returning one zspage a call, ns an object", self.floor.one),
            ("returning 64 zspages a call, ns an object", self.floor.many),
            ("returning 4 MiB a call, ns an object", self.floor.all),
            (
                "copying what a compaction moves, ns a page gained",
                self.floor.copy,
            ),
            ("returning 64 zspages a call, ns a page", self.floor.gained),
        ] {
            table.row(vec![what.to_owned(), format!("{figure:.2}")]);
        }
        table
    }

    fn how(&self) -> String {
        format!(
            "The objects: {}. Every byte is checked at the end of each store's life. All contenders run in one process, round by \
             round, in an order that is shuffled for each row and round: {} rounds, loops for {} ms a window, other rows once. \
             An empty store starts with malloc's free lists trimmed, so that all have to fetch memory from the system. Objects \
             are freed in random order; with `malloc` as with the pool what stays is in random places. Huge pages are off for \
             the pool and, unless the system forces them on, for malloc.",
            self.corpus.describe(),
            self.plan.rounds,
            self.plan.window.as_millis(),
        )
    }
}

const GOALS: &str = "A goal is met if both the median and the fastest deciles meet it. That of two threads is for throughput: one \
    store by two. The limit is malloc's time, or a copy's, with what the pages of a pool take at least (see below); for an insert that of \
    malloc into a full store. Where reads are counted it is what malloc's boxes reach with an atomic pair around each.";
const RATIOS: &str = "Time by that of boxed slices of glibc's malloc; of read + drop by that of the atomic pair; of compaction by \
    that of the default pool.";
const SHARED: &str = "Throughput: one means that nothing is lost by sharing.";
const SYSTEM: &str = "Nanoseconds of a page, the fastest of many tries, without any allocator: what touching a fresh page and returning \
    it costs on this machine, by how many pages one `madvise` returns.";
const FLOOR: &str = "Without a pool, for a pool's pages of these objects, all touched, in random order; and for the objects that compaction \
    moves after a random half was freed. The fastest of several tries.";
const INSTRUCTIONS: &str = "Of one operation, with the loop around it; objects of 1000 bytes.";

/// What the row is compared with.
fn ratio(windows: Windows<'_>, row: Row, contender: Contender) -> Option<Figure> {
    let reference = match row {
        Row::Hot => Contender::Pair,
        Row::Compact => Contender::Zslock,
        _ => Contender::Glibc,
    };
    windows.ratio((row, contender), (row, reference))
}

fn two(figure: Option<Figure>, pick: fn(Figure) -> f64) -> String {
    figure.map_or_else(String::new, |figure| format!("{:.2}", pick(figure)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::allocator::ratio::tests::sample;

    fn report(nanoseconds: u64) -> String {
        let samples: Vec<Sample> = (0..3)
            .flat_map(|round| {
                [
                    sample(round, (Row::Copy, Contender::Zslock), nanoseconds, 0.0),
                    sample(round, (Row::Copy, Contender::Glibc), 100, 0.0),
                ]
            })
            .collect();
        Results {
            plan: &Plan {
                rows: vec![Row::Copy],
                rounds: 3,
                window: Duration::from_millis(5),
            },
            corpus: &Corpus::of_length(100, 3),
            samples: &samples,
            counts: &[],
            pages: &[],
            floor: &Floor {
                pages: 0.5,
                zspages: 0.25,
                fault: 600.0,
                one: 300.0,
                many: 100.0,
                all: 80.0,
                beyond: 0.2,
                copy: 400.0,
                gained: 300.0,
            },
            machine: &Machine::here(),
        }
        .render()
    }

    #[test]
    fn the_report_says_met_and_missed_by_what_was_measured() {
        let verdict = |report: &str| {
            let line = report.lines().find(|line| line.contains("<= 1.25"));
            let cells = line.expect("the goal has a line").rsplit('|');
            cells.map(str::trim).nth(1).unwrap().to_owned()
        };
        assert_eq!(verdict(&report(120)), "met");
        assert_eq!(verdict(&report(130)), "missed");
    }

    #[test]
    fn what_was_not_measured_has_no_verdict() {
        let report = report(120);
        assert!(report.contains("too few windows"), "{report}");
    }
}
