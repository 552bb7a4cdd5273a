//! The counts as a table, after the kernel's `/proc/lock_stat`.

use std::fmt;

use super::{LockStat, LockStatRow, Times};

/// How many places the table shows of a row.
const SITES: usize = 4;

const HEADER: [&str; 11] = [
    "mode", "acquired", "waited", "min", "mean", "max", "total", "min", "mean", "max", "total",
];

impl fmt::Display for LockStat {
    /// One line for each row, times rounded to their unit; below it the places
    /// where most threads waited, with their counts under `waited`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.rows.iter().map(|row| row.class.chars().count());
        let class = names.max().unwrap_or(0).max("class".len());
        writeln!(f, "{:class$} {:43}  {:^35}  {:>19}", "", "", "wait", "hold")?;
        line(f, class, "class", &HEADER.map(str::to_owned))?;
        for row in &self.rows {
            line(f, class, &row.class, &cells(row))?;
            sites(f, class, row)?;
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, class: usize, name: &str, cells: &[String; 11]) -> fmt::Result {
    let [mode, acquired, waited, times @ ..] = cells;
    write!(f, "{name:class$} {mode:20} {acquired:>10} {waited:>10} ")?;
    for (i, time) in times.iter().enumerate() {
        let gap = if i == 4 { 2 } else { 1 };
        write!(f, "{:gap$}{time:>8}", "")?;
    }
    writeln!(f)
}

fn cells(row: &LockStatRow) -> [String; 11] {
    let [wait_min, wait_mean, wait_max, wait_total] = times(&row.wait);
    let [hold_min, hold_mean, hold_max, hold_total] = times(&row.hold);
    [
        row.mode.to_string(),
        row.acquisitions.to_string(),
        row.contentions.to_string(),
        wait_min,
        wait_mean,
        wait_max,
        wait_total,
        hold_min,
        hold_mean,
        hold_max,
        hold_total,
    ]
}

fn times(times: &Times) -> [String; 4] {
    match times.count {
        0 => ["-"; 4].map(str::to_owned),
        _ => [times.min_ns, times.mean_ns(), times.max_ns, times.total_ns].map(human),
    }
}

/// The places where threads waited: the count stands below that of the row.
fn sites(f: &mut fmt::Formatter<'_>, class: usize, row: &LockStatRow) -> fmt::Result {
    let mut rest = row.contentions_elsewhere;
    for (i, site) in row.sites.iter().enumerate() {
        if i < SITES {
            let (count, place) = (site.contentions, site.location);
            writeln!(f, "{:class$} {:31} {count:>10}  at {place}", "", "")?;
        } else {
            rest += site.contentions;
        }
    }
    if rest != 0 {
        writeln!(f, "{:class$} {:31} {rest:>10}  elsewhere", "", "")?;
    }
    Ok(())
}

/// Three digits or more, and the unit.
fn human(ns: u64) -> String {
    const UNITS: [(&str, u64); 4] = [
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
    ];
    let (unit, size) = UNITS
        .into_iter()
        .find(|(_, size)| ns >= *size)
        .unwrap_or(("ns", 1));
    let (whole, rest) = (ns / size, ns % size);
    match whole {
        _ if size == 1 => format!("{ns} ns"),
        0..10 => format!("{whole}.{:02} {unit}", rest * 100 / size),
        10..100 => format!("{whole}.{} {unit}", rest * 10 / size),
        _ => format!("{whole} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;

    #[test]
    fn a_table() {
        let table = example().to_string();
        let expected = r#"
                                                                        wait                                 hold
class       mode                   acquired     waited       min     mean      max    total       min     mean      max    total
say "inode" exclusive                 12345          3    900 ns  1.25 ms  2.50 ms  2.50 ms     40 ns    40 ns    40 ns    40 ns
                                                     2  at src/bank.rs:14:26
                                                     1  elsewhere
page        shared-recursive              1          0         -        -        -        -         -        -        -        -
"#;
        assert_eq!(format!("\n{table}"), expected);
    }

    #[test]
    fn times_have_three_digits_and_a_unit() {
        let shown = [
            0,
            999,
            1000,
            1009,
            12_345,
            999_999,
            2_500_000,
            61_000_000_000,
        ]
        .map(human);
        assert_eq!(
            shown,
            [
                "0 ns", "999 ns", "1.00 us", "1.00 us", "12.3 us", "999 us", "2.50 ms", "61.0 s"
            ]
        );
    }

    #[test]
    fn places_beyond_the_fourth_are_one_line() {
        let mut stat = example();
        let site = stat.rows[0].sites[0];
        stat.rows[0].sites = vec![site; 6];
        let table = stat.to_string();
        assert_eq!(table.matches("at src/bank.rs:14:26").count(), SITES);
        // Twice two that are not shown, and one that had no place.
        assert!(table.contains(" 5  elsewhere"), "{table}");
    }
}
