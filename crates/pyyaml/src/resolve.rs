//! The type of a scalar without quotes: YAML 1.1 as in `PyYAML`'s resolver.

use crate::tag::Tag;

/// Return the type of a scalar without quotes and without a tag.
pub(super) fn resolve(text: &str) -> Tag {
    let bytes = text.as_bytes();
    let Some(&first) = bytes.first() else { return Tag::Null };
    match first {
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' if is_bool(text) => Tag::Bool,
        b'n' | b'N' | b'~' if matches!(text, "~" | "null" | "Null" | "NULL") => Tag::Null,
        b'<' if text == "<<" => Tag::Merge,
        b'=' if text == "=" => Tag::Value,
        b'-' | b'+' | b'.' | b'0'..=b'9' => resolve_number(bytes),
        _ => Tag::Str,
    }
}

fn is_bool(text: &str) -> bool {
    matches!(
        text,
        "yes"
            | "Yes"
            | "YES"
            | "no"
            | "No"
            | "NO"
            | "on"
            | "On"
            | "ON"
            | "off"
            | "Off"
            | "OFF"
            | "true"
            | "True"
            | "TRUE"
            | "false"
            | "False"
            | "FALSE"
    )
}

fn resolve_number(text: &[u8]) -> Tag {
    if is_float(text) {
        Tag::Float
    } else if is_int(text) {
        Tag::Int
    } else if is_timestamp(text) {
        Tag::Timestamp
    } else {
        Tag::Str
    }
}

fn unsigned(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text)
}

/// Return the rest of a text after the bytes that `belongs` accepts.
fn skip(text: &[u8], belongs: impl Fn(u8) -> bool) -> &[u8] {
    let length = text.iter().take_while(|&&byte| belongs(byte)).count();
    &text[length..]
}

fn is_digit_or_underscore(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'_'
}

/// Return the rest of a text after one or more parts such as `:59`; `None` if it does not begin with one. A part may
/// have a single digit.
fn skip_sexagesimal(mut text: &[u8]) -> Option<&[u8]> {
    let start = text.len();
    while let [b':', rest @ ..] = text {
        text = match rest {
            [b'0'..=b'5', b'0'..=b'9', rest @ ..] | [b'0'..=b'9', rest @ ..] => rest,
            _ => break,
        };
    }
    (text.len() < start).then_some(text)
}

fn is_float(text: &[u8]) -> bool {
    let digits = unsigned(text);
    if matches!(digits, b".inf" | b".Inf" | b".INF") || matches!(text, b".nan" | b".NaN" | b".NAN") {
        return true;
    }
    // A float that begins with a point has no sign.
    if let [b'.', fraction @ ..] = text {
        return fraction.first().is_some_and(u8::is_ascii_digit)
            && is_exponent_or_end(skip(fraction, is_digit_or_underscore));
    }
    if !digits.first().is_some_and(u8::is_ascii_digit) {
        return false;
    }
    match skip(digits, is_digit_or_underscore) {
        [b'.', fraction @ ..] => is_exponent_or_end(skip(fraction, is_digit_or_underscore)),
        rest => match skip_sexagesimal(rest) {
            Some([b'.', fraction @ ..]) => skip(fraction, is_digit_or_underscore).is_empty(),
            _ => false,
        },
    }
}

/// Return whether this is an exponent, which must have a sign (`1.0e3` is text), or the end.
fn is_exponent_or_end(text: &[u8]) -> bool {
    match text {
        [] => true,
        [b'e' | b'E', b'-' | b'+', digits @ ..] => {
            !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    }
}

fn is_int(text: &[u8]) -> bool {
    match unsigned(text) {
        [b'0', b'b', rest @ ..] => {
            !rest.is_empty() && skip(rest, |byte| matches!(byte, b'0' | b'1' | b'_')).is_empty()
        }
        [b'0', b'x', rest @ ..] => {
            !rest.is_empty() && skip(rest, |byte| byte.is_ascii_hexdigit() || byte == b'_').is_empty()
        }
        [b'0', rest @ ..] => skip(rest, |byte| matches!(byte, b'0'..=b'7' | b'_')).is_empty(),
        [b'1'..=b'9', rest @ ..] => {
            let rest = skip(rest, is_digit_or_underscore);
            rest.is_empty() || skip_sexagesimal(rest).is_some_and(<[u8]>::is_empty)
        }
        _ => false,
    }
}

/// Return whether this is a date such as `2026-03-14`, or a date with a time, whose month and day may have a single
/// digit.
fn is_timestamp(text: &[u8]) -> bool {
    use crate::timestamp::Parts;
    match std::str::from_utf8(text).ok().and_then(Parts::parse) {
        Some(parts) => parts.time.is_some() || text.len() == "2026-03-14".len(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_scalar_has_its_type_in_yaml_1_1() {
        for (text, tag) in [
            ("", Tag::Null),
            ("~", Tag::Null),
            ("no", Tag::Bool),
            ("y", Tag::Str),
            ("<<", Tag::Merge),
            ("12:30", Tag::Int),
            ("0o17", Tag::Str),
            ("1e3", Tag::Str),
            ("1.0e+3", Tag::Float),
            ("2026-03-14", Tag::Timestamp),
            ("2026-3-14", Tag::Str),
        ] {
            assert!(resolve(text) == tag, "{text:?}");
        }
    }
}
