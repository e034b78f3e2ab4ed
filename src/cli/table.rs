//! [`Table`]: aligned columns, each row one line, fitted to a terminal. It never knows what a cell means.

use std::fmt;

use unicode_width::UnicodeWidthStr;

use super::terminal::{Terminal, Tone};

/// The maximum length of a cell, in characters; a longer one is cut. JSON has the whole text.
const LONGEST: usize = 200;

/// The maximum length of the last cell of a row, after which nothing has to be aligned.
const LONGEST_LAST: usize = 2_000;

/// The maximum number of rows of one kind on a page.
const MOST_ROWS: usize = 20;

/// The minimum width to which a column is cut before the last column is dropped.
const NARROWEST_COLUMN: usize = 16;

/// The number of blanks between columns.
const GAP: usize = 2;

/// A cell: text and its tone.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    pub(super) fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, tone: Tone::Plain }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// Rows of cells, and their indent.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Vec<Cell>>,
    indent: usize,
}

impl Table {
    /// Return a table with these headings.
    pub(super) fn new(headings: &[&str]) -> Self {
        let headings = headings.iter().map(|heading| Cell::new(*heading, Tone::Strong)).collect();
        Self { rows: vec![headings], indent: 0 }
    }

    /// Return a table without headings, whose rows are indented by `indent` blanks.
    pub(super) fn indented(indent: usize) -> Self {
        Self { rows: Vec::new(), indent }
    }

    /// Add a row for each item, up to [`MOST_ROWS`]. Return the line that replaces the others.
    pub(super) fn rows<T, C: Into<Cell>, const N: usize>(
        &mut self,
        items: &[T],
        help: &str,
        row: impl Fn(&T) -> [C; N],
    ) -> Option<String> {
        for item in items.iter().take(MOST_ROWS) {
            self.row(row(item));
        }
        rest(items.len(), help)
    }

    /// Add a row.
    pub(super) fn row<C: Into<Cell>, const N: usize>(&mut self, cells: [C; N]) {
        let fit = |(column, cell): (usize, C)| {
            let Cell { text, tone } = cell.into();
            Cell { text: fitted(&text, if column + 1 == N { LONGEST_LAST } else { LONGEST }), tone }
        };
        self.rows.push(cells.into_iter().enumerate().map(fit).collect());
    }

    /// Remove a column that is empty in each row: what a system does not use is not shown.
    pub(super) fn remove_if_empty(&mut self, heading: &str) {
        let Some((headings, rows)) = self.rows.split_first() else { return };
        let Some(column) = headings.iter().position(|cell| cell.text == heading) else { return };
        if rows.iter().all(|row| row.get(column).is_none_or(|cell| cell.text.is_empty())) {
            for row in &mut self.rows {
                row.remove(column);
            }
        }
    }

    /// Add a row of any number of cells.
    pub(super) fn add(&mut self, cells: Vec<Cell>) {
        self.rows
            .push(cells.into_iter().map(|cell| Cell { text: fitted(&cell.text, LONGEST), ..cell }).collect());
    }

    /// Return its lines on a terminal. To fit, the widest columns are cut first; then columns are dropped from the right.
    pub(super) fn lines(&self, terminal: &Terminal) -> Vec<String> {
        let shown: Vec<Vec<Cell>> = self
            .rows
            .iter()
            .map(|row| {
                let show = |cell: &Cell| Cell { text: terminal.letters(&cell.text), tone: cell.tone };
                row.iter().map(show).collect()
            })
            .collect();
        let columns = shown.iter().map(Vec::len).max().unwrap_or_default();
        let widest = |column: usize| {
            let cells = shown.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.text.width()).max().unwrap_or_default()
        };
        let mut widths: Vec<usize> = (0..columns).map(widest).collect();
        if let Some(width) = terminal.width {
            fit(&mut widths, width.saturating_sub(self.indent));
        }
        shown.iter().map(|row| self.line(row, &widths, terminal)).collect()
    }

    fn line(&self, row: &[Cell], widths: &[usize], terminal: &Terminal) -> String {
        let mut line = " ".repeat(self.indent);
        let mut blanks = 0;
        // An empty column takes no width.
        for (cell, width) in row.iter().zip(widths).filter(|(_, width)| **width > 0) {
            let text = terminal.cut(&cell.text, *width);
            let used = text.width();
            if used > 0 {
                line.push_str(&" ".repeat(blanks));
                line.push_str(&terminal.paint(&text, cell.tone));
                blanks = 0;
            }
            blanks += width - used + GAP;
        }
        line
    }

    /// Return its lines as one text.
    pub(super) fn render(&self, terminal: &Terminal) -> String {
        self.lines(terminal).into_iter().map(|line| line + "\n").collect()
    }
}

/// Fit columns to a width; a dropped column gets width 0.
fn fit(widths: &mut [usize], available: usize) {
    for kept in (1..=widths.len()).rev() {
        widths[kept..].fill(0);
        if let Some(cut) = cut_to(&widths[..kept], available) {
            widths[..kept].copy_from_slice(&cut);
            return;
        }
    }
    if let Some(only) = widths.first_mut() {
        *only = available.min(*only);
    }
}

/// Return the widths after the widest columns were cut, if they fit then.
fn cut_to(widths: &[usize], available: usize) -> Option<Vec<usize>> {
    let gaps = GAP * widths.iter().filter(|width| **width > 0).count().saturating_sub(1);
    let mut widths = widths.to_vec();
    loop {
        let over = (widths.iter().sum::<usize>() + gaps).saturating_sub(available);
        if over == 0 {
            return Some(widths);
        }
        let widest = widths.iter_mut().max().filter(|width| **width > NARROWEST_COLUMN)?;
        *widest = widest.saturating_sub(over).max(NARROWEST_COLUMN);
    }
}

/// Return the line that replaces the rows over [`MOST_ROWS`].
pub(super) fn rest(all: usize, help: &str) -> Option<String> {
    let more = all.checked_sub(MOST_ROWS).filter(|more| *more > 0)?;
    Some(format!("  … and {more} more: {help}"))
}

/// Return a cell's text on one line, cut to `longest` characters.
fn fitted(text: &str, longest: usize) -> String {
    let line = text.replace(['\n', '\r', '\t'], " ");
    error_text::cut(&line, longest).into_owned()
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.render(&Terminal::plain()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terminal(width: usize) -> Terminal {
        Terminal { width: Some(width), ..Terminal::plain() }
    }

    #[test]
    fn columns_are_aligned_and_empty_ones_left_out() {
        let mut table = Table::new(&["A", "", "LONG"]);
        table.row(["größer", "", "x"]);
        table.row(["y", "", ""]);
        assert_eq!(table.to_string(), "A       LONG\ngrößer  x\ny\n");
    }

    #[test]
    fn a_row_is_one_line_however_long_its_cells_are() {
        let mut table = Table::indented(0);
        table.row(["ö".repeat(70_000), "two\nlines".into(), "x".repeat(70_000)]);
        let text = table.to_string();
        assert_eq!(text, format!("{}…  two lines  {}…\n", "ö".repeat(200), "x".repeat(2_000)));
    }

    #[test]
    fn a_narrow_terminal_cuts_the_widest_column_and_then_drops_the_last() {
        let mut table = Table::new(&["RUN", "WORKER", "ENDING"]);
        table.row(["#8812", "collect_NeahBay_ssh_of_today", "ended with status 1"]);
        assert_eq!(table.lines(&terminal(80))[1], "#8812  collect_NeahBay_ssh_of_today  ended with status 1");
        assert_eq!(table.lines(&terminal(50))[1], "#8812  collect_NeahBay_ssh_o…  ended with status 1");
        assert_eq!(table.lines(&terminal(26)), ["RUN    WORKER", "#8812  collect_NeahBay_ss…"]);
        for width in 1..80 {
            assert!(table.lines(&terminal(width)).iter().all(|line| line.width() <= width), "{width}");
        }
    }

    #[test]
    fn colours_take_no_width() {
        let mut table = Table::indented(0);
        table.row([Cell::new("a", Tone::Bad), Cell::new("b", Tone::Plain)]);
        table.row(["ccc", "d"]);
        let colour = Terminal { colour: true, ..terminal(80) };
        assert_eq!(table.lines(&colour), ["\u{1b}[31ma\u{1b}[0m    b", "ccc  d"]);
    }
}
