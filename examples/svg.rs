//! Just enough SVG: a canvas of rectangles, lines and texts, styled by class.

use std::fmt::Write;

/// A picture under construction; coordinates are pixels from the upper left corner.
#[derive(Debug)]
pub struct Canvas {
    width: f64,
    body: String,
}

/// Where a text is attached to its point.
#[derive(Clone, Copy, Debug)]
pub enum Anchor {
    /// The text begins there.
    Start,
    /// The middle of the text is there.
    Middle,
    /// The text ends there.
    End,
}

impl Canvas {
    /// An empty canvas of this width.
    pub fn new(width: f64) -> Self {
        Canvas {
            width,
            body: String::new(),
        }
    }

    /// A rectangle, from its upper left corner.
    pub fn rect(&mut self, class: &str, x: f64, y: f64, width: f64, height: f64) {
        let class = escaped(class);
        let _ = writeln!(
            self.body,
            r#"<rect class="{class}" x="{x:.2}" y="{y:.2}" width="{width:.2}" height="{height:.2}"/>"#,
        );
    }

    /// A straight line.
    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let class = escaped(class);
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = writeln!(
            self.body,
            r#"<line class="{class}" x1="{x1:.2}" y1="{y1:.2}" x2="{x2:.2}" y2="{y2:.2}"/>"#
        );
    }

    /// Straight lines from point to point.
    pub fn polyline(&mut self, class: &str, points: &[(f64, f64)]) {
        let class = escaped(class);
        let _ = write!(self.body, r#"<polyline class="{class}" points=""#);
        for (x, y) in points {
            let _ = write!(self.body, "{x:.2},{y:.2} ");
        }
        self.body.push_str("\"/>\n");
    }

    /// One line of text; `y` is its baseline.
    pub fn text(&mut self, class: &str, anchor: Anchor, x: f64, y: f64, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (class, text) = (escaped(class), escaped(text));
        let _ = writeln!(
            self.body,
            r#"<text class="{class}" x="{x:.2}" y="{y:.2}" text-anchor="{anchor}">{text}</text>"#
        );
    }

    /// Puts another canvas on top of this one.
    pub fn append(&mut self, other: Canvas) {
        self.body.push_str(&other.body);
    }

    /// The finished document: `title` is what a screen reader says, `style` is CSS.
    pub fn finish(self, height: f64, title: &str, style: &str) -> String {
        let Canvas { width, body } = self;
        let (title, style) = (escaped(title), escaped(style));
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0}" height="{height:.0}" viewBox="0 0 {width:.0} {height:.0}" role="img">
<title>{title}</title>
<style>{style}</style>
{body}</svg>
"#
        )
    }
}

/// Text that means itself, in contents and in attribute values.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML 1.0 has no way to write these, not even escaped.
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

/// Panics unless tags nest and close, attributes are quoted, and no bare `&` or `<` is left in
/// texts: what the tests of every picture ask first.
pub fn assert_well_formed(svg: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = svg;
    while let Some(at) = rest.find('<') {
        assert_entities(&rest[..at]);
        let end = at + rest[at..].find('>').expect("every tag ends");
        let tag = &rest[at + 1..end];
        assert!(!tag.contains('<'), "a tag inside a tag: {tag}");
        assert_eq!(tag.matches('"').count() % 2, 0, "unbalanced quotes: {tag}");
        assert_entities(tag);
        let name = tag
            .trim_start_matches('/')
            .split([' ', '/'])
            .next()
            .unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "wrong closing tag");
        } else if !tag.ends_with('/') {
            open.push(name);
        }
        rest = &rest[end + 1..];
    }
    assert_eq!(rest.trim(), "", "text after the document");
    assert!(open.is_empty(), "left open: {open:?}");
}

fn assert_entities(text: &str) {
    for part in text.split('&').skip(1) {
        let known = ["amp;", "lt;", "gt;", "quot;"]
            .iter()
            .any(|entity| part.starts_with(entity));
        assert!(known, "a bare & before {part:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_well_formed() {
        let mut canvas = Canvas::new(100.0);
        canvas.rect("a", 1.0, 2.0, 3.0, 4.0);
        canvas.line("b", (0.0, 0.0), (1.0, 1.0));
        canvas.polyline("c", &[(0.0, 0.0), (1.0, 1.0)]);
        canvas.text("d", Anchor::End, 5.0, 5.0, "x");
        let svg = canvas.finish(50.0, "title", ".a > .b { fill: red }");
        assert_well_formed(&svg);
        assert_eq!(svg.matches("<rect").count(), 1);
        assert!(svg.contains(r#"text-anchor="end">x</text>"#));
    }

    #[test]
    fn texts_cannot_break_out_of_their_element() {
        let mut canvas = Canvas::new(100.0);
        canvas.text(
            "\"><script>",
            Anchor::Start,
            0.0,
            0.0,
            "a<b> & \"c\" \u{1b}[0m",
        );
        let svg = canvas.finish(50.0, "</title>&", "");
        assert_well_formed(&svg);
        assert!(svg.contains("a&lt;b&gt; &amp; &quot;c&quot; \u{FFFD}[0m"));
        assert!(!svg.contains("<script"));
    }
}
