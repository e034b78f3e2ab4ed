//! Joins: launches that wait until several messages have come.

use nowcast_core::Join;
use nowcast_core::parked::ParkedItem;
use nowcast_core::{Command, Ending, JoinRequest, ReturnedLaunches, RuleError};

use crate::decisions::story::{
    configured, failed, join, launch, nothing, quiet, requirement, seconds, story, worker,
};

/// A join with a name.
fn named(name: &str, wait_for: &[&str], own: &[&str]) -> ReturnedLaunches {
    let join = JoinRequest {
        name: Some(name.into()),
        wait_for: wait_for.iter().map(|text| requirement(text)).collect(),
        launch: own.iter().map(|name| worker(name)).collect(),
        ..JoinRequest::default()
    };
    ReturnedLaunches { next_workers: Vec::new(), join: Some(join) }
}

#[test]
fn what_the_rules_of_its_workers_returned_goes_when_all_have_come() {
    let mut manager = story(|message, _| {
        Ok(match message.source.as_str() {
            "weather" => join(&["rivers", "ssh"], &["rivers", "ssh"]),
            "rivers" => launch(&["upload"]),
            _ => launch(&["mute"]),
        })
    });
    // The opener is not in it, so what its rule returned does not wait.
    assert_eq!(manager.hears("weather", "success", "null").launched, ["rivers", "ssh"]);
    assert!(manager.hears("rivers", "success", "null").launched.is_empty());
    assert_eq!(manager.hears("rivers", "success", "null").launched, ["upload"], "each name counts once");
    assert_eq!(manager.hears("ssh", "crash", "null").launched, ["upload", "mute"]);
    assert!(manager.state.joins.is_empty());
}

#[test]
fn the_worker_that_opens_a_join_may_be_in_it() {
    let mut manager = story(|message, _| {
        Ok(if message.source == "weather" { join(&["upload"], &["weather", "ssh"]) } else { nothing() })
    });
    assert!(manager.hears("weather", "success", "null").launched.is_empty());
    assert_eq!(manager.hears("ssh", "success", "null").launched, ["upload"]);
}

#[test]
fn a_join_may_be_complete_as_it_opens() {
    let mut manager = story(|_, _| Ok(join(&["upload"], &["weather"])));
    assert_eq!(manager.hears("weather", "success", "null").launched, ["upload"]);
    assert!(manager.state.joins.is_empty());
}

#[test]
fn an_empty_set_opens_no_join() {
    let mut manager = story(|_, _| Ok(join(&["upload"], &[])));
    assert_eq!(manager.hears("weather", "success", "null").launched, ["upload"]);
    assert!(manager.state.joins.is_empty());
}

#[test]
fn a_join_that_waits_for_nothing_launches_its_own_at_once() {
    let mut manager = story(|_, _| Ok(named("feeds", &[], &["upload"])));
    assert_eq!(manager.hears("weather", "success", "null").launched, ["upload"]);
    assert!(manager.state.joins.is_empty());
}

#[test]
fn a_join_counts_messages_of_one_type() {
    let mut manager = story(|message, _| {
        Ok(match (message.source.as_str(), message.r#type.as_str()) {
            ("weather", _) => named("feeds", &["2 rivers: success", "ssh"], &["upload"]),
            _ => nothing(),
        })
    });
    manager.hears("weather", "success", "null");
    manager.hears("rivers", "failure", "null");
    manager.hears("rivers", "success", "null");
    manager.hears("ssh", "success", "null");
    let open = manager.state.joins.named("feeds").expect("open");
    assert_eq!((open.requirements().as_str(), open.received.len()), ("rivers (success)", 2));
    manager.hears("rivers", "failure", "null");
    assert_eq!(manager.hears("rivers", "success", "null").launched, ["upload"]);
}

#[test]
fn a_message_counts_in_every_join_and_the_oldest_takes_the_launches() {
    let mut manager = story(|message, _| {
        Ok(match message.source.as_str() {
            "weather" => named("older", &["ssh", "rivers"], &[]),
            "upload" => named("newer", &["ssh", "mute"], &["weather"]),
            "ssh" => launch(&["upload"]),
            _ => nothing(),
        })
    });
    manager.hears("weather", "success", "null");
    manager.hears("upload", "success", "null");
    assert!(manager.hears("ssh", "success", "null").launched.is_empty());
    let waiting = |manager: &crate::decisions::story::Story, name| {
        manager.state.joins.named(name).map(|join| join.pending.len())
    };
    assert_eq!((waiting(&manager, "older"), waiting(&manager, "newer")), (Some(1), Some(0)));
    assert_eq!(manager.hears("mute", "success", "null").launched, ["weather"]);
    assert_eq!(manager.hears("rivers", "success", "null").launched, ["upload"]);
}

#[test]
fn a_message_may_complete_one_join_and_open_another() {
    let mut manager = story(|message, _| {
        Ok(match message.source.as_str() {
            "weather" => named("first", &["ssh"], &["upload"]),
            "ssh" => {
                let second = named("second", &["ssh", "rivers"], &["mute"]);
                ReturnedLaunches { next_workers: vec![worker("rivers")], ..second }
            }
            _ => nothing(),
        })
    });
    manager.hears("weather", "success", "null");
    let heard = manager.hears("ssh", "success", "null");
    assert_eq!(heard.launched, ["rivers", "upload"], "the oldest took what the rule returned");
    assert_eq!(manager.state.joins.named("second").map(Join::requirements), Some("rivers".to_owned()));
    assert_eq!(manager.hears("rivers", "success", "null").launched, ["mute"]);
}

#[test]
fn a_failing_rule_still_counts_in_a_join() {
    let mut manager = story(|message, _| match message.source.as_str() {
        "weather" => Ok(join(&[], &["rivers", "ssh"])),
        "rivers" => Ok(launch(&["upload"])),
        _ => Err(failed()),
    });
    manager.hears("weather", "success", "null");
    assert!(manager.hears("rivers", "success", "null").launched.is_empty());
    assert_eq!(manager.hears("ssh", "success", "null").launched, ["upload"]);
}

#[test]
fn a_missing_function_does_not_count_in_a_join() {
    let mut manager = story(|message, _| match message.source.as_str() {
        "weather" => Ok(join(&[], &["ssh"])),
        source => {
            Err(RuleError::NoFunction { function: format!("after_{source}"), module: "next_workers".into() })
        }
    });
    manager.hears("weather", "success", "null");
    let number = manager.hears("ssh", "success", "null").records[0].number;
    assert!(!manager.state.joins.is_empty());
    // Parked, it counts once it reaches a rule, and then once only, also when that one fails at first.
    let retry = Command::Retry { message: Some(number), historical_checklist: false };
    assert!(!manager.asks(retry.clone()).0.done);
    assert!(!manager.state.joins.is_empty());
    manager.rules(|_, _| Err(failed()));
    assert!(!manager.asks(retry.clone()).0.done);
    assert!(manager.state.joins.is_empty());
    manager.rules(|message, _| Ok(if message.source == "weather" { join(&[], &["ssh"]) } else { nothing() }));
    manager.hears("weather", "success", "null");
    assert!(manager.asks(retry).0.done);
    assert!(!manager.state.joins.is_empty(), "it has counted already");
}

#[test]
fn a_failure_that_is_retried_does_not_count() {
    let mut manager = configured("{ssh: {retries: 1}}", |message, _| {
        Ok(if message.source == "weather" { named("feeds", &["ssh"], &["upload"]) } else { nothing() })
    });
    manager.hears("weather", "success", "null");
    let run = manager.wants(worker("ssh"));
    manager.hears_of(run, "ssh", "crash");
    assert!(manager.state.joins.named("feeds").is_some());
    let retry = manager.ends(run, Ending::Status(1)).run();
    assert_eq!(manager.hears_of(retry, "ssh", "success").launched, ["upload"]);
}

#[test]
fn an_overdue_join_parks_what_waited_in_it() {
    let mut manager = story(|message, _| {
        let mut answer = named("feeds", &["rivers", "ssh"], &["upload"]);
        answer.join.as_mut().expect("a join").timeout = Some(seconds(10_800));
        Ok(if message.source == "weather" { answer } else { launch(&["mute"]) })
    });
    manager.hears("weather", "success", "null");
    manager.hears("rivers", "success", "null");
    let join = manager.state.joins.named("feeds").expect("open").id;
    assert!(manager.passes(10_799).log.is_empty());
    let heard = manager.passes(1);
    assert!(heard.says("CRITICAL", "join feeds is overdue: it did not receive ssh; parked, not launched: "));
    assert!(heard.launched.is_empty() && manager.state.joins.is_empty());
    let ParkedItem::Launches { launches, .. } = &manager.state.parked[&join].item else { panic!("launches") };
    let names: Vec<_> = launches.iter().map(|launch| launch.worker.name()).collect();
    assert_eq!(names, ["mute", "upload"]);
    // It comes too late.
    assert_eq!(manager.hears("ssh", "success", "null").launched, ["mute"]);
    let (answer, heard) = manager.asks(Command::Release { number: join });
    assert_eq!((heard.launched, answer.numbers), (vec!["mute".to_owned(), "upload".to_owned()], heard.runs));
    assert!(manager.state.parked.is_empty());
}

#[test]
fn an_overdue_join_in_which_nothing_waits_is_said_once_and_over() {
    let mut manager = story(|_, _| {
        let mut answer = named("feeds", &["ssh"], &[]);
        answer.join.as_mut().expect("a join").timeout = Some(seconds(60));
        Ok(answer)
    });
    manager.hears("weather", "success", "null");
    let heard = manager.passes(60);
    assert_eq!(heard.log, ["CRITICAL join feeds is overdue: it did not receive ssh"]);
    assert!(manager.state.joins.is_empty() && manager.state.parked.is_empty());
}

#[test]
fn a_message_in_the_moment_before_the_manager_looks_is_in_time() {
    let mut manager = story(|message, _| {
        let mut answer = named("feeds", &["ssh"], &["upload"]);
        answer.join.as_mut().expect("a join").timeout = Some(seconds(60));
        Ok(if message.source == "weather" { answer } else { nothing() })
    });
    manager.hears("weather", "success", "null");
    manager.now = &manager.now + seconds(60);
    assert_eq!(manager.hears("ssh", "success", "null").launched, ["upload"]);
    assert!(manager.passes(60).log.is_empty());
}

#[test]
fn a_join_that_is_opened_again_parks_what_waited_in_it() {
    let mut manager = story(|message, _| {
        Ok(if message.source == "weather" { join(&[], &["rivers", "ssh"]) } else { launch(&["upload"]) })
    });
    manager.hears("weather", "success", "null");
    manager.hears("rivers", "success", "null");
    let before = manager.state.joins.named("weather").expect("open").id;
    let heard = manager.hears("weather", "success", "null");
    assert!(heard.says("CRITICAL", "join weather was reopened before it received ssh"));
    assert!(heard.launched.is_empty());
    let ids: Vec<_> = manager.state.joins.open().map(|join| join.id).collect();
    assert_eq!(ids.len(), 1);
    assert!(ids[0] > before && manager.state.parked.contains_key(&before));
    let (answer, heard) = manager.asks(Command::Discard { number: before });
    assert_eq!(answer.text, "the parked launches of join weather are discarded");
    assert!(heard.launched.is_empty() && manager.state.parked.is_empty());
}

#[test]
fn a_join_without_launches_is_opened_again_without_an_alarm() {
    let mut manager = story(|_, _| Ok(join(&[], &["rivers", "ssh"])));
    manager.hears("weather", "success", "null");
    let heard = manager.hears("weather", "success", "null");
    assert!(!heard.says("CRITICAL", ""));
    assert!(manager.state.parked.is_empty());
    assert_eq!(manager.state.joins.open().count(), 1);
}

#[test]
fn joins_of_different_names_do_not_disturb_each_other() {
    let mut manager = quiet("{}");
    manager.rules(|message, _| Ok(join(&[], if message.source == "ssh" { &["mute"] } else { &["upload"] })));
    for source in ["weather", "ssh", "rivers"] {
        manager.hears(source, "success", "null");
    }
    let names: Vec<_> = manager.state.joins.open().map(|join| join.name.clone()).collect();
    assert_eq!(names, ["weather", "ssh", "rivers"]);
}
