//! Reading: text → tokens ([`scanner`]) → nodes ([`compose`]) → values ([`construct`]), each step with
//! `PyYAML`'s rules.
//!
//! No document may cost more than the [`limits`] say, whatever it holds.

mod collections;
mod compose;
mod construct;
mod error;
mod keys;
pub mod limits;
mod marks;
mod merge;
mod node;
mod number;
mod reader;
mod scanner;
mod token;

pub use error::{Mark, ReadError};
pub use marks::{Marks, RepeatedKey};

use limits::Size;

use super::Value;

/// Reads a text as `PyYAML`'s `yaml.safe_load` does. A text without a document is null.
///
/// # Errors
///
/// If the text is not YAML, holds several documents, uses a tag that `safe_load` refuses, or goes past one
/// of the [`limits`].
pub fn read(text: &str) -> Result<Value, ReadError> {
    construct::construct(&mut compose::compose(text, Size::LIMIT)?)
}

/// Reads UTF-8; see [`read`].
///
/// # Errors
///
/// Those of [`read`], and bytes that are not UTF-8.
pub fn read_bytes(bytes: &[u8]) -> Result<Value, ReadError> {
    read(utf8(bytes)?)
}

/// Reads UTF-8 that this program wrote, or a person beside it: such a file may be as large as it is, so
/// that what was written can be read again; see [`read`].
///
/// # Errors
///
/// Those of [`read_bytes`].
pub fn read_own(bytes: &[u8]) -> Result<Value, ReadError> {
    let text = utf8(bytes)?;
    construct::construct(&mut compose::compose(text, Size::limit_of_own(text))?)
}

/// Reads a text and remembers where its keys stand; see [`read`].
///
/// # Errors
///
/// Those of [`read`].
pub fn read_marked(text: &str) -> Result<(Value, Marks), ReadError> {
    let mut document = compose::compose(text, Size::LIMIT)?;
    let repeated = marks::repeated_keys(&document);
    let value = construct::construct(&mut document)?;
    let marks = Marks::new(&document, repeated);
    Ok((value, marks))
}

fn utf8(bytes: &[u8]) -> Result<&str, ReadError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let good = String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default());
        let line_start = good.rfind('\n').map_or(0, |position| position + 1);
        let mark = Mark {
            line: good.matches('\n').count() + 1,
            column: good.get(line_start..).unwrap_or_default().chars().count() + 1,
        };
        let byte = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
        ReadError::new(mark, format!("the byte 0x{byte:02X} is not UTF-8")).because("YAML is read as UTF-8")
    })
}
