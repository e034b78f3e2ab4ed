//! `%(levelname)-8s`: Python's `%` with a mapping. This module never looks at a record.

use super::{FormatError, Piece, Pieces, Spec, field, take_letter, take_number};
use crate::spec::{Align, Conversion};

pub(super) fn parse(format: &str) -> Result<Vec<Piece>, FormatError> {
    let mut pieces = Pieces::default();
    let mut rest = format;
    while let Some(letter) = take_letter(&mut rest) {
        if letter != '%' {
            pieces.literal(letter);
        } else if let Some(after) = rest.strip_prefix('%') {
            pieces.literal('%');
            rest = after;
        } else {
            match conversion(&mut rest)? {
                Some(piece) => pieces.field(piece),
                None => pieces.literal('%'),
            }
        }
    }
    Ok(pieces.finish())
}

/// Read one conversion after its `%`; `None` means a literal `%`.
fn conversion(rest: &mut &str) -> Result<Option<Piece>, FormatError> {
    let name = key(rest)?;
    let end = rest.find(|letter| !"#0- +".contains(letter)).unwrap_or(rest.len());
    let (flags, after) = rest.split_at(end);
    *rest = after;
    let width = take_number(rest)?.unwrap_or(0);
    let precision = match rest.strip_prefix('.') {
        None => None,
        Some(after) => {
            *rest = after;
            Some(take_number(rest)?.unwrap_or(0))
        }
    };
    // Python ignores C's length modifiers.
    *rest = rest.strip_prefix(['h', 'l', 'L']).unwrap_or(rest);
    let conversion = match take_letter(rest) {
        Some('s') => Conversion::Str,
        Some('r') => Conversion::Repr,
        Some('a') => Conversion::Ascii,
        Some('d' | 'i' | 'u') => Conversion::Decimal,
        Some('o') => Conversion::Octal,
        Some('x') => Conversion::Hex { upper: false },
        Some('X') => Conversion::Hex { upper: true },
        Some('e') => Conversion::Exponent { upper: false },
        Some('E') => Conversion::Exponent { upper: true },
        Some('f' | 'F') => Conversion::Fixed,
        Some('g') => Conversion::General { upper: false },
        Some('G') => Conversion::General { upper: true },
        Some('%') => return Ok(None),
        Some(other) => {
            let why = format!("%({name}) is followed by {other:?}");
            return Err(FormatError::new(why, format!("write %({name})s")));
        }
        None => {
            return Err(FormatError::new(format!("%({name}) ends too early"), format!("write %({name})s")));
        }
    };
    field(name, spec(flags, conversion, width, precision)).map(Some)
}

/// Read the attribute's name in parentheses.
fn key<'f>(rest: &mut &'f str) -> Result<&'f str, FormatError> {
    let Some(after) = rest.strip_prefix('(') else {
        return Err(FormatError::new(
            "a % stands alone",
            "write an attribute's name behind it, %(message)s, or %% for a percent sign",
        ));
    };
    let Some((name, after)) = after.split_once(')') else {
        return Err(FormatError::new("a parenthesis is not closed", "write %(message)s"));
    };
    *rest = after;
    Ok(name)
}

fn spec(flags: &str, conversion: Conversion, width: usize, precision: Option<usize>) -> Spec {
    let textual = matches!(conversion, Conversion::Str | Conversion::Repr | Conversion::Ascii);
    let left = flags.contains('-');
    let zeros = flags.contains('0') && !left && !textual;
    Spec {
        conversion,
        align: match (left, zeros) {
            (true, _) => Align::Left,
            (false, true) => Align::AfterSign,
            (false, false) => Align::Right,
        },
        fill: if zeros { '0' } else { ' ' },
        plus: ['+', ' '].into_iter().find(|sign| flags.contains(*sign)),
        alternate: flags.contains('#'),
        width,
        precision,
    }
}
