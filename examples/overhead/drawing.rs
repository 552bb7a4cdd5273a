//! The figures as a picture: overhead per object over the object's size, and the sizes of real pages.

use examples::svg::{Anchor, Canvas};
use zsalloc::overhead::of_class;
use zsalloc::size_class;

use crate::histogram::{COMPRESSORS, Corpus, Lengths};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 936.0;
/// Object sizes on the horizontal axis, in bytes.
const LONGEST: usize = 4096;
/// Bytes of stored lengths in one bar of the histogram.
const BAR: usize = 64;

/// Readable on a light and on a dark page: mid-tone colours (Okabe and Ito) on the page's own ground.
const STYLE: &str = "
text { font: 13px 'DejaVu Sans', Verdana, sans-serif; fill: #24292f }
.title { font-size: 19px; font-weight: bold }
.heading { font-size: 15px; font-weight: bold }
.small { font-size: 12px; fill: #57606a }
.ground { fill: #ffffff }
.grid { stroke: #d0d7de; stroke-width: 1 }
.mark { stroke: #7d8590; stroke-width: 1.5; stroke-dasharray: 5 4 }
.line { fill: none; stroke-width: 1.7 }
.a { stroke: #009e73 } .b { stroke: #0072b2 } .c { stroke: #e69f00 } .d { stroke: #d55e00 }
.bar-a { fill: #56b4e9; opacity: 0.8 } .bar-b { fill: #e69f00; opacity: 0.65 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .small { fill: #9aa4af }
  .ground { fill: #0d1117 }
  .grid { stroke: #3d444d }
  .b { stroke: #56a0e0 }
}
";

/// A logarithmic vertical axis, or a linear one.
#[derive(Clone, Copy, Debug)]
struct Axis {
    top: f64,
    bottom: f64,
    /// Values at the bottom and at the top.
    from: f64,
    to: f64,
    logarithmic: bool,
}

impl Axis {
    fn y(&self, value: f64) -> f64 {
        let scale = |value: f64| {
            if self.logarithmic {
                value.log2()
            } else {
                value
            }
        };
        let share = (scale(value) - scale(self.from)) / (scale(self.to) - scale(self.from));
        self.bottom - share * (self.bottom - self.top)
    }
}

/// One line of a panel: its CSS class, its name, and the cost of an object of each length.
struct Line {
    class: &'static str,
    name: String,
    chain: usize,
    lock_bytes: usize,
}

/// Draws everything and returns the SVG document.
pub(crate) fn draw(corpus: &Corpus) -> String {
    let mut canvas = Canvas::new(WIDTH);
    let title = "What a lock in every zspage costs an object";
    canvas.text("title", Anchor::Start, 24.0, 36.0, title);
    canvas.text(
        "small",
        Anchor::Start,
        24.0,
        58.0,
        "4 KiB pages, full zspages. The lock's bytes are shared by the objects of a zspage, whose number is a function of the size.",
    );
    let line = |class, name: &str, chain, lock_bytes| Line {
        class,
        name: name.to_owned(),
        chain,
        lock_bytes,
    };
    let locks = [
        line(
            "line a",
            "zslock, 4 bytes",
            8,
            size_of::<zslock::RawZsLock>(),
        ),
        line("line b", "kernel rwlock_t, parking_lot, 8", 8, 8),
        line("line c", "std, 12", 8, size_of::<std::sync::RwLock<()>>()),
        line("line d", "kernel rw_semaphore of 2025, 40", 8, 40),
    ];
    let y = panel(
        &mut canvas,
        92.0,
        "Bytes per object, by lock; zspages of up to 8 pages",
        &locks,
    );
    let zslock = size_of::<zslock::RawZsLock>();
    let chains = [
        line("line d", "up to 4 pages", 4, zslock),
        line("line b", "up to 8 pages", 8, zslock),
        line("line a", "up to 16 pages", 16, zslock),
    ];
    let y = panel(
        &mut canvas,
        y,
        "Bytes per object, by length of the zspages; zslock",
        &chains,
    );
    let height = histogram(&mut canvas, y, &corpus.small().lengths);
    let mut ground = Canvas::new(WIDTH);
    ground.rect("ground", 0.0, 0.0, WIDTH, height);
    ground.append(canvas);
    ground.finish(height, title, STYLE)
}

fn x(len: usize) -> f64 {
    LEFT + (RIGHT - LEFT) * len as f64 / LONGEST as f64
}

/// A panel of step lines over a logarithmic axis; returns where the next one begins.
fn panel(canvas: &mut Canvas, top: f64, heading: &str, lines: &[Line]) -> f64 {
    canvas.text("heading", Anchor::Start, 24.0, top, heading);
    let mut right = 24.0;
    for line in lines {
        canvas.line(line.class, (right, top + 18.0), (right + 26.0, top + 18.0));
        canvas.text("", Anchor::Start, right + 32.0, top + 22.0, &line.name);
        right += 32.0 + 7.6 * line.name.chars().count() as f64 + 24.0;
    }
    let axis = Axis {
        top: top + 40.0,
        bottom: top + 280.0,
        from: 1.0 / 64.0,
        to: 64.0,
        logarithmic: true,
    };
    for exponent in [-6, -4, -2, 0, 2, 4, 6] {
        let value = 2f64.powi(exponent);
        let name = if exponent < 0 {
            format!("1/{}", 1 << -exponent)
        } else {
            format!("{value}")
        };
        horizontal(canvas, "grid", axis, value, &name);
    }
    vertical_grid(canvas, axis);
    // The estimate that was made in the discussion: 3 bytes, for a page compressed to a third.
    horizontal(canvas, "mark", axis, 3.0, "");
    canvas.text(
        "small",
        Anchor::Start,
        LEFT + 5.0,
        axis.y(3.0) - 5.0,
        "3 bytes",
    );
    canvas.line(
        "mark",
        (x(LONGEST / 3), axis.top),
        (x(LONGEST / 3), axis.bottom),
    );
    canvas.text(
        "small",
        Anchor::Start,
        x(LONGEST / 3) + 5.0,
        axis.top + 12.0,
        "a third of a page",
    );
    for line in lines {
        canvas.polyline(line.class, &steps(axis, line));
    }
    axis.bottom + 58.0
}

fn horizontal(canvas: &mut Canvas, class: &str, axis: Axis, value: f64, name: &str) {
    canvas.line(class, (LEFT, axis.y(value)), (RIGHT, axis.y(value)));
    canvas.text("small", Anchor::End, LEFT - 8.0, axis.y(value) + 4.0, name);
}

fn vertical_grid(canvas: &mut Canvas, axis: Axis) {
    for len in (0..=LONGEST).step_by(512) {
        canvas.line("grid", (x(len), axis.top), (x(len), axis.bottom));
        canvas.text(
            "small",
            Anchor::Middle,
            x(len),
            axis.bottom + 17.0,
            &len.to_string(),
        );
    }
}

/// The corners of the line: classes are ranges of lengths that pay the same.
fn steps(axis: Axis, line: &Line) -> Vec<(f64, f64)> {
    let mut classes = size_class::table(4096, line.chain);
    classes.dedup();
    let mut points = Vec::new();
    let mut from = 0;
    for class in classes {
        let y = axis.y(of_class(&class, line.lock_bytes).max(axis.from));
        points.extend([(x(from), y), (x(class.size()), y)]);
        from = class.size();
    }
    points
}

/// How the lengths of the stored objects are distributed; returns the height of the picture.
fn histogram(canvas: &mut Canvas, top: f64, lengths: &[Lengths; 2]) -> f64 {
    let heading =
        "Stored objects of this length (bytes), per cent of all; the last bar is pages stored raw";
    canvas.text("heading", Anchor::Start, 24.0, top, heading);
    let shares = lengths.each_ref().map(shares);
    let peak = shares.iter().flatten().copied().fold(1.0, f64::max);
    let axis = Axis {
        top: top + 40.0,
        bottom: top + 200.0,
        from: 0.0,
        // Four steps of whole per cents.
        to: (peak / 4.0).ceil() * 4.0,
        logarithmic: false,
    };
    for (i, (name, class)) in COMPRESSORS.iter().zip(["bar-a", "bar-b"]).enumerate() {
        let left = 24.0 + 110.0 * i as f64;
        canvas.rect(class, left, top + 11.0, 14.0, 14.0);
        canvas.text("", Anchor::Start, left + 20.0, top + 22.0, name);
    }
    for quarter in 0..=4 {
        let value = axis.to * f64::from(quarter) / 4.0;
        horizontal(canvas, "grid", axis, value, &format!("{value}"));
    }
    vertical_grid(canvas, axis);
    for (shares, class) in shares.iter().zip(["bar-a", "bar-b"]) {
        for (bar, share) in shares.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            let (left, y) = (x(bar * BAR), axis.y(*share));
            canvas.rect(
                class,
                left,
                y,
                x((bar + 1) * BAR) - left - 0.5,
                axis.bottom - y,
            );
        }
    }
    axis.bottom + 40.0
}

/// The objects of each bar, in per cent of all.
fn shares(lengths: &Lengths) -> Vec<f64> {
    let all: u64 = lengths.values().sum();
    let mut shares = vec![0.0; LONGEST / BAR];
    for (len, count) in lengths {
        shares[len.saturating_sub(1) / BAR] += 100.0 * *count as f64 / all.max(1) as f64;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    const AXIS: Axis = Axis {
        top: 0.0,
        bottom: 120.0,
        from: 1.0 / 64.0,
        to: 64.0,
        logarithmic: true,
    };

    #[test]
    fn every_octave_has_the_same_height() {
        assert_eq!(
            [64.0, 32.0, 1.0, 1.0 / 64.0].map(|value| AXIS.y(value)),
            [0.0, 10.0, 60.0, 120.0]
        );
    }

    #[test]
    fn a_line_covers_all_lengths_and_ends_with_a_lock_for_each_object() {
        let line = Line {
            class: "a",
            name: String::new(),
            chain: 8,
            lock_bytes: 4,
        };
        let points = steps(AXIS, &line);
        assert_eq!(
            (points[0].0, points[points.len() - 1]),
            (x(0), (x(4096), AXIS.y(4.0)))
        );
        assert_eq!(points.len(), 2 * 119);
        assert!(points.is_sorted_by_key(|(x, _)| *x));
    }

    #[test]
    fn bars_add_up_and_the_longest_object_is_in_the_last() {
        let shares = shares(&Lengths::from([(1, 1), (64, 1), (65, 1), (4096, 1)]));
        assert_eq!((shares[0], shares[1], shares[63]), (50.0, 25.0, 25.0));
    }
}
