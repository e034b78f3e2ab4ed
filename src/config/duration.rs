//! Parses durations as people write them: `30s`, `10m`, `3h`, `1h 30m`, `90d`; and delays that grow.

use jiff::{SignedDuration, Span, SpanRelativeTo};
use nowcast_core::RetryDelay;

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

/// The longest delay of one that grows without a limit of its own.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// Parse a delay that may grow: `5m`, `1m, x2` or `1m, x2, up to 1h`.
///
/// # Errors
/// When a duration is invalid, or the rest is not such a text.
pub fn parse_growing(text: &str) -> Result<RetryDelay, String> {
    if let Ok(constant) = parse(text) {
        return Ok(RetryDelay::constant(constant));
    }
    let mut parts = text.split(',').map(str::trim);
    let first = parse(parts.next().unwrap_or_default())?;
    let (Some(factor), longest, None) = (parts.next(), parts.next(), parts.next()) else {
        return Err(not_growing(text));
    };
    let factor = factor.strip_prefix('x').and_then(|number| number.parse().ok());
    let factor = factor.filter(|factor| (2..=100).contains(factor)).ok_or_else(|| not_growing(text))?;
    let longest = match longest {
        None => LONGEST.max(first),
        Some(longest) => parse(longest.strip_prefix("up to ").ok_or_else(|| not_growing(text))?)?,
    };
    if first.is_zero() {
        return Err(format!("invalid retry delay {text:?}; the first delay must be longer than 0s"));
    }
    if longest < first {
        return Err(format!(
            "invalid retry delay {text:?}; the first delay is longer than the limit behind \"up to\""
        ));
    }
    Ok(RetryDelay { first, factor, longest })
}

fn not_growing(text: &str) -> String {
    format!("invalid retry delay {text:?}; use 5m, or 1m, x2, up to 1h")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_may_grow() {
        let minutes = SignedDuration::from_mins;
        let growing = |first, factor, longest| {
            Ok(RetryDelay { first: minutes(first), factor, longest: minutes(longest) })
        };
        assert_eq!(parse_growing("5m"), growing(5, 1, 5));
        assert_eq!(parse_growing("1h, 30m"), growing(90, 1, 90));
        assert_eq!(parse_growing("1m, x2, up to 1h"), growing(1, 2, 60));
        assert_eq!(parse_growing("1m,x10"), growing(1, 10, 24 * 60));
        assert_eq!(parse_growing("2d, x2"), growing(48 * 60, 2, 48 * 60));
        for text in [
            "1m, 2",
            "1m, x1",
            "1m, x-2",
            "1m, x2, 1h",
            "1m, x2, up to 1h, x3",
            "1m,",
            "0s, x2",
            "soon, x2",
            "1h, x2, up to 1m",
        ] {
            assert!(parse_growing(text).is_err(), "{text}");
        }
    }

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
