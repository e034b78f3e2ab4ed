//! The virtual clock on a state whose wall clock was set: spans are in steady time.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use nowcast::trial::clockwork::{Clockwork, Tick};
use nowcast_core::checklist::Checklist;
use nowcast_core::{
    BootId, BootTime, Change, ClockReading, Command, Event, LaunchOptions, NextWorker, Policy,
    ReturnedLaunches, RuleCallResult, RuleInput, Rules, State, Steady,
};
use pyyaml::Value;

struct NoRules;

impl Rules for NoRules {
    fn call_after(&self, _: &RuleInput<'_>) -> RuleCallResult {
        RuleCallResult::new(Ok(ReturnedLaunches::default()))
    }
}

#[test]
fn a_delayed_launch_is_due_at_its_time_though_the_wall_clock_was_set() {
    let now: ZonedDateTime = "2026-03-14T12:00[UTC]".parse().expect("a moment");
    let wall = now.timestamp();
    for hours in [-3, 0, 3] {
        let steady = Steady(wall + SignedDuration::from_hours(hours));
        let boot_time = BootTime { boot: BootId(1), uptime: SignedDuration::from_hours(50) };
        let mut state = State::new(Arc::new(Policy::default()), Checklist::default());
        let reading = ClockReading { wall, boot_time, steady, boot_began: steady, set_from: None };
        state.apply(&Change::Clock(reading), &Value::Null);
        let mut clockwork: Clockwork<()> = Clockwork::new(state, now.clone());
        let delay = Some(SignedDuration::from_mins(10));
        let mut worker = NextWorker::new("sleep", Vec::new());
        worker.options = LaunchOptions { delay, ..LaunchOptions::default() };
        let command = Command::Launch { worker, rerun_of: None, origin: None };
        let event = Event::Command { call: None, user: "ana".into(), command, historical_checklist: None };
        clockwork.decide(event, &NoRules).expect("one event");
        let tick = clockwork.advance(Timestamp::MAX);
        assert!(matches!(tick, Some(Tick::Due)), "{hours}: {tick:?}");
        assert_eq!(clockwork.now().timestamp(), wall + SignedDuration::from_mins(10), "{hours} h");
    }
}
