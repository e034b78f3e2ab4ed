//! [`Reader`]: a cursor over the text that knows its line and column.

use super::ReadError;
use super::error::Mark;

/// A cursor over a text. The text is followed by an endless run of `'\0'`, a character that it cannot contain itself.
pub(super) struct Reader<'a> {
    text: &'a str,
    position: usize,
    index: usize,
    line: usize,
    column: usize,
}

/// Return whether `PyYAML` ends a line at this character.
pub(super) fn is_break(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Return whether the line ends here.
pub(super) fn is_break_or_end(character: char) -> bool {
    character == '\0' || is_break(character)
}

/// Return whether a word ends here.
pub(super) fn is_blank_or_end(character: char) -> bool {
    matches!(character, ' ' | '\t') || is_break_or_end(character)
}

/// Return whether non-ASCII bytes begin with one of the line breaks beyond ASCII: U+0085, U+2028, U+2029.
fn begins_with_wide_break(bytes: &[u8]) -> bool {
    matches!(bytes, [0xC2, 0x85, ..] | [0xE2, 0x80, 0xA8 | 0xA9, ..])
}

impl<'a> Reader<'a> {
    /// Create a reader. Refuse the characters that `PyYAML` refuses: most control characters, U+FFFE and U+FFFF.
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

    /// Return the number of characters before the cursor.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Return the number of lines before that of the cursor.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Return the number of characters before the cursor in its line, without byte order marks.
    pub fn column(&self) -> usize {
        self.column
    }

    /// Return the text from the cursor on.
    pub fn rest(&self) -> &'a str {
        // The position is only moved by whole characters of the text.
        &self.text[self.position..]
    }

    pub fn peek(&self) -> char {
        self.peek_at(0)
    }

    /// Return the character that begins `bytes` bytes after the cursor, which must be the start of a character.
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

    /// Move past `bytes` bytes, in which there is no line break, and return them.
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

    /// Move past the characters before the first line break, or the first ASCII character that `ends_run`, and return
    /// them.
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

    /// Move past spaces and return their number.
    pub fn skip_spaces(&mut self) -> usize {
        let spaces = self.rest().bytes().take_while(|&byte| byte == b' ').count();
        self.take(spaces).len()
    }

    /// Move past spaces and tabs and return them.
    pub fn skip_blanks(&mut self) -> &'a str {
        let blanks = self.rest().bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        self.take(blanks)
    }

    /// Move past a line break. Return the character that it is in a scalar: a line feed, U+2028 or U+2029.
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

    /// Return whether the line begins with `marker`, `---` or `...`, as a word of its own.
    pub fn at_document_marker(&self, marker: &str) -> bool {
        self.column == 0 && self.rest().starts_with(marker) && is_blank_or_end(self.peek_at(marker.len()))
    }

    /// Return whether the line begins with either marker.
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
