//! The exact figures, as tables that fit a terminal of 100 columns and can be pasted as Markdown.

use comfy_table::{Cell, CellAlignment, Table, presets};
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

/// Lock by lock: the kernel's default of 4 KiB pages and zspages of up to 8.
pub(crate) fn by_lock(locks: &[Lock]) -> String {
    let table = size_class::table(4096, 8);
    let cost = |lock: &Lock| overhead::per_object(&table, lock.bytes);
    let columns = |figures: Figures| {
        [figures.mean, figures.median, figures.p90, figures.max]
            .map(|bytes| format!("{bytes:.2}"))
            .into_iter()
            .chain([format!("{:.3}", figures.percent)])
    };
    let header = ["lock", "mean", "median", "90 %", "max", "% of bytes"];
    let section = |title: String, pick: fn(overhead::PerObject) -> Figures| {
        let rows = locks.iter().map(|lock| {
            let name = format!("{} ({})", lock.name, lock.bytes);
            [name]
                .into_iter()
                .chain(columns(pick(cost(lock))))
                .collect()
        });
        of_numbers(&title, &header, rows)
    };
    let raw = table.len();
    let mut distinct = table.clone();
    distinct.dedup();
    let all = section(
        format!("Bytes of lock per object, all {raw} sizes: 4 KiB pages, chain size 8."),
        |cost| cost.all,
    );
    let distinct = section(
        format!("The same over the {} distinct classes.", distinct.len()),
        |cost| cost.distinct,
    );
    format!("{all}\n{distinct}")
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
            let of_size = corpus
                .pages
                .iter()
                .find(|pages| pages.page_size == page_size);
            let cost = |bytes| {
                of_size
                    .map(|pages| pages.cost(chain, bytes)[index])
                    .unwrap_or_default()
            };
            let mean_size = of_size.map_or(0.0, |pages| mean_of(&pages.lengths[index]));
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

    fn widest(text: &str) -> usize {
        text.lines()
            .map(|line| line.chars().count())
            .max()
            .unwrap_or(0)
    }

    #[test]
    fn tables_fit_100_columns_and_are_markdown() {
        let locks = locks::candidates();
        for text in [by_lock(&locks), by_shape(), locks::listed(&locks)] {
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
