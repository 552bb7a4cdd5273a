//! The ratios as SVG: a panel a phase, a bar an allocator.
//!
//! The background is transparent and every colour has contrast on white as well as on near-black.

use std::fmt::Write;

use super::blobs::Codec;
use super::contender::Contender;
use super::goal::Goal;
use super::run::{Sample, Sights};
use super::scenario::Phase;
use crate::chart::{text, vertical};
use crate::goal::Bound;

const COLUMNS: usize = 2;
const PANEL_WIDTH: f64 = 450.0;
const LABELS: f64 = 130.0;
const BARS: f64 = 250.0;
const BAR: f64 = 17.0;
const TITLE: f64 = 24.0;
const HEAD: f64 = 62.0;
/// Longer bars are cut, so that one allocator does not flatten the others.
const LONGEST: f64 = 2.5;

const STYLE: &str = "text { font: 12px system-ui, sans-serif; fill: #767676 } .title { font-weight: 600; font-size: 13px } \
    .head { font-weight: 600; font-size: 16px } .own { fill: #d9730d; font-weight: 600 } .note { font-size: 11px } \
    .value { text-anchor: start } .name { text-anchor: end }";

/// Draws the medians with LZ4.
#[must_use]
pub fn render(samples: &[Sample]) -> String {
    let contenders = Contender::ALL.iter().copied();
    let contenders: Vec<_> = contenders
        .filter(|one| !one.differs_in_lock_only())
        .collect();
    let panel_height = TITLE + BAR * contenders.len() as f64 + 22.0;
    let width = PANEL_WIDTH * COLUMNS as f64;
    let rows = Phase::measured().count().div_ceil(COLUMNS);
    let height = HEAD + panel_height * rows as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\" aria-label=\"Resident bytes per live byte\">\n<style>{STYLE}</style>\n"
    );
    text(
        &mut svg,
        16.0,
        26.0,
        "head",
        "Resident bytes per live byte, pages compressed with lz4",
    );
    let note = "Shorter is better. Solid line: 1, the objects alone. Dashed: the goal. Cut bars end in an arrow.";
    text(&mut svg, 16.0, 46.0, "note", note);
    for (phase, index) in Phase::measured().zip(0..) {
        let x = PANEL_WIDTH * (index % COLUMNS) as f64;
        let y = HEAD + panel_height * (index / COLUMNS) as f64;
        text(&mut svg, x + 16.0, y + 16.0, "title", phase.title());
        let (left, top) = (x + LABELS, y + TITLE);
        for (&contender, line) in contenders.iter().zip(0..) {
            let ratio = Sights(samples).ratio(contender, Codec::Lz4, phase);
            bar(
                &mut svg,
                (left, top + BAR * f64::from(line)),
                (contender, phase),
                ratio,
            );
        }
        let bottom = top + BAR * contenders.len() as f64;
        vertical(&mut svg, left + BARS / LONGEST, (top, bottom), "");
    }
    svg.push_str("</svg>\n");
    svg
}

fn bar(
    svg: &mut String,
    (left, top): (f64, f64),
    (contender, phase): (Contender, Phase),
    ratio: Option<f64>,
) {
    let (name, value) = if contender.is_pool() {
        ("name own", "value own")
    } else {
        ("name", "value")
    };
    text(svg, left - 6.0, top + 13.0, name, contender.name());
    let Some(ratio) = ratio else {
        text(svg, left + 4.0, top + 13.0, "value note", "not measured");
        return;
    };
    let scale = BARS / LONGEST;
    let width = ratio.min(LONGEST) * scale;
    let colour = match contender {
        Contender::Automatic => "#d9730d",
        Contender::Adaptive => "#c79a5e",
        Contender::Zsmalloc => "#a08a6a",
        _ => "#8c8c8c",
    };
    writeln!(
        svg,
        "<rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\" rx=\"2\" fill=\"{colour}\"/>",
        top + 2.0,
        BAR - 4.0,
    )
    .expect("writing to a string");
    let cut = if ratio > LONGEST { "\u{25b8} " } else { "" };
    let figure = format!("{cut}{ratio:.3}");
    text(svg, left + width + 6.0, top + 13.0, value, &figure);
    let goal = Goal::all()
        .find(|goal| (goal.contender, goal.phase, goal.codec) == (contender, phase, Codec::Lz4));
    if let Some(Bound::AtMost(goal)) = goal.map(|goal| goal.bound) {
        let place = left + goal * scale;
        vertical(svg, place, (top, top + BAR), " stroke-dasharray=\"3 2\"");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::tests::check_well_formed;
    use crate::density::breakdown::Breakdown;
    use crate::density::run::tests::sample;

    #[test]
    fn the_chart_is_well_formed_with_and_without_figures() {
        let breakdown = Breakdown::default();
        let measured = [1_100_000, 4_000_000]
            .map(|grown| sample(0, Contender::Adaptive, Phase::Stored, grown, breakdown));
        for samples in [&measured[..1], &measured[1..], &[]] {
            let svg = render(samples);
            assert_eq!(check_well_formed(&svg), Ok(()));
            for phase in Phase::measured() {
                assert!(svg.contains(phase.title()), "{phase:?} has a panel");
            }
        }
        assert!(render(&measured[..1]).contains("width=\"110.0\""));
        // Cut, and says what it stands for.
        assert!(render(&measured[1..]).contains(">\u{25b8} 4.000<"));
    }
}
