//! Which past run a run to come goes as.

use jiff::Timestamp;
use jiff::civil::date;
use nowcast::forecast::draw::{Odds, RunKey, RunOutcome, RunToDraw, RunningNow};
use nowcast::forecast::history::{CycleKey, HORIZON, PastRuns};
use nowcast::forecast::like::Likeness;
use nowcast::store::History;
use nowcast_core::{Command, Cycle, NextWorker, Number};
use std::collections::BTreeMap;
use std::convert::Infallible;

use crate::support::builder::system;
use crate::support::past::{Past, success_after};

/// Days on each of which the worker is launched at six, and how many minutes it takes on each.
fn days(minutes: &[Option<f64>]) -> (Past, PastRuns, crate::support::system::System) {
    let system = system().prepare();
    let mut past = Past::new(&system, "2026-03-01T00:00[UTC]");
    let date =
        |day: usize| jiff::civil::date(2026, 3, 1) + jiff::Span::new().days(i64::try_from(day).expect("few"));
    for day in 0..minutes.len() {
        let date = date(day);
        past.launch(&format!("{date}T06:00[UTC]"), "sleep", &[], Some(&date.to_string()));
    }
    let end = format!("{}T00:00[UTC]", date(minutes.len()));
    past.live(&end, &mut |launch| {
        let day = launch.at.date().duration_since(date(0)).as_hours() / 24;
        minutes[usize::try_from(day).expect("later")].map(success_after)
    });
    let history = History::open(&past.config().journal.folder).expect("a journal");
    let read =
        PastRuns::read(&history, past.now().time_zone(), past.now().timestamp(), HORIZON).expect("readable");
    (past, read, system)
}

fn moment(text: &str) -> Timestamp {
    format!("2026-03-{text}Z").parse().expect("a moment")
}

fn key(day: &str) -> RunKey {
    let cycle = CycleKey::Label(Cycle::parse(&format!("2026-03-{day}")).expect("a label"));
    RunKey { cycle, like: Likeness::of(&NextWorker::new("sleep", Vec::new())), attempt: 1, ordinal: 0 }
}

/// How many of a thousand draws end after so many minutes; `None` for those that run longer than each past run.
fn counts(past: &PastRuns, running: &[RunningNow], drawn: RunToDraw<'_>) -> BTreeMap<Option<i128>, usize> {
    let odds = Odds::new(past, running, 7, drawn.ran_until.unwrap_or(drawn.launched), date(2026, 5, 1));
    let mut counts = BTreeMap::new();
    for number in 0..1_000 {
        let outcome = odds.draw(number).outcome(drawn, |_| Ok::<_, Infallible>(true)).expect("infallible");
        let minutes = match outcome {
            RunOutcome::As(_, end, _) => Some(end.duration_since(drawn.launched).as_millis() / 60_000),
            RunOutcome::LongerThanEver => None,
            RunOutcome::NoHistory => panic!("there is history"),
        };
        *counts.entry(minutes).or_default() += 1;
    }
    counts
}

fn about(count: usize, expected: usize) -> bool {
    count.abs_diff(expected) < 60
}

#[test]
fn each_past_cycle_is_drawn_about_as_often() {
    let (_past, read, _system) = days(&[Some(10.0), Some(20.0), Some(30.0), Some(40.0)]);
    let key = key("20");
    let drawn = RunToDraw { key: &key, launched: moment("20T06:00"), ran_until: None, preferred: None };
    let counts = counts(&read, &[], drawn);
    assert_eq!(counts.len(), 4, "{counts:?}");
    assert!(counts.values().all(|count| about(*count, 250)), "{counts:?}");
}

/// On Mondays it is fast.
#[test]
fn with_enough_of_the_same_weekday_only_those_are_drawn() {
    for (days_of_past, different) in [(50, 2), (51, 1)] {
        let minutes: Vec<_> =
            (1..=days_of_past).map(|day| Some(if day % 7 == 2 { 10.0 } else { 60.0 })).collect();
        let (_past, read, _system) = days(&minutes);
        let monday =
            RunKey { cycle: CycleKey::Label(Cycle::parse("2026-04-27").expect("a label")), ..key("01") };
        let launched = "2026-04-27T06:00Z".parse().expect("a moment");
        let drawn = RunToDraw { key: &monday, launched, ran_until: None, preferred: None };
        let counts = counts(&read, &[], drawn);
        assert_eq!(
            (counts.len(), counts.contains_key(&Some(10))),
            (different, true),
            "{days_of_past}: {counts:?}"
        );
    }
}

#[test]
fn a_running_run_has_only_ends_beyond_what_it_has_run() {
    let (_past, read, _system) = days(&[Some(10.0), Some(20.0), Some(30.0), Some(40.0)]);
    let key = key("20");
    let launched = moment("20T06:00");
    for (ran, expected) in [("06:05", 4), ("06:15", 3), ("06:35", 1)] {
        let ran_until = Some(moment(&format!("20T{ran}")));
        let running = [RunningNow { run: Number(1_000), key: key.clone(), launched, sent: 0 }];
        let drawn = RunToDraw { key: &key, launched, ran_until, preferred: None };
        let counts = counts(&read, &running, drawn);
        assert_eq!(counts.len(), expected, "{ran}: {counts:?}");
        assert!(counts.values().all(|count| about(*count, 1_000 / expected)), "{ran}: {counts:?}");
    }
    let drawn = RunToDraw { key: &key, launched, ran_until: Some(moment("20T06:50")), preferred: None };
    assert_eq!(counts(&read, &[], drawn), [(None, 1_000)].into());
}

/// One of four was killed after 25 minutes: its share goes to those that ran longer, as Kaplan and Meier have it.
#[test]
fn the_share_of_a_killed_run_goes_to_those_that_ran_longer() {
    let system = system().prepare();
    let mut past = Past::new(&system, "2026-03-01T00:00[UTC]");
    for day in 1..=4 {
        past.launch(
            &format!("2026-03-{day:02}T06:00[UTC]"),
            "sleep",
            &[],
            Some(&format!("2026-03-{day:02}")),
        );
    }
    let mut go = |launch: crate::support::past::PastLaunch<'_>| match launch.at.day() {
        3 => None,
        day => Some(success_after(f64::from(day) * 10.0)),
    };
    past.live("2026-03-03T06:25[UTC]", &mut go);
    let killed = past.running("sleep");
    past.command(Command::Kill { run: killed });
    past.live("2026-03-05T00:00[UTC]", &mut go);
    let history = History::open(&past.config().journal.folder).expect("a journal");
    let read =
        PastRuns::read(&history, past.now().time_zone(), past.now().timestamp(), HORIZON).expect("readable");
    let key = key("20");
    let drawn = RunToDraw { key: &key, launched: moment("20T06:00"), ran_until: None, preferred: None };
    let counts = counts(&read, &[], drawn);
    assert_eq!(counts.keys().collect::<Vec<_>>(), [&Some(10), &Some(20), &Some(40)], "{counts:?}");
    assert!(about(counts[&Some(10)], 250) && about(counts[&Some(40)], 500), "{counts:?}");
}

#[test]
fn the_cycle_itself_is_not_drawn_for_its_own_runs() {
    let (_past, read, _system) = days(&[Some(10.0), Some(20.0)]);
    let second = RunKey { ordinal: 0, ..key("02") };
    let drawn = RunToDraw { key: &second, launched: moment("02T08:00"), ran_until: None, preferred: None };
    assert_eq!(counts(&read, &[], drawn), [(Some(10), 1_000)].into());
}
