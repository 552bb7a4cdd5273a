//! The dependency graph as a picture, without Graphviz.

mod layers;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use layers::{Point, Size, layout};

use crate::dot::Graph;
use crate::mode::HoldKind;

/// Of a monospaced font of 13 pixels, rounded up.
const CHAR: f64 = 8.0;
const LINE: f64 = 16.0;
const MARGIN: f64 = 24.0;
const HEADER: f64 = 56.0;
/// Longer names have several lines.
const LONGEST_LINE: usize = 30;
/// With more arrows than this, those that follow from others are left out.
const MANY_ARROWS: usize = 100;

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

/// All dependencies between one class and another: one arrow.
#[derive(Debug, Default)]
struct Arrow {
    /// Indices into the graph's dependencies.
    dependencies: Vec<usize>,
    /// One of them is part of a possible deadlock.
    bad: bool,
    /// The earlier lock was only held shared.
    shared: bool,
}

impl Graph {
    /// As a picture: a box for each class, an arrow from what was held down to
    /// what was waited for. What is part of a possible deadlock is red, what was
    /// held shared is dashed; the places in the source show where the pointer
    /// is. Light or dark, as the reader's system.
    ///
    /// Of more than a hundred arrows those that follow from others are left out,
    /// and the picture says so; [`to_dot`](Self::to_dot) and
    /// [`to_json`](Self::to_json) have everything.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(lockdep::graph().to_svg().starts_with("<svg"));
    /// ```
    #[must_use]
    pub fn to_svg(&self) -> String {
        let (names, all) = self.arrows();
        let mut arrows = all;
        let total = arrows.len();
        if total > MANY_ARROWS {
            leave_out_implied(names.len(), &mut arrows);
        }
        Picture::new(self, &names, arrows, total).draw()
    }

    /// The classes, and the arrows between them by their indices.
    fn arrows(&self) -> (Vec<&str>, BTreeMap<(usize, usize), Arrow>) {
        let mut names: Vec<&str> = Vec::new();
        let mut index = BTreeMap::new();
        let mut number = |name| {
            *index.entry(name).or_insert_with(|| {
                names.push(name);
                names.len() - 1
            })
        };
        for class in &self.classes {
            number(class.as_str());
        }
        let mut arrows: BTreeMap<(usize, usize), Arrow> = BTreeMap::new();
        for (at, dependency) in self.dependencies.iter().enumerate() {
            let ends = (number(&dependency.held), number(&dependency.wanted));
            let shared = dependency.held_mode.hold_kind() == HoldKind::Shared;
            let arrow = arrows.entry(ends).or_insert(Arrow {
                shared,
                ..Arrow::default()
            });
            arrow.dependencies.push(at);
            arrow.shared &= shared;
            arrow.bad |= self.unsafe_dependencies.contains(&at);
        }
        (names, arrows)
    }
}

/// Leaves out the arrows, but the bad ones, that a longer way of arrows implies.
fn leave_out_implied(classes: usize, arrows: &mut BTreeMap<(usize, usize), Arrow>) {
    let mut out = vec![Vec::new(); classes];
    for &(from, to) in arrows.keys() {
        out[from].push(to);
    }
    let mut implied = Vec::new();
    for from in 0..classes {
        // What is reached from here by more than one arrow. A class that leads
        // back here could imply itself away; such arrows stay.
        let mut far = vec![false; classes];
        let mut queue: Vec<usize> = out[from].clone();
        let mut met = vec![false; classes];
        while let Some(at) = queue.pop() {
            for &to in &out[at] {
                far[to] = true;
                if !std::mem::replace(&mut met[to], true) {
                    queue.push(to);
                }
            }
        }
        if !far[from] {
            implied.extend(
                out[from]
                    .iter()
                    .filter(|to| far[**to])
                    .map(|to| (from, *to)),
            );
        }
    }
    for ends in implied {
        if arrows.get(&ends).is_some_and(|arrow| !arrow.bad) {
            arrows.remove(&ends);
        }
    }
}

#[derive(Debug)]
struct Picture<'a> {
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
    fn new(
        graph: &'a Graph,
        names: &[&'a str],
        arrows: BTreeMap<(usize, usize), Arrow>,
        total: usize,
    ) -> Picture<'a> {
        let classes: Vec<_> = names.iter().map(|name| (*name, lines(name))).collect();
        let sizes: Vec<_> = classes.iter().map(|(_, lines)| size(lines)).collect();
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
        let layout = layout(&drawn_sizes, &ends);
        let mut boxes: Vec<_> = sizes
            .iter()
            .map(|size| (Point { x: 0.0, y: 0.0 }, *size))
            .collect();
        for (class, centre) in drawn.iter().zip(&layout.boxes) {
            boxes[*class].0 = *centre;
        }
        let size = place_lone(&lone, &mut boxes, layout.size);
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

    fn draw(&self) -> String {
        let legend = self.legend();
        let width = self.size.width.max(560.0) + 2.0 * MARGIN;
        let height = HEADER + self.size.height + 20.0 * legend.len() as f64 + 2.0 * MARGIN;
        // Narrow graphs are centred.
        let left = (width - self.size.width) / 2.0;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\">\n<style>\n{STYLE}</style>\n<defs>\n"
        );
        for name in ["tip", "bad-tip"] {
            let _ = writeln!(
                svg,
                "<marker id=\"{name}\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"9\" \
                 markerHeight=\"9\" markerUnits=\"userSpaceOnUse\" orient=\"auto\">\
                 <path class=\"{name}\" d=\"M0 0L10 5L0 10z\"/></marker>"
            );
        }
        let _ = writeln!(
            svg,
            "</defs>\n<rect class=\"page\" width=\"100%\" height=\"100%\"/>\n\
             <text class=\"head\" x=\"{MARGIN}\" y=\"30\">Lock order: {}, {}</text>\n\
             <text class=\"note\" x=\"{MARGIN}\" y=\"50\">An arrow from A to B: B was waited for \
             while A was held.</text>",
            count(self.classes.len(), "class", "classes"),
            count(self.graph.dependencies.len(), "dependency", "dependencies"),
        );
        let _ = writeln!(
            svg,
            "<g transform=\"translate({left:.1} {:.1})\">",
            HEADER + MARGIN
        );
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
        let top = height - MARGIN - 20.0 * legend.len() as f64 + 14.0;
        for (row, (classes, text)) in legend.iter().enumerate() {
            let y = top + 20.0 * row as f64;
            if let Some(classes) = classes {
                let d = format!("M{MARGIN} {:.1}h40", y - 4.0);
                svg.push_str(&path(classes, &d));
            }
            let x = if classes.is_some() {
                MARGIN + 52.0
            } else {
                MARGIN
            };
            let _ = writeln!(
                svg,
                "<text class=\"note\" x=\"{x}\" y=\"{y:.1}\">{text}</text>"
            );
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
        let _ = write!(
            svg,
            "<g><title>{}</title>{}</g>\n",
            escape(&title),
            path(class, &d).trim_end()
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
    format!("<path class=\"{class}\" marker-end=\"url(#{tip})\" d=\"{d}\"/>\n")
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

/// A name, in lines that end where it has a separator.
fn lines(name: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest: Vec<char> = name
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    while rest.len() > LONGEST_LINE {
        let separates = |c: &char| matches!(c, '/' | ':' | '_' | '-' | '.' | ' ' | '<' | ',');
        let at = rest[LONGEST_LINE / 2..LONGEST_LINE]
            .iter()
            .rposition(separates);
        let end = at.map_or(LONGEST_LINE, |at| LONGEST_LINE / 2 + at + 1);
        let after = rest.split_off(end);
        lines.push(rest.into_iter().collect());
        rest = after;
    }
    lines.push(rest.into_iter().collect());
    lines
}

fn size(lines: &[String]) -> Size {
    // Beyond ASCII a character may be twice as wide.
    let cells = |line: &String| {
        line.chars()
            .map(|c| 1 + usize::from(!c.is_ascii()))
            .sum::<usize>()
    };
    let longest = lines.iter().map(cells).max().unwrap_or(0);
    Size {
        width: longest.max(4) as f64 * CHAR + 24.0,
        height: lines.len() as f64 * LINE + 14.0,
    }
}

/// Text as XML has it; a character that XML has not becomes U+FFFD.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
