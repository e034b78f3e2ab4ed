//! The tokens around a value: directives, anchors, aliases and tags.

use std::borrow::Cow;

use super::Scanner;
use crate::read::ReadError;
use crate::read::error::shown;
use crate::read::reader::is_break_or_end;
use crate::read::token::{Directive, TagToken, Token};

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

fn is_uri_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-;/?:@&=+$,_.!~*'()[]".contains(&byte)
}

/// Return whether this is the end of the text, a space or a line break; `PyYAML` does not allow a tab here.
fn is_space_or_end(character: char) -> bool {
    character == ' ' || is_break_or_end(character)
}

fn unexpected(scanner: &Scanner<'_>, expected: &str, place: &str) -> ReadError {
    let found = shown(scanner.reader.peek());
    scanner.error(format!("expected {expected}, but found {found}")).because(format!("in {place}"))
}

/// Read `%YAML 1.1`, `%TAG ! prefix` or an unknown directive, which is skipped.
pub(super) fn directive<'a>(scanner: &mut Scanner<'a>) -> Result<Directive<'a>, ReadError> {
    scanner.reader.advance();
    let name = scanner.reader.take_until(|byte| !is_word_byte(byte));
    if name.is_empty() || !name.is_ascii() || !is_space_or_end(scanner.reader.peek()) {
        return Err(unexpected(scanner, "a directive's name", "a line that begins with '%'"));
    }
    let directive = match name {
        "YAML" => yaml_directive(scanner)?,
        "TAG" => tag_directive(scanner)?,
        _ => {
            scanner.reader.take_until(|_| false);
            Directive::Unknown
        }
    };
    end_of_line(scanner, "a directive")?;
    Ok(directive)
}

/// Move past a comment and the line break; anything else is an error.
pub(super) fn end_of_line(scanner: &mut Scanner<'_>, place: &str) -> Result<(), ReadError> {
    scanner.reader.skip_spaces();
    if scanner.reader.peek() == '#' {
        scanner.reader.take_until(|_| false);
    }
    if !is_break_or_end(scanner.reader.peek()) {
        return Err(unexpected(scanner, "a comment or the end of the line", place));
    }
    scanner.reader.line_break();
    Ok(())
}

fn yaml_directive<'a>(scanner: &mut Scanner<'a>) -> Result<Directive<'a>, ReadError> {
    scanner.reader.skip_spaces();
    let major = version_number(scanner)?;
    if scanner.reader.peek() != '.' {
        return Err(unexpected(scanner, "a version such as 1.1", "a %YAML directive"));
    }
    scanner.reader.advance();
    version_number(scanner)?;
    if !is_space_or_end(scanner.reader.peek()) {
        return Err(unexpected(scanner, "the end of the version", "a %YAML directive"));
    }
    Ok(Directive::Yaml { major })
}

fn version_number<'a>(scanner: &mut Scanner<'a>) -> Result<&'a str, ReadError> {
    let length = scanner.reader.rest().bytes().take_while(u8::is_ascii_digit).count();
    if length == 0 || length > crate::read::limits::MAX_DIGITS {
        return Err(unexpected(scanner, "a version such as 1.1", "a %YAML directive"));
    }
    Ok(scanner.reader.take(length))
}

fn tag_directive<'a>(scanner: &mut Scanner<'a>) -> Result<Directive<'a>, ReadError> {
    scanner.reader.skip_spaces();
    let handle = tag_handle(scanner)?;
    if scanner.reader.peek() != ' ' {
        return Err(unexpected(scanner, "a space", "a %TAG directive"));
    }
    scanner.reader.skip_spaces();
    let prefix = tag_uri(scanner)?;
    if !is_space_or_end(scanner.reader.peek()) {
        return Err(unexpected(scanner, "the end of the prefix", "a %TAG directive"));
    }
    Ok(Directive::Tag { handle, prefix })
}

/// Read `&name` or `*name`.
pub(super) fn anchor_or_alias<'a>(scanner: &mut Scanner<'a>) -> Result<Token<'a>, ReadError> {
    let is_alias = scanner.reader.peek() == '*';
    scanner.reader.advance();
    let length = scanner.reader.rest().bytes().take_while(|&byte| is_word_byte(byte)).count();
    let name = scanner.reader.take(length);
    let next = scanner.reader.peek();
    let ends = next == '\t' || is_space_or_end(next) || "?:,]}%@`".contains(next);
    if name.is_empty() || !ends {
        let place = if is_alias { "an alias" } else { "an anchor" };
        return Err(unexpected(scanner, "a letter, a digit, '-' or '_'", place));
    }
    Ok(if is_alias { Token::Alias(name) } else { Token::Anchor(name) })
}

/// Read `!`, `!local`, `!!name`, `!handle!name` or `!<uri>`.
pub(super) fn tag<'a>(scanner: &mut Scanner<'a>) -> Result<Token<'a>, ReadError> {
    let next = scanner.reader.peek_at(1);
    let tag = if next == '<' {
        scanner.reader.take(2);
        let suffix = tag_uri(scanner)?;
        if scanner.reader.peek() != '>' {
            return Err(unexpected(scanner, "'>'", "a tag"));
        }
        scanner.reader.advance();
        TagToken { handle: None, suffix }
    } else if next == '\t' || is_space_or_end(next) {
        scanner.reader.advance();
        TagToken { handle: None, suffix: Cow::Borrowed("!") }
    } else {
        let word = scanner.reader.rest()[1..].split(is_space_or_end).next().unwrap_or_default();
        let handle = if word.contains('!') { tag_handle(scanner)? } else { scanner.reader.take(1) };
        TagToken { handle: Some(handle), suffix: tag_uri(scanner)? }
    };
    if !is_space_or_end(scanner.reader.peek()) {
        return Err(unexpected(scanner, "a space", "a tag"));
    }
    Ok(Token::Tag(tag))
}

/// Read `!`, `!!` or `!name!`.
fn tag_handle<'a>(scanner: &mut Scanner<'a>) -> Result<&'a str, ReadError> {
    let rest = scanner.reader.rest().as_bytes();
    if rest.first() != Some(&b'!') {
        return Err(unexpected(scanner, "'!'", "a tag"));
    }
    if rest.get(1) == Some(&b' ') {
        return Ok(scanner.reader.take(1));
    }
    let name = rest[1..].iter().take_while(|&&byte| is_word_byte(byte)).count();
    if rest.get(1 + name) != Some(&b'!') {
        scanner.reader.take(1 + name);
        return Err(unexpected(scanner, "'!'", "a tag"));
    }
    Ok(scanner.reader.take(name + 2))
}

fn tag_uri<'a>(scanner: &mut Scanner<'a>) -> Result<Cow<'a, str>, ReadError> {
    let mut uri = Cow::Borrowed("");
    loop {
        let length = scanner.reader.rest().bytes().take_while(|&byte| is_uri_byte(byte)).count();
        uri += scanner.reader.take(length);
        if scanner.reader.peek() != '%' {
            break;
        }
        uri.to_mut().push_str(&uri_escapes(scanner)?);
    }
    if uri.is_empty() {
        return Err(unexpected(scanner, "a tag's name", "a tag"));
    }
    Ok(uri)
}

/// Read a run of escapes such as `%C3%A9`.
fn uri_escapes(scanner: &mut Scanner<'_>) -> Result<String, ReadError> {
    let start = scanner.reader.mark();
    let mut bytes = Vec::new();
    while scanner.reader.peek() == '%' {
        scanner.reader.advance();
        let digits =
            scanner.reader.rest().get(..2).filter(|pair| pair.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let Some(byte) = digits.and_then(|pair| u8::from_str_radix(pair, 16).ok()) else {
            return Err(unexpected(scanner, "two hexadecimal digits after '%'", "a tag"));
        };
        scanner.reader.take(2);
        bytes.push(byte);
    }
    String::from_utf8(bytes).map_err(|_| ReadError::new(start, "the escapes of this tag are not UTF-8"))
}
