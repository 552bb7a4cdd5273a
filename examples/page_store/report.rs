//! The figures of all stores, side by side.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use examples::units;

use crate::cli::{Kind, Options};
use crate::codec::Compression;
use crate::limit::Shown;
use crate::measured::Measured;

/// One store, measured.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) kind: Kind,
    pub(crate) compression: Compression,
    pub(crate) figures: Measured,
}

impl Run {
    fn name(&self) -> String {
        let store = match self.kind {
            Kind::Pool => "zsalloc pool",
            Kind::Heap => "HashMap<u64, Vec<u8>>",
        };
        format!("{}, {store}", self.compression_name())
    }

    fn compression_name(&self) -> &'static str {
        match self.compression {
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }
}

/// One line of a log, when a measurement has ended.
pub(crate) fn measured(run: &Run, took: Duration) -> String {
    let Measured {
        puts,
        gets,
        removes,
        wrong,
        ..
    } = run.figures;
    format!(
        "measured    {}: {} puts, {} gets, {} removes, {} wrong; {}",
        run.name(),
        units::count(puts),
        units::count(gets),
        units::count(removes),
        units::count(wrong),
        units::duration(took.as_nanos() as u64),
    )
}

pub(crate) fn input(options: &Options, runs: &[Run]) -> String {
    let what = match options.input.as_slice() {
        [] => "this executable, /usr/bin, /usr/lib and /usr/share/doc".to_owned(),
        [one] => one.display().to_string(),
        [first, more @ ..] => {
            format!(
                "{} and {}",
                first.display(),
                units::counted(more.len() as u64, "other path")
            )
        }
    };
    let mut text = format!("input       {what}\n");
    for run in runs.iter().filter(|run| run.kind == Kind::Pool) {
        let Measured {
            pages,
            files,
            stored,
            same_filled,
            raw,
            bytes,
            refused,
            ..
        } = run.figures;
        text.push_str(&format!(
            "{:12}{} of {}: {} in the store, compressed to {};\n\
             {:12}of which kept as one repeated word: {}; kept uncompressed, for want of gain: {}{}\n",
            run.compression_name(),
            units::counted(pages, "page"),
            units::counted(files, "file"),
            units::count(stored),
            units::bytes(bytes),
            "",
            units::count(same_filled),
            units::count(raw),
            if refused > 0 {
                format!(
                    "\n{:12}{} refused, as the store was full",
                    "",
                    units::count(refused)
                )
            } else {
                String::new()
            },
        ));
    }
    text
}

/// Resident sizes.
pub(crate) fn sizes(runs: &[Run]) -> String {
    // Of a few pages the fixed costs of a store are many times the size, which says nothing.
    let ratio = |size: u64, bytes: u64| match bytes {
        0..0x1_0000 => "-".to_owned(),
        _ => format!("{:.2}", size as f64 / bytes as f64),
    };
    let rows = runs.iter().map(|run| {
        let Measured {
            loaded,
            churned,
            removed,
            bytes,
            left_bytes,
            compactions,
            ..
        } = run.figures;
        vec![
            run.name(),
            units::bytes(loaded),
            ratio(loaded, bytes),
            units::bytes(churned),
            ratio(churned, bytes),
            units::bytes(removed),
            ratio(removed, left_bytes),
            units::count(compactions),
        ]
    });
    let header = [
        "store",
        "loaded",
        "x",
        "churned",
        "x",
        "75 % gone",
        "x",
        "compactions",
    ];
    let table = table(
        "Resident size, and how many times the bytes stored that is (one process for each store):",
        &header,
        rows,
    );
    let mut text = format!("{table}\n");
    for run in runs.iter().filter(|run| run.kind == Kind::Pool) {
        text.push_str(&format!(
            "At the end the {} pool has {} of pages for {} of objects, and {} of metadata.\n",
            run.compression_name(),
            units::bytes(run.figures.pool_bytes),
            units::bytes(run.figures.left_bytes),
            units::bytes(run.figures.metadata_bytes),
        ));
    }
    text.push_str(
        "The rest, and a part of the map's size, is the index of page numbers and what the process needs\n\
         to run. The pool compacts when that gives back a sixteenth of it; a map of vectors cannot, as\n\
         their addresses are known.\n",
    );
    text
}

/// Work in a second.
pub(crate) fn speeds(runs: &[Run]) -> String {
    let rate = |n: u64, micros: u64| units::count((n as f64 * 1e6 / micros.max(1) as f64) as u64);
    let rows = runs.iter().map(|run| {
        let figures = &run.figures;
        vec![
            run.name(),
            rate(figures.pages, figures.load_time),
            rate(figures.pages * 2, figures.churn_time),
            rate(figures.pages, figures.remove_time),
        ]
    });
    table(
        "Pages a second, with reading the files, checking and compaction (what there is on the way):",
        &[
            "store",
            "loaded",
            "read twice and replaced",
            "looked at, 3 of 4 removed",
        ],
        rows,
    )
}

fn table(title: &str, header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(header.iter().copied());
    table.add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{title}\n\n{table}\n")
}

pub(crate) fn all_is_well(runs: &[Run], limit: &Shown) -> bool {
    limit.as_it_should
        && runs
            .iter()
            .all(|run| run.figures.wrong == 0 && run.figures.gets > 0)
}

/// The last line.
pub(crate) fn verdict(runs: &[Run], limit: &Shown) -> String {
    let sum = |of: fn(&Measured) -> u64| runs.iter().map(|run| of(&run.figures)).sum::<u64>();
    if !all_is_well(runs, limit) {
        let wrong = units::counted(sum(|figures| figures.wrong), "page");
        return format!(
            "FAILED: {wrong} came back wrong; the limit held: {}",
            limit.as_it_should
        );
    }
    let gone = |kind| {
        let run = runs.iter().find(|run| run.kind == kind);
        units::bytes(run.map_or(0, |run| run.figures.removed))
    };
    format!(
        "verified: {} page reads intact; with 75 % removed the pool holds {}, the map {}",
        units::count(sum(|figures| figures.gets)),
        gone(Kind::Pool),
        gone(Kind::Heap),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(wrong: u64) -> Vec<Run> {
        let figures = Measured {
            gets: 1_000,
            removed: 2 << 20,
            bytes: 1 << 20,
            left_bytes: 1 << 20,
            wrong,
            ..Measured::default()
        };
        let run = |kind, compression| Run {
            kind,
            compression,
            figures,
        };
        vec![
            run(Kind::Pool, Compression::Lz4),
            run(Kind::Heap, Compression::Zstd),
        ]
    }

    fn limit(as_it_should: bool) -> Shown {
        Shown {
            text: String::new(),
            as_it_should,
        }
    }

    #[test]
    fn one_wrong_page_or_a_limit_that_does_not_hold_is_a_failure() {
        assert!(verdict(&runs(0), &limit(true)).starts_with("verified: 2,000 page reads intact"));
        for (wrong, held) in [(1, true), (0, false)] {
            assert!(!all_is_well(&runs(wrong), &limit(held)));
            assert!(verdict(&runs(wrong), &limit(held)).starts_with("FAILED"));
        }
    }

    #[test]
    fn tables_fit_100_columns() {
        let text = sizes(&runs(0)) + &speeds(&runs(0));
        assert!(
            text.lines().all(|line| line.chars().count() <= 100),
            "{text}"
        );
    }
}
