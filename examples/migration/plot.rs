//! The pieces of a plot of lanes: a time axis, bars, spans, names and totals.

use crate::events::Event;
use examples::svg::{Anchor, Canvas};
use examples::units;

/// The plot lies between the lanes' names and their totals.
pub(crate) const LEFT: f64 = 120.0;
pub(crate) const RIGHT: f64 = 1000.0;
pub(crate) const PLOT: f64 = RIGHT - LEFT;
/// Where names begin.
pub(crate) const MARGIN: f64 = 24.0;
/// The height of a lane, and its distance to the next one.
pub(crate) const LANE: f64 = 22.0;
pub(crate) const GAP: f64 = 8.0;

/// A horizontal axis of times, in nanoseconds, and the scale that belongs to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl Axis {
    pub(crate) fn x(&self, at: u64) -> f64 {
        let at = at.clamp(self.from, self.to) - self.from;
        LEFT + PLOT * at as f64 / (self.to - self.from).max(1) as f64
    }

    /// Ticks at round times, above and through the lanes from `top` to `bottom`.
    pub(crate) fn draw(&self, canvas: &mut Canvas, top: f64, bottom: f64) {
        let step = round_step(self.to - self.from);
        for tick in (0..=self.to - self.from).step_by(step as usize) {
            let x = self.x(self.from + tick);
            canvas.line("grid", (x, top), (x, bottom));
            canvas.text(
                "small",
                Anchor::Middle,
                x,
                top - 5.0,
                &units::duration(tick),
            );
        }
    }
}

/// 1, 2 or 5 times a power of ten, so that a span has four to ten ticks.
fn round_step(span: u64) -> u64 {
    let mut step = 1;
    loop {
        for factor in [1, 2, 5] {
            if span / (step * factor) < 10 {
                return step * factor;
            }
        }
        step *= 10;
    }
}

/// The empty ground of a lane.
pub(crate) fn ground(canvas: &mut Canvas, y: f64) {
    canvas.rect("lane", LEFT, y, PLOT, LANE);
}

/// A lane's name before it and its total behind it.
pub(crate) fn label(canvas: &mut Canvas, name: &str, total: &str, y: f64) {
    canvas.text("", Anchor::Start, MARGIN, y + 16.0, name);
    canvas.text("small", Anchor::Start, RIGHT + 10.0, y + 16.0, total);
}

/// Events to scale, but never thinner than can be seen. What cannot be told apart is drawn once.
pub(crate) fn spans<'a>(
    canvas: &mut Canvas,
    class: &str,
    axis: Axis,
    events: impl Iterator<Item = &'a Event>,
    y: f64,
) {
    for (start, end) in merged(axis, events) {
        let width = (end - start).max(1.5);
        canvas.rect(class, start.min(RIGHT - width), y, width, LANE);
    }
}

/// Moments, on top of what else the lane shows then.
pub(crate) fn ticks<'a>(
    canvas: &mut Canvas,
    class: &str,
    axis: Axis,
    events: impl Iterator<Item = &'a Event>,
    y: f64,
) {
    let height = LANE / 3.0;
    for (start, end) in merged(axis, events) {
        canvas.rect(
            class,
            start,
            y + LANE - height,
            (end - start).max(1.0),
            height,
        );
    }
}

/// The events as stretches of the axis; those less than half a pixel apart are one. So a picture
/// has a bounded size, however much happened.
fn merged<'a>(axis: Axis, events: impl Iterator<Item = &'a Event>) -> Vec<(f64, f64)> {
    let mut stretches: Vec<(f64, f64)> = events
        .map(|event| (axis.x(event.start), axis.x(event.end)))
        .collect();
    stretches.sort_by(|a, b| a.0.total_cmp(&b.0));
    stretches.dedup_by(|next, last| {
        let close = next.0 - last.1 < 0.5;
        if close {
            last.1 = last.1.max(next.1);
        }
        close
    });
    stretches
}

/// Counts as bars that grow from the bottom of the lane.
pub(crate) fn bars(canvas: &mut Canvas, class: &str, counts: &[u64], peak: u64, y: f64) {
    let width = PLOT / counts.len() as f64;
    for (column, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let height = (LANE * count as f64 / peak as f64).max(2.0);
        let x = LEFT + column as f64 * width;
        canvas.rect(class, x, y + LANE - height, width - 0.5, height);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Kind;

    #[test]
    fn events_that_cannot_be_told_apart_are_drawn_once() {
        let event = |start, end| Event::new(Kind::Held, 1, start, end);
        // One nanosecond is one pixel.
        let axis = Axis {
            from: 0,
            to: PLOT as u64,
        };
        let events = [
            event(30, 40),
            event(0, 10),
            event(10, 12),
            event(5, 6),
            event(30, 31),
        ];
        assert_eq!(
            merged(axis, events.iter()),
            [(LEFT, LEFT + 12.0), (LEFT + 30.0, LEFT + 40.0)]
        );
    }

    #[test]
    fn steps_are_round_and_not_too_many() {
        assert_eq!(round_step(2_500_000_000), 500_000_000);
        assert_eq!(round_step(9), 1);
        assert_eq!(round_step(10), 2);
        assert_eq!(round_step(60_000), 10_000);
    }
}
