//! The layout of one value: width, precision, sign, base. The rules are those of Python's `%` and `str.format`, which
//! differ in syntax and in the alignment of strings only.
//!
//! This module never parses a format.

use std::borrow::Cow;
use std::fmt::Write as _;

use pyyaml::python;

/// The largest width or precision; a larger one is a mistake and would fill the disk with blanks.
pub(super) const LARGEST: usize = 1000;

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Field<'a> {
    Text(Cow<'a, str>),
    Int(i64),
    Float(f64),
}

/// The type of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Int,
    Float,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
    Centre,
    /// Between the sign and the digits.
    AfterSign,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conversion {
    Str,
    Repr,
    Ascii,
    Decimal,
    Octal,
    Hex { upper: bool },
    Exponent { upper: bool },
    Fixed,
    General { upper: bool },
}

/// One conversion, `-8s` or `<8`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spec {
    pub conversion: Conversion,
    pub align: Align,
    pub fill: char,
    /// The sign of numbers that are not negative.
    pub plus: Option<char>,
    /// `#`: 0x before a hexadecimal number, trailing zeros kept.
    pub alternate: bool,
    pub width: usize,
    pub precision: Option<usize>,
}

impl Spec {
    /// The value as it is.
    pub const PLAIN: Spec = Spec {
        conversion: Conversion::Str,
        align: Align::Right,
        fill: ' ',
        plus: None,
        alternate: false,
        width: 0,
        precision: None,
    };

    /// Return whether the conversion fits a value of that type. Python reports a mismatch only at the first line.
    pub fn fits(&self, kind: Kind) -> bool {
        match self.conversion {
            Conversion::Str | Conversion::Repr | Conversion::Ascii => true,
            Conversion::Octal | Conversion::Hex { .. } => kind == Kind::Int,
            _ => kind != Kind::Text,
        }
    }

    /// Append the value to the line.
    pub fn render(&self, field: &Field<'_>, out: &mut String) {
        if *self == Spec::PLAIN
            && let Field::Text(text) = field
        {
            out.push_str(text);
            return;
        }
        match self.conversion {
            Conversion::Str => self.text(&as_text(field), out),
            Conversion::Repr => self.text(&repr(field), out),
            Conversion::Ascii => self.text(&ascii(&repr(field)), out),
            Conversion::Decimal => self.integer(whole(field), |number| number.to_string(), "", out),
            Conversion::Octal => self.integer(whole(field), |number| format!("{number:o}"), "0o", out),
            Conversion::Hex { upper: false } => {
                self.integer(whole(field), |number| format!("{number:x}"), "0x", out);
            }
            Conversion::Hex { upper: true } => {
                self.integer(whole(field), |number| format!("{number:X}"), "0X", out);
            }
            Conversion::Exponent { .. } | Conversion::Fixed | Conversion::General { .. } => {
                let number = real(field);
                self.number(number.is_sign_negative(), "", &self.digits(number.abs()), out);
            }
        }
    }

    fn text(&self, text: &str, out: &mut String) {
        let kept = self
            .precision
            .and_then(|keep| text.char_indices().nth(keep))
            .map_or(text, |(end, _)| &text[..end]);
        let align = if self.align == Align::AfterSign { Align::Right } else { self.align };
        self.pad("", kept, align, out);
    }

    fn integer(&self, number: i64, digits: impl Fn(u64) -> String, prefix: &str, out: &mut String) {
        let mut body = digits(number.unsigned_abs());
        let least = self.precision.unwrap_or(0);
        if body.len() < least {
            body.insert_str(0, &"0".repeat(least - body.len()));
        }
        self.number(number < 0, if self.alternate { prefix } else { "" }, &body, out);
    }

    fn number(&self, negative: bool, prefix: &str, body: &str, out: &mut String) {
        let mut head = String::new();
        head.extend(if negative { Some('-') } else { self.plus });
        head.push_str(prefix);
        self.pad(&head, body, self.align, out);
    }

    fn pad(&self, head: &str, body: &str, align: Align, out: &mut String) {
        let missing = self.width.saturating_sub(head.chars().count() + body.chars().count());
        let (before, between, after) = match align {
            Align::Left => (0, 0, missing),
            Align::Right => (missing, 0, 0),
            Align::Centre => (missing / 2, 0, missing - missing / 2),
            Align::AfterSign => (0, missing, 0),
        };
        let fill = |count| std::iter::repeat_n(self.fill, count);
        out.extend(fill(before));
        out.push_str(head);
        out.extend(fill(between));
        out.push_str(body);
        out.extend(fill(after));
    }

    /// Return the digits of a number that is not negative.
    fn digits(&self, number: f64) -> String {
        let precision = self.precision.unwrap_or(6);
        match self.conversion {
            Conversion::Exponent { upper } => cased(scientific(number, precision, self.alternate), upper),
            Conversion::General { upper } => cased(general(number, precision, self.alternate), upper),
            _ if self.alternate && precision == 0 => format!("{number:.0}."),
            _ => format!("{number:.precision$}"),
        }
    }
}

fn cased(digits: String, upper: bool) -> String {
    if upper { digits.to_uppercase() } else { digits }
}

/// Format a number like C's `%e`: the exponent has a sign and at least two digits.
fn scientific(number: f64, precision: usize, keep_point: bool) -> String {
    let written = format!("{number:.precision$e}");
    let Some((mantissa, exponent)) = written.split_once('e') else { return written };
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    let point = if keep_point && precision == 0 { "." } else { "" };
    format!("{mantissa}{point}e{sign}{exponent:0>2}")
}

/// Format a number like C's `%g`: the shorter of `%f` and `%e` for that many digits.
fn general(number: f64, precision: usize, keep_zeros: bool) -> String {
    let precision = precision.max(1);
    let rounded = scientific(number, precision - 1, false);
    let exponent: i64 = rounded.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    let digits = i64::try_from(precision).unwrap_or(i64::MAX);
    if exponent < -4 || exponent >= digits {
        let written = scientific(number, precision - 1, keep_zeros);
        if keep_zeros {
            return written;
        }
        let (mantissa, exponent) = written.split_once('e').unwrap_or((&written, "+00"));
        return format!("{}e{exponent}", without_trailing_zeros(mantissa));
    }
    let decimals = usize::try_from(digits - 1 - exponent).unwrap_or(0);
    let written = format!("{number:.decimals$}");
    match (keep_zeros, decimals) {
        (true, 0) => written + ".",
        (true, _) => written,
        (false, _) => without_trailing_zeros(&written).to_owned(),
    }
}

fn without_trailing_zeros(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

fn as_text<'f>(field: &'f Field<'_>) -> Cow<'f, str> {
    match field {
        Field::Text(text) => Cow::Borrowed(text),
        Field::Int(number) => number.to_string().into(),
        // For times, Rust's debug form equals Python's `repr`: the shortest text that is read as the same number, with
        // a point.
        Field::Float(number) => format!("{number:?}").into(),
    }
}

fn repr(field: &Field<'_>) -> String {
    match field {
        Field::Text(text) => python::repr(text),
        other => as_text(other).into_owned(),
    }
}

fn ascii(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, letter| {
        // Writing to a string cannot fail.
        let _ = match u32::from(letter) {
            0..0x80 => write!(out, "{letter}"),
            code @ 0x80..0x100 => write!(out, "\\x{code:02x}"),
            code @ 0x100..0x1_0000 => write!(out, "\\u{code:04x}"),
            code => write!(out, "\\U{code:08x}"),
        };
        out
    })
}

#[allow(clippy::cast_possible_truncation, reason = "Python cuts the fraction off; times fit")]
fn whole(field: &Field<'_>) -> i64 {
    match field {
        Field::Int(number) => *number,
        Field::Float(number) => *number as i64,
        Field::Text(_) => 0,
    }
}

#[allow(clippy::cast_precision_loss, reason = "process numbers and lines are far below 2^53")]
fn real(field: &Field<'_>) -> f64 {
    match field {
        Field::Int(number) => *number as f64,
        Field::Float(number) => *number,
        Field::Text(_) => 0.0,
    }
}
