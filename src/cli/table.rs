//! [`Table`]: columns of plain text, aligned, each row one line. It knows nothing of what stands in them.

use std::fmt::{self, Write as _};

/// The longest cell, in characters; what is longer is cut. JSON has all of it.
const LONGEST: usize = 200;

/// The same for the last one of a row, after which nothing has to be aligned.
const LONGEST_LAST: usize = 2_000;

/// The most rows of one kind that a page has.
const MOST_ROWS: usize = 20;

/// Rows of cells, and how far they are set in.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    indent: usize,
}

impl Table {
    /// A table under these headings.
    pub(super) fn new(headings: &[&str]) -> Self {
        let headings = headings.iter().map(|heading| (*heading).to_owned()).collect();
        Self { rows: vec![headings], indent: 0 }
    }

    /// A table without headings whose rows are set in by that many blanks.
    pub(super) fn indented(indent: usize) -> Self {
        Self { rows: Vec::new(), indent }
    }

    /// Adds a row for each thing, but no more than people read; what is said of the others is answered.
    pub(super) fn rows<T, const N: usize>(
        &mut self,
        things: &[T],
        help: &str,
        row: impl Fn(&T) -> [String; N],
    ) -> String {
        for thing in things.iter().take(MOST_ROWS) {
            self.row(row(thing));
        }
        match things.len().saturating_sub(MOST_ROWS) {
            0 => String::new(),
            more => format!("  … and {more} more: {help}\n"),
        }
    }

    /// Adds a row.
    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        let fit = |(place, cell): (usize, String)| {
            fitted(&cell, if place + 1 == N { LONGEST_LAST } else { LONGEST })
        };
        self.rows.push(cells.into_iter().enumerate().map(fit).collect());
    }
}

/// A cell's text on one line and no longer than that.
fn fitted(text: &str, longest: usize) -> String {
    let line = text.replace(['\n', '\r', '\t'], " ");
    match line.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        // A column in which nothing stands takes no room.
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = " ".repeat(self.indent);
            for (cell, width) in row.iter().zip(&widths).filter(|(_, width)| **width > 0) {
                let _ = write!(line, "{cell:<width$}  ");
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_empty_ones_left_out() {
        let mut table = Table::new(&["A", "", "LONG"]);
        table.row(["größer".into(), String::new(), "x".into()]);
        table.row(["y".into(), String::new(), String::new()]);
        assert_eq!(table.to_string(), "A       LONG\ngrößer  x\ny\n");
    }

    #[test]
    fn a_row_is_one_line_however_long_its_cells_are() {
        let mut table = Table::indented(0);
        table.row(["ö".repeat(70_000), "two\nlines".into(), "x".repeat(70_000)]);
        let text = table.to_string();
        assert_eq!(text, format!("{}…  two lines  {}…\n", "ö".repeat(200), "x".repeat(2_000)));
    }
}
