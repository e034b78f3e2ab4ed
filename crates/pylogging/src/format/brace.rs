//! `{levelname:<8}`: Python's `str.format`, without indexes, attributes of attributes, nested fields and thousands
//! separators, which log formats do not need.
//!
//! This module never looks at a record.

use super::{Attribute, FormatError, Piece, Pieces, Spec, field, take_letter, take_number};
use crate::spec::{Align, Conversion, Kind};

pub(super) fn parse(format: &str) -> Result<Vec<Piece>, FormatError> {
    let mut pieces = Pieces::default();
    let mut rest = format;
    while let Some(letter) = take_letter(&mut rest) {
        let doubled = rest.strip_prefix(letter);
        match (letter, doubled) {
            ('{' | '}', Some(after)) => {
                pieces.literal(letter);
                rest = after;
            }
            ('{', None) => {
                let Some((inside, after)) = rest.split_once('}') else {
                    return Err(FormatError::new("a { is not closed", "write {message}, or {{ for a brace"));
                };
                pieces.field(replacement(inside)?);
                rest = after;
            }
            ('}', None) => return Err(FormatError::new("a } stands alone", "write }} for a brace")),
            _ => pieces.literal(letter),
        }
    }
    Ok(pieces.finish())
}

/// Parse a replacement field: `name`, `name!r` or `name:spec`.
fn replacement(inside: &str) -> Result<Piece, FormatError> {
    let (head, spec) = inside.split_once(':').unwrap_or((inside, ""));
    let (name, shown) = match head.split_once('!') {
        None => (head, None),
        Some((name, "s")) => (name, Some(Conversion::Str)),
        Some((name, "r")) => (name, Some(Conversion::Repr)),
        Some((name, "a")) => (name, Some(Conversion::Ascii)),
        Some((name, other)) => {
            return Err(FormatError::new(
                format!("!{other} is not a conversion"),
                format!("write {{{name}}}"),
            ));
        }
    };
    let kind = match (shown, Attribute::from_name(name)) {
        (None, Some(attribute)) => attribute.kind(),
        _ => Kind::Text,
    };
    field(name, layout(spec, kind, shown)?)
}

/// Parse a layout: `[[fill]align][sign][#][0][width][.precision][type]`.
fn layout(written: &str, kind: Kind, shown: Option<Conversion>) -> Result<Spec, FormatError> {
    let refuse =
        || FormatError::new(format!("{written:?} is not a layout for it"), "write as in {levelname:<8}");
    let mut rest = written;
    let mut align = None;
    let mut fill = ' ';
    let mut letters = written.chars();
    let (first, second) = (letters.next(), letters.next());
    if let (Some(letter), Some(found)) = (first, second.and_then(alignment)) {
        (fill, align) = (letter, Some(found));
        rest = letters.as_str();
    } else if let Some(found) = first.and_then(alignment) {
        align = Some(found);
        take_letter(&mut rest);
    }
    let mut flag = |letters: &[char]| match rest.strip_prefix(letters) {
        Some(after) => {
            let found = rest.chars().next();
            rest = after;
            found
        }
        None => None,
    };
    let sign = flag(&['+', '-', ' ']);
    let alternate = flag(&['#']).is_some();
    let zero = flag(&['0']).is_some();
    let width = take_number(&mut rest)?.unwrap_or(0);
    let precision = match rest.strip_prefix('.') {
        None => None,
        Some(after) => {
            rest = after;
            Some(take_number(&mut rest)?.ok_or_else(refuse)?)
        }
    };
    let conversion = shape(rest, kind, precision).ok_or_else(refuse)?;
    if zero && fill == ' ' {
        fill = '0';
    }
    let standing = match (kind, zero) {
        (Kind::Text, _) => Align::Left,
        (_, true) => Align::AfterSign,
        (_, false) => Align::Right,
    };
    let align = align.unwrap_or(standing);
    let plain_float = kind == Kind::Float && conversion == Conversion::Str;
    if plain_float && (sign.is_some() || alternate) {
        return Err(refuse());
    }
    if kind == Kind::Text && (sign.is_some() || alternate || align == Align::AfterSign) {
        return Err(refuse());
    }
    Ok(Spec {
        conversion: shown.unwrap_or(conversion),
        align: if width == 0 { Align::Right } else { align },
        fill: if width == 0 { ' ' } else { fill },
        plus: sign.filter(|sign| *sign != '-'),
        alternate,
        width,
        precision,
    })
}

fn alignment(letter: char) -> Option<Align> {
    match letter {
        '<' => Some(Align::Left),
        '>' => Some(Align::Right),
        '^' => Some(Align::Centre),
        '=' => Some(Align::AfterSign),
        _ => None,
    }
}

/// Return the conversion of a type letter.
fn shape(letter: &str, kind: Kind, precision: Option<usize>) -> Option<Conversion> {
    match (letter, kind) {
        ("" | "s", Kind::Text) => Some(Conversion::Str),
        ("" | "d", Kind::Int) if precision.is_none() => Some(Conversion::Decimal),
        ("o", Kind::Int) if precision.is_none() => Some(Conversion::Octal),
        ("x", Kind::Int) if precision.is_none() => Some(Conversion::Hex { upper: false }),
        ("X", Kind::Int) if precision.is_none() => Some(Conversion::Hex { upper: true }),
        ("", Kind::Float) if precision.is_none() => Some(Conversion::Str),
        ("f" | "F", Kind::Int | Kind::Float) => Some(Conversion::Fixed),
        ("e", Kind::Int | Kind::Float) => Some(Conversion::Exponent { upper: false }),
        ("E", Kind::Int | Kind::Float) => Some(Conversion::Exponent { upper: true }),
        ("g", Kind::Int | Kind::Float) => Some(Conversion::General { upper: false }),
        ("G", Kind::Int | Kind::Float) => Some(Conversion::General { upper: true }),
        _ => None,
    }
}
