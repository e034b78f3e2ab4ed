//! Parses durations as people write them: `30s`, `10m`, `3h`, `1h 30m`, `90d`.

use jiff::{SignedDuration, Span, SpanRelativeTo};

/// Parse a duration. A day has 24 hours.
///
/// # Errors
/// When the text is not a duration, is negative, or has months or years, whose length varies.
pub fn parse(text: &str) -> Result<SignedDuration, String> {
    let refuse = || format!("{text:?} is not a span of time; write it as 30s, 10m, 3h, 1h 30m or 90d");
    let span: Span = text.trim().parse().map_err(|_| refuse())?;
    let span = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| refuse())?;
    if span.is_negative() { Err(format!("{text:?} is negative")) } else { Ok(span) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("30s", 30),
            ("10m", 600),
            ("3h", 10_800),
            ("1h 30m", 5_400),
            ("90d", 7_776_000),
            ("2 hours", 7_200),
        ] {
            assert_eq!(parse(text), Ok(SignedDuration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn an_invalid_duration_is_refused_with_an_example() {
        for text in ["", "soon", "5", "-3m", "2 years", "1mo"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
