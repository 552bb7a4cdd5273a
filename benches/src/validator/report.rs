//! The report in Markdown: goals, ratios, figures, new dependencies, memory, windows, machine.

use std::fmt::{Display, Write};

use super::contender::Contender;
use super::fresh::Case;
use super::instructions::{COUNTED, Count};
use super::memory::{BEFORE, Kept, LOCKS};
use super::ratio::{Goal, Subject, Windows, microseconds};
use super::run::{Plan, Samples};
use super::workload::Workload;
use crate::machine::Machine;
use crate::stats::Figure;
use crate::table::Table;
use crate::window::TOLERATED_LOAD;

/// Everything that a report is made of.
#[derive(Clone, Copy, Debug)]
pub struct Results<'a> {
    /// What was asked for.
    pub plan: &'a Plan,
    /// What was measured.
    pub samples: &'a Samples,
    /// Instructions, if they were counted.
    pub counts: &'a [Count],
    /// What could not be measured, and why.
    pub missing: &'a [String],
    /// Where.
    pub machine: &'a Machine,
}

impl Results<'_> {
    fn windows(&self) -> Windows<'_> {
        Windows(&self.samples.windows)
    }

    /// Those that were measured.
    fn contenders(&self) -> impl Iterator<Item = Contender> {
        let windows = self.windows();
        Contender::ALL.into_iter().filter(move |contender| {
            let single = (Workload::Single, *contender);
            windows.count(single).0 > 0
        })
    }

    fn learners(&self) -> Vec<Contender> {
        self.contenders().filter(|one| one.learns()).collect()
    }

    /// Renders all of it.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = String::from("# What lockdep costs\n\n");
        let mut section = |title: &str, text: &str, table: &dyn Display| {
            write!(out, "## {title}\n\n{text}\n\n{table}\n").expect("writing to a string");
        };
        section("Goals", GOALS, &self.goals());
        section(
            "Ratios: median of rounds",
            RATIOS,
            &self.ratios(|figure| figure.median),
        );
        section(
            "Ratios of the fastest deciles",
            "The mean of the best tenth of the windows by that of the untracked lock.",
            &self.ratios(|figure| figure.fastest),
        );
        section("Figures: median of windows", FIGURES, &self.figures());
        section("A dependency seen for the first time", FRESH, &self.fresh());
        section("Memory", &memory_text(), &self.memory());
        if !self.counts.is_empty() {
            section("Instructions", INSTRUCTIONS, &self.instructions());
        }
        section("Windows", &self.window_text(), &self.dropped());
        section("Who is compared", WHO, &"");
        if !self.missing.is_empty() {
            section("Not measured", &self.missing.join("\n"), &"");
        }
        section("Machine", &self.machine.to_string(), &"");
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
            "rounds",
            "verdict",
        ]);
        for goal in Goal::ALL {
            let (row, contender, against, measured) = match goal.subject {
                Subject::Ratio(of, by) => {
                    let against = if of.0 == by.0 {
                        by.1.name()
                    } else {
                        by.0.title()
                    };
                    let measured = self.windows().ratio(of, by);
                    (of.0.title(), of.1, against, measured)
                }
                Subject::Fresh(case) => {
                    let lockdep = Contender::Lockdep;
                    let measured = microseconds(&self.samples.fresh, case, lockdep);
                    (
                        "new dependency along a known order",
                        lockdep,
                        "microseconds",
                        measured,
                    )
                }
            };
            table.row(vec![
                row.to_owned(),
                contender.name().to_owned(),
                against.to_owned(),
                goal.bound.to_string(),
                number(measured, |figure| figure.median),
                number(measured, |figure| figure.fastest),
                measured.map_or(0, |figure| figure.count).to_string(),
                goal.bound.verdict(measured).to_string(),
            ]);
        }
        table
    }

    /// A row a workload, a column a contender.
    fn matrix(
        &self,
        workloads: &[Workload],
        contenders: &[Contender],
        entry: impl Fn(Workload, Contender) -> String,
    ) -> Table {
        let names = contenders.iter().map(|contender| contender.name());
        let mut table = Table::new(std::iter::once("row").chain(names));
        for &workload in workloads {
            let entries = contenders.iter().map(|one| entry(workload, *one));
            let row = std::iter::once(workload.title().to_owned()).chain(entries);
            table.row(row.collect());
        }
        table
    }

    fn ratios(&self, pick: fn(Figure) -> f64) -> Table {
        let tracked: Vec<Contender> = self
            .contenders()
            .filter(|one| one.untracked().is_some())
            .collect();
        self.matrix(&Workload::ALL, &tracked, |workload, contender| {
            // Their times say nothing that the row above does not.
            if workload == Workload::TwoProcesses {
                return String::new();
            }
            number(self.windows().cell(workload, contender), pick)
        })
    }

    fn figures(&self) -> Table {
        let all: Vec<Contender> = self.contenders().collect();
        self.matrix(&Workload::ALL, &all, |workload, contender| {
            let figure = self.windows().nanoseconds((workload, contender));
            figure.map_or_else(String::new, |figure| format!("{:.1}", figure.median))
        })
    }

    fn dropped(&self) -> Table {
        let all: Vec<Contender> = self.contenders().collect();
        self.matrix(&Workload::ALL, &all, |workload, contender| {
            let (all, dropped) = self.windows().count((workload, contender));
            format!("{dropped} of {all}")
        })
    }

    fn window_text(&self) -> String {
        format!(
            "{} rounds with windows of {} ms. A window consists of slices of 0.3 ms; those in which other \
             programs had more than {} % of the time are not counted, except in the last two rows. Dropped of all: windows \
             in which others had that share of what was counted. lockdep-cost.csv has every one.",
            self.plan.rounds,
            self.plan.window.as_millis(),
            TOLERATED_LOAD * 100.0
        )
    }

    fn fresh(&self) -> Table {
        let mut table = Table::new([
            "dependency",
            "contender",
            "median",
            "99 %",
            "worst",
            "processes",
        ]);
        for case in Case::ALL {
            for contender in self.contenders().filter(|one| case.is_for(*one)) {
                let of: Vec<_> = self
                    .samples
                    .fresh
                    .iter()
                    .filter(|sample| sample.case == case && sample.contender == contender)
                    .map(|sample| sample.cost)
                    .collect();
                let median = |pick: fn(&super::fresh::Cost) -> f64| {
                    crate::stats::median(of.iter().map(pick).collect())
                };
                let worst = of.iter().map(|cost| cost.worst).max_by(f64::total_cmp);
                let shown = |nanoseconds: Option<f64>| {
                    nanoseconds.map_or_else(String::new, |ns| format!("{:.2}", ns / 1e3))
                };
                table.row(vec![
                    case.title().to_owned(),
                    contender.name().to_owned(),
                    shown(median(|cost| cost.median)),
                    shown(median(|cost| cost.percentile_99)),
                    shown(worst),
                    of.len().to_string(),
                ]);
            }
        }
        table
    }

    fn memory(&self) -> Table {
        let learners = self.learners();
        let names = learners.iter().map(|contender| contender.name());
        let mut table = Table::new(std::iter::once("bytes a lock").chain(names));
        for kept in Kept::ALL {
            let entries = learners.iter().map(|contender| {
                self.samples
                    .memory
                    .iter()
                    .find(|sample| sample.kept == kept && sample.contender == *contender)
                    .map_or_else(String::new, |sample| format!("{:.2}", sample.bytes))
            });
            table.row(
                std::iter::once(kept.title().to_owned())
                    .chain(entries)
                    .collect(),
            );
        }
        table
    }

    fn instructions(&self) -> Table {
        let all: Vec<Contender> = self.contenders().collect();
        self.matrix(&COUNTED, &all, |workload, contender| {
            let count = self
                .counts
                .iter()
                .find(|count| count.workload == workload && count.contender == contender);
            count.map_or_else(String::new, |count| format!("{:.1}", count.instructions))
        })
    }
}

fn number(figure: Option<Figure>, pick: fn(Figure) -> f64) -> String {
    figure.map_or_else(String::new, |figure| format!("{:.2}", pick(figure)))
}

fn memory_text() -> String {
    format!(
        "Growth of the process's resident memory over {LOCKS} locks, by their number, after {BEFORE} others; each is \
         taken once while another mutex is held. What a lock itself is made of does not count."
    )
}

const GOALS: &str = "A goal is met if both the median and the fastest deciles meet it. The goals for 10,000 mutexes are \
    for those that are locked alone; the rows under an outer mutex are in the tables below.";
const RATIOS: &str = "Time of lock and unlock by that of the same lock untracked: parking_lot 0.13 under lockdep, \
    parking_lot 0.12 under the others. The row of the two threads is by the two processes.";
const FIGURES: &str =
    "Nanoseconds of an operation: a lock and its unlock, or a nest of three or two of these.";
const FRESH: &str = "Microseconds, with the inner lock, its unlock and two looks at the clock. In the first case 200 \
    classes are known in the order of the dependencies; in the second the order is found on the way; in the third 100 \
    classes from the end of the order come, one after the other, before the first of 200 between which all 19,900 \
    dependencies are known; in the last an inversion of these 200 was reported before, so that each of 100 dependencies \
    takes a search of all of them, and only lockdep goes on after a report. Worst is the worst of all processes, with what the machine did meanwhile.";
const INSTRUCTIONS: &str = "Of one operation and the loop around it, counted by callgrind.";
const WHO: &str = "\
- Every window is a process of its own, started in an order that is shuffled for each row and round; it is in steady state \
before it is timed. Only the threads of the last two rows are pinned.
- lockdep off, stat and trace are the same program with LOCKDEP=off, stat or trace in its environment. There is no \
subscriber: trace is what asking for one costs.
- tracing-mutex is measured without its backtraces, deloxide with its lock-order graph. Neither knows classes: each of \
their locks is one.
- deadlock_detection is a feature of parking_lot that reaches every use of it in a build. It is therefore measured in a \
second build of this program, in the same rounds, and compared with the parking_lot 0.12 of the first. It finds deadlocks \
that happened, and nothing about order.";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::validator::ratio::tests::sample;

    fn rendered(lockdep: u64) -> String {
        let windows = (0..3)
            .flat_map(|round| {
                [
                    sample(round, (Workload::Single, Contender::ParkingLot), 100, 0.0),
                    sample(round, (Workload::Single, Contender::Lockdep), lockdep, 0.0),
                ]
            })
            .collect();
        let samples = Samples {
            windows,
            ..Samples::default()
        };
        let results = Results {
            plan: &Plan {
                rounds: 3,
                window: Duration::from_millis(5),
            },
            samples: &samples,
            counts: &[],
            missing: &["nobody built it".to_owned()],
            machine: &Machine::here(),
        };
        results.render()
    }

    /// The verdict on one mutex under lockdep.
    fn verdict(report: &str) -> &str {
        report
            .lines()
            .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>())
            .find(|cells| cells.get(1..3) == Some(&["one mutex", "lockdep"]))
            .expect("the goal has a line")[8]
    }

    #[test]
    fn the_report_says_met_and_missed_by_what_was_measured() {
        assert_eq!(verdict(&rendered(150)), "met");
        assert_eq!(verdict(&rendered(151)), "missed");
    }

    #[test]
    fn only_who_was_measured_has_a_column_and_the_rest_is_named() {
        let report = rendered(150);
        assert!(!report.contains("| deloxide 1.1"), "{report}");
        assert!(report.contains("nobody built it"));
    }
}
