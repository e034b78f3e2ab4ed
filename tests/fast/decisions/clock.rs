//! A wall clock that is set, and a machine that is booted: spans go on, times of day follow the clock, and each step is recorded once.

use nowcast_core::cycles::NoteScope;
use nowcast_core::hold::HoldTarget;
use nowcast_core::record::{Outcome, RecordedEvent};
use nowcast_core::rules::ReturnedLaunches;
use nowcast_core::run::Stage;
use nowcast_core::{ClockReading, Command, Ending, Event, JoinRequest, Steady, TimePoint};

use crate::decisions::story::{
    Heard, Story, configured, cycle, delayed, join, nothing, of_cycle, quiet, requirement, seconds, story,
    worker,
};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// The steps that were recorded, in seconds.
fn steps(heard: &Heard) -> Vec<i64> {
    let step = |event: &RecordedEvent| match event {
        RecordedEvent::ClockSet { from, to } => Some(to.duration_since(*from).as_secs()),
        _ => None,
    };
    heard.records.iter().filter_map(|record| step(&record.event)).collect()
}

#[test]
fn a_step_is_recorded_and_logged_once_with_both_times() {
    let mut manager = quiet("{}");
    let heard = manager.sets_clock(2 * HOUR);
    assert_eq!(steps(&heard), [2 * HOUR]);
    let text = "WARNING the wall clock was set forward by 2h, from 2026-03-14 04:00:00 to 2026-03-14 06:00:00; delays and timeouts \
                go on unchanged, the schedule and the option `at` follow the clock";
    assert_eq!(heard.log, [text]);
    let heard = manager.passes(HOUR);
    assert!(heard.records.is_empty() && heard.log.is_empty(), "{heard:#?}");
    assert_eq!(steps(&manager.sets_clock(-2 * HOUR)), [-2 * HOUR]);
}

#[test]
fn a_small_step_and_the_end_of_daylight_saving_time_are_not_reported() {
    let mut manager = quiet("{}");
    let heard = manager.sets_clock(-4);
    assert!(steps(&heard).is_empty() && heard.log.is_empty(), "{heard:#?}");
    manager.begins("2026-11-01T00:30:00-07:00[America/Vancouver]".parse().expect("a moment"));
    let heard = manager.passes(3 * HOUR);
    assert!(steps(&heard).is_empty() && heard.log.is_empty(), "{heard:#?}");
}

#[test]
fn a_timeout_does_not_follow_the_wall_clock() {
    for step in [2 * HOUR, -2 * HOUR] {
        let mut manager = configured("{weather: {timeout: 1h}}", |_, _| Ok(nothing()));
        let run = manager.wants(worker("weather"));
        manager.passes(2);
        assert!(manager.sets_clock(step).stop_requested.is_empty(), "{step}");
        assert!(manager.passes(HOUR - 3).stop_requested.is_empty(), "{step}");
        assert_eq!(manager.passes(1).stop_requested, [run], "{step}");
    }
}

#[test]
fn delays_and_retry_delays_do_not_follow_the_wall_clock() {
    for step in [2 * HOUR, -2 * HOUR] {
        let mut manager = configured("{weather: {retries: 1, retry delay: 3s}}", |_, _| Ok(nothing()));
        let run = manager.wants(worker("weather"));
        manager.wants(delayed("rivers", 3));
        let heard = manager.hears_of(run, "weather", "failure");
        assert!(matches!(heard.messages()[0].outcome, Outcome::Retried(_)));
        manager.ends(run, Ending::Status(1));
        assert!(manager.sets_clock(step).launched.is_empty(), "{step}");
        assert!(manager.passes(2).launched.is_empty(), "{step}");
        assert_eq!(manager.passes(1).launched, ["rivers", "weather"], "{step}");
    }
}

#[test]
fn a_join_is_overdue_when_its_timeout_has_passed() {
    for step in [2 * HOUR, -2 * HOUR] {
        let mut manager = story(|message, _| {
            let mut answer = join(&["upload"], &["ssh"]);
            answer.join.as_mut().expect("a join").timeout = Some(seconds(60));
            Ok(if message.source == "weather" { answer } else { nothing() })
        });
        manager.hears("weather", "success", "null");
        assert!(!manager.sets_clock(step).says("CRITICAL", "is overdue"), "{step}");
        assert!(!manager.passes(59).says("CRITICAL", "is overdue"), "{step}");
        assert!(manager.passes(1).says("CRITICAL", "join weather is overdue"), "{step}");
    }
}

/// A manager whose rule of `feeds` makes a join of `ssh` since six o'clock of 15 March.
fn since_six() -> Story {
    let since = "2026-03-15T13:00:00Z".parse().expect("a moment");
    story(move |message, _| {
        let request = JoinRequest {
            name: Some("tracks".to_owned()),
            wait_for: vec![requirement("ssh")],
            launch: vec![worker("upload")],
            scope: Some(NoteScope::Since(since)),
            ..JoinRequest::default()
        };
        Ok(ReturnedLaunches { join: (message.source == "feeds").then_some(request), ..nothing() })
    })
}

#[test]
fn a_message_that_came_while_the_clock_was_ahead_does_not_count_for_the_next_day() {
    let mut manager = since_six();
    // It is four o'clock, and the clock shows seven o'clock of tomorrow.
    manager.sets_clock(DAY + 3 * HOUR);
    manager.hears("ssh", "success", "null");
    manager.sets_clock(-DAY - 3 * HOUR);
    manager.passes(DAY + 4 * HOUR);
    assert_eq!(manager.hears("feeds", "success", "null").launched, [""; 0]);
    assert_eq!(manager.hears("ssh", "success", "null").launched, ["upload"]);
}

#[test]
fn a_message_that_came_while_the_clock_was_behind_counts_when_it_is_right() {
    for is_booted in [false, true] {
        let mut manager = since_six();
        manager.passes(DAY + 3 * HOUR);
        manager.sets_clock(-DAY);
        manager.hears("ssh", "success", "null");
        if is_booted {
            // How wrong the clock was in an earlier boot is not known.
            manager.reboots(60, 0);
        } else {
            manager.sets_clock(DAY);
        }
        let launched = manager.hears("feeds", "success", "null").launched;
        assert_eq!(launched.len(), usize::from(!is_booted), "booted: {is_booted}");
    }
}

#[test]
fn a_message_counts_since_its_own_recorded_time() {
    let mut manager = quiet("{}");
    manager.hears("ssh", "success", "null");
    let recorded = manager.state.cycles.last("ssh", "success", None).expect("noted").at;
    // Both clocks drift apart by less than a step.
    manager.sets_clock(-1);
    let counting =
        |since| manager.state.cycles.counting(&NoteScope::Since(since), "ssh", None, manager.present());
    assert_eq!(counting(recorded).len(), 1);
    assert_eq!(counting(recorded + seconds(1)).len(), 0);
}

#[test]
fn a_cycle_is_kept_for_a_span_that_does_not_follow_the_wall_clock() {
    for step in [40 * DAY, -40 * DAY] {
        let mut manager = quiet("{}");
        manager.hears_message(of_cycle("ssh", "success", "today"));
        let is_kept = |manager: &Story| manager.state.cycles.get(&cycle("today")).is_some();
        manager.sets_clock(step);
        manager.passes(30 * DAY - 1);
        assert!(is_kept(&manager), "{step}");
        manager.passes(1);
        assert!(!is_kept(&manager), "{step}");
    }
}

#[test]
fn a_crash_is_reported_two_seconds_after_the_end_of_a_run() {
    for step in [2 * HOUR, -2 * HOUR] {
        let mut manager = quiet("{}");
        let run = manager.wants(worker("weather"));
        manager.ends(run, Ending::Status(1));
        assert!(manager.sets_clock(step).messages().is_empty(), "{step}");
        assert!(manager.passes(1).messages().is_empty(), "{step}");
        assert_eq!(manager.passes(1).messages().len(), 1, "{step}");
    }
}

#[test]
fn a_hold_with_a_duration_does_not_follow_the_wall_clock_and_one_until_a_time_does() {
    let hold = |manager: &mut Story, until: Option<i64>, duration: Option<i64>| {
        let until = until.map(|until| manager.time().timestamp() + seconds(until));
        let duration = duration.map(seconds);
        manager.asks(Command::Hold { target: HoldTarget::All, until, duration, reason: None });
        manager.wants(worker("weather"));
    };
    let mut manager = quiet("{}");
    hold(&mut manager, None, Some(HOUR));
    assert!(manager.sets_clock(2 * HOUR).launched.is_empty());
    assert!(manager.passes(HOUR - 1).launched.is_empty());
    assert_eq!(manager.passes(1).launched, ["weather"]);
    let mut manager = quiet("{}");
    hold(&mut manager, Some(HOUR), None);
    assert_eq!(manager.sets_clock(2 * HOUR).launched, ["weather"]);
    let mut manager = quiet("{}");
    hold(&mut manager, Some(HOUR), None);
    assert!(manager.sets_clock(-2 * HOUR).launched.is_empty());
    assert!(manager.passes(3 * HOUR - 1).launched.is_empty());
    assert_eq!(manager.passes(1).launched, ["weather"]);
}

#[test]
fn a_launch_at_a_time_follows_the_wall_clock() {
    let at = |manager: &Story, second: i64| {
        let mut launch = worker("weather");
        launch.options.at = Some(manager.time().timestamp() + seconds(second));
        launch
    };
    let mut manager = quiet("{}");
    manager.wants(at(&manager, HOUR));
    assert_eq!(manager.sets_clock(2 * HOUR).launched, ["weather"]);
    let mut manager = quiet("{}");
    let run = manager.wants(at(&manager, HOUR));
    assert!(manager.sets_clock(-2 * HOUR).launched.is_empty());
    let (answer, _) = manager.asks(Command::Release { number: run });
    assert!(answer.done, "an operator does not wait for it");
    manager.wants(at(&manager, 3 * HOUR));
    assert!(manager.passes(3 * HOUR - 1).launched.is_empty());
    assert_eq!(manager.passes(1).launched, ["weather"]);
}

#[test]
fn of_a_delay_and_a_time_the_later_one_counts() {
    let mut launch = delayed("weather", 10);
    let mut manager = quiet("{}");
    launch.options.at = Some(manager.time().timestamp() + seconds(5));
    manager.wants(launch.clone());
    launch.options.at = Some(manager.time().timestamp() + seconds(20));
    manager.wants(launch);
    assert!(manager.passes(9).launched.is_empty());
    assert_eq!(manager.passes(1).launched, ["weather"]);
    assert_eq!(manager.passes(10).launched, ["weather"]);
}

#[test]
fn the_time_that_a_run_took_is_not_that_of_the_wall_clock() {
    let mut manager = quiet("{}");
    let run = manager.wants(worker("weather"));
    manager.passes(10);
    manager.sets_clock(-2 * HOUR);
    assert_eq!(manager.state.runs[&run].duration(manager.present().steady), Some(seconds(10)));
    manager.ends(run, Ending::Status(0));
    let Stage::Ended { launched, at, ran, .. } = manager.state.runs[&run].stage else {
        panic!("it has ended")
    };
    assert_eq!(ran, Some(seconds(10)));
    assert!(at.wall < launched.expect("launched"), "people see what the clock showed");
}

#[test]
fn each_time_of_the_schedule_is_launched_once_and_a_clock_that_was_ahead_blocks_no_other() {
    let mut manager = quiet("{}");
    let launched = |manager: &mut Story, minutes: i64| {
        let now = manager.time().timestamp().as_second();
        let due = jiff::Timestamp::from_second(now / 60 * 60).expect("a minute") + seconds(60 * minutes);
        let command = Command::LaunchScheduled { item: "weather".to_owned(), due, worker: worker("weather") };
        let (answer, heard) = manager.asks(command);
        assert!(answer.done);
        heard.launched.len()
    };
    assert_eq!([launched(&mut manager, 0), launched(&mut manager, 0)], [1, 0]);
    manager.sets_clock(2 * HOUR);
    assert_eq!([launched(&mut manager, -1), launched(&mut manager, 0)], [1, 1]);
    assert_eq!(launched(&mut manager, -1), 0);
    manager.sets_clock(-2 * HOUR);
    manager.passes(60);
    assert_eq!([launched(&mut manager, 0), launched(&mut manager, 0)], [1, 0]);
    manager.passes(60);
    assert_eq!(launched(&mut manager, 0), 1);
    manager.passes(2 * HOUR - 240);
    assert_eq!(launched(&mut manager, 0), 1, "this one was left out");
    for _ in 0..2 {
        manager.passes(60);
        assert_eq!(launched(&mut manager, 0), 0, "these were launched when the clock was ahead");
    }
    manager.passes(60);
    assert_eq!(launched(&mut manager, 0), 1);
    manager.sets_clock(-HOUR);
    manager.passes(HOUR);
    assert_eq!([launched(&mut manager, 0), launched(&mut manager, -1)], [0, 0], "a right clock was set back");
}

#[test]
fn across_a_boot_the_wall_clock_counts() {
    let mut manager = configured("{weather: {timeout: 1h}}", |_, _| Ok(nothing()));
    let run = manager.wants(worker("weather"));
    manager.wants(delayed("rivers", 2 * HOUR));
    manager.passes(60);
    let heard = manager.reboots(30 * 60, 0);
    assert!(heard.log.is_empty() && steps(&heard).is_empty(), "a boot is not a step: {heard:#?}");
    assert!(matches!(heard.records[0].event, RecordedEvent::Due), "but the clocks are read again");
    assert!(manager.passes(29 * 60 - 1).stop_requested.is_empty());
    assert_eq!(manager.passes(1).stop_requested, [run]);
    assert_eq!(manager.passes(HOUR).launched, ["rivers"]);
}

#[test]
fn after_a_boot_with_a_clock_that_is_behind_spans_go_on_where_they_were() {
    let mut manager = quiet("{}");
    manager.wants(delayed("rivers", HOUR));
    manager.passes(40 * 60);
    manager.happens(Event::RulesLoaded { hash: "other".to_owned(), files: Vec::new() });
    // The battery is dead, and NTP sets the clock a minute later.
    let heard = manager.reboots(30 * 60, -6 * 365 * DAY);
    assert!(heard.says("WARNING", "the wall clock was set back by"), "{heard:#?}");
    assert!(heard.says("WARNING", "from 2026-03-14 04:40:00 to 2020-03-15 "), "{heard:#?}");
    assert!(manager.passes(60).launched.is_empty());
    assert!(manager.sets_clock(6 * 365 * DAY).launched.is_empty());
    assert!(manager.passes(19 * 60 - 2).launched.is_empty());
    assert_eq!(manager.passes(1).launched, ["rivers"], "a second is the least that a boot takes");
}

#[test]
fn an_implausibly_long_time_between_two_boots_counts_as_a_week() {
    let mut manager = quiet("{}");
    manager.wants(delayed("rivers", 6 * DAY));
    manager.wants(delayed("weather", 8 * DAY));
    assert_eq!(manager.reboots(60, 6 * 365 * DAY).launched, ["rivers"]);
    assert!(manager.passes(DAY - 1).launched.is_empty());
    assert_eq!(manager.passes(1).launched, ["weather"]);
}

const BY_SIX: &str =
    "{}\nexpect: [{worker: rivers, by: '06:00', since: '03:00', timezone: America/Vancouver}]";

fn is_late(heard: &Heard) -> bool {
    heard.says("CRITICAL", "rivers: (success) is late")
}

/// A manager that expects rivers, at four o'clock of its second day.
fn second_day() -> Story {
    let mut manager = quiet(BY_SIX);
    assert!(!is_late(&manager.passes(DAY)));
    manager
}

#[test]
fn a_message_that_came_in_time_is_not_late_whatever_the_clock_showed_then_and_shows_now() {
    // It came while the clock was in the year 2020.
    let mut manager = second_day();
    manager.sets_clock(-6 * 365 * DAY);
    manager.hears("rivers", "success", "null");
    manager.sets_clock(6 * 365 * DAY);
    assert!(!is_late(&manager.passes(3 * HOUR)));
    // The clock is set over the deadline after it has come, and back.
    let mut manager = second_day();
    manager.hears("rivers", "success", "null");
    for step in [3 * HOUR, -3 * HOUR, 3 * HOUR] {
        assert!(!is_late(&manager.sets_clock(step)));
    }
    // The machine was booted since.
    let mut manager = second_day();
    manager.hears("rivers", "success", "null");
    assert!(!is_late(&manager.reboots(60, 0)) && !is_late(&manager.passes(3 * HOUR)));
}

#[test]
fn a_message_that_has_not_come_is_late_by_the_clock_as_it_is_set() {
    let mut manager = second_day();
    assert!(is_late(&manager.sets_clock(3 * HOUR)), "it is seven");
    let heard = manager.sets_clock(-3 * HOUR);
    assert!(
        heard.says("INFO", "rivers: (success) is not late yet by the clock as it is set now"),
        "{heard:#?}"
    );
    assert!(manager.state.expected.values().all(|expected| expected.late.is_none()));
    assert!(!is_late(&manager.passes(2 * HOUR - 1)));
    assert!(is_late(&manager.passes(1)), "at six it is judged again");
    // Expected since the clock was years ahead, it is late on the first day whose window has begun since.
    let mut manager = quiet("{}");
    manager.sets_clock(6 * 365 * DAY);
    manager.happens(Event::Reloaded { policy: crate::decisions::story::config(BY_SIX) });
    manager.sets_clock(-6 * 365 * DAY);
    assert!(!is_late(&manager.passes(DAY)));
    assert!(is_late(&manager.passes(3 * HOUR)));
}

#[test]
fn moments_are_stored_as_before_until_the_wall_clock_is_set() {
    let mut manager = quiet("{}");
    let run = manager.wants(worker("weather"));
    let json = |manager: &Story| serde_json::to_string(&manager.state.runs[&run].stage).expect("JSON");
    let folder = format!("2026-03-14/{}", run.0);
    let launched = format!(r#"{{"launched":{{"at":"2026-03-14T11:00:00Z","folder":"{folder}"}}}}"#);
    assert_eq!(json(&manager), launched);
    manager.sets_clock(60);
    manager.ends(run, Ending::Status(0));
    let ended = format!(
        r#"{{"ended":{{"launched":"2026-03-14T11:00:00Z","at":"2026-03-14T11:01:00Z","steady":"2026-03-14T11:00:00Z","ran":"PT0S","ending":{{"status":0}},"folder":"{folder}"}}}}"#
    );
    assert_eq!(json(&manager), ended);
    for text in [launched, ended] {
        let stage: Stage = serde_json::from_str(&text).expect("a stage");
        assert_eq!(serde_json::to_string(&stage).expect("JSON"), text);
    }
    let reading = manager.state.clock.reading.clone().expect("a reading");
    let text = serde_json::to_string(&reading).expect("JSON");
    assert_eq!(serde_json::from_str::<ClockReading>(&text).expect("a reading"), reading, "{text}");
    let stage = r#"{"pending":{"due":"2026-03-14T11:00:00Z"}}"#;
    let at = TimePoint::by_wall_clock("2026-03-14T11:00:00Z".parse().expect("a moment"));
    let pending = Stage::Pending { due: Steady(at.wall), at: None };
    assert_eq!(serde_json::from_str::<Stage>(stage).expect("a stage"), pending);
    assert_eq!(serde_json::to_string(&pending).expect("JSON"), stage);
}
