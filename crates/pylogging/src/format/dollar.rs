//! `${levelname}`: Python's `string.Template`. This module never looks at a record.

use super::{FormatError, Piece, Pieces, Spec, field, take_letter};

const REMEDY: &str = "write $message, ${message}, or $$ for a dollar sign";

pub(super) fn parse(format: &str) -> Result<Vec<Piece>, FormatError> {
    let mut pieces = Pieces::default();
    let mut rest = format;
    while let Some(letter) = take_letter(&mut rest) {
        if letter != '$' {
            pieces.literal(letter);
        } else if let Some(after) = rest.strip_prefix('$') {
            pieces.literal('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let Some((name, after)) = after.split_once('}') else {
                return Err(FormatError::new("a ${ is not closed", REMEDY));
            };
            pieces.field(field(name, Spec::PLAIN)?);
            rest = after;
        } else {
            let end = rest
                .find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
                .unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            if name.is_empty() {
                return Err(FormatError::new("a $ stands alone", REMEDY));
            }
            pieces.field(field(name, Spec::PLAIN)?);
            rest = after;
        }
    }
    Ok(pieces.finish())
}
