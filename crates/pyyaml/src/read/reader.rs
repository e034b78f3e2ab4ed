//! [`Reader`]: a cursor over the text that knows its line and column.

use super::ReadError;
use super::error::Mark;

/// The cursor. A text ends with an endless row of `'\0'`, which the text itself cannot contain.
pub(super) struct Reader<'a> {
    text: &'a str,
    position: usize,
    index: usize,
    line: usize,
    column: usize,
}

/// Whether `PyYAML` ends a line at this character.
pub(super) fn is_break(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Whether the line ends here.
pub(super) fn is_break_or_end(character: char) -> bool {
    character == '\0' || is_break(character)
}

/// Whether a word ends here.
pub(super) fn is_blank_or_end(character: char) -> bool {
    matches!(character, ' ' | '\t') || is_break_or_end(character)
}

/// Whether bytes that are not ASCII begin with one of the line breaks beyond it: U+0085, U+2028, U+2029.
fn begins_with_wide_break(bytes: &[u8]) -> bool {
    matches!(bytes, [0xC2, 0x85, ..] | [0xE2, 0x80, 0xA8 | 0xA9, ..])
}

impl<'a> Reader<'a> {
    /// Refuses the characters that `PyYAML` refuses: most control characters, U+FFFE and U+FFFF.
    pub fn new(text: &'a str) -> Result<Self, ReadError> {
        let reader = Self { text, position: 0, index: 0, line: 0, column: 0 };
        match text.char_indices().find(|&(_, character)| !is_printable(character)) {
            None => Ok(reader),
            Some((position, character)) => Err(reader.unprintable(position, character)),
        }
    }

    fn unprintable(mut self, position: usize, character: char) -> ReadError {
        while self.position < position {
            if self.line_break().is_none() {
                self.advance();
            }
        }
        ReadError::new(self.mark(), format!("the character U+{:04X} is not allowed", u32::from(character)))
            .because("write it as an escape in a double-quoted string")
    }

    pub fn mark(&self) -> Mark {
        Mark { line: self.line + 1, column: self.column + 1 }
    }

    /// Characters in front of the cursor.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Lines in front of the cursor's.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Characters of the line in front of the cursor; byte order marks don't count.
    pub fn column(&self) -> usize {
        self.column
    }

    /// The text from the cursor on.
    pub fn rest(&self) -> &'a str {
        // The position is always moved by whole characters that are there.
        &self.text[self.position..]
    }

    pub fn peek(&self) -> char {
        self.peek_at(0)
    }

    /// The character that begins `bytes` after the cursor; a character must end in front of it.
    pub fn peek_at(&self, bytes: usize) -> char {
        match self.text.as_bytes().get(self.position + bytes) {
            None => '\0',
            Some(&byte) if byte.is_ascii() => char::from(byte),
            Some(_) => {
                self.text.get(self.position + bytes..).and_then(|rest| rest.chars().next()).unwrap_or('\0')
            }
        }
    }

    /// Skip one character that is not a line break.
    pub fn advance(&mut self) {
        let character = self.peek();
        if self.position < self.text.len() {
            self.position += character.len_utf8();
            self.index += 1;
            if character != '\u{FEFF}' {
                self.column += 1;
            }
        }
    }

    /// Goes past so many bytes without a line break and returns them.
    pub fn take(&mut self, bytes: usize) -> &'a str {
        let taken = &self.rest()[..bytes];
        self.position += bytes;
        if taken.is_ascii() {
            self.index += bytes;
            self.column += bytes;
        } else {
            let characters = taken.chars().count();
            self.index += characters;
            self.column += characters - taken.matches('\u{FEFF}').count();
        }
        taken
    }

    /// Goes past the characters up to the first line break, or the first ASCII one that ends the run.
    pub fn take_until(&mut self, ends_run: impl Fn(u8) -> bool) -> &'a str {
        let bytes = self.rest().as_bytes();
        let mut length = 0;
        while let Some(&byte) = bytes.get(length) {
            let ends = match byte {
                b'\n' | b'\r' => true,
                0..=0x7F => ends_run(byte),
                _ => begins_with_wide_break(&bytes[length..]),
            };
            if ends {
                break;
            }
            length += 1;
        }
        self.take(length)
    }

    /// Goes past spaces and returns how many there were.
    pub fn skip_spaces(&mut self) -> usize {
        let spaces = self.rest().bytes().take_while(|&byte| byte == b' ').count();
        self.take(spaces).len()
    }

    /// Goes past spaces and tabs.
    pub fn skip_blanks(&mut self) -> &'a str {
        let blanks = self.rest().bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        self.take(blanks)
    }

    /// Goes past a line break; says what it is in a scalar: a line feed, U+2028 or U+2029.
    pub fn line_break(&mut self) -> Option<char> {
        let character = self.peek();
        if !is_break(character) {
            return None;
        }
        let is_pair = character == '\r' && self.peek_at(1) == '\n';
        self.position += if is_pair { 2 } else { character.len_utf8() };
        self.index += if is_pair { 2 } else { 1 };
        self.line += 1;
        self.column = 0;
        Some(if matches!(character, '\u{2028}' | '\u{2029}') { character } else { '\n' })
    }

    /// Whether the line begins with `---` or `...` as a word of its own.
    pub fn at_document_marker(&self, marker: &str) -> bool {
        self.column == 0 && self.rest().starts_with(marker) && is_blank_or_end(self.peek_at(marker.len()))
    }

    /// Whether the line begins with either marker.
    pub fn at_any_document_marker(&self) -> bool {
        self.at_document_marker("---") || self.at_document_marker("...")
    }
}

fn is_printable(character: char) -> bool {
    match character {
        ' '..='~' | '\n' | '\t' | '\r' | '\u{85}' => true,
        '\u{FFFE}' | '\u{FFFF}' => false,
        _ => character >= '\u{A0}',
    }
}
