//! The exact figures, as tables that fit a terminal of 100 columns and can be pasted as Markdown.

use comfy_table::{Cell, CellAlignment, Table, presets};
use examples::units;
use zsalloc::overhead::{self, Figures};
use zsalloc::size_class;

use crate::histogram::{COMPRESSORS, Corpus, mean_of};
use crate::locks::{self, Lock};

/// The cells of one row.
pub(crate) type Row = Vec<String>;

/// Page and chain sizes that are compared. 4 KiB and 8 are the kernel's default.
pub(crate) const PAGE_SIZES: [usize; 3] = [4096, 16384, 65536];
pub(crate) const CHAIN_SIZES: [usize; 3] = [4, 8, 16];

/// A table under a title; the columns listed in `aligned` are not left-aligned.
pub(crate) fn titled(
    title: &str,
    header: &[&str],
    aligned: &[usize],
    alignment: CellAlignment,
    rows: impl IntoIterator<Item = Row>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(header.iter().map(Cell::new));
    table.add_rows(rows);
    for column in aligned {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(alignment);
        }
    }
    format!("{title}\n\n{table}\n")
}

/// A table of numbers: all columns but the first are right-aligned.
pub(crate) fn of_numbers(
    title: &str,
    header: &[&str],
    rows: impl IntoIterator<Item = Row>,
) -> String {
    let aligned: Vec<usize> = (1..header.len()).collect();
    titled(title, header, &aligned, CellAlignment::Right, rows)
}

/// What the figures can be taken over: the sizes of a table, each once; its distinct classes; the objects
/// of real pages, by compressor.
const WEIGHTINGS: [&str; 4] = [
    "all sizes",
    "distinct classes",
    COMPRESSORS[0],
    COMPRESSORS[1],
];

/// The figures of a lock over each of [`WEIGHTINGS`].
fn over_all(page_size: usize, chain: usize, lock_bytes: usize, corpus: &Corpus) -> [Figures; 4] {
    let table = size_class::table(page_size, chain);
    let cost = overhead::per_object(&table, lock_bytes);
    let [lz4, zstd] = corpus.of(page_size).cost(chain, lock_bytes);
    [cost.all, cost.distinct, lz4, zstd]
}

/// Lock by lock: the kernel's default of 4 KiB pages and zspages of up to 8.
pub(crate) fn by_lock(locks: &[Lock], corpus: &Corpus) -> String {
    let header = ["lock", "mean", "median", "90 %", "max", "% of bytes"];
    let section = |weighting: usize| {
        let figures = |lock: &Lock| over_all(4096, 8, lock.bytes, corpus)[weighting];
        let count = figures(&locks[0]).count;
        let over = match weighting {
            0 => format!("all {count} sizes: 4 KiB pages, chain size 8."),
            1 => format!("the {count} distinct classes."),
            _ => format!(
                "the objects of real pages, {}: {}.",
                WEIGHTINGS[weighting],
                units::count(count)
            ),
        };
        let rows = locks.iter().map(|lock| {
            let of = figures(lock);
            let name = format!("{} ({})", lock.name, lock.bytes);
            let bytes = [of.mean, of.median, of.p90, of.max].map(|bytes| format!("{bytes:.2}"));
            let share = format!("{:.3}", of.percent);
            [name].into_iter().chain(bytes).chain([share]).collect()
        });
        of_numbers(
            &format!("Bytes of lock per object over {over}"),
            &header,
            rows,
        )
    };
    [0, 1, 2, 3].map(section).join("\n")
}

/// Every figure of every shape, for one byte of lock: all are proportional to the lock's bytes.
pub(crate) fn by_byte(corpus: &Corpus) -> String {
    let header = [
        "pages, chain",
        "over",
        "count",
        "mean",
        "median",
        "90 %",
        "max",
        "% of bytes",
    ];
    let rows = shapes().flat_map(|(page_size, chain)| {
        let all = over_all(page_size, chain, 1, corpus);
        WEIGHTINGS.into_iter().zip(all).map(move |(over, of)| {
            let mut row = vec![
                shape_name(page_size, chain),
                over.to_owned(),
                units::count(of.count),
            ];
            row.extend([of.mean, of.median, of.p90, of.max].map(|bytes| format!("{bytes:.4}")));
            row.push(format!("{:.5}", of.percent));
            row
        })
    });
    of_numbers(
        "All figures for each byte of a lock; those of a lock are so many times as much.",
        &header,
        rows,
    )
}

/// Chain sizes and page sizes: mean / median for each size of lock.
pub(crate) fn by_shape() -> String {
    let sizes = locks::sizes(&locks::candidates());
    let header = shape_header("classes", &sizes);
    let section = |title, pick: fn(overhead::PerObject) -> Figures| {
        let rows = shapes().map(|(page_size, chain)| {
            let table = size_class::table(page_size, chain);
            let figures = |bytes| pick(overhead::per_object(&table, bytes));
            let mut row = vec![shape_name(page_size, chain), figures(1).count.to_string()];
            row.extend(sizes.iter().map(|bytes| {
                let figures = figures(*bytes);
                format!("{:.2} / {:.2}", figures.mean, figures.median)
            }));
            row
        });
        of_numbers(title, &as_strs(&header), rows)
    };
    let all = section(
        "Other chains and pages: bytes per object, mean / median over all sizes, by bytes of the lock.",
        |cost| cost.all,
    );
    let distinct = section("The same over the distinct classes.", |cost| cost.distinct);
    format!("{all}\n{distinct}")
}

/// The measured sizes: mean and share for each size of lock.
pub(crate) fn by_corpus(corpus: &Corpus) -> String {
    let sizes = locks::sizes(&locks::candidates());
    let header = shape_header("mean size", &sizes);
    let section = |index: usize| {
        let rows = shapes().map(|(page_size, chain)| {
            let of_size = corpus.of(page_size);
            let cost = |bytes| of_size.cost(chain, bytes)[index];
            let mean_size = mean_of(&of_size.lengths[index]);
            let mut row = vec![shape_name(page_size, chain), format!("{mean_size:.0}")];
            row.extend(sizes.iter().map(|bytes| {
                let figures = cost(*bytes);
                format!("{:.2} {:.3}%", figures.mean, figures.percent)
            }));
            row
        });
        of_numbers(
            &format!(
                "Real pages, {}: bytes per object (mean) and share of the stored bytes.",
                COMPRESSORS[index]
            ),
            &as_strs(&header),
            rows,
        )
    };
    format!("{}\n{}", section(0), section(1))
}

fn shapes() -> impl Iterator<Item = (usize, usize)> {
    PAGE_SIZES
        .into_iter()
        .flat_map(|page_size| CHAIN_SIZES.map(|chain| (page_size, chain)))
}

fn shape_name(page_size: usize, chain: usize) -> String {
    format!("{} KiB, {chain}", page_size / 1024)
}

fn shape_header(second: &str, sizes: &[usize]) -> Vec<String> {
    let mut header = vec!["pages, chain".to_owned(), second.to_owned()];
    header.extend(sizes.iter().map(|bytes| format!("{bytes} bytes")));
    header
}

fn as_strs(strings: &[String]) -> Vec<&str> {
    strings.iter().map(String::as_str).collect()
}

// The validator's locks are larger: other figures, and a column more.
#[cfg(all(test, not(feature = "debug-lockdep")))]
mod tests {
    use super::*;
    use crate::histogram::Lengths;

    /// The row of a table that begins with these cells.
    fn row<'a>(text: &'a str, cells: &[&str]) -> Vec<&'a str> {
        let rows = text.lines().map(|line| line.split('|').map(str::trim));
        let mut rows = rows.map(|row| row.skip(1).collect::<Vec<_>>());
        let found = rows.find(|row| row.starts_with(cells));
        found.unwrap_or_else(|| panic!("no row {cells:?} in {text}"))
    }

    /// 90 objects of 1000 bytes are served by 1008 (1 page holds 4 of 1024, which wastes nothing; 1008 is merged
    /// into it), 9 of 2500 by 2720 (2 pages, 3 slots), one of 4096 has a page of its own.
    #[test]
    fn real_pages_have_all_figures_worked_out_by_hand() {
        let corpus = Corpus::of_lengths(Lengths::from([(1000, 90), (2500, 9), (4096, 1)]));
        let stored = 90.0 * 1000.0 + 9.0 * 2500.0 + 4096.0;
        let slots = |len| {
            let table = size_class::table(4096, 8);
            table[size_class::raw_index(4096, len)].objects_per_zspage() as f64
        };
        assert_eq!([slots(1000), slots(4096)], [4.0, 1.0]);
        let third = slots(2500);
        let costs = 90.0 / 4.0 + 9.0 / third + 1.0;
        let text = by_lock(&locks::candidates(), &corpus);
        let lz4 = text.split("real pages, lz4: 100.").nth(1).unwrap();
        let expected = [
            format!("{:.2}", 40.0 * costs / 100.0),
            "10.00".to_owned(),
            "10.00".to_owned(),
            "40.00".to_owned(),
            format!("{:.3}", 100.0 * 40.0 * costs / stored),
        ];
        let name = "kernel rw_semaphore, 2025 (40)";
        assert_eq!(row(lz4, &[name])[1..6], expected);
        let byte = by_byte(&corpus);
        let row = row(&byte, &["4 KiB, 8", "lz4", "100"]);
        assert_eq!(
            row[3..5],
            [format!("{:.4}", costs / 100.0), "0.2500".to_owned()]
        );
    }

    #[test]
    fn figures_are_proportional_to_the_locks_bytes() {
        let corpus = Corpus::of_lengths(Lengths::from([(1000, 90), (2500, 9), (4096, 1)]));
        for (page_size, chain) in shapes() {
            let all = |bytes| over_all(page_size, chain, bytes, &corpus);
            for (one, forty) in all(1).into_iter().zip(all(40)) {
                let pairs = [
                    (one.mean, forty.mean),
                    (one.median, forty.median),
                    (one.p90, forty.p90),
                    (one.max, forty.max),
                    (one.percent, forty.percent),
                ];
                for (one, forty) in pairs {
                    assert!((40.0 * one - forty).abs() < 1e-12 * forty, "{one} {forty}");
                }
            }
        }
    }

    fn widest(text: &str) -> usize {
        text.lines()
            .map(|line| line.chars().count())
            .max()
            .unwrap_or(0)
    }

    #[test]
    fn tables_fit_100_columns_and_are_markdown() {
        let locks = locks::candidates();
        let corpus = Corpus::of_lengths(Lengths::from([(1000, 90), (2500, 9), (4096, 1)]));
        for text in [
            by_lock(&locks, &corpus),
            by_shape(),
            by_byte(&corpus),
            by_corpus(&corpus),
            locks::listed(&locks),
        ] {
            assert!(widest(&text) <= 100, "{} columns:\n{text}", widest(&text));
            assert!(text.contains("|--"), "{text}");
        }
    }

    #[test]
    fn the_default_row_has_the_known_figures() {
        // 255 sizes with a 4-byte lock: mean 0.88, median 0.40 (worked out by the library's tests).
        let text = by_shape();
        let row = text
            .lines()
            .find(|line| line.contains("| 4 KiB, 8 "))
            .unwrap();
        assert!(row.contains("255") && row.contains("0.88 / 0.40"), "{row}");
    }
}
