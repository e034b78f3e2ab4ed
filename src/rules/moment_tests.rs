//! Compares dates with the results of Python's `datetime` and arrow.

use super::*;

fn iso(text: &str) -> String {
    Moment::parse(text).map_or_else(|error| error, |moment| moment.iso())
}

#[test]
fn iso_texts_survive_a_round_trip() {
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
        assert!(iso(text).contains("is not a date"), "{text}: {}", iso(text));
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
fn the_formats_of_arrow_are_distinguished() {
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

/// On November 1st, 01:15 comes twice in Vancouver.
#[test]
fn the_hour_that_comes_twice_is_two_hours() {
    let hour = |count: i64| {
        let mut shift = Shift::default();
        shift.add("hours", count).unwrap();
        shift
    };
    let day = |count: i64| {
        let mut shift = Shift::default();
        shift.add("days", count).unwrap();
        shift
    };
    let first: ZonedDateTime = "2026-11-01T01:15-07:00[America/Vancouver]".parse().unwrap();
    let second: ZonedDateTime = "2026-11-01T01:15-08:00[America/Vancouver]".parse().unwrap();
    let (one, two) = (Moment::from_zoned(&first), Moment::from_zoned(&second));
    assert_eq!(
        (one.iso(), two.iso()),
        ("2026-11-01T01:15:00-07:00".into(), "2026-11-01T01:15:00-08:00".into())
    );
    assert_eq!(one.shift(hour(1)), Ok(two.clone()));
    assert_eq!(two.shift(hour(-1)), Ok(one.clone()));
    assert_eq!(two.since(&one), SignedDuration::from_hours(1));
    assert_eq!(two.format("%z"), Ok("-0800".into()));
    assert_eq!(
        two.to_yaml(),
        pyyaml::Value::DateTime(pyyaml::DateTime { civil: second.datetime(), offset: Some(-28_800) })
    );
    assert_eq!(two.shift(day(0)), Ok(two.clone()));
    assert_eq!(two.shift(day(1)).unwrap().shift(day(-1)), Ok(one), "what the clock says is the first of two");
}

#[test]
fn a_time_that_the_clock_leaves_out_is_one_that_there_is() {
    let now: ZonedDateTime = "2026-03-07T02:30-08:00[America/Vancouver]".parse().unwrap();
    let mut shift = Shift::default();
    shift.add("days", 1).unwrap();
    let moved = Moment::from_zoned(&now).shift(shift).unwrap();
    assert_eq!((moved.iso(), moved.civil().hour()), ("2026-03-08T03:30:00-07:00".into(), 3));
}
