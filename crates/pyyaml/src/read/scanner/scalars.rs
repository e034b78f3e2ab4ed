//! Scalars: plain, quoted and block; line folding and escapes.

use std::borrow::Cow;

use super::Scanner;
use super::properties::end_of_line;
use crate::read::ReadError;
use crate::read::error::{Mark, shown};
use crate::read::reader::{is_blank_or_end, is_break, is_break_or_end};
use crate::read::token::{ScalarToken, Token};

/// Add a folded line break: a single one becomes a space, unless it is U+2028 or U+2029; `others` after it stay.
fn push_folded(text: &mut String, first: char, others: &str) {
    if first != '\n' {
        text.push(first);
    } else if others.is_empty() {
        text.push(' ');
    }
    text.push_str(others);
}

/// Read a scalar without quotes.
pub(super) fn plain<'a>(scanner: &mut Scanner<'a>) -> Token<'a> {
    let mut text = Cow::Borrowed("");
    let mut spaces = Cow::Borrowed("");
    while scanner.reader.peek() != '#' {
        let run = plain_run(scanner);
        if run.is_empty() {
            break;
        }
        scanner.allow_simple_key = false;
        text += spaces;
        text += run;
        spaces = plain_spaces(scanner);
        if spaces.is_empty() || (scanner.flow_level == 0 && scanner.reader.column() < scanner.indent) {
            break;
        }
    }
    Token::Scalar(ScalarToken { text, is_plain: true })
}

/// Read the characters up to a blank, a `:` that ends a key, or a bracket or comma of a flow collection.
fn plain_run<'a>(scanner: &mut Scanner<'a>) -> &'a str {
    let in_flow = scanner.flow_level > 0;
    let rest = scanner.reader.rest();
    let mut length = 0;
    loop {
        let run = rest[length..].bytes().position(|byte| match byte {
            b' ' | b'\t' | b'\n' | b'\r' | b':' | 0x80.. => true,
            b',' | b'?' | b'[' | b']' | b'{' | b'}' => in_flow,
            _ => false,
        });
        let Some(run) = run else { return scanner.reader.take(rest.len()) };
        length += run;
        // Every byte beyond ASCII ends the run, so it ended at the first byte of a character.
        let Some(character) = rest[length..].chars().next() else { break };
        let ends = match character {
            ':' => {
                let next = scanner.reader.peek_at(length + 1);
                is_blank_or_end(next) || (in_flow && ",[]{}".contains(next))
            }
            _ if character.is_ascii() => true,
            _ => is_break(character),
        };
        if ends {
            break;
        }
        length += character.len_utf8();
    }
    scanner.reader.take(length)
}

/// Read what is between two runs: spaces, or folded line breaks. Empty if the scalar ends.
fn plain_spaces<'a>(scanner: &mut Scanner<'a>) -> Cow<'a, str> {
    let rest = scanner.reader.rest();
    let spaces = scanner.reader.skip_spaces();
    let Some(first) = scanner.reader.line_break() else {
        return Cow::Borrowed(&rest[..spaces]);
    };
    scanner.allow_simple_key = true;
    if scanner.reader.at_any_document_marker() {
        return Cow::Borrowed("");
    }
    let mut others = String::new();
    loop {
        scanner.reader.skip_spaces();
        let Some(line_break) = scanner.reader.line_break() else { break };
        others.push(line_break);
        if scanner.reader.at_any_document_marker() {
            return Cow::Borrowed("");
        }
    }
    let mut folded = String::new();
    push_folded(&mut folded, first, &others);
    Cow::Owned(folded)
}

/// Read a scalar in single or double quotes.
pub(super) fn quoted<'a>(scanner: &mut Scanner<'a>) -> Result<Token<'a>, ReadError> {
    let start = scanner.reader.mark();
    let quote = scanner.reader.peek();
    scanner.reader.advance();
    let mut text = Cow::Borrowed("");
    loop {
        quoted_run(scanner, quote == '"', &mut text)?;
        if scanner.reader.peek() == quote {
            break;
        }
        quoted_spaces(scanner, &mut text, start)?;
    }
    scanner.reader.advance();
    Ok(Token::Scalar(ScalarToken { text, is_plain: false }))
}

/// Read everything up to a blank or the closing quote.
fn quoted_run<'a>(
    scanner: &mut Scanner<'a>,
    is_double: bool,
    text: &mut Cow<'a, str>,
) -> Result<(), ReadError> {
    loop {
        *text += scanner.reader.take_until(|byte| matches!(byte, b'\'' | b'"' | b'\\' | b' ' | b'\t'));
        match scanner.reader.peek() {
            '\'' if !is_double && scanner.reader.peek_at(1) == '\'' => {
                *text += &scanner.reader.take(2)[..1];
            }
            '\'' if is_double => *text += scanner.reader.take(1),
            '"' | '\\' if !is_double => *text += scanner.reader.take(1),
            '\\' => escape(scanner, text)?,
            _ => return Ok(()),
        }
    }
}

fn quoted_spaces<'a>(
    scanner: &mut Scanner<'a>,
    text: &mut Cow<'a, str>,
    start: Mark,
) -> Result<(), ReadError> {
    let blanks = scanner.reader.skip_blanks();
    if let Some(first) = scanner.reader.line_break() {
        let others = quoted_breaks(scanner, start)?;
        push_folded(text.to_mut(), first, &others);
    } else if scanner.reader.peek() == '\0' {
        return Err(ReadError::new(start, "this quoted text has no closing quote"));
    } else {
        *text += blanks;
    }
    Ok(())
}

/// Read the line breaks of empty lines, without the blanks around them.
fn quoted_breaks(scanner: &mut Scanner<'_>, start: Mark) -> Result<String, ReadError> {
    let mut breaks = String::new();
    loop {
        if scanner.reader.at_any_document_marker() {
            return Err(scanner
                .error("a document begins or ends inside quoted text")
                .because(format!("the quotes were opened at {start}")));
        }
        scanner.reader.skip_blanks();
        match scanner.reader.line_break() {
            Some(line_break) => breaks.push(line_break),
            None => return Ok(breaks),
        }
    }
}

/// Read a backslash and the rest of the escape.
fn escape<'a>(scanner: &mut Scanner<'a>, text: &mut Cow<'a, str>) -> Result<(), ReadError> {
    let start = scanner.reader.mark();
    scanner.reader.advance();
    let character = scanner.reader.peek();
    let replacement = match character {
        '0' => '\0',
        'a' => '\x07',
        'b' => '\x08',
        't' | '\t' => '\t',
        'n' => '\n',
        'v' => '\x0B',
        'f' => '\x0C',
        'r' => '\r',
        'e' => '\x1B',
        ' ' | '"' | '\\' | '/' => character,
        'N' => '\u{85}',
        '_' => '\u{A0}',
        'L' => '\u{2028}',
        'P' => '\u{2029}',
        'x' | 'u' | 'U' => return hexadecimal_escape(scanner, text, start),
        _ if is_break(character) => {
            scanner.reader.line_break();
            *text += Cow::Owned::<str>(quoted_breaks(scanner, start)?);
            return Ok(());
        }
        _ => return Err(scanner.error(format!("\\ and {} are no escape", shown(character)))),
    };
    scanner.reader.advance();
    text.to_mut().push(replacement);
    Ok(())
}

fn hexadecimal_escape(
    scanner: &mut Scanner<'_>,
    text: &mut Cow<'_, str>,
    start: Mark,
) -> Result<(), ReadError> {
    let length = match scanner.reader.peek() {
        'x' => 2,
        'u' => 4,
        _ => 8,
    };
    scanner.reader.advance();
    let digits = scanner.reader.rest().bytes().take(length).take_while(u8::is_ascii_hexdigit).count();
    if digits < length {
        return Err(ReadError::new(start, format!("expected {length} hexadecimal digits in this escape")));
    }
    let code = u32::from_str_radix(scanner.reader.take(length), 16).unwrap_or(u32::MAX);
    let Some(character) = char::from_u32(code) else {
        let what = format!("the escape U+{code:04X} is not a character");
        return Err(ReadError::new(start, what).because("half of a surrogate pair, or past U+10FFFF"));
    };
    text.to_mut().push(character);
    Ok(())
}

/// The treatment of line breaks at the end of a block scalar.
#[derive(Clone, Copy, PartialEq)]
enum Chomping {
    Strip,
    Clip,
    Keep,
}

/// Read a scalar after `|` or `>`.
pub(super) fn block<'a>(scanner: &mut Scanner<'a>) -> Result<Token<'a>, ReadError> {
    let is_folded = scanner.reader.peek() == '>';
    scanner.reader.advance();
    let (chomping, increment) = block_header(scanner)?;
    end_of_line(scanner, "the first line of a block scalar")?;
    let least = scanner.indent.max(1);
    let mut breaks = String::new();
    let indent = match increment {
        Some(increment) => {
            let indent = least + increment - 1;
            block_breaks(scanner, indent, &mut breaks);
            indent
        }
        None => block_indentation(scanner, &mut breaks).max(least),
    };
    let mut text = String::new();
    let mut line_break = None;
    while scanner.reader.column() == indent && scanner.reader.peek() != '\0' {
        text.push_str(&breaks);
        let begins_with_blank = matches!(scanner.reader.peek(), ' ' | '\t');
        text.push_str(scanner.reader.take_until(|_| false));
        line_break = scanner.reader.line_break();
        breaks.clear();
        block_breaks(scanner, indent, &mut breaks);
        let next = scanner.reader.peek();
        if scanner.reader.column() != indent || next == '\0' {
            break;
        }
        if is_folded && line_break == Some('\n') && !begins_with_blank && !matches!(next, ' ' | '\t') {
            if breaks.is_empty() {
                text.push(' ');
            }
        } else {
            text.extend(line_break);
        }
    }
    if chomping != Chomping::Strip {
        text.extend(line_break);
    }
    if chomping == Chomping::Keep {
        text.push_str(&breaks);
    }
    Ok(Token::Scalar(ScalarToken { text: Cow::Owned(text), is_plain: false }))
}

/// Read `+` or `-` and a digit from 1 to 9, in either order.
fn block_header(scanner: &mut Scanner<'_>) -> Result<(Chomping, Option<usize>), ReadError> {
    let mut chomping = None;
    let mut increment = None;
    loop {
        match scanner.reader.peek() {
            '+' if chomping.is_none() => chomping = Some(Chomping::Keep),
            '-' if chomping.is_none() => chomping = Some(Chomping::Strip),
            digit @ '1'..='9' if increment.is_none() => increment = digit.to_digit(10),
            ' ' => break,
            next if is_break_or_end(next) => break,
            _ => {
                return Err(scanner
                    .error("after '|' or '>' come '+' or '-' and a digit from 1 to 9 only")
                    .because("each once at most; the text begins on the next line"));
            }
        }
        scanner.reader.advance();
    }
    Ok((chomping.unwrap_or(Chomping::Clip), increment.map(|digit| digit as usize)))
}

/// Move past empty lines and return the indentation of the first line that is not empty.
fn block_indentation(scanner: &mut Scanner<'_>, breaks: &mut String) -> usize {
    let mut deepest = 0;
    loop {
        scanner.reader.skip_spaces();
        deepest = deepest.max(scanner.reader.column());
        match scanner.reader.line_break() {
            Some(line_break) => breaks.push(line_break),
            None => return deepest,
        }
    }
}

/// Move past empty lines and the indentation of the next line.
fn block_breaks(scanner: &mut Scanner<'_>, indent: usize, breaks: &mut String) {
    loop {
        while scanner.reader.column() < indent && scanner.reader.peek() == ' ' {
            scanner.reader.advance();
        }
        match scanner.reader.line_break() {
            Some(line_break) => breaks.push(line_break),
            None => return,
        }
    }
}
