//! Scalars as text: the result of `PyYAML`'s representer for each type.

use std::borrow::Cow;

use super::analysis::{Analysis, analyze};
use crate::base64;
use crate::resolve::resolve;
use crate::tag::Tag;
use crate::value::{Value, date_time_text};

/// A scalar that is ready to be written.
pub(super) struct Scalar<'v> {
    pub text: Cow<'v, str>,
    pub analysis: Analysis,
    /// The tag in its short form, `!!int`.
    pub tag: &'static str,
    /// Whether the text alone, without quotes, is read as this type.
    pub is_implicit: bool,
    /// Whether the scalar is to be written as a block.
    pub is_block: bool,
}

/// The longest key, with its tag, that is written on the line of its value, in characters (PyYAML's
/// `check_simple_key`).
const MAX_SIMPLE_KEY: usize = 127;

impl<'v> Scalar<'v> {
    /// Convert a scalar; `None` for a list, mapping or set.
    pub fn new(value: &'v Value) -> Option<Self> {
        let scalar = match value {
            Value::Null => Self::implicit("null", "!!null"),
            Value::Bool(true) => Self::implicit("true", "!!bool"),
            Value::Bool(false) => Self::implicit("false", "!!bool"),
            Value::Int(number) => Self::implicit(number.to_string(), "!!int"),
            Value::BigInt(number) => Self::implicit(number.to_string(), "!!int"),
            Value::Float(number) => Self::implicit(float_text(*number), "!!float"),
            Value::Str(text) => {
                let is_implicit = resolve(text) == Tag::Str;
                Self { is_implicit, ..Self::implicit(&**text, "!!str") }
            }
            Value::Date(date) => Self::timestamp(date.to_string()),
            Value::DateTime(time) => Self::timestamp(date_time_text(time, ' ')),
            Value::Bytes(bytes) => {
                let scalar = Self::implicit(base64::encode(bytes), "!!binary");
                Self { is_implicit: false, is_block: true, ..scalar }
            }
            Value::List(_) | Value::Map(_) | Value::Set(_) => return None,
        };
        Some(scalar)
    }

    fn implicit(text: impl Into<Cow<'v, str>>, tag: &'static str) -> Self {
        let text = text.into();
        let analysis = analyze(&text);
        Self { text, analysis, tag, is_implicit: true, is_block: false }
    }

    fn timestamp(text: String) -> Self {
        let is_implicit = resolve(&text) == Tag::Timestamp;
        Self { is_implicit, ..Self::implicit(text, "!!timestamp") }
    }

    /// Return whether the scalar can be a key on the line of its value.
    pub fn is_simple_key(&self) -> bool {
        // There are at least as many bytes as characters, so only a long text has to be counted.
        let is_short = |length: usize| self.tag.len() + length <= MAX_SIMPLE_KEY;
        !self.text.is_empty()
            && !self.analysis.is_multiline
            && (is_short(self.text.len()) || is_short(self.text.chars().count()))
    }
}

/// Format a finite float like Python's `repr`: the shortest digits that are read as the same number, and of two that
/// are equally near the even one. Rust's own `Display` takes the greater.
pub(crate) fn float_digits(number: f64) -> String {
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(number);
    if let Some((mantissa, exponent)) = text.split_once('e') {
        let sign = if exponent.starts_with('-') { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:0>2}", exponent.trim_start_matches('-'));
    }
    // Python uses an exponent one digit earlier than ryu.
    match text.split_once("0.0000") {
        Some((sign, digits)) if number.abs() < 1e-4 => {
            let (first, rest) = digits.split_at(digits.len().min(1));
            let point = if rest.is_empty() { "" } else { "." };
            format!("{sign}{first}{point}{rest}e-05")
        }
        _ => text.to_owned(),
    }
}

fn float_text(number: f64) -> String {
    if number.is_nan() {
        return ".nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let digits = float_digits(number);
    // A float of YAML 1.1 has a point.
    if digits.contains('.') { digits } else { digits.replacen('e', ".0e", 1) }
}
