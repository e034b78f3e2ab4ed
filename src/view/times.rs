//! Formats durations and times for people. This module never reads a clock.

use jiff::{SignedDuration, Timestamp, ZonedDateTime};

/// Format a duration as `0:55`, `1:02:03` or `3d 04:00:00`.
pub fn span(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (days, hours, minutes, seconds) =
        (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes}:{seconds:02}"),
        (0, _) => format!("{hours}:{minutes:02}:{seconds:02}"),
        _ => format!("{days}d {hours:02}:{minutes:02}:{seconds:02}"),
    }
}

/// Format a time to the second, with its date unless it is today.
pub fn second(time: Timestamp, now: &ZonedDateTime) -> String {
    local_text(time, now, "%H:%M:%S")
}

/// Format a time to the minute, with its date unless it is today.
pub fn minute(time: Timestamp, now: &ZonedDateTime) -> String {
    local_text(time, now, "%H:%M")
}

fn local_text(time: Timestamp, now: &ZonedDateTime, format: &str) -> String {
    let local = time.to_zoned_datetime(now.time_zone().clone());
    if local.date() == now.date() {
        local.strftime(format).to_string()
    } else {
        local.strftime(&format!("%Y-%m-%d {format}")).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        for (seconds, text) in
            [(-3, "0:00"), (55, "0:55"), (360, "6:00"), (3_723, "1:02:03"), (90_000, "1d 01:00:00")]
        {
            assert_eq!(span(SignedDuration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_time_of_another_day_has_its_date() {
        let now: ZonedDateTime = "2026-03-14T04:40:00-07:00[America/Vancouver]".parse().unwrap();
        assert_eq!(minute("2026-03-14T10:46:12Z".parse().unwrap(), &now), "03:46");
        assert_eq!(second("2026-03-13T10:46:12Z".parse().unwrap(), &now), "2026-03-13 03:46:12");
    }
}
