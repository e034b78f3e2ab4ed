//! [`Table`]: columns of plain text, aligned. It knows nothing of what stands in them.

use std::fmt::{self, Write as _};

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

    /// Adds a row.
    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
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
}
