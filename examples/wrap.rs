//! Lines that fit a terminal.

/// The words of `text` in lines of at most `columns` characters; a word that is longer has a line of its own.
pub fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_fill_lines_and_are_never_cut() {
        assert_eq!(wrapped("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrapped("one two three", 6), ["one", "two", "three"]);
        assert_eq!(wrapped("one two three", 1), ["one", "two", "three"]);
        // Characters, not bytes.
        assert_eq!(wrapped("1 µs 2 µs", 9), ["1 µs 2 µs"]);
        assert!(wrapped(" ", 9).is_empty());
    }
}
