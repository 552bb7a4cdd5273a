//! A Markdown table that is also readable in a terminal: columns are padded.

use std::fmt;

/// A table; the first column is aligned to the left, the others to the right.
#[derive(Clone, Debug)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    #[must_use]
    pub fn new<S: Into<String>>(head: impl IntoIterator<Item = S>) -> Self {
        Self {
            head: head.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    ///
    /// # Panics
    ///
    /// If it has not as many cells as the head.
    pub fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.head.len(), "a row as wide as the head");
        self.rows.push(cells);
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.head.iter().map(|cell| cell.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        widths
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        let line = |f: &mut fmt::Formatter<'_>, cells: &[String]| {
            for (column, (cell, &width)) in cells.iter().zip(&widths).enumerate() {
                if column == 0 {
                    write!(f, "| {cell:<width$} |")?;
                } else {
                    write!(f, " {cell:>width$} |")?;
                }
            }
            writeln!(f)
        };
        line(f, &self.head)?;
        for (column, width) in widths.iter().enumerate() {
            if column == 0 {
                write!(f, "|:{}-|", "-".repeat(*width))?;
            } else {
                write!(f, "-{}:|", "-".repeat(*width))?;
            }
        }
        writeln!(f)?;
        self.rows.iter().try_for_each(|row| line(f, row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_padded_and_aligned() {
        let mut table = Table::new(["lock", "read"]);
        table.row(vec!["zslock".into(), "0.755".into()]);
        table.row(vec!["µ".into(), "1".into()]);
        assert_eq!(
            table.to_string(),
            "| lock   |  read |\n\
             |:-------|------:|\n\
             | zslock | 0.755 |\n\
             | µ      |     1 |\n"
        );
    }

    #[test]
    #[should_panic(expected = "as wide as the head")]
    fn a_short_row_is_an_error() {
        Table::new(["a", "b"]).row(vec!["1".into()]);
    }
}
