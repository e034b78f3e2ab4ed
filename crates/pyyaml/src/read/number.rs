//! Integers and floats, converted from YAML's digits as Python does.

use num_bigint::BigInt;
use num_traits::ToPrimitive;

use super::limits::MAX_DIGITS;
use crate::Value;

/// Return whether Python's `int()` and `float()` strip a character.
fn is_python_space(character: char) -> bool {
    character.is_whitespace() || ('\x1c'..='\x1f').contains(&character)
}

/// Return the text without underscores and without one sign, and whether that sign is a minus; `None` if it is empty.
fn prepare(text: &str) -> Option<(String, bool)> {
    let digits = text.replace('_', "");
    let is_negative = digits.starts_with('-');
    let unsigned = digits.strip_prefix(['-', '+']).unwrap_or(&digits).to_owned();
    (!digits.is_empty()).then_some((unsigned, is_negative))
}

/// Parse an integer; `None` if Python would refuse it.
pub(super) fn integer(text: &str) -> Option<Value> {
    if let Some(number) = short_decimal(text) {
        return Some(Value::Int(number));
    }
    let (text, is_negative) = prepare(text)?;
    if text.len() > MAX_DIGITS {
        return None;
    }
    let number = if text == "0" {
        BigInt::ZERO
    } else if let Some(digits) = text.strip_prefix("0b") {
        python_int(digits, 2)?
    } else if let Some(digits) = text.strip_prefix("0x") {
        python_int(digits, 16)?
    } else if text.starts_with('0') {
        python_int(&text, 8)?
    } else if text.contains(':') {
        sexagesimal(&text)?
    } else {
        python_int(&text, 10)?
    };
    Some(Value::from(if is_negative { -number } else { number }))
}

/// Parse the usual case fast: a decimal number that surely fits 64 bits.
fn short_decimal(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_decimal = matches!(digits.as_bytes(), [b'1'..=b'9', ..]) && digits.len() < 19;
    if is_decimal { text.parse().ok() } else { None }
}

fn sexagesimal(text: &str) -> Option<BigInt> {
    text.split(':').try_fold(BigInt::ZERO, |sum, part| Some(sum * 60 + python_int(part, 10)?))
}

/// Parse an integer like Python's `int(text, base)`.
fn python_int(text: &str, base: u32) -> Option<BigInt> {
    let text = text.trim_matches(is_python_space);
    let is_negative = text.starts_with('-');
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = match (base, digits.as_bytes()) {
        (2, [b'0', b'b' | b'B', ..]) | (8, [b'0', b'o' | b'O', ..]) | (16, [b'0', b'x' | b'X', ..]) => {
            &digits[2..]
        }
        _ => digits,
    };
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let number = BigInt::parse_bytes(digits.as_bytes(), base)?;
    Some(if is_negative { -number } else { number })
}

/// Parse a float; `None` if Python would refuse it.
pub(super) fn float(text: &str) -> Option<f64> {
    let (text, is_negative) = prepare(text)?;
    let text = text.to_lowercase();
    let number = match text.as_str() {
        ".inf" => f64::INFINITY,
        ".nan" => return Some(f64::NAN),
        _ if text.contains(':') => sexagesimal_float(&text)?,
        _ => python_float(&text)?,
    };
    Some(if is_negative { -number } else { number })
}

/// Parse a float like Python's `float(text)`; Rust accepts the same notations.
fn python_float(text: &str) -> Option<f64> {
    text.trim_matches(is_python_space).parse().ok()
}

/// Add the parts as Python does: from the last on, each times an exact power of 60, and refuse a power that is beyond
/// the range of floats.
fn sexagesimal_float(text: &str) -> Option<f64> {
    let mut sum = 0.0;
    let mut base = BigInt::from(1);
    for part in text.rsplit(':') {
        let weight = base.to_f64().filter(|weight| weight.is_finite())?;
        sum += python_float(part)? * weight;
        base *= 60;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_has_a_base_by_its_prefix() {
        for (text, number) in
            [("10", 10), ("-1_000", -1_000), ("010", 8), ("0x1F", 31), ("0b11", 3), ("1:30:00", 5_400)]
        {
            assert_eq!(integer(text), Some(Value::Int(number)), "{text}");
        }
        assert_eq!(integer("08"), None);
    }

    #[test]
    fn an_integer_beyond_64_bits_is_exact() {
        let text = "9223372036854775808";
        let Some(Value::BigInt(number)) = integer(text) else { panic!("{text} fits 64 bits") };
        assert_eq!(number.to_string(), text);
    }

    #[test]
    fn a_float_may_be_infinite_or_sexagesimal() {
        assert_eq!(float("-.INF"), Some(f64::NEG_INFINITY));
        assert!(float(".nan").is_some_and(f64::is_nan));
        assert_eq!(float("1:30.5"), Some(90.5));
        assert_eq!(float("1.5x"), None);
    }
}
