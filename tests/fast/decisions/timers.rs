//! Times: nothing is launched before its own, and the manager knows when to look again.

use jiff::Timestamp;
use nowcast_core::{Command, Event, Steady};

use crate::decisions::story::{config, configured, delayed, join, launches, quiet, seconds, story, worker};

#[test]
fn a_launch_waits_for_its_delay() {
    let mut manager = story(|_, _| Ok(launches(vec![delayed("rivers", 600), worker("ssh")])));
    assert_eq!(manager.hears("weather", "success", "null").launched, ["ssh"]);
    assert!(manager.passes(599).launched.is_empty());
    assert_eq!(manager.passes(1).launched, ["rivers"]);
    assert!(manager.passes(600).launched.is_empty());
}

#[test]
fn a_launch_waits_for_its_moment() {
    let mut manager = quiet("{}");
    let mut at_five = worker("weather");
    at_five.options.at = Some("2026-03-14T05:00:00-07:00".parse().expect("a moment"));
    manager.wants(at_five.clone());
    assert!(manager.passes(3_599).launched.is_empty());
    assert_eq!(manager.passes(1).launched, ["weather"]);
    let (_, heard) = manager.asks(Command::Launch { worker: at_five.clone(), rerun_of: None, origin: None });
    assert_eq!(heard.launched, ["weather"], "a moment that has passed keeps nothing back");
    at_five.options.delay = Some(seconds(10));
    manager.wants(at_five);
    assert!(manager.passes(9).launched.is_empty());
    assert_eq!(manager.passes(1).launched, ["weather"]);
}

#[test]
fn the_end_of_the_calendar_is_not_a_moment() {
    let mut manager = quiet("{rivers: {timeout: 1h}}");
    let mut never = worker("weather");
    never.options.delay = Some(jiff::SignedDuration::MAX);
    manager.wants(never);
    let mut endless = worker("rivers");
    endless.options.timeout = Some(jiff::SignedDuration::MAX);
    manager.wants(endless);
    let heard = manager.passes(86_400);
    assert!(heard.launched.is_empty() && heard.stop_requested.is_empty());
    let now = manager.present();
    assert_eq!(manager.state.next_due(now.time, now), Some(Steady(Timestamp::MAX)));
}

#[test]
fn the_delay_counts_from_the_release_of_a_join() {
    let mut manager = story(|message, _| {
        Ok(match message.source.as_str() {
            "weather" => {
                let mut answer = join(&[], &["weather", "ssh"]);
                answer.next_workers.push(delayed("upload", 60));
                answer
            }
            _ => launches(Vec::new()),
        })
    });
    manager.hears("weather", "success", "null");
    manager.passes(3_600);
    assert!(manager.hears("ssh", "success", "null").launched.is_empty());
    assert!(manager.passes(59).launched.is_empty());
    assert_eq!(manager.passes(1).launched, ["upload"]);
}

#[test]
fn launches_that_are_due_go_in_the_order_of_their_times() {
    let mut manager = quiet("{}");
    for (name, delay) in [("rivers", 30), ("ssh", 10), ("upload", 20), ("weather", 10)] {
        manager.wants(delayed(name, delay));
    }
    // The manager was away meanwhile.
    manager.now = &manager.now + seconds(60);
    assert_eq!(manager.happens(Event::Due).launched, ["ssh", "weather", "upload", "rivers"]);
}

#[test]
fn looking_when_nothing_is_due_keeps_nothing_and_uses_no_number() {
    let mut manager = quiet("{}");
    manager.wants(delayed("weather", 60));
    let before = manager.state.last_number;
    assert!(manager.happens(Event::Due).records.is_empty());
    assert_eq!(manager.state.last_number, before);
}

#[test]
fn another_configuration_changes_limits_at_once() {
    let mut manager = configured("{upload: {max running: 1, timeout: 3h}}", |_, _| Ok(launches(Vec::new())));
    let run = manager.wants(worker("upload"));
    let waits = manager.wants(worker("upload"));
    manager.passes(3_600);
    let event = Event::Reloaded { policy: config("{upload: {max running: 2, timeout: 30m}}") };
    let heard = manager.happens(event);
    assert_eq!((heard.runs, heard.stop_requested), (vec![waits], vec![run]));
}
