//! Boxes, arrows and the legend as SVG.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Arrow;
use super::label::{self, LINE, escape};
use super::layers::{Point, Size, layout};
use crate::dot::Graph;

const MARGIN: f64 = 24.0;
const HEADER: f64 = 56.0;
/// The height of a line of the legend.
const ROW: f64 = 20.0;

const DEFS: &str = "<defs>
<marker id=\"tip\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"9\" markerHeight=\"9\" \
markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path class=\"tip\" d=\"M0 0L10 5L0 10z\"/></marker>
<marker id=\"bad-tip\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"10\" markerHeight=\"10\" \
markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path class=\"bad-tip\" d=\"M0 0L10 5L0 10z\"/></marker>
</defs>
";

const STYLE: &str = "\
.page { fill: #ffffff } .box { fill: #eef3fa; stroke: #54657e; stroke-width: 1.2 }
text { fill: #1b2430; font: 13px 'DejaVu Sans Mono', Menlo, Consolas, monospace }
.note { font-size: 12px; fill: #54657e } .head { font-size: 15px; font-weight: bold }
.edge { fill: none; stroke: #6d7c93; stroke-width: 1.3 } .tip { fill: #6d7c93 }
.bad { stroke: #d1242f; stroke-width: 2.2 } .bad-tip { fill: #d1242f }
.shared { stroke-dasharray: 6 4 } g:hover > .edge { stroke-width: 4 }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117 } .box { fill: #1b2533; stroke: #8797b0 }
text { fill: #e6edf3 } .note { fill: #9aa9c0 }
.edge { stroke: #8797b0 } .tip { fill: #8797b0 }
.bad { stroke: #ff6b6b } .bad-tip { fill: #ff6b6b } }
";

#[derive(Debug)]
pub(super) struct Picture<'a> {
    graph: &'a Graph,
    /// Each class: its name, and the lines of its box.
    classes: Vec<(&'a str, Vec<String>)>,
    /// The box of each class, by its centre.
    boxes: Vec<(Point, Size)>,
    /// Each arrow and its points.
    arrows: Vec<(Arrow, Vec<Point>)>,
    bad: Vec<bool>,
    size: Size,
    total: usize,
}

impl<'a> Picture<'a> {
    pub(super) fn new(
        graph: &'a Graph,
        names: &[&'a str],
        arrows: BTreeMap<(usize, usize), Arrow>,
        total: usize,
    ) -> Picture<'a> {
        let classes: Vec<_> = names
            .iter()
            .map(|name| (*name, label::lines(name)))
            .collect();
        let sizes: Vec<_> = classes
            .iter()
            .map(|(_, lines)| label::size(lines))
            .collect();
        let mut bad = vec![false; names.len()];
        let mut related = vec![false; names.len()];
        for (&(from, to), arrow) in &arrows {
            for end in [from, to] {
                related[end] = true;
                bad[end] |= arrow.bad;
            }
        }
        // Classes without arrows would only push the others apart: below.
        let (drawn, lone): (Vec<_>, Vec<_>) = (0..names.len()).partition(|at| related[*at]);
        let mut index = vec![0; names.len()];
        for (at, class) in drawn.iter().enumerate() {
            index[*class] = at;
        }
        let ends: Vec<_> = arrows
            .keys()
            .map(|(from, to)| (index[*from], index[*to]))
            .collect();
        let drawn_sizes: Vec<_> = drawn.iter().map(|at| sizes[*at]).collect();
        let mut layout = layout(&drawn_sizes, &ends);
        let mut boxes: Vec<_> = sizes
            .iter()
            .map(|size| (Point { x: 0.0, y: 0.0 }, *size))
            .collect();
        let size = place_lone(&lone, &mut boxes, layout.size);
        // A row of those may be wider: the others go to the middle.
        let points = layout.boxes.iter_mut();
        for point in points.chain(layout.routes.iter_mut().flatten()) {
            point.x += (size.width - layout.size.width) / 2.0;
        }
        for (class, centre) in drawn.iter().zip(&layout.boxes) {
            boxes[*class].0 = *centre;
        }
        Picture {
            graph,
            classes,
            boxes,
            arrows: arrows.into_values().zip(layout.routes).collect(),
            bad,
            size,
            total,
        }
    }

    pub(super) fn draw(&self) -> String {
        let legend = self.legend();
        let width = self.size.width.max(560.0) + 2.0 * MARGIN;
        let below = HEADER + self.size.height + 2.0 * MARGIN;
        let height = below + ROW * legend.len() as f64 + MARGIN;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\">\n<style>\n{STYLE}</style>\n{DEFS}\
             <rect class=\"page\" width=\"100%\" height=\"100%\"/>\n\
             <text class=\"head\" x=\"{MARGIN}\" y=\"32\">Lock order: {}, {}</text>\n\
             <text class=\"note\" x=\"{MARGIN}\" y=\"52\">An arrow from A to B: B was waited for \
             while A was held.</text>\n",
            count(self.classes.len(), "class", "classes"),
            count(self.graph.dependencies.len(), "dependency", "dependencies"),
        );
        // Narrow graphs are centred.
        let (left, top) = ((width - self.size.width) / 2.0, HEADER + MARGIN);
        let _ = writeln!(svg, "<g transform=\"translate({left:.1} {top:.1})\">");
        // The red ones last, on top.
        for bad in [false, true] {
            for (arrow, points) in self.arrows.iter().filter(|(arrow, _)| arrow.bad == bad) {
                self.draw_arrow(&mut svg, arrow, points);
            }
        }
        for at in 0..self.classes.len() {
            self.draw_class(&mut svg, at);
        }
        svg.push_str("</g>\n");
        let mut y = below + ROW / 2.0;
        for (sample, text) in legend {
            let mut x = MARGIN;
            if let Some(class) = sample {
                svg.push_str(&path(class, &format!("M{MARGIN} {:.1}h40", y - 4.0)));
                x += 52.0;
            }
            let _ = writeln!(
                svg,
                "\n<text class=\"note\" x=\"{x}\" y=\"{y:.1}\">{text}</text>"
            );
            y += ROW;
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// What is explained below: a sample and a text.
    fn legend(&self) -> Vec<(Option<&'static str>, String)> {
        let any = |is: fn(&Arrow) -> bool| self.arrows.iter().any(|(arrow, _)| is(arrow));
        let mut rows = Vec::new();
        if any(|arrow| !arrow.bad && !arrow.shared) {
            rows.push((Some(EDGE[0]), "held exclusively or upgradably".to_owned()));
        }
        if any(|arrow| arrow.shared) {
            rows.push((Some(EDGE[1]), "held shared".to_owned()));
        }
        if any(|arrow| arrow.bad) {
            rows.push((Some(EDGE[2]), "part of a possible deadlock".to_owned()));
        }
        if self.total > self.arrows.len() {
            let hidden = self.total - self.arrows.len();
            rows.push((
                None,
                format!(
                    "{hidden} of {} arrows follow from others and are not drawn.",
                    self.total
                ),
            ));
        }
        rows
    }

    fn draw_arrow(&self, svg: &mut String, arrow: &Arrow, points: &[Point]) {
        let [first, rest @ ..] = points else {
            return;
        };
        let seen = arrow
            .dependencies
            .iter()
            .map(|at| self.graph.dependencies[*at].to_string());
        let title = seen.collect::<Vec<_>>().join("\n");
        let mut d = format!("M{:.1} {:.1}", first.x, first.y);
        let mut last = first;
        for point in rest {
            let middle = (last.y + point.y) / 2.0;
            let _ = if (last.x - point.x).abs() < 0.05 {
                write!(d, "V{:.1}", point.y)
            } else {
                write!(
                    d,
                    "C{:.1} {middle:.1} {:.1} {middle:.1} {:.1} {:.1}",
                    last.x, point.x, point.x, point.y
                )
            };
            last = point;
        }
        let class = EDGE[2 * usize::from(arrow.bad) + usize::from(arrow.shared)];
        let _ = writeln!(
            svg,
            "<g><title>{}</title>{}</g>",
            escape(&title),
            path(class, &d)
        );
    }

    fn draw_class(&self, svg: &mut String, at: usize) {
        let (name, lines) = &self.classes[at];
        let (centre, size) = self.boxes[at];
        let bad = if self.bad[at] { " bad" } else { "" };
        let _ = write!(
            svg,
            "<g><title>{}</title><rect class=\"box{bad}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" \
             height=\"{:.1}\" rx=\"7\"/>",
            escape(name),
            centre.x - size.width / 2.0,
            centre.y - size.height / 2.0,
            size.width,
            size.height
        );
        let first = centre.y + 4.5 - (lines.len() - 1) as f64 * LINE / 2.0;
        for (row, line) in lines.iter().enumerate() {
            let _ = write!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                centre.x,
                first + row as f64 * LINE,
                escape(line)
            );
        }
        svg.push_str("</g>\n");
    }
}

/// The style of an arrow: 1 more when it is shared, 2 more when it is bad.
const EDGE: [&str; 4] = ["edge", "edge shared", "edge bad", "edge bad shared"];

fn path(class: &str, d: &str) -> String {
    let tip = if class.contains("bad") {
        "bad-tip"
    } else {
        "tip"
    };
    format!("<path class=\"{class}\" marker-end=\"url(#{tip})\" d=\"{d}\"/>")
}

fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// Puts the classes without arrows below the others, row by row; the size of all.
fn place_lone(lone: &[usize], boxes: &mut [(Point, Size)], drawn: Size) -> Size {
    let widest = drawn.width.max(900.0);
    let mut all = drawn;
    let gap = if drawn.height > 0.0 { 48.0 } else { 0.0 };
    let (mut x, mut top, mut bottom) = (0.0, drawn.height + gap, drawn.height);
    for at in lone {
        let size = boxes[*at].1;
        if x > 0.0 && x + size.width > widest {
            (x, top) = (0.0, bottom + 16.0);
        }
        boxes[*at].0 = Point {
            x: x + size.width / 2.0,
            y: top + size.height / 2.0,
        };
        all.width = all.width.max(x + size.width);
        bottom = f64::max(bottom, top + size.height);
        x += size.width + 20.0;
    }
    all.height = bottom;
    all
}
