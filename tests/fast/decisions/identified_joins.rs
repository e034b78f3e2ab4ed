//! Joins by cycle and since a moment: they count what came before, and complete once.

use jiff::Timestamp;
use nowcast_core::cycles::{MOST_CYCLES, NoteScope};
use nowcast_core::identified_joins::{MOST_BY_CYCLE, MOST_SINCE};
use nowcast_core::join_identity::JoinEnd;
use nowcast_core::rules::ReturnedLaunches;
use nowcast_core::{Change, Join};
use nowcast_core::{Command, Ending, JoinRequest, Number};

use crate::decisions::story::{
    Heard, Story, cycle, failed, in_cycle, launch, of_cycle, requirement, seconds, story, worker,
};

const DAY: i64 = 86_400;

/// `tracks`: what it requires, and an upload.
fn tracks(scope: NoteScope, wait_for: &[&str]) -> JoinRequest {
    JoinRequest {
        name: Some("tracks".to_owned()),
        wait_for: wait_for.iter().map(|text| requirement(text)).collect(),
        launch: vec![worker("upload")],
        scope: Some(scope),
        location: Some("next_workers.lua:12".to_owned()),
        ..JoinRequest::default()
    }
}

fn returned(join: JoinRequest) -> ReturnedLaunches {
    ReturnedLaunches { join: Some(join), ..ReturnedLaunches::default() }
}

/// A manager whose rule after `source` returns this join in the message's cycle.
fn meeting(sources: &'static [&'static str], wait_for: &'static [&'static str]) -> Story {
    story(move |message, _| {
        let scope =
            message.cycle.clone().map(NoteScope::Cycle).filter(|_| sources.contains(&&*message.source));
        Ok(scope.map_or_else(ReturnedLaunches::default, |scope| returned(tracks(scope, wait_for))))
    })
}

fn known<'a>(manager: &'a Story, label: &str) -> Option<&'a Join> {
    manager.state.joins.identified(&NoteScope::Cycle(cycle(label)), "tracks")
}

fn end(manager: &Story, label: &str) -> Option<JoinEnd> {
    known(manager, label).and_then(|join| join.identity.as_ref()).and_then(|identity| identity.end)
}

fn number(heard: &Heard) -> Number {
    heard.records[0].number
}

#[test]
fn two_chains_meet_whichever_comes_first() {
    for order in [["weather", "ssh"], ["ssh", "weather"]] {
        // Only the rule of weather requests the join.
        let mut manager = meeting(&["weather"], &["weather: success", "ssh: success"]);
        let first = manager.hears_message(of_cycle(order[0], "success", "today"));
        let other = manager.hears_message(of_cycle(order[1], "success", "yesterday"));
        assert_eq!((&first.launched, &other.launched), (&Vec::new(), &Vec::new()), "{order:?}");
        let last = manager.hears_message(of_cycle(order[1], "success", "today"));
        assert_eq!(last.launched, ["upload"], "{order:?}");
        let run = &manager.state.runs[&last.run()];
        let join = known(&manager, "today").expect("known");
        assert_eq!((run.cycle.clone(), run.join), (Some(cycle("today")), Some(join.id)));
        assert_eq!(join.received, [number(&first), number(&last)]);
        assert_eq!(end(&manager, "today"), Some(JoinEnd::Completed));
    }
}

#[test]
fn it_completes_once_however_often_it_is_requested() {
    let mut manager = meeting(&["weather", "ssh"], &["weather: success", "ssh: success"]);
    let mut launched = Vec::new();
    for source in ["weather", "weather", "ssh", "ssh", "weather"] {
        let heard = manager.hears_message(of_cycle(source, "success", "today"));
        assert!(!heard.log.iter().any(|line| line.starts_with("CRITICAL")), "{heard:#?}");
        launched.extend(heard.launched);
    }
    assert_eq!(launched, ["upload"]);
}

#[test]
fn a_message_counts_also_if_its_rule_fails_and_once_if_it_is_decided_again() {
    let mut manager = story(|message, _| match &*message.source {
        "weather" => {
            let scope = NoteScope::Cycle(cycle("today"));
            Ok(returned(tracks(scope, &["weather: success", "2 ssh: success"])))
        }
        _ => Err(failed()),
    });
    manager.hears_message(of_cycle("weather", "success", "today"));
    manager.hears_message(of_cycle("ssh", "success", "today"));
    assert_eq!(known(&manager, "today").expect("open").requirements(), "ssh (success)");
    manager.asks(Command::Retry { message: None, historical_checklist: false });
    assert_eq!(known(&manager, "today").expect("open").requirements(), "ssh (success)");
    let heard = manager.hears_message(of_cycle("ssh", "success", "today"));
    assert_eq!(heard.launched, ["upload"], "the launch belongs to the join, not to the failed rule");
}

#[test]
fn the_latest_run_counts_while_the_join_is_open() {
    let mut manager = meeting(&["feeds"], &["feeds: success", "ssh: success"]);
    let run = manager.wants(in_cycle("feeds", "today"));
    manager.hears_of(run, "feeds", "success");
    manager.ends(run, Ending::Status(0));
    assert_eq!(known(&manager, "today").expect("open").requirements(), "ssh (success)");
    let rerun =
        Command::Launch { worker: in_cycle("feeds", "today"), rerun_of: Some(run), origin: Some(run) };
    let (answer, _) = manager.asks(rerun);
    let rerun = answer.numbers[0];
    manager.hears_of(rerun, "feeds", "halfway");
    assert_eq!(known(&manager, "today").expect("open").requirements(), "feeds (success), ssh (success)");
    manager.hears_message(of_cycle("ssh", "success", "today"));
    assert_eq!(manager.hears_of(rerun, "feeds", "success").launched, ["upload"]);
}

#[test]
fn an_entry_of_another_cycle_counts_the_messages_of_that_one() {
    for is_first in [true, false] {
        let mut manager = story(|message, _| {
            let mut join = tracks(NoteScope::Cycle(cycle("today")), &["weather: success", "ssh: success"]);
            join.wait_for[1].cycle = Some(cycle("yesterday"));
            let is_asked = message.source == "weather";
            Ok(if is_asked { returned(join) } else { ReturnedLaunches::default() })
        });
        let restart = of_cycle("ssh", "success", "yesterday");
        if is_first {
            manager.hears_message(restart.clone());
        }
        manager.hears_message(of_cycle("ssh", "success", "today"));
        let heard = manager.hears_message(of_cycle("weather", "success", "today"));
        assert_eq!(heard.launched.len(), usize::from(is_first));
        if !is_first {
            let requirements = known(&manager, "today").expect("open").requirements();
            assert_eq!(requirements, "ssh (success) of cycle yesterday");
            assert!(manager.state.cycles.get(&cycle("yesterday")).is_none(), "it has not begun by this");
            let heard = manager.hears_message(restart);
            assert_eq!(manager.state.runs[&heard.run()].cycle, Some(cycle("today")));
        }
    }
}

#[test]
fn a_different_request_changes_nothing_and_is_logged_with_both_places() {
    let mut manager = story(|message, _| {
        let mut join = tracks(NoteScope::Cycle(cycle("today")), &["weather: success", "ssh: success"]);
        if message.source == "rivers" {
            join.launch = vec![worker("feeds")];
            join.location = Some("next_workers.lua:40".to_owned());
        }
        Ok(if message.source == "ssh" { ReturnedLaunches::default() } else { returned(join) })
    });
    manager.hears_message(of_cycle("weather", "success", "today"));
    let heard = manager.hears_message(of_cycle("rivers", "success", "today"));
    let text = "join tracks of cycle today is requested differently: next_workers.lua:12 made it, \
                next_workers.lua:40 asks for something else; the first one stays";
    assert!(heard.says("CRITICAL", text), "{heard:#?}");
    let conflict = |manager: &Story| {
        known(manager, "today").and_then(|join| join.identity.clone()).and_then(|identity| identity.conflict)
    };
    assert_eq!(conflict(&manager).expect("noted").message, number(&heard));
    let heard = manager.hears_message(of_cycle("rivers", "success", "today"));
    assert!(heard.says("WARNING", text) && !heard.says("CRITICAL", text), "the alarm is given once");
    let heard = manager.hears_message(of_cycle("ssh", "success", "today"));
    assert_eq!(heard.launched, ["upload"], "the first one stays");
    manager.hears_message(of_cycle("rivers", "success", "today"));
    assert_eq!(end(&manager, "today"), Some(JoinEnd::Completed), "also afterwards");
}

#[test]
fn a_join_that_an_operator_or_its_timeout_has_closed_is_not_made_again() {
    for how in ["release", "discard", "timeout"] {
        let mut manager = story(|message, _| {
            let join = JoinRequest {
                timeout: Some(seconds(60)),
                ..tracks(NoteScope::Cycle(cycle("today")), &["weather: success", "ssh: success"])
            };
            Ok(if message.source == "weather" { returned(join) } else { ReturnedLaunches::default() })
        });
        manager.hears_message(of_cycle("weather", "success", "today"));
        let number = known(&manager, "today").expect("open").id;
        let (heard, expected) = match how {
            "release" => (manager.asks(Command::Release { number }).1, JoinEnd::Released),
            "discard" => (manager.asks(Command::Discard { number }).1, JoinEnd::Discarded),
            _ => (manager.passes(60), JoinEnd::TimedOut),
        };
        assert_eq!(heard.launched.len(), usize::from(how == "release"), "{how}: {heard:#?}");
        assert_eq!(end(&manager, "today"), Some(expected), "{how}");
        if how == "timeout" {
            assert!(heard.says("CRITICAL", "join tracks of cycle today is overdue"), "{heard:#?}");
            assert_eq!(manager.state.parked[&number].cycles().next(), Some(&cycle("today")));
        }
        for source in ["ssh", "weather"] {
            let heard = manager.hears_message(of_cycle(source, "success", "today"));
            assert_eq!(heard.launched, Vec::<String>::new(), "{how}: {source}");
        }
    }
}

#[test]
fn a_join_since_a_moment_counts_what_came_since_then_in_any_cycle_and_in_none() {
    let begin: Timestamp = "2026-03-14T12:00:00Z".parse().expect("a moment");
    let mut manager = story(move |message, _| {
        let scope = NoteScope::Since(begin + seconds(DAY * i64::from(message.r#type == "halfway")));
        let join = tracks(scope, &["weather: success", "ssh: success"]);
        Ok(if message.source == "feeds" { returned(join) } else { ReturnedLaunches::default() })
    });
    manager.hears("ssh", "success", "null");
    manager.passes(3_600 * 2);
    manager.hears_message(of_cycle("weather", "success", "today"));
    assert_eq!(manager.hears("feeds", "success", "null").launched, Vec::<String>::new(), "ssh came before");
    assert_eq!(manager.hears("ssh", "success", "null").launched, ["upload"]);
    assert_eq!(manager.hears("feeds", "success", "null").launched, Vec::<String>::new(), "it is known");
    manager.hears("feeds", "halfway", "null");
    let open: Vec<String> = manager.state.joins.open().map(Join::requirements).collect();
    assert_eq!(open, ["weather (success), ssh (success)"], "another moment is another join");
}

#[test]
fn joins_by_cycle_and_joins_from_their_opening_on_do_not_disturb_each_other() {
    let mut manager = story(|message, _| {
        Ok(match (&*message.source, &message.cycle) {
            ("weather", Some(_)) => {
                returned(tracks(NoteScope::Cycle(cycle("today")), &["weather: success", "ssh: success"]))
            }
            ("weather", None) => returned(JoinRequest {
                scope: None,
                launch: vec![worker("feeds")],
                ..tracks(NoteScope::Cycle(cycle("today")), &["ssh: success"])
            }),
            ("ssh", _) => launch(&["rivers"]),
            _ => ReturnedLaunches::default(),
        })
    });
    manager.hears_message(of_cycle("weather", "success", "today"));
    manager.hears("weather", "success", "null");
    let heard = manager.hears_message(of_cycle("ssh", "success", "today"));
    assert_eq!(heard.launched, ["rivers", "feeds", "upload"]);
    assert!(manager.state.joins.is_empty());
}

#[test]
fn a_join_is_forgotten_with_its_cycle_and_then_it_can_be_made_again() {
    let mut manager = meeting(&["weather"], &["weather: success"]);
    let heard = manager.hears_message(of_cycle("weather", "success", "today"));
    let run = heard.run();
    manager.hears_of(run, "upload", "success");
    manager.ends(run, Ending::Status(0));
    assert_eq!(manager.state.joins.ended().count(), 1);
    manager.passes(31 * DAY);
    assert_eq!(manager.state.joins.ended().count(), 0);
    let heard = manager.hears_message(of_cycle("weather", "success", "today"));
    assert_eq!(heard.launched, ["upload"]);
}

#[test]
fn only_the_latest_ended_joins_since_a_moment_are_known() {
    let mut manager = story(|message, _| {
        let moment = message.payload.as_int().and_then(|second| Timestamp::from_second(second).ok());
        let scope = NoteScope::Since(moment.expect("a moment"));
        Ok(returned(JoinRequest { launch: Vec::new(), ..tracks(scope, &["weather: success"]) }))
    });
    for second in 0..=MOST_SINCE {
        manager.hears("weather", "success", &second.to_string());
    }
    assert_eq!(manager.state.joins.ended().count(), MOST_SINCE);
    let scope = |second| NoteScope::Since(Timestamp::from_second(second).expect("a moment"));
    assert!(manager.state.joins.identified(&scope(0), "tracks").is_none());
    assert!(manager.state.joins.identified(&scope(1), "tracks").is_some());
}

#[test]
fn a_message_examines_only_the_joins_of_its_cycle() {
    let mut manager = meeting(&["weather"], &["weather: success", "ssh: success"]);
    for label in 0..50 {
        manager.hears_message(of_cycle("weather", "success", &format!("cycle-{label}")));
    }
    let heard = manager.hears_message(of_cycle("ssh", "success", "cycle-7"));
    let changed = heard.records[0].changes.iter().filter(|change| {
        matches!(change, nowcast_core::Change::Join(_) | nowcast_core::Change::JoinClosed(_))
    });
    assert_eq!(changed.count(), 2, "the end of one join");
    assert_eq!(manager.state.joins.open().count(), 49);
}

#[test]
fn a_message_that_is_decided_again_counts_only_in_its_own_cycle() {
    let mut manager = story(|_, _| Err(failed()));
    manager.hears("ssh", "success", "null");
    manager.rules(|_, _| Ok(returned(tracks(NoteScope::Cycle(cycle("today")), &["ssh: success"]))));
    let (_, heard) = manager.asks(Command::Retry { message: None, historical_checklist: false });
    assert_eq!(heard.launched, Vec::<String>::new(), "its message is of no cycle");
    assert_eq!(known(&manager, "today").expect("open").requirements(), "ssh (success)");
}

#[test]
fn a_run_counts_rather_for_an_entry_with_a_type() {
    let mut manager = meeting(&["feeds"], &["feeds", "feeds: success nowcast"]);
    manager.hears_message(of_cycle("feeds", "success nowcast", "today"));
    assert_eq!(known(&manager, "today").expect("open").requirements(), "feeds");
    assert_eq!(manager.hears_message(of_cycle("feeds", "halfway", "today")).launched, ["upload"]);
}

#[test]
fn the_same_entries_in_another_order_are_the_same_request() {
    let mut manager = story(|message, _| {
        let mut join = tracks(NoteScope::Cycle(cycle("today")), &["weather: success", "ssh: success"]);
        if message.source == "ssh" {
            join.wait_for.reverse();
        }
        Ok(returned(join))
    });
    manager.hears_message(of_cycle("weather", "success", "today"));
    let heard = manager.hears_message(of_cycle("ssh", "success", "today"));
    assert!(!heard.log.iter().any(|line| line.contains("differently")), "{heard:#?}");
}

#[test]
fn joins_since_a_moment_that_stay_open_are_bounded() {
    let mut manager = story(|message, _| {
        let moment = message.payload.as_int().and_then(|second| Timestamp::from_second(second).ok());
        Ok(returned(tracks(NoteScope::Since(moment.expect("a moment")), &["ssh: success"])))
    });
    for second in 0..MOST_SINCE {
        manager.hears("weather", "success", &second.to_string());
    }
    let heard = manager.hears("weather", "success", &MOST_SINCE.to_string());
    assert!(heard.says("CRITICAL", "there are more than 1000 open joins since a moment"), "{heard:#?}");
    assert_eq!((manager.state.joins.open().count(), manager.state.parked.len()), (MOST_SINCE, 1));
}

/// Joins like this one in as many cycles as have an open join at most, with this one's.
fn flood(manager: &Story, first: &Join) -> Vec<Change> {
    let at = manager.present().time;
    let join = |place: usize| {
        let label = cycle(&format!("flood-{place}"));
        let mut identity = first.identity.clone().expect("an identity");
        identity.scope = NoteScope::Cycle(label.clone());
        let id = Number(1_000_000 + place as u64);
        let join = Join { id, cycle: Some(label.clone()), identity: Some(identity), ..first.clone() };
        [Change::CycleSeen { cycle: label, number: first.opened_by, at }, Change::Join(join)]
    };
    (1..MOST_BY_CYCLE).flat_map(join).collect()
}

#[test]
fn joins_by_cycle_that_stay_open_are_bounded_and_so_are_their_cycles() {
    for has_open_run in [false, true] {
        let mut manager = meeting(&["weather"], &["ssh: success"]);
        manager.hears_message(of_cycle("weather", "success", "first"));
        let first = known(&manager, "first").expect("open").clone();
        if has_open_run {
            manager.wants(in_cycle("rivers", "first"));
        }
        manager.recalls(&flood(&manager, &first));
        assert_eq!(manager.state.joins.open().count(), MOST_BY_CYCLE);

        let heard = manager.hears_message(of_cycle("weather", "success", "one-more"));
        let text = "join tracks of cycle first: there are more than 10000 open joins by cycle; parked, not launched: ";
        assert!(heard.says("CRITICAL", text), "{heard:#?}");
        assert_eq!((manager.state.joins.open().count(), manager.state.parked.len()), (MOST_BY_CYCLE, 1));
        let is_kept = manager.state.cycles.get(&cycle("first")).is_some();
        assert_eq!(is_kept, has_open_run, "parked launches do not keep it");
        assert_eq!(manager.state.cycles.kept().len(), MOST_CYCLES + usize::from(has_open_run));

        let (_, heard) = manager.asks(Command::Release { number: first.id });
        assert_eq!(manager.state.runs[&heard.run()].cycle, Some(cycle("first")));
        assert_eq!(heard.says("WARNING", "cycle first begins again"), !has_open_run, "{heard:#?}");
    }
}
