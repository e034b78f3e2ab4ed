//! Warnings ahead of a deadline, from forecasts: once for each deadline, whatever later forecasts say.

use jiff::Timestamp;
use nowcast_core::record::RecordedEvent;
use nowcast_core::{Alarm, Effect, Event, ExpectedForecast, TimeRange};

use crate::decisions::story::{Heard, Story, of_cycle, quiet};

const RIVERS: &str = "[{worker: rivers, by: '06:00', timezone: America/Vancouver, warn at: 50%}]";

/// The deadline of the second day.
const DEADLINE: &str = "2026-03-15T06:00:00-07:00";

const DAY: i64 = 86_400;

/// A manager that expects this for a day, on the 15th of March at five in the morning.
fn expecting(expect: &str) -> Story {
    let mut manager = quiet(&format!(
        "{{}}\nexpect: {expect}\nnotifications: {{pager: {{url: 'https://pager.example.org/', alarms: all}}}}"
    ));
    manager.happens(Event::Due);
    let deadline: Timestamp = DEADLINE.parse().expect("a moment");
    let seconds = deadline.as_second() - 3_600 - manager.now.timestamp().as_second();
    manager.passes(seconds);
    manager
}

fn forecast(late: u8) -> ExpectedForecast {
    let at = |time: &str| format!("2026-03-15T{time}:00-07:00").parse().expect("a moment");
    ExpectedForecast {
        worker: "rivers".to_owned(),
        r#type: "success".to_owned(),
        cycle: None,
        deadline: DEADLINE.parse().expect("a moment"),
        time: Some(TimeRange { p10: at("05:50"), median: at("06:10"), p90: at("06:45") }),
        late: Some(late),
    }
}

fn predicts(manager: &mut Story, forecasts: Vec<ExpectedForecast>) -> Heard {
    manager.happens(Event::Forecast { forecasts })
}

fn alarms(heard: &Heard) -> usize {
    let is_at_risk =
        |effect: &&Effect| matches!(effect, Effect::Notify(notice) if notice.alarm == Some(Alarm::AtRisk));
    heard.others.iter().filter(is_at_risk).count()
}

#[test]
fn a_probably_late_message_is_warned_of_once_for_its_deadline() {
    let mut manager = expecting(RIVERS);
    let heard = predicts(&mut manager, vec![forecast(49)]);
    assert!(heard.log.is_empty() && heard.records.is_empty(), "{heard:#?}");

    let heard = predicts(&mut manager, vec![forecast(50)]);
    assert_eq!(
        heard.log,
        ["WARNING rivers: (success) is at risk: late at 2026-03-15 06:00 PDT with a probability of 50 %; \
             expected at 06:10 (05:50 to 06:45)"]
    );
    assert_eq!(alarms(&heard), 1);
    assert_eq!(heard.records[0].event, RecordedEvent::Forecast);
    assert!(!manager.state.has_failures, "nothing has failed yet");

    let heard = predicts(&mut manager, vec![forecast(99)]);
    assert!(heard.log.is_empty() && heard.records.is_empty(), "{heard:#?}");
}

#[test]
fn a_forecast_that_changes_its_mind_warns_no_second_time() {
    let mut manager = expecting(RIVERS);
    predicts(&mut manager, vec![forecast(60)]);
    let heard = predicts(&mut manager, vec![forecast(31)]);
    assert!(heard.log.is_empty(), "20 points below the limit are needed: {heard:#?}");
    let heard = predicts(&mut manager, vec![forecast(30)]);
    assert!(heard.says("INFO", "rivers: (success) is no longer at risk"), "{heard:#?}");
    let heard = predicts(&mut manager, vec![forecast(50)]);
    assert!(heard.says("INFO", "rivers: (success) is at risk again"), "{heard:#?}");
    assert_eq!(alarms(&heard), 0);
}

#[test]
fn two_deadlines_are_warned_of_once_each() {
    let mut manager = expecting(
        "[{worker: rivers, by: '06:00', timezone: America/Vancouver, warn at: 50%}, \
          {worker: rivers, by: '09:00', timezone: America/Vancouver, warn at: 50%}]",
    );
    let later =
        ExpectedForecast { deadline: "2026-03-15T09:00:00-07:00".parse().expect("a moment"), ..forecast(80) };
    let heard = predicts(&mut manager, vec![forecast(80), later.clone()]);
    assert_eq!(alarms(&heard), 2);
    let heard = predicts(&mut manager, vec![forecast(80), later]);
    assert_eq!(alarms(&heard), 0);
}

#[test]
fn what_has_come_or_has_passed_or_is_not_expected_is_not_at_risk() {
    let mut manager = expecting(RIVERS);
    let other = ExpectedForecast { worker: "ssh".to_owned(), ..forecast(80) };
    let no_deadline =
        ExpectedForecast { deadline: "2026-03-15T06:01:00-07:00".parse().expect("a moment"), ..forecast(80) };
    let passed =
        ExpectedForecast { deadline: "2026-03-14T06:00:00-07:00".parse().expect("a moment"), ..forecast(80) };
    let heard = predicts(&mut manager, vec![other, no_deadline, passed]);
    assert!(heard.log.is_empty() && heard.records.is_empty(), "{heard:#?}");

    predicts(&mut manager, vec![forecast(80)]);
    manager.hears("rivers", "success", "null");
    assert!(manager.state.expected.values().all(|one| one.at_risk.is_empty()), "it has come");
    let heard = predicts(&mut manager, vec![forecast(80)]);
    assert!(heard.log.is_empty(), "a forecast that was made before it came: {heard:#?}");
}

#[test]
fn without_warn_at_nothing_is_warned_of() {
    let mut manager = expecting("[{worker: rivers, by: '06:00', timezone: America/Vancouver}]");
    let heard = predicts(&mut manager, vec![forecast(99)]);
    assert!(heard.log.is_empty() && heard.records.is_empty(), "{heard:#?}");
}

#[test]
fn a_passed_deadline_ends_the_risk_and_the_next_day_has_a_warning_of_its_own() {
    let mut manager = expecting(RIVERS);
    predicts(&mut manager, vec![forecast(80)]);
    manager.passes(2 * 3_600);
    assert!(manager.state.expected.values().all(|one| one.at_risk.is_empty()), "it is late now");
    let tomorrow =
        ExpectedForecast { deadline: "2026-03-16T06:00:00-07:00".parse().expect("a moment"), ..forecast(80) };
    assert_eq!(alarms(&predicts(&mut manager, vec![tomorrow])), 1);
    manager.passes(DAY);
}

#[test]
fn with_a_cycle_only_its_own_message_ends_the_risk() {
    let mut manager = expecting(
        "[{worker: rivers, by: '06:00', timezone: America/Vancouver, warn at: 50%, cycle: '%Y-%m-%d'}]",
    );
    let heard = predicts(&mut manager, vec![ExpectedForecast { time: None, ..forecast(100) }]);
    assert_eq!(
        heard.log,
        [
            "WARNING rivers: (success) of cycle 2026-03-15 is at risk: late at 2026-03-15 06:00 PDT with a probability of 100 %; \
             it is not expected to come"
        ]
    );
    let is_at_risk = |manager: &Story| manager.state.expected.values().any(|one| !one.at_risk.is_empty());
    manager.hears_message(of_cycle("rivers", "success", "2026-03-14"));
    assert!(is_at_risk(&manager));
    manager.hears_message(of_cycle("rivers", "success", "2026-03-15"));
    assert!(!is_at_risk(&manager));
}
