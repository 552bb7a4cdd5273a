//! The report in Markdown: goals, ratios, where the bytes are, how it was measured, machine.

use std::fmt::{Display, Write};

use super::blobs::{Blobs, Codec};
use super::breakdown::Breakdown;
use super::contender::Contender;
use super::goal::{Goal, MOST_MOVES, verdict};
use super::run::{Sample, Sights};
use super::scenario::{Phase, TURNS};
use crate::allocator::corpus::Corpus;
use crate::machine::Machine;
use crate::table::Table;

/// Everything that a report tells.
#[derive(Debug)]
pub struct Results<'a> {
    /// How many rounds were asked for.
    pub rounds: u32,
    /// The pages.
    pub corpus: &'a Corpus,
    /// The pages as they were stored.
    pub corpora: &'a [(Codec, Blobs)],
    /// What was seen.
    pub samples: &'a [Sample],
    /// Where.
    pub machine: &'a Machine,
}

impl Results<'_> {
    /// The report.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = String::from("# How densely zsalloc stores beside malloc\n\n");
        out.push_str(WHAT);
        let mut section = |title: &str, text: &str, table: &dyn Display| {
            write!(out, "\n\n## {title}\n\n{text}\n\n{table}").expect("writing to a string");
            out.truncate(out.trim_end().len());
        };
        section("Goals", GOALS, &self.goals());
        for &codec in Codec::ALL {
            let title = format!("Resident bytes per live byte: {}", codec.name());
            section(&title, RATIOS, &self.ratios(codec));
        }
        section("Moves", MOVES, &self.moves());
        for &codec in Codec::ALL {
            let title = format!("Where a pool's bytes are: {}", codec.name());
            section(&title, PARTS, &self.parts(codec));
        }
        section("Designs", include_str!("designs.md").trim_end(), &"");
        section("How", &self.how(), &"");
        section("Machine", &self.machine.to_string(), &"");
        out.push('\n');
        out
    }

    fn sights(&self) -> Sights<'_> {
        Sights(self.samples)
    }

    fn goals(&self) -> Table {
        let mut table = Table::new([
            "phase",
            "contender",
            "codec",
            "goal",
            "packed",
            "with metadata",
            "measured",
            "verdict",
            "beyond packed, in %",
        ]);
        for goal in Goal::all() {
            let bound = |of: fn(&Sample) -> f64| {
                three(
                    self.sights()
                        .median(goal.contender, goal.codec, goal.phase, of),
                )
            };
            table.row(vec![
                goal.phase.title().to_owned(),
                goal.contender.name().to_owned(),
                goal.codec.name().to_owned(),
                goal.bound.to_string(),
                bound(packed),
                bound(with_metadata),
                three(goal.measured(self.sights())),
                goal.verdict(self.sights()).to_owned(),
                self.reason(&goal),
            ]);
        }
        table
    }

    /// What a pool holds beyond its objects packed in its classes, the most first.
    fn reason(&self, goal: &Goal) -> String {
        type Part = fn(&Sample) -> u64;
        let of: [(&str, Part); 3] = [
            ("metadata", |sample| parts(sample).metadata),
            ("gaps", |sample| parts(sample).gaps),
            ("freeable", |sample| parts(sample).freeable),
        ];
        let mut shares: Vec<(f64, &str)> = Vec::new();
        for (name, part) in of {
            let share = |sample: &Sample| part(sample) as f64 / live(sample) as f64 * 100.0;
            let (contender, codec) = (goal.contender, goal.codec);
            let share = self.sights().median(contender, codec, goal.phase, share);
            shares.extend(
                share
                    .filter(|share| *share >= 0.05)
                    .map(|share| (share, name)),
            );
        }
        shares.sort_by(|one, other| other.0.total_cmp(&one.0));
        let words = shares
            .iter()
            .map(|(share, name)| format!("{name} {share:.1}"));
        words.collect::<Vec<_>>().join(", ")
    }

    fn ratios(&self, codec: Codec) -> Table {
        let names = Contender::ALL.iter().map(|contender| contender.name());
        let mut table = Table::new(std::iter::once("phase").chain(names));
        for phase in Phase::measured() {
            let ratio = |&contender| three(self.sights().ratio(contender, codec, phase));
            let title = std::iter::once(phase.title().to_owned());
            table.row(title.chain(Contender::ALL.iter().map(ratio)).collect());
        }
        table
    }

    fn moves(&self) -> Table {
        let mut table = Table::new(["phase", "codec", "goal", "measured", "verdict"]);
        for phase in [Phase::Churned, Phase::NewChurned, Phase::FirstInFirstOut] {
            for &codec in Codec::ALL {
                let moves = self.sights().moves(Contender::Automatic, codec, phase);
                let (goal, verdict) = match moves {
                    Some(moves) if phase == Phase::Churned => {
                        (MOST_MOVES.to_string(), verdict(MOST_MOVES, moves))
                    }
                    _ => (String::new(), ""),
                };
                table.row(vec![
                    phase.title().to_owned(),
                    codec.name().to_owned(),
                    goal,
                    three(moves),
                    verdict.to_owned(),
                ]);
            }
        }
        table
    }

    fn parts(&self, codec: Codec) -> Table {
        let mut table = Table::new([
            "contender",
            "phase",
            "rounding",
            "tails",
            "free slots",
            "metadata",
            "gaps",
            "other",
            "sum",
            "freeable",
        ]);
        for &contender in Contender::ALL.iter().filter(|one| one.is_pool()) {
            for phase in Phase::measured() {
                let share = |of: fn(&Sample) -> i64| {
                    let share = |sample: &Sample| of(sample) as f64 / live(sample) as f64 * 100.0;
                    self.sights().median(contender, codec, phase, share)
                };
                if share(live).is_none() {
                    continue;
                }
                let parts: [fn(&Sample) -> i64; 8] = [
                    |sample| parts(sample).rounding as i64,
                    |sample| parts(sample).tails as i64,
                    |sample| parts(sample).free as i64,
                    |sample| parts(sample).metadata as i64,
                    |sample| parts(sample).gaps as i64,
                    other,
                    |sample| sample.sight.grown as i64 - live(sample),
                    |sample| parts(sample).freeable as i64,
                ];
                let names = [contender.name(), phase.title()].map(str::to_owned);
                let shares = parts.map(|part| {
                    share(part).map_or_else(String::new, |share| format!("{share:.2}"))
                });
                table.row(names.into_iter().chain(shares).collect());
            }
        }
        table
    }

    fn how(&self) -> String {
        let corpora = self.corpora.iter().map(|(codec, blobs)| {
            let mean = blobs.bytes() as f64 / blobs.len() as f64;
            let mib = blobs.bytes() as f64 / f64::from(1 << 20);
            format!(
                "{}: {mib:.0} MiB, {mean:.0} bytes in the mean",
                codec.name()
            )
        });
        let corpora: Vec<String> = corpora.collect();
        format!(
            "The objects: {}. As stored, {}. Each allocator has a process of its own, for each compression and row of \
             phases, in {} rounds, in an order that is shuffled anew; the medians are shown. Another process reads \
             `/proc/PID/smaps_rollup`, `Anonymous` less `LazyFree`, first before the store exists and then at each phase, \
             while the process waits. Before, it has read the blobs, made and written the array of keys, and called \
             `malloc_trim`. Out of the count are therefore the keys that the program keeps for either kind of store: 8 bytes \
             for a pool's handle, 16 for a block's address and length. In the count is all that an allocator keeps for \
             itself, of the pool the handle table, headers, free lists and what the epochs hold back, wherever it is. Huge \
             pages are off (`PR_SET_THP_DISABLE`, and the looking process checks that there are none), and so is swap. Every \
             byte of every object is checked at every phase.\n\n\
             Compacted means `Pool::compact`; for glibc `malloc_trim(0)`, for jemalloc `thread.tcache.flush` and \
             `arena.4096.purge`, for mimalloc `mi_collect(true)`; snmalloc's interface has no such call. All other phases are \
             measured without. The allocators are called directly, without being the program's global allocator, so that they \
             serve nothing but objects; sizes and calls are those that boxed slices would make. In a churn each of the two \
             threads first fills its share of the store to a half, then frees a random object and stores a random page \
             {TURNS} times for each of its objects; the first churn, which has the goals, continues from 75 % freed; the second begins with an empty store. In the last row each place is \
             emptied and filled {TURNS} times.",
            self.corpus.describe(),
            corpora.join("; "),
            self.rounds,
        )
    }
}

fn live(sample: &Sample) -> i64 {
    sample.sight.answer.live as i64
}

fn parts(sample: &Sample) -> Breakdown {
    sample.sight.answer.breakdown
}

/// What the parts do not explain: less than nothing if the pool holds pages without memory.
fn other(sample: &Sample) -> i64 {
    let parts = parts(sample);
    let told = parts.rounding + parts.tails + parts.free + parts.metadata + parts.gaps;
    sample.sight.grown as i64 - live(sample) - told as i64
}

/// The ratio if the pool had no page beyond those that its objects need in its classes, and nothing else.
fn packed(sample: &Sample) -> f64 {
    let parts = parts(sample);
    let pages = live(sample) as u64 + parts.rounding + parts.tails + parts.free;
    (pages - parts.freeable) as f64 / live(sample) as f64
}

/// The ratio if it had its metadata, too.
fn with_metadata(sample: &Sample) -> f64 {
    packed(sample) + parts(sample).metadata as f64 / live(sample) as f64
}

const WHAT: &str = "Resident bytes per byte of the objects that are stored, all metadata of the allocator included. Written by \
    `cargo run --release -p benches --features allocators --bin density`.";
const GOALS: &str = "Two bounds stand before what was measured. `packed` is that of the size classes: what it would be if every \
    class had just the pages that its objects need, and a pool were nothing else. `with metadata` adds the pool's tables as \
    they are. Pages that were never written make the measured figure smaller; what compaction has not given back (or was not \
    asked to) and gaps in malloc's heap make it larger. Where `packed` is below a \
    goal that is missed, the classes would reach it; what is beyond is in the last column: the pool's metadata, gaps where \
    that shrank, and pages that compaction would give back. The tables at the end have all parts.";
const RATIOS: &str = "`adaptive` is the default pool; `automatic` compacts when objects are freed; the last two are the default \
    pool with another lock. What goes first in, first out leaves whole pages behind, and glibc's malloc reuses them: there \
    a pool gains nothing over it.";
const MOVES: &str =
    "Objects that automatic compaction moves for each object that is freed and stored anew.";
const PARTS: &str = "In per cent of the live bytes. Rounding: slots beyond their objects. Tails: ends of zspages. Free slots, \
    whether their pages were ever written or not. Metadata: what the pool tells of its tables. Gaps: what malloc, from which \
    it has these, holds free since the pool exists. Other: what is measured and not explained by these; less than nothing \
    where pages or gaps hold no memory, as pages that were never written. Freeable is no further part: it is what compaction \
    would give back, of the free slots and tails.";

fn three(figure: Option<f64>) -> String {
    figure.map_or_else(String::new, |figure| format!("{figure:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::density::run::tests::sample;

    fn report(grown: u64) -> String {
        let breakdown = Breakdown::from_array([10_000, 5_000, 20_000, 8_000, 12_000, 1_000]);
        let samples: Vec<Sample> = (0..3)
            .flat_map(|round| {
                [Phase::HalfCompacted, Phase::Churned]
                    .map(|phase| sample(round, Contender::Adaptive, phase, grown, breakdown))
            })
            .collect();
        Results {
            rounds: 3,
            corpus: &Corpus::of_length(100, 3),
            corpora: &[],
            samples: &samples,
            machine: &Machine::here(),
        }
        .render()
    }

    fn cells<'a>(report: &'a str, begins: &str) -> Vec<&'a str> {
        let line = report.lines().find(|line| line.starts_with(begins));
        let line = line.unwrap_or_else(|| panic!("no line {begins} in {report}"));
        line.split('|').map(str::trim).collect()
    }

    const WHY: &str = "freeable 1.2, metadata 0.8, gaps 0.1";

    #[test]
    fn goals_are_reached_or_missed_by_what_was_measured() {
        let verdict = |report: &str| {
            let is_goal = |line: &&str| line.contains(" adaptive |") && line.contains("<= 1.04 |");
            let line = report.lines().find(is_goal).expect("the goal has a line");
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            [cells[5], cells[6], cells[7], cells[8], cells[9]].map(str::to_owned)
        };
        // 1 + 0.01 + 0.005 + 0.02 - 0.012, and 0.008.
        assert_eq!(
            verdict(&report(1_040_000)),
            ["1.023", "1.031", "1.040", "reached", WHY]
        );
        assert_eq!(
            verdict(&report(1_041_000)),
            ["1.023", "1.031", "1.041", "missed", WHY]
        );
    }

    #[test]
    fn the_parts_are_shares_and_the_rest_is_other() {
        let report = report(1_040_000);
        let cells = cells(&report, "| adaptive  | random 50 %");
        assert_eq!(
            cells[3..11],
            [
                "1.00", "0.50", "2.00", "0.80", "0.10", "-0.40", "4.00", "1.20"
            ]
        );
    }
}
