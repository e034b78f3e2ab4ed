//! Dates in arguments and payloads.

use jiff::Span;
use jiff::civil::{Date, date};
use nowcast::forecast::dates::{self, DateForm, RunDates};
use nowcast_core::Cycle;
use proptest::prelude::*;
use pyyaml::{Keys, Value};

fn found(text: &str) -> Vec<(String, DateForm)> {
    dates::in_text(text).map(|found| (text[found.range].to_owned(), found.form)).collect()
}

/// A value as YAML after its dates were moved.
fn moved(yaml: &str, days: i32) -> String {
    let value = pyyaml::read(yaml).expect("YAML");
    pyyaml::write(&dates::moved(&value, days), Keys::AsGiven)
}

/// The same without a move, for the style of the writer.
fn same(yaml: &str) -> String {
    moved(yaml, 0)
}

#[test]
fn dates_of_three_forms_are_found_in_text() {
    use DateForm::{Basic, DayMonthYear, Iso};
    for (text, expected) in [
        ("2026-11-24", vec![("2026-11-24", Iso)]),
        ("2026-11-24T06:00:00+01:00", vec![("2026-11-24", Iso)]),
        ("2026-11-24 06:00", vec![("2026-11-24", Iso)]),
        ("--run-date=2026-11-24", vec![("2026-11-24", Iso)]),
        ("SalishSea_1h_20261124_20261125_grid_T.nc", vec![("20261124", Basic), ("20261125", Basic)]),
        ("/results/24nov26/v20261124.nc", vec![("24nov26", DayMonthYear), ("20261124", Basic)]),
        ("01JAN27 31Dec99", vec![("01JAN27", DayMonthYear), ("31Dec99", DayMonthYear)]),
        ("é24nov26é", vec![("24nov26", DayMonthYear)]),
        ("29feb24", vec![("29feb24", DayMonthYear)]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|(text, form)| (text.to_owned(), form)).collect();
        assert_eq!(found(text), expected, "{text}");
    }
}

#[test]
fn what_only_looks_like_a_date_is_none() {
    for text in [
        "2026-13-01",
        "2026-02-30",
        "2026-1-1",
        "12026-11-24",
        "2026-11-241",
        // Digits on one side.
        "120261124",
        "202611240",
        "20261124060000",
        // Years before 1990 and after 2100, and of two digits those after 2068.
        "1970-01-01",
        "9999-12-31",
        "19700101",
        "21010101",
        "01jan69",
        "29feb23",
        "24növ26",
        "124nov26",
        "24nov2026",
        "24 nov 26",
        "",
    ] {
        assert_eq!(found(text), [], "{text}");
        assert_eq!(dates::blanked(text), text);
        assert_eq!(dates::moved_text(text, 1), text);
    }
}

#[test]
fn moving_keeps_the_form_the_case_and_all_other_text() {
    for (text, days, expected) in [
        ("2026-11-24T06:00", 1, "2026-11-25T06:00"),
        ("SalishSea_1h_20261231_20261231.nc", 1, "SalishSea_1h_20270101_20270101.nc"),
        ("30nov26 30Nov26 30NOV26 30nOV26", 1, "01dec26 01Dec26 01DEC26 01dEC26"),
        ("/results/01jan27/a2", -1, "/results/31dec26/a2"),
        ("28feb24", 1, "29feb24"),
        ("100 files of 2026-03-01", -1, "100 files of 2026-02-28"),
    ] {
        assert_eq!(dates::moved_text(text, days), expected, "{text}");
    }
}

#[test]
fn dates_move_in_values_keys_sets_and_dates_of_yaml() {
    for (yaml, expected) in [
        ("2026-11-30", "2026-12-01"),
        ("2026-11-30T06:30:00.5+01:00", "2026-12-01T06:30:00.5+01:00"),
        ("2026-11-30 06:30:00", "2026-12-01 06:30:00"),
        ("'2026-11-30'", "'2026-12-01'"),
        ("20261130", "20261201"),
        ("'20261130'", "'20261201'"),
        (
            "{2026-11-30: done, '2026-11-30': {30nov26: [2026-11-30, 7]}}",
            "{2026-12-01: done, '2026-12-01': {01dec26: [2026-12-01, 7]}}",
        ),
        ("!!set {2026-11-30, 30nov26, other}", "!!set {2026-12-01, 01dec26, other}"),
        ("{run date: 2026-11-30, next: 2026-12-31}", "{run date: 2026-12-01, next: 2027-01-01}"),
    ] {
        assert_eq!(moved(yaml, 1), same(expected), "{yaml}");
    }
}

#[test]
fn values_without_dates_stay_as_they_are() {
    for yaml in [
        "~",
        "true",
        "7",
        "2026.1124",
        "120261124",
        "99999999999999999999",
        "!!binary MjAyNi0xMS0yNA==",
        "text",
        "[]",
        "9999-12-31",
        "{1970-01-01: 9999-12-31T00:00:00}",
    ] {
        assert_eq!(moved(yaml, 400), same(yaml));
    }
}

#[test]
fn a_date_that_would_leave_the_years_stays() {
    assert_eq!(
        moved("[2100-12-31, '21001231', 31dec68, 1990-01-01]", 1),
        same("[2100-12-31, '21001231', 31dec68, 1990-01-02]")
    );
    assert_eq!(moved("2026-11-24", i32::MAX), same("2026-11-24"));
    assert_eq!(moved("2026-11-24", i32::MIN), same("2026-11-24"));
}

/// The last day stays, and the day before would become equal to it.
#[test]
fn keys_that_would_become_equal_all_stay_so_that_nothing_is_lost() {
    assert_eq!(
        moved("{2100-12-30: 2026-11-24, 2100-12-31: b, 2026-11-24: c}", 1),
        same("{2100-12-30: 2026-11-25, 2100-12-31: b, 2026-11-24: c}")
    );
    assert_eq!(moved("!!set {2100-12-30, 2100-12-31}", 1), same("!!set {2100-12-30, 2100-12-31}"));
}

#[test]
fn the_difference_is_that_of_the_arguments_else_of_the_cycles_else_of_the_days() {
    let past = |args: Option<Date>, cycle: Option<Date>| RunDates { args, cycle, day: date(2026, 11, 20) };
    let coming = |args: Option<Date>, cycle: Option<Date>| RunDates { args, cycle, day: date(2026, 11, 27) };
    let day = |day| Some(date(2026, 11, day));
    for (from, to, days) in [
        (past(day(18), day(19)), coming(day(28), day(28)), 10),
        (past(None, day(19)), coming(None, day(28)), 9),
        (past(day(18), day(19)), coming(None, day(28)), 9),
        (past(None, None), coming(day(28), day(28)), 7),
        (past(None, day(30)), coming(None, None), 7),
    ] {
        assert_eq!(from.days_until(&to), days);
        assert_eq!(to.days_until(&from), -days);
    }
}

#[test]
fn a_label_has_the_date_that_it_contains() {
    let of = |label: &str| dates::of_cycle(&Cycle::parse(label).expect("a label"));
    assert_eq!(of("2026-11-24T06"), Some(date(2026, 11, 24)));
    assert_eq!(of("hindcast-20261124"), Some(date(2026, 11, 24)));
    assert_eq!(of("hindcast-12"), None);
}

/// Text with dates of all forms, in which both a date and the one some days later count.
fn dated() -> impl Strategy<Value = String> {
    let form = prop_oneof![Just("%Y-%m-%d"), Just("%Y-%m-%dT06:00"), Just("%Y%m%d"), Just("%d%b%y")];
    let day =
        (0..14_000_i64).prop_map(|days| date(2000, 1, 1).checked_add(Span::new().days(days)).expect("a day"));
    let case = prop_oneof![Just(false), Just(true)];
    (form, day, case, "[a-z/_ :=é-]{0,6}").prop_map(|(form, day, is_lower, between)| {
        let text = day.strftime(form).to_string();
        format!("{between}{}", if is_lower { text.to_lowercase() } else { text })
    })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        prop::collection::vec(dated(), 0..3).prop_map(|texts| Value::from(texts.join(" "))),
        "[0-9a-z :-]{0,12}".prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0..14_000_i64).prop_map(|days| Value::Date(
            date(2000, 1, 1).checked_add(Span::new().days(days)).expect("a day")
        )),
        Just(Value::Null),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((inner.clone(), inner.clone()), 0..4)
                .prop_map(|entries| entries.into_iter().collect()),
            prop::collection::vec(inner, 0..4)
                .prop_map(|members| Value::from(members.into_iter().collect::<pyyaml::Set>())),
        ]
    })
}

proptest! {
    #[test]
    fn moving_by_days_and_back_is_the_identity(value in value(), days in -3_000..3_000_i32) {
        let there = dates::moved(&value, days);
        prop_assert_eq!(dates::moved(&there, -days), value);
    }

    #[test]
    fn moving_twice_is_moving_by_the_sum(value in value(), one in -1_000..1_000_i32, two in -1_000..1_000_i32) {
        prop_assert_eq!(dates::moved(&dates::moved(&value, one), two), dates::moved(&value, one + two));
    }

    #[test]
    fn any_text_is_searched_and_what_is_found_is_where_it_says(text in "\\PC{0,40}", days in any::<i32>()) {
        for found in dates::in_text(&text) {
            prop_assert!(text[found.range].is_ascii());
        }
        let (blanked, moved) = (dates::blanked(&text).into_owned(), dates::moved_text(&text, days).into_owned());
        prop_assert_eq!(dates::blanked(&moved).into_owned(), blanked);
    }
}
