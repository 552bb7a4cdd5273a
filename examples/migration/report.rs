//! The figures of a run, and the verdict on it.

use std::fmt::Write;

use hdrhistogram::Histogram;
use zsalloc::PoolStats;

use crate::events;
use crate::history::Causes;
use crate::picture::Heading;
use crate::sample::Sample;
use crate::store::Checks;
use crate::workload::{Crew, Outcome, Tally};
use examples::corpus::PAGE;
use examples::units;
use examples::wrap::wrapped;

/// Sizes of the pool and of the process at the stations of the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) full: Sample,
    pub(crate) half_freed: Sample,
    pub(crate) after: Sample,
}

/// What the end of the run is judged by.
#[derive(Clone, Debug)]
pub(crate) struct Findings {
    /// Maps checked while zspages moved.
    pub(crate) during: Checks,
    /// Every object left in the pool, checked after the run.
    pub(crate) after: Checks,
    pub(crate) waits_for_migration: u64,
    pub(crate) unexplained_waits: u64,
    /// Events that did not fit into the record. With any, the causes of waits cannot be checked.
    pub(crate) unrecorded: u64,
    pub(crate) refusals: u64,
    pub(crate) pages_freed: u64,
    /// Where the pool's own counters differ from what its users saw.
    pub(crate) disagreements: Vec<String>,
}

impl Findings {
    pub(crate) fn of(outcome: &Outcome, causes: &Causes, after: Checks, stats: &PoolStats) -> Self {
        Findings {
            during: outcome.tally.checks,
            after,
            waits_for_migration: causes.migration.len(),
            unrecorded: outcome.record.dropped(),
            unexplained_waits: if outcome.record.dropped() == 0 {
                causes.unexplained.len()
            } else {
                0
            },
            refusals: outcome.tally.refused,
            pages_freed: outcome.tally.pages_freed,
            disagreements: disagreements(stats, &outcome.tally, after.maps),
        }
    }

    pub(crate) fn all_is_well(&self) -> bool {
        let damaged = self.during.mismatches + self.after.mismatches;
        damaged == 0 && self.unexplained_waits == 0 && self.disagreements.is_empty()
    }
}

fn disagreements(stats: &PoolStats, tally: &Tally, objects: u64) -> Vec<String> {
    let books = [
        ("objects", stats.objects as u64, objects),
        ("migrations", stats.migrations, tally.moved),
        (
            "refused migrations",
            stats.migrations_refused,
            tally.refused,
        ),
    ];
    let differing = books.into_iter().filter(|(_, pool, seen)| pool != seen);
    differing
        .map(|(what, pool, seen)| format!("the pool counts {pool} {what}, its users {seen}"))
        .collect()
}

/// The threads of a run, and what they work with.
pub(crate) fn setting(crew: &Crew, lock: &str) -> String {
    format!(
        "{}: {}, {}, a churner and a migrator;\n            lock: {lock}, seed {}",
        units::duration(crew.duration.as_nanos() as u64),
        units::counted(crew.readers.into(), "reader"),
        units::counted(crew.sleepers.into(), "sleeper"),
        crew.seed,
    )
}

/// The table of counts and times.
pub(crate) fn figures(outcome: &Outcome, causes: &Causes) -> String {
    let (record, tally) = (&outcome.record, &outcome.tally);
    let (mut waits, mut migrations) = (events::histogram(), events::histogram());
    for lane in &record.lanes {
        waits.add(&lane.waits).expect("the sum resizes itself");
        migrations
            .add(&lane.migrations)
            .expect("the sum resizes itself");
    }
    let mut out = format!(
        "{:<38}{:>12}{:>12}{:>12}{:>12}\n",
        "figures", "count", "p50", "p99", "max"
    );
    let mut line = |name: &str, count, times| out.push_str(&figure(name, count, times));
    line("maps, each checked", outcome.tally.checks.maps, None);
    line("maps that had to wait", waits.len(), Some(&waits));
    let unexplained = match record.dropped() {
        0 => "  for no writer at all",
        _ => "  for a writer that was not recorded",
    };
    for (name, times) in [
        ("  while the zspage moved", &causes.migration),
        ("  while compaction moved an object", &causes.compaction),
        ("  while an object was freed", &causes.other),
        (unexplained, &causes.unexplained),
    ] {
        if !times.is_empty() {
            line(name, times.len(), Some(times));
        }
    }
    line(
        "zspages moved (time write-locked)",
        tally.moved,
        Some(&migrations),
    );
    line("migrations refused: a map was held", tally.refused, None);
    line("compactions", tally.compactions, None);
    line("  objects moved", tally.objects_moved, None);
    line("  pages freed", tally.pages_freed, None);
    line("objects freed by the churner", tally.freed, None);
    line("objects inserted by the churner", tally.inserted, None);
    if record.dropped() > 0 {
        let _ = writeln!(
            out,
            "  ({} did not fit into the record: timeline and causes of waits leave them out)",
            units::counted(record.dropped(), "event")
        );
    }
    out
}

/// A line of the table.
fn figure(name: &str, count: u64, times: Option<&Histogram<u64>>) -> String {
    let mut line = format!("  {name:<36}{:>12}", units::count(count));
    if let Some(times) = times.filter(|times| !times.is_empty()) {
        let quantiles = [0.5, 0.99].map(|quantile| times.value_at_quantile(quantile));
        for ns in quantiles.into_iter().chain([times.max()]) {
            let _ = write!(line, "{:>12}", units::duration(ns));
        }
    }
    line.push('\n');
    line
}

/// What the memory did.
pub(crate) fn memory(sizes: &Sizes) -> String {
    let mut out = format!(
        "{:<38}{:>12}{:>12}{:>12}\n",
        "memory", "pages", "pool", "process"
    );
    for (name, sample) in [
        ("all pages stored", sizes.full),
        ("half of the objects freed", sizes.half_freed),
        ("after compaction and migration", sizes.after),
    ] {
        let process = sample
            .process_bytes
            .map_or("unknown".to_owned(), units::bytes);
        let pages = units::count(sample.pool_pages);
        let pool = units::bytes(sample.pool_pages * PAGE as u64);
        let _ = writeln!(out, "  {name:<36}{pages:>12}{pool:>12}{process:>12}");
    }
    out
}

/// What stands above the picture.
pub(crate) fn heading(findings: &Findings, lock: &str, seed: u64, not_drawn: u64) -> Heading {
    let not_drawn = match not_drawn {
        0 => String::new(),
        n => format!(
            "; {} beyond the record not drawn",
            units::counted(n, "event")
        ),
    };
    Heading {
        title: format!("Maps and migrations of compressed pages in one pool (lock: {lock})"),
        subtitle: format!(
            "{} checked while zspages moved; {} waited for a migration; {} refused because a map \
             was held; {} given back; seed {seed}{not_drawn}",
            units::counted(findings.during.maps, "map"),
            units::count(findings.waits_for_migration),
            units::counted(findings.refusals, "migration"),
            units::counted(findings.pages_freed, "page"),
        ),
    }
}

/// What the verdict does not cover, if anything.
fn causes_not_checked(findings: &Findings) -> Option<String> {
    let unrecorded = units::counted(findings.unrecorded, "event");
    let gap = format!("causes of waits not checked: {unrecorded} did not fit into the record");
    (findings.unrecorded > 0).then_some(gap)
}

/// The last lines; the very last is the verdict.
pub(crate) fn verdict(findings: &Findings) -> String {
    let Findings { during, after, .. } = findings;
    if !findings.all_is_well() {
        return wrapped(&format!("FAILED: {}", faults(findings).join("; ")), 100).join("\n");
    }
    let waits = match findings.waits_for_migration {
        0 => "no map had to wait for a migration".to_owned(),
        n => format!("{} waited for a migration", units::counted(n, "map")),
    };
    let refusals = match findings.refusals {
        0 => "no migration met a held map".to_owned(),
        n => format!("{} refused by a held map", units::counted(n, "migration")),
    };
    let mut lines = format!("seen        {waits}; {refusals}\n");
    if let Some(gap) = causes_not_checked(findings) {
        let _ = writeln!(lines, "            {gap}");
    }
    if findings.waits_for_migration == 0 || findings.refusals == 0 {
        lines.push_str(
            "            (too short or too small a run to show both: raise --duration, --threads or \
             --amount)\n",
        );
    }
    let _ = write!(
        lines,
        "verified: {} ({}) and {} intact; {} given back",
        units::counted(after.maps, "object"),
        units::bytes(after.maps * PAGE as u64),
        units::counted(during.maps, "map"),
        units::counted(findings.pages_freed, "page"),
    );
    lines
}

/// What was wrong, and what was looked at and was not.
fn faults(findings: &Findings) -> Vec<String> {
    let damaged = |checks: &Checks, noun| {
        let maps = units::counted(checks.maps, noun);
        format!("{} of {maps} damaged", units::count(checks.mismatches))
    };
    let mut faults = vec![
        damaged(&findings.during, "map"),
        damaged(&findings.after, "object"),
        causes_not_checked(findings).unwrap_or_else(|| {
            let waits = units::counted(findings.unexplained_waits, "wait");
            format!("{waits} without a writer")
        }),
    ];
    faults.extend(findings.disagreements.iter().cloned());
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Findings {
        Findings {
            during: Checks {
                maps: 1_000,
                mismatches: 0,
            },
            after: Checks {
                maps: 256,
                mismatches: 0,
            },
            waits_for_migration: 7,
            unexplained_waits: 0,
            unrecorded: 0,
            refusals: 5,
            pages_freed: 30,
            disagreements: vec![],
        }
    }

    #[test]
    fn a_good_run_is_verified() {
        assert!(good().all_is_well());
        assert_eq!(
            verdict(&good()),
            "seen        7 maps waited for a migration; 5 migrations refused by a held map\n\
             verified: 256 objects (1.0 MiB) and 1,000 maps intact; 30 pages given back"
        );
    }

    #[test]
    fn what_was_not_seen_is_not_claimed() {
        let quiet = verdict(&Findings {
            waits_for_migration: 0,
            ..good()
        });
        assert!(
            quiet.contains("no map had to wait") && quiet.contains("to show both"),
            "{quiet}"
        );
        let unhindered = verdict(&Findings {
            refusals: 0,
            ..good()
        });
        assert!(
            unhindered.contains("no migration met a held map"),
            "{unhindered}"
        );
    }

    #[test]
    fn what_was_not_checked_is_said() {
        let gap = "causes of waits not checked: 3 events did not fit into the record";
        let long = Findings {
            unrecorded: 3,
            ..good()
        };
        assert!(long.all_is_well());
        assert!(verdict(&long).contains(gap), "{}", verdict(&long));
        let mut damaged = long;
        damaged.after.mismatches = 1;
        assert!(faults(&damaged).iter().any(|fault| fault == gap));
    }

    #[test]
    fn every_verdict_fits_100_columns() {
        let large = |maps| Checks {
            maps,
            mismatches: 0,
        };
        let mut findings = Findings {
            during: large(9_999_999_999),
            // The most that --amount allows.
            after: large(1 << 20),
            waits_for_migration: 0,
            unrecorded: 9_999_999_999,
            pages_freed: 99_999_999,
            ..good()
        };
        let well = verdict(&findings);
        findings.disagreements = vec!["the pool counts 1 objects, its users 2".into(); 3];
        for line in (well + "\n" + &verdict(&findings)).lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }

    #[test]
    fn every_fault_fails_and_is_never_called_verified() {
        let bad = Checks {
            maps: 10,
            mismatches: 1,
        };
        for findings in [
            Findings {
                during: bad,
                ..good()
            },
            Findings {
                after: bad,
                ..good()
            },
            Findings {
                unexplained_waits: 1,
                ..good()
            },
            Findings {
                disagreements: vec!["the pool counts 1 objects, its users 2".into()],
                ..good()
            },
        ] {
            assert!(!findings.all_is_well());
            let verdict = verdict(&findings);
            assert!(
                verdict.starts_with("FAILED: ") && !verdict.contains("verified"),
                "{verdict}"
            );
        }
    }

    #[test]
    fn books_that_differ_are_named() {
        let mut stats = PoolStats::default();
        (stats.objects, stats.migrations, stats.migrations_refused) = (3, 5, 7);
        let tally = Tally {
            moved: 5,
            refused: 8,
            ..Tally::default()
        };
        let named = disagreements(&stats, &tally, 3);
        assert_eq!(named, ["the pool counts 7 refused migrations, its users 8"]);
    }
}
