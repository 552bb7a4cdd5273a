//! Names as lines of text.

use super::layers::Size;

/// Of a monospaced font of 13 pixels, rounded up.
const CHAR: f64 = 8.0;
/// The height of a line.
pub(super) const LINE: f64 = 16.0;
/// Longer names have several lines.
const LONGEST_LINE: usize = 30;

/// A name, in lines that end where it has a separator.
pub(super) fn lines(name: &str) -> Vec<String> {
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

/// The size of a box for these lines.
pub(super) fn size(lines: &[String]) -> Size {
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
pub(super) fn escape(text: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::{escape, lines};

    #[test]
    fn long_names_are_cut_after_separators_and_nothing_is_lost() {
        assert_eq!(lines("short"), ["short"]);
        let long = "zsalloc/src/backend/mmap/pages.rs:1204:17";
        assert_eq!(
            lines(long),
            ["zsalloc/src/backend/mmap/", "pages.rs:1204:17"]
        );
        let solid = "x".repeat(70);
        assert_eq!(
            lines(&solid).iter().map(String::len).collect::<Vec<_>>(),
            [30, 30, 10]
        );
    }

    #[test]
    fn text_cannot_break_out() {
        assert_eq!(
            escape("<a b=\"c\">&\u{1}"),
            "&lt;a b=&quot;c&quot;&gt;&amp;\u{fffd}"
        );
    }
}
