//! Dates against what Python's `datetime` and arrow give.

use super::*;

fn iso(text: &str) -> String {
    Moment::parse(text).map_or_else(|error| error, |moment| moment.iso())
}

#[test]
fn iso_texts_are_read_and_written_alike() {
    for text in [
        "2026-03-14",
        "2026-03-14T05:15:00",
        "2026-03-14T05:15:00.25",
        "2026-03-14T05:15:00-07:00",
        "2026-03-14T05:15:00+05:30",
        "2024-02-29",
    ] {
        assert_eq!(iso(text), text);
    }
    assert_eq!(iso("2026-03-14 05:15"), "2026-03-14T05:15:00");
    assert_eq!(iso("2026-03-14T05:15Z"), "2026-03-14T05:15:00+00:00");
    assert_eq!(iso("2026-03-14 05:15:00 -07:00"), "2026-03-14T05:15:00-07:00");
    for text in ["", "2026-13-01", "2026-02-29", "14.3.2026", "tomorrow", "2026-03-14T25:00", "2026-03-14Txx"]
    {
        assert!(iso(text).contains("is no date"), "{text}: {}", iso(text));
    }
}

#[test]
fn months_are_clipped_at_their_end_as_arrow_does() {
    let shift = |text: &str, unit: &str, count: i64| {
        let mut shift = Shift::default();
        shift.add(unit, count).unwrap();
        Moment::parse(text).unwrap().shift(shift).unwrap().iso()
    };
    assert_eq!(shift("2026-01-31", "months", 1), "2026-02-28");
    assert_eq!(shift("2024-01-31", "months", 1), "2024-02-29");
    assert_eq!(shift("2024-02-29", "years", -1), "2023-02-28");
    assert_eq!(shift("2026-03-01", "days", -1), "2026-02-28");
    assert_eq!(shift("2026-12-31", "seconds", 86_400), "2027-01-01T00:00:00");
    assert_eq!(shift("2026-03-31", "months", -13), "2025-02-28");
}

#[test]
fn too_many_units_are_refused() {
    let mut shift = Shift::default();
    assert_eq!(shift.add("years", i64::MAX), None);
    assert_eq!(shift.add("fortnights", 1), None);
    shift.add("days", i64::MAX).unwrap();
    assert!(Moment::parse("2026-03-14").unwrap().shift(shift).is_err());
}

#[test]
fn the_formats_of_arrow_are_told_apart() {
    let moment = Moment::parse("2026-03-14").unwrap();
    assert_eq!(moment.format("%d/%m/%Y"), Ok("14/03/2026".into()));
    assert_eq!(moment.format("run"), Ok("run".into()));
    assert_eq!(moment.format("DDMMMYY").unwrap_err(), "\"DDMMMYY\" is a format of arrow's; write \"%d%b%y\"");
    assert!(moment.format("%Q!").is_err());
    assert!(moment.format(&"%Y".repeat(1_000)).is_err());
}

#[test]
fn an_hour_across_the_change_of_clocks_is_an_hour() {
    let now: jiff::ZonedDateTime = "2026-03-08T01:30-08:00[America/Vancouver]".parse().unwrap();
    let mut shift = Shift::default();
    shift.add("hours", 2).unwrap();
    assert_eq!(Moment::from_zoned(&now).shift(shift).unwrap().iso(), "2026-03-08T04:30:00-07:00");
}
