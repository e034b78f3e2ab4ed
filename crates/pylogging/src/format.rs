//! A format of the configuration, parsed once and rendered for each line.
//!
//! A format that was accepted never fails at a line.

use super::asctime::Asctime;
use super::attribute::Attribute;
use super::escape::escape_and_indent;
use super::line_head::LineHead;
use super::record::LogRecord;
use super::spec::{Field, Kind, Spec};
use json::JsonLine;

mod brace;
mod dollar;
mod json;
mod percent;

pub(super) use json::JsonOptions;

/// The syntax of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `%(name)s`
    Percent,
    /// `{name}`
    Brace,
    /// `${name}`
    Dollar,
}

impl Style {
    pub fn from_text(text: &str) -> Option<Style> {
        match text {
            "%" => Some(Style::Percent),
            "{" => Some(Style::Brace),
            "$" => Some(Style::Dollar),
            _ => None,
        }
    }
}

/// The beginning of lines after the first one of a text.
const INDENT: &str = "  ";

/// Bytes of a line beside its message, in most formats.
const BESIDE_MESSAGE: usize = 100;

/// A parsed format.
#[derive(Debug)]
pub(super) struct Format {
    layout: Layout,
    asctime: Asctime,
}

#[derive(Debug)]
enum Layout {
    Text(Vec<Piece>),
    Json(JsonLine),
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    Field(Attribute, Spec),
}

/// An invalid format: the reason and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FormatError {
    pub why: String,
    pub remedy: String,
}

impl FormatError {
    fn new(why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { why: why.into(), remedy: remedy.into() }
    }
}

impl Default for Format {
    fn default() -> Self {
        Self { layout: Layout::Text(message()), asctime: Asctime::default() }
    }
}

fn message() -> Vec<Piece> {
    vec![Piece::Field(Attribute::Message, Spec::PLAIN)]
}

impl Format {
    /// Parse a format. If `validate` is set, it must have an attribute, as in Python.
    pub fn new(text: &str, style: Style, datefmt: Option<&str>, validate: bool) -> Result<Self, FormatError> {
        let pieces = match style {
            _ if text.is_empty() => Ok(message()),
            Style::Percent => percent::parse(text),
            Style::Brace => brace::parse(text),
            Style::Dollar => dollar::parse(text),
        }?;
        let named = pieces.iter().any(|piece| matches!(piece, Piece::Field(..)));
        if validate && !named {
            let example = match style {
                Style::Percent => "%(message)s",
                Style::Brace => "{message}",
                Style::Dollar => "${message}",
            };
            return Err(FormatError::new("it shows nothing of the line", format!("write {example} in it")));
        }
        Ok(Self { layout: Layout::Text(pieces), asctime: asctime(datefmt)? })
    }

    /// Return a format whose lines are JSON.
    pub fn json(options: JsonOptions, datefmt: Option<&str>) -> Result<Self, FormatError> {
        Ok(Self { layout: Layout::Json(JsonLine::new(options)), asctime: asctime(datefmt)? })
    }

    /// Return the line with its line end.
    pub fn line(&self, record: &LogRecord<'_>) -> String {
        let mut line = String::with_capacity(record.message.len() + BESIDE_MESSAGE);
        self.render(record, &mut line);
        line.push('\n');
        line
    }

    /// Read the beginning of a line back, up to its message; `None` if it does not have this format, or the format has no time.
    pub fn head(&self, line: &str) -> Option<LineHead> {
        let pieces = match &self.layout {
            Layout::Text(pieces) => pieces,
            Layout::Json(json) => return json.head(line, &self.asctime),
        };
        let (mut time, mut head, mut rest) = (None, (None, None), line);
        for (at, piece) in pieces.iter().enumerate() {
            match piece {
                Piece::Text(text) => rest = rest.strip_prefix(text.as_str())?,
                Piece::Field(Attribute::Message, _) => break,
                Piece::Field(Attribute::Asctime, _) => {
                    let (read, after) = self.asctime.read(rest)?;
                    (time, rest) = (Some(read), after);
                }
                Piece::Field(attribute, _) => {
                    let end = match pieces.get(at + 1) {
                        Some(Piece::Text(text)) => rest.find(text.as_str())?,
                        _ => rest.len(),
                    };
                    attribute.note(rest[..end].trim(), &mut head);
                    rest = &rest[end..];
                }
            }
        }
        time.map(|time| LineHead { time, level: head.0, name: head.1 })
    }

    /// Append the line, without a line end.
    pub fn render(&self, record: &LogRecord<'_>, out: &mut String) {
        let pieces = match &self.layout {
            Layout::Text(pieces) => pieces,
            Layout::Json(line) => return line.render(record, &self.asctime, out),
        };
        for piece in pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Field(attribute, spec) => {
                    let indent = if record.is_block { "" } else { INDENT };
                    match &attribute.of(record, &self.asctime) {
                        Field::Text(text) => spec.render(&Field::Text(escape_and_indent(text, indent)), out),
                        number => spec.render(number, out),
                    }
                }
            }
        }
    }
}

fn asctime(datefmt: Option<&str>) -> Result<Asctime, FormatError> {
    let Some(datefmt) = datefmt.filter(|datefmt| !datefmt.is_empty()) else { return Ok(Asctime::default()) };
    Asctime::new(datefmt).map_err(|error| {
        FormatError::new(format!("datefmt: {error}"), "use strftime's directives, as %Y-%m-%d %H:%M:%S")
    })
}

/// Return the piece for an attribute, or an error if there is no such attribute or the conversion does not fit it.
fn field(name: &str, spec: Spec) -> Result<Piece, FormatError> {
    let Some(attribute) = Attribute::from_name(name) else {
        return Err(FormatError::new(
            format!("a line has no attribute {name:?}"),
            super::error::choose_from(name, Attribute::names()),
        ));
    };
    if !spec.fits(attribute.kind()) {
        let kind = match attribute.kind() {
            Kind::Text => "text",
            Kind::Int => "a whole number",
            Kind::Float => "a number with a fraction",
        };
        return Err(FormatError::new(
            format!("{name} is {kind}, and its conversion is for something else"),
            "use s for text, d for whole numbers, f for times",
        ));
    }
    Ok(Piece::Field(attribute, spec))
}

/// The pieces that are complete, and the literal text after them.
#[derive(Default)]
struct Pieces {
    pieces: Vec<Piece>,
    text: String,
}

impl Pieces {
    fn literal(&mut self, letter: char) {
        self.text.push(letter);
    }

    fn field(&mut self, piece: Piece) {
        self.flush();
        self.pieces.push(piece);
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.pieces.push(Piece::Text(std::mem::take(&mut self.text)));
        }
    }

    fn finish(mut self) -> Vec<Piece> {
        self.flush();
        self.pieces
    }
}

/// Read a decimal number from the front of `rest`; `None` if there is no digit.
fn take_number(rest: &mut &str) -> Result<Option<usize>, FormatError> {
    let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, after) = rest.split_at(end);
    if digits.is_empty() {
        return Ok(None);
    }
    *rest = after;
    match digits.parse() {
        Ok(number) if number <= super::spec::LARGEST => Ok(Some(number)),
        _ => Err(FormatError::new(
            format!("{digits} is too wide"),
            format!("stay below {}", super::spec::LARGEST),
        )),
    }
}

/// Read a letter from the front of `rest`.
fn take_letter(rest: &mut &str) -> Option<char> {
    let mut letters = rest.chars();
    let letter = letters.next();
    *rest = letters.as_str();
    letter
}

#[cfg(test)]
mod tests;
