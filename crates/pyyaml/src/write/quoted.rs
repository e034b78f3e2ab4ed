//! Writes the text of scalars: plain, single quoted, double quoted and literal, folded at the line's width.

use std::fmt::Write as _;

use super::emitter::{Emitter, WIDTH};

impl Emitter {
    /// Write a scalar without quotes: ASCII without line breaks.
    pub fn plain(&mut self, text: &str, indent: usize, is_key: bool) {
        if text.is_empty() {
            return;
        }
        if !self.is_after_blank {
            self.push(" ");
        }
        self.is_after_blank = false;
        self.is_indentation = false;
        let mut rest = text;
        while !rest.is_empty() {
            let word = rest.find(' ').unwrap_or(rest.len());
            let (word, after) = rest.split_at(word);
            self.push(word);
            let spaces = after.len() - after.trim_start_matches(' ').len();
            let (spaces, after) = after.split_at(spaces);
            if spaces.len() == 1 && self.column > WIDTH && !is_key {
                self.indent(indent);
                self.is_after_blank = false;
                self.is_indentation = false;
            } else {
                self.push(spaces);
            }
            rest = after;
        }
    }

    /// Write a scalar in single quotes: ASCII without spaces beside line breaks.
    pub fn single_quoted(&mut self, text: &str, indent: usize, is_key: bool) {
        self.indicator("'", true);
        let mut rest = text;
        while let Some(first) = rest.bytes().next() {
            let belongs = |character: char| match first {
                b' ' => character == ' ',
                b'\n' => character == '\n',
                _ => !matches!(character, ' ' | '\n'),
            };
            let (run, after) =
                rest.split_at(rest.find(|character| !belongs(character)).unwrap_or(rest.len()));
            let is_inside = rest.len() < text.len() && !after.is_empty();
            match first {
                b' ' if run.len() == 1 && self.column > WIDTH && !is_key && is_inside => self.indent(indent),
                b'\n' => {
                    // The first break of a run is folded, so it is written twice.
                    for _ in 0..=run.len() {
                        self.line_break();
                    }
                    self.indent(indent);
                }
                _ => self.push(&run.replace('\'', "''")),
            }
            rest = after;
        }
        self.indicator("'", false);
    }

    /// Write any text in double quotes. Characters beyond ASCII are escaped.
    pub fn double_quoted(&mut self, text: &str, indent: usize, is_key: bool) {
        self.indicator("\"", true);
        // The characters from `start` up to the current one are not yet written.
        let mut start = 0;
        for (position, character) in text.char_indices() {
            let next = position + character.len_utf8();
            let is_escaped = matches!(character, '"' | '\\') || !matches!(character, ' '..='~');
            if is_escaped {
                self.push(text.get(start..position).unwrap_or_default());
                self.push_escape(character);
                start = next;
            }
            let is_inside = position > 0 && next < text.len();
            if is_key || !is_inside || !(character == ' ' || start >= position) {
                continue;
            }
            // PyYAML counts one character less after an escape.
            let pending = position.saturating_sub(start);
            if self.column + pending > WIDTH + usize::from(is_escaped) {
                self.push(text.get(start..position).unwrap_or_default());
                self.push("\\");
                start = start.max(position);
                self.indent(indent);
                self.is_after_blank = false;
                self.is_indentation = false;
                if text.get(start..).is_some_and(|rest| rest.starts_with(' ')) {
                    self.push("\\");
                }
            }
        }
        self.push(text.get(start..).unwrap_or_default());
        self.indicator("\"", false);
    }

    fn push_escape(&mut self, character: char) {
        let before = self.out.len();
        let short = match character {
            '\0' => '0',
            '\x07' => 'a',
            '\x08' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\x0B' => 'v',
            '\x0C' => 'f',
            '\r' => 'r',
            '\x1B' => 'e',
            '"' | '\\' => character,
            '\u{85}' => 'N',
            '\u{A0}' => '_',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            _ => ' ',
        };
        // Writing to a String cannot fail.
        let _ = match u32::from(character) {
            _ if short != ' ' => write!(self.out, "\\{short}"),
            code @ 0..=0xFF => write!(self.out, "\\x{code:02X}"),
            code @ 0x100..=0xFFFF => write!(self.out, "\\u{code:04X}"),
            code => write!(self.out, "\\U{code:08X}"),
        };
        self.column += self.out.len() - before;
    }

    /// Write a block after `|`: lines of base64, the only scalar that `PyYAML` writes as one.
    pub fn literal(&mut self, text: &str, indent: usize) {
        self.indicator("|", true);
        for line in text.lines() {
            self.line_break();
            self.indent(indent);
            self.push(line);
        }
        self.line_break();
    }
}
