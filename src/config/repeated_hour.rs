//! Finds scheduled times that a clock shows twice, in autumn, and that get the same cycle both times. It reads no clock.

use std::iter::successors;

use jiff::{SignedDuration, Timestamp, ZonedDateTime};

use super::scheduled::ScheduledWorker;
use nowcast_core::CycleFormat;

/// How far ahead it looks: a year, and some days since no autumn begins on the same date.
const AHEAD: SignedDuration = SignedDuration::from_hours(24 * 400);

/// The most times of an entry that are tried in an hour: those of every minute.
const TRIED: usize = 60;

/// Return a warning if an entry gives one cycle to both times when the clocks are next set back.
pub(super) fn warning(entry: &ScheduledWorker, now: Timestamp) -> Option<String> {
    let format = entry.cycle.as_ref()?;
    let last = now.checked_add(AHEAD).ok()?;
    let changes = entry.zone.following(now).map(|change| change.timestamp());
    let (first, second) =
        changes.take_while(|change| *change <= last).find_map(|change| alike(entry, format, change))?;
    let with_offset = format.with_offset();
    let remedy = if with_offset.label(&first).ok()? == with_offset.label(&second).ok()? {
        "write `shift` in hours, such as 24h".to_owned()
    } else {
        format!("add the zone's offset: '{}'", with_offset.format())
    };
    Some(format!(
        "the clocks are set back on {}: {} comes twice, and both launches get the cycle {}; {remedy}",
        first.date(),
        first.strftime("%H:%M:%S"),
        format.label(&first).ok()?
    ))
}

/// Return two times that show the same on the clock and have the same cycle, if the clocks are set back at `change`.
fn alike(
    entry: &ScheduledWorker,
    format: &CycleFormat,
    change: Timestamp,
) -> Option<(ZonedDateTime, ZonedDateTime)> {
    let second = SignedDuration::from_secs(1);
    let offset = |at: Timestamp| i64::from(entry.zone.to_offset(at).seconds());
    let back = SignedDuration::from_secs(offset(change.checked_sub(second).ok()?) - offset(change));
    if !back.is_positive() {
        return None;
    }
    let begin = change.checked_sub(back + second).ok()?.to_zoned_datetime(entry.zone.clone());
    let noon = begin.date().at(12, 0, 0, 0).to_zoned_datetime(entry.zone.clone()).ok()?;
    if format.label(&noon) == format.label(&noon.checked_add(back).ok()?) {
        // Other times so far apart share a cycle, too.
        return None;
    }
    let times = successors(entry.times.after(&begin), |time| entry.times.after(time));
    let twice = times.take(TRIED).take_while(|time| time.timestamp() < change).filter_map(|first| {
        let again = first.checked_add(back).ok()?;
        let next = entry.times.after(&again.checked_sub(second).ok()?)?;
        (next == again).then_some((first, again))
    });
    twice.into_iter().find(|(first, again)| format.label(first) == format.label(again))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::scheduled::CatchUp;
    use crate::config::times::Times;
    use jiff::tz::TimeZone;
    use nowcast_core::cycle_format::shift;

    fn warned(cron: &str, zone: &str, format: &str, moved: &str) -> Option<String> {
        let zone = TimeZone::get(zone).unwrap();
        let cycle = Some(CycleFormat::parse(format, shift(moved).unwrap(), &zone).unwrap());
        let (times, when) = (Times::parse(cron).unwrap(), cron.to_owned());
        let (module, args, host, catch_up) = ("weather".to_owned(), Vec::new(), None, CatchUp::None);
        let entry = ScheduledWorker { module, args, host, times, when, zone, catch_up, cycle };
        warning(&entry, "2026-03-14T00:00:00Z".parse().unwrap())
    }

    #[test]
    fn an_hour_that_comes_twice_with_one_cycle_is_found() {
        for (cron, zone, format, moved, expected) in [
            (
                "30 * * * *",
                "America/Vancouver",
                "%Y-%m-%dT%H",
                "0h",
                "the clocks are set back on 2026-11-01: 01:30:00 comes twice, and both launches get the cycle 2026-11-01T01; add the \
                 zone's offset: '%Y-%m-%dT%H%z'",
            ),
            (
                "* * * * * *",
                "Europe/Berlin",
                "%H",
                "0h",
                "the clocks are set back on 2026-10-25: 02:00:00 comes twice, and both launches get the cycle 02; add the zone's offset: \
                 '%H%z'",
            ),
            (
                "*/30 * * * *",
                "Australia/Lord_Howe",
                "%H%M",
                "0h",
                "the clocks are set back on 2026-04-05: 01:30:00 comes twice, and both launches get the cycle 0130; add the zone's offset: \
                 '%H%M%z'",
            ),
            (
                "30 * * * *",
                "America/Vancouver",
                "%dT%H",
                "1d",
                "the clocks are set back on 2026-11-01: 01:30:00 comes twice, and both launches get the cycle 02T01; write `shift` in \
                 hours, such as 24h",
            ),
        ] {
            assert_eq!(warned(cron, zone, format, moved).as_deref(), Some(expected), "{cron} {zone}");
        }
    }

    #[test]
    fn other_entries_are_not_warned_of() {
        for (cron, zone, format, moved) in [
            // A time of day comes once on each day.
            ("30 1 * * *", "America/Vancouver", "%Y-%m-%dT%H", "0h"),
            // It does not come in that hour.
            ("30 6-20 * * *", "America/Vancouver", "%Y-%m-%dT%H", "0h"),
            // One cycle a day has all of its hours, also where the day's last one comes twice.
            ("30 * * * *", "America/Vancouver", "%Y-%m-%d", "0h"),
            ("30 * * * *", "Asia/Beirut", "%Y-%m-%d", "0h"),
            // The remedies.
            ("30 * * * *", "America/Vancouver", "%Y-%m-%dT%H%z", "0h"),
            ("30 * * * *", "America/Vancouver", "%Y-%m-%dT%H", "24h"),
            ("30 * * * *", "UTC", "%Y-%m-%dT%H", "0h"),
        ] {
            assert_eq!(warned(cron, zone, format, moved), None, "{cron} {zone} {format}");
        }
    }
}
