//! Reads YAML: text → tokens ([`scanner`]) → nodes ([`compose`]) → values ([`construct`]), each step by `PyYAML`'s
//! rules.
//!
//! No document may cost more than the [`limits`] allow, no matter what it contains.

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

/// Read a text as `PyYAML`'s `yaml.safe_load` does. A text without a document is null.
///
/// ```
/// use pyyaml::Value;
///
/// let value = pyyaml::read("{at: 12:30, host: no}")?;
/// assert_eq!(value.get("at"), Some(&Value::Int(750)));
/// assert_eq!(value.get("host"), Some(&Value::Bool(false)));
/// assert!(pyyaml::read("[1, 2").is_err());
/// # Ok::<(), pyyaml::ReadError>(())
/// ```
///
/// # Errors
///
/// If the text is not YAML, contains several documents, uses a tag that `safe_load` refuses, or exceeds one of the
/// [`limits`].
pub fn read(text: &str) -> Result<Value, ReadError> {
    construct::construct(&mut compose::compose(text, Size::LIMIT)?)
}

/// Read UTF-8 like [`read`].
///
/// # Errors
///
/// If [`read`] fails, or the bytes are not UTF-8.
pub fn read_bytes(bytes: &[u8]) -> Result<Value, ReadError> {
    read(utf8(bytes)?)
}

/// Read UTF-8 that the caller wrote, or a person who edited its file, like [`read`]. Such a text may have any size, so
/// that everything that was written can be read again.
///
/// # Errors
///
/// If [`read_bytes`] fails.
pub fn read_own(bytes: &[u8]) -> Result<Value, ReadError> {
    let text = utf8(bytes)?;
    construct::construct(&mut compose::compose(text, Size::limit_of_own(text))?)
}

/// Read a text like [`read`], and record the places of its keys.
///
/// ```
/// let (value, marks) = pyyaml::read_marked("zmq:\n  host: salish\n")?;
/// assert_eq!(value.get("zmq").and_then(|zmq| zmq.get("host")?.as_str()), Some("salish"));
/// assert_eq!(marks.line_of(&["zmq", "host"]), Some(2));
/// # Ok::<(), pyyaml::ReadError>(())
/// ```
///
/// # Errors
///
/// If [`read`] fails.
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
