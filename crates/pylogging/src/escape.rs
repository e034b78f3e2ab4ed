//! Text from outside, made safe for a terminal and for a log file. This module never changes letters, tabs or ordinary signs.

use std::borrow::Cow;

/// Escape the characters that a terminal or a pager would obey instead of showing them: control characters except tabs and line
/// ends, Unicode's line and paragraph separators, and those that change the direction of writing. They are written as in Python.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    escape_and_indent(text, "")
}

/// Escape a text for one line: line ends as well.
#[must_use]
pub fn escape_line(text: &str) -> Cow<'_, str> {
    match escape(text) {
        text if text.contains('\n') => text.replace('\n', "\\n").into(),
        text => text,
    }
}

/// Escape a text, and write `indent` after each line end.
pub(super) fn escape_and_indent<'a>(text: &'a str, indent: &str) -> Cow<'a, str> {
    let is_changed = |letter| is_obeyed(letter) || letter == '\n' && !indent.is_empty();
    if !text.contains(is_changed) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '\n' => out.extend(["\n", indent]),
            _ if is_obeyed(letter) => out.push_str(&escape_of(letter)),
            _ => out.push(letter),
        }
    }
    out.into()
}

fn escape_of(letter: char) -> String {
    match u32::from(letter) {
        0x0d => "\\r".to_owned(),
        code @ ..0x100 => format!("\\x{code:02x}"),
        code => format!("\\u{code:04x}"),
    }
}

/// Whether a terminal or a pager would obey a character instead of showing it. Tabs and line ends are not meant.
#[must_use]
pub fn is_obeyed(letter: char) -> bool {
    matches!(
        letter,
        '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
            // Line and paragraph separators.
            | '\u{2028}' | '\u{2029}'
            // Directions: marks, embeddings, overrides and isolates.
            | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_stays_as_it_is() {
        for text in ["", "sleep: (success)", "Gezeiten über 3 m\t→ München 🌊", "{'a': 1,\n 'b': 2}"] {
            assert!(matches!(escape(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn what_a_terminal_obeys_is_shown() {
        assert_eq!(escape("\x1b[2Jgone\x07\r\0"), "\\x1b[2Jgone\\x07\\r\\x00");
        assert_eq!(escape_line("two\nlines\x1b"), "two\\nlines\\x1b");
        assert_eq!(escape("\u{9b}31m\u{7f}"), "\\x9b31m\\x7f");
        assert_eq!(escape("a\u{2028}b\u{202e}c\u{2066}d\u{61c}"), "a\\u2028b\\u202ec\\u2066d\\u061c");
    }

    #[test]
    fn no_line_after_the_first_one_looks_like_a_record() {
        assert_eq!(escape_and_indent("one\ntwo\n\nthree", "  "), "one\n  two\n  \n  three");
    }
}
