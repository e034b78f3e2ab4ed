//! Python's `pprint.pformat`.

use super::repr::{repr, repr_bytes, repr_within};
use super::sorted::{sorted_members, sorted_pairs};
use crate::value::{Map, Value};

/// The longest line, in characters.
const WIDTH: usize = 80;

/// Format a value like Python's `pprint.pformat`: on one line if it fits 80 characters, else an item on each line;
/// mappings and sets are sorted, long text is split.
///
/// Keys that Python cannot compare are ordered by the names of their types, as in `pprint`. Where `pprint` falls back
/// on addresses in memory, and for sets that fit on a line, the order is ours.
#[must_use]
pub fn pformat(value: &Value) -> String {
    let mut printer = Printer { out: String::new() };
    printer.format(value, LinePosition { indent: 0, allowance: 0, level: 0 });
    printer.out
}

/// The position at which a value is printed.
#[derive(Clone, Copy)]
struct LinePosition {
    /// The number of characters before the value.
    indent: usize,
    /// The number of characters that must fit after the value.
    allowance: usize,
    /// The number of collections around the value.
    level: usize,
}

struct Printer {
    out: String,
}

impl Printer {
    fn format(&mut self, value: &Value, place: LinePosition) {
        let width = WIDTH.saturating_sub(place.indent + place.allowance);
        if let Some(line) = repr_within(value, width) {
            self.out.push_str(&line);
            return;
        }
        let inner = LinePosition { level: place.level + 1, ..place };
        match value {
            Value::Map(map) => self.map(map, inner),
            Value::List(items) => self.items('[', items.iter(), ']', inner),
            Value::Set(set) if !set.is_empty() => {
                self.items('{', sorted_members(set).into_iter(), '}', inner);
            }
            Value::Str(text) => self.text(text, inner),
            Value::Bytes(bytes) => self.bytes(bytes, inner),
            _ => self.out.push_str(&repr_within(value, usize::MAX).unwrap_or_default()),
        }
    }

    fn new_line(&mut self, indent: usize) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n(' ', indent));
    }

    fn items<'v>(
        &mut self,
        open: char,
        items: impl Iterator<Item = &'v Value>,
        close: char,
        place: LinePosition,
    ) {
        self.out.push(open);
        let indent = place.indent + 1;
        let mut items = items.peekable();
        while let Some(item) = items.next() {
            let is_last = items.peek().is_none();
            let allowance = if is_last { place.allowance + 1 } else { 1 };
            self.format(item, LinePosition { indent, allowance, level: place.level });
            if !is_last {
                self.out.push(',');
                self.new_line(indent);
            }
        }
        self.out.push(close);
    }

    fn map(&mut self, map: &Map, place: LinePosition) {
        self.out.push('{');
        let indent = place.indent + 1;
        let mut pairs = sorted_pairs(map).into_iter().peekable();
        while let Some((key, value)) = pairs.next() {
            let is_last = pairs.peek().is_none();
            let key = repr_within(key, usize::MAX).unwrap_or_default();
            self.out.push_str(&key);
            self.out.push_str(": ");
            let allowance = if is_last { place.allowance + 1 } else { 1 };
            let indent_of_value = indent + key.chars().count() + 2;
            self.format(value, LinePosition { indent: indent_of_value, allowance, level: place.level });
            if !is_last {
                self.out.push(',');
                self.new_line(indent);
            }
        }
        self.out.push('}');
    }

    /// Write each piece on a line of its own, in parentheses if no collection surrounds the text.
    fn pieces(&mut self, pieces: &[String], indent: usize, has_parentheses: bool) {
        if has_parentheses {
            self.out.push('(');
        }
        for (number, piece) in pieces.iter().enumerate() {
            if number > 0 {
                self.new_line(indent);
            }
            self.out.push_str(piece);
        }
        if has_parentheses {
            self.out.push(')');
        }
    }

    fn text(&mut self, text: &str, place: LinePosition) {
        if text.is_empty() {
            self.out.push_str(&repr(text));
            return;
        }
        let is_alone = place.level == 1;
        let (indent, allowance) =
            if is_alone { (place.indent + 1, place.allowance + 1) } else { (place.indent, place.allowance) };
        let width = WIDTH.saturating_sub(indent);
        let lines = split_lines(text);
        let mut pieces = Vec::new();
        for (number, line) in lines.iter().enumerate() {
            let allowance = if number + 1 == lines.len() { allowance } else { 0 };
            let shown = repr(line);
            if shown.chars().count() <= width.saturating_sub(allowance) {
                pieces.push(shown);
            } else {
                split_words(line, width, allowance, &mut pieces);
            }
        }
        match pieces.as_slice() {
            [_] => self.out.push_str(&repr(text)),
            _ => self.pieces(&pieces, indent, is_alone),
        }
    }

    fn bytes(&mut self, bytes: &[u8], place: LinePosition) {
        if bytes.len() <= 4 {
            self.out.push_str(&repr_bytes(bytes));
            return;
        }
        let is_alone = place.level == 1;
        let (indent, allowance) =
            if is_alone { (place.indent + 1, place.allowance + 1) } else { (place.indent, place.allowance) };
        let width = WIDTH.saturating_sub(indent);
        // The allowance applies to the group at index `len / 4` only; if four divides the length, there is none.
        let last = bytes.len() / 4;
        let mut pieces = Vec::new();
        let mut current = Vec::new();
        for (number, group) in bytes.chunks(4).enumerate() {
            let width = if number == last { width.saturating_sub(allowance) } else { width };
            let longer = [&current, group].concat();
            if repr_bytes(&longer).len() > width {
                if !current.is_empty() {
                    pieces.push(repr_bytes(&current));
                }
                current = group.to_vec();
            } else {
                current = longer;
            }
        }
        pieces.push(repr_bytes(&current));
        self.pieces(&pieces, indent, is_alone);
    }
}

/// Fill pieces with the words of a line. Each word keeps the spaces after it.
fn split_words(line: &str, width: usize, allowance: usize, pieces: &mut Vec<String>) {
    let words = words(line);
    let mut current = String::new();
    for (number, word) in words.iter().enumerate() {
        let width = if number + 1 == words.len() { width.saturating_sub(allowance) } else { width };
        let before = current.len();
        current.push_str(word);
        if repr(&current).chars().count() > width {
            let full = &current[..before];
            if !full.is_empty() {
                pieces.push(repr(full));
            }
            current.drain(..before);
        }
    }
    if !current.is_empty() {
        pieces.push(repr(&current));
    }
}

/// Split a line like Python's `re.findall(r"\S*\s*", line)`, but without the empty match.
fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut is_after_space = false;
    for (position, character) in line.char_indices() {
        let is_space = character.is_whitespace() || ('\x1c'..='\x1f').contains(&character);
        if is_after_space && !is_space {
            words.push(&line[start..position]);
            start = position;
        }
        is_after_space = is_space;
    }
    words.push(&line[start..]);
    words
}

/// Split a text like Python's `text.splitlines(True)`.
fn split_lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut start = 0;
    let mut characters = text.char_indices().peekable();
    while let Some((position, character)) = characters.next() {
        // A carriage return and the line feed after it are a single line end.
        let is_half = character == '\r' && characters.peek().is_some_and(|&(_, next)| next == '\n');
        if is_line_end(character) && !is_half {
            let end = position + character.len_utf8();
            lines.push(&text[start..end]);
            start = end;
        }
    }
    if start < text.len() {
        lines.push(&text[start..]);
    }
    lines
}

fn is_line_end(character: char) -> bool {
    matches!(character, '\n' | '\x0B' | '\x0C' | '\r' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}')
}
