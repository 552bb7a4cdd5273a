//! The ratios as SVG: a panel a row, a bar a lock.
//!
//! The background is transparent and every colour has contrast on white as well as on near-black.

use std::fmt::Write;

use crate::cell::{Cell, Unit};
use crate::contender::Contender;
use crate::goal::{Bound, Goal};
use crate::peers::{Gated, ParkingLot, Plain};
use crate::run::{Peer, Plan, Sample};
use crate::stats::Stats;

const COLUMNS: usize = 2;
const PANEL_WIDTH: f64 = 450.0;
const LABELS: f64 = 118.0;
const BARS: f64 = 250.0;
const BAR: f64 = 17.0;
const TITLE: f64 = 40.0;
const HEAD: f64 = 62.0;
/// Longer bars are cut, so that one slow lock does not flatten the others.
const LONGEST_RATIO: f64 = 2.5;

const STYLE: &str = "text { font: 12px system-ui, sans-serif; fill: #767676 } .title { font-weight: 600; font-size: 13px } \
    .head { font-weight: 600; font-size: 16px } .own { fill: #d9730d; font-weight: 600 } .note { font-size: 11px } \
    .value { text-anchor: start } .name { text-anchor: end }";

/// Draws the medians of the ratios.
#[must_use]
pub fn render(plan: &Plan, samples: &[Sample]) -> String {
    let stats = Stats(samples);
    let panel_height = TITLE + BAR * Peer::ALL.len() as f64 + 22.0;
    let width = PANEL_WIDTH * COLUMNS as f64;
    let height = HEAD + panel_height * plan.cells.len().div_ceil(COLUMNS) as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\" aria-label=\"Ratios of reader-writer locks to parking_lot\">\n<style>{STYLE}</style>\n"
    );
    text(
        &mut svg,
        16.0,
        26.0,
        "head",
        "Reader-writer locks, relative to parking_lot 0.13",
    );
    text(
        &mut svg,
        16.0,
        46.0,
        "note",
        "Median of the ratios within each round. Solid line: parking_lot = 1. Dashed: the goal of zslock. Cut bars end in an arrow.",
    );
    for (index, &cell) in plan.cells.iter().enumerate() {
        let x = PANEL_WIDTH * (index % COLUMNS) as f64;
        let y = HEAD + panel_height * (index / COLUMNS) as f64;
        panel(&mut svg, x, y, cell, stats);
    }
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, x: f64, y: f64, cell: Cell, stats: Stats<'_>) {
    let better = match cell.unit() {
        Unit::Nanoseconds | Unit::Milliseconds => "time: shorter is better",
        Unit::MillionPerSecond => "throughput: longer is better",
    };
    text(svg, x + 16.0, y + 16.0, "title", cell.title());
    text(svg, x + 16.0, y + 32.0, "note", better);

    let ratios = Peer::ALL.map(|peer| {
        stats
            .ratio(cell, peer.name, ParkingLot::NAME)
            .map(|ratio| ratio.median)
    });
    let longest = ratios.iter().flatten().copied().fold(1.2, f64::max);
    let scale = BARS / longest.min(LONGEST_RATIO);
    let left = x + LABELS;
    let top = y + TITLE;
    let bottom = top + BAR * Peer::ALL.len() as f64;
    vertical(svg, left + scale, (top, bottom), "");
    for ((peer, ratio), line) in Peer::ALL.iter().zip(ratios).zip(0..) {
        let top = top + BAR * f64::from(line);
        bar(svg, left, top, peer.name, ratio, scale);
    }
    if let Some(goal) = goal(cell) {
        vertical(
            svg,
            left + scale * goal,
            (top, top + BAR),
            " stroke-dasharray=\"3 2\"",
        );
    }
}

/// Where the figure of a bar of this `width` goes: behind the bar, and behind the line of parking_lot if that would run
/// through the figure.
fn after(width: f64, scale: f64) -> f64 {
    const FIGURE: f64 = 40.0;
    const GAP: f64 = 5.0;
    if (width..width + FIGURE).contains(&scale) {
        scale + GAP
    } else {
        width + GAP
    }
}

fn bar(svg: &mut String, left: f64, top: f64, name: &str, ratio: Option<f64>, scale: f64) {
    let own = name == Plain::NAME || name == Gated::NAME;
    let (name_class, value_class) = if own {
        ("name own", "value own")
    } else {
        ("name", "value")
    };
    text(svg, left - 6.0, top + 13.0, name_class, name);
    let Some(ratio) = ratio else {
        text(svg, left + 4.0, top + 13.0, "value note", "not measured");
        return;
    };
    let colour = match name {
        _ if name == Plain::NAME => "#d9730d",
        _ if name == Gated::NAME => "#c79a5e",
        _ if name == ParkingLot::NAME => "#5b7fa6",
        _ => "#8c8c8c",
    };
    let width = (ratio * scale).min(BARS);
    writeln!(
        svg,
        "<rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\" rx=\"2\" fill=\"{colour}\"/>",
        top + 2.0,
        BAR - 4.0,
    )
    .expect("writing to a string");
    let cut = if ratio * scale > BARS + 0.05 {
        "\u{25b8} "
    } else {
        ""
    };
    let value = if ratio < 10.0 {
        format!("{cut}{ratio:.2}")
    } else {
        format!("{cut}{ratio:.0}")
    };
    text(
        svg,
        left + after(width, scale),
        top + 13.0,
        value_class,
        &value,
    );
}

/// What plain zslock should reach against parking_lot.
fn goal(cell: Cell) -> Option<f64> {
    Goal::ALL
        .iter()
        .find(|goal| {
            goal.cell == cell && goal.peer == Plain::NAME && goal.against == Some(ParkingLot::NAME)
        })
        .map(|goal| match goal.bound {
            Bound::AtMost(bound) | Bound::AtLeast(bound) => bound,
        })
}

pub(crate) fn vertical(svg: &mut String, x: f64, (top, bottom): (f64, f64), dashes: &str) {
    writeln!(
        svg,
        "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top:.1}\" y2=\"{bottom:.1}\" stroke=\"#767676\" stroke-opacity=\"0.6\"{dashes}/>"
    )
    .expect("writing to a string");
}

pub(crate) fn text(svg: &mut String, x: f64, y: f64, class: &str, text: &str) {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
    writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{escaped}</text>"
    )
    .expect("writing to a string");
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::stats::tests::sample;

    fn plan() -> Plan {
        Plan {
            cells: Cell::ALL.to_vec(),
            rounds: 1,
            window: Duration::from_millis(1),
        }
    }

    /// Elements are closed in the order in which they were opened, and attributes have their quotes.
    pub(crate) fn check_well_formed(svg: &str) -> Result<(), String> {
        let mut open = Vec::new();
        for piece in svg.split('<').skip(1) {
            let (tag, text) = piece.split_once('>').ok_or(format!("unclosed <{piece}"))?;
            if text.contains('&') && !text.contains("&amp;") && !text.contains("&lt;") {
                return Err(format!("stray & in {text}"));
            }
            if tag.matches('"').count() % 2 != 0 {
                return Err(format!("odd quotes in <{tag}>"));
            }
            let name = tag
                .split([' ', '/'])
                .find(|part| !part.is_empty())
                .unwrap_or("");
            if tag.starts_with('/') {
                if open.pop() != Some(name) {
                    return Err(format!("</{name}> closes something else"));
                }
            } else if !tag.ends_with('/') {
                open.push(name);
            }
        }
        if open.is_empty() {
            Ok(())
        } else {
            Err(format!("never closed: {open:?}"))
        }
    }

    #[test]
    fn the_checker_checks() {
        for broken in ["<a>", "<a></b>", "<a x=\"1></a>", "<a>&</a>", "<a"] {
            assert!(check_well_formed(broken).is_err(), "{broken}");
        }
        assert_eq!(check_well_formed("<a x=\"1\"><b/>&lt;</a>"), Ok(()));
    }

    #[test]
    fn the_chart_is_well_formed_with_and_without_figures() {
        let samples = [
            sample(0, Cell::Read, Plain::NAME, 5.0, 0.0),
            sample(0, Cell::Read, ParkingLot::NAME, 10.0, 0.0),
        ];
        for samples in [&samples[..], &[]] {
            let svg = render(&plan(), samples);
            assert_eq!(check_well_formed(&svg), Ok(()));
            for cell in Cell::ALL {
                assert!(svg.contains(cell.title()), "{cell:?} has a panel");
            }
        }
    }

    #[test]
    fn no_line_runs_through_a_figure() {
        let at = |width| after(width, 100.0);
        assert_eq!(
            [at(50.0), at(70.0), at(100.0), at(110.0)],
            [55.0, 105.0, 105.0, 115.0]
        );
    }

    #[test]
    fn a_bar_is_as_long_as_its_ratio() {
        let samples = [
            sample(0, Cell::Read, Plain::NAME, 5.0, 0.0),
            sample(0, Cell::Read, ParkingLot::NAME, 10.0, 0.0),
            sample(0, Cell::Read, "spin", 300.0, 0.0),
        ];
        let svg = render(&plan(), &samples);
        let widths: Vec<&str> = svg
            .lines()
            .filter(|line| line.starts_with("<rect"))
            .map(|line| {
                line.split("width=\"")
                    .nth(1)
                    .unwrap()
                    .split('"')
                    .next()
                    .unwrap()
            })
            .collect();
        // The longest is cut at 2.5.
        assert_eq!(widths, ["50.0", "100.0", "250.0"]);
        assert!(
            svg.contains(">\u{25b8} 30<"),
            "the cut bar says what it stands for"
        );
    }
}
