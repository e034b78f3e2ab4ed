//! Operators' commands: each is done or says why not, is answered and kept.

use nowcast_core::hold::HoldTarget;
use nowcast_core::record::{Outcome, Speaker};
use nowcast_core::{Change, Command, Ending, Event, NextWorker, Number};
use pyyaml::Value;

use crate::decisions::story::{
    Story, configured, delayed, join, launch, nothing, quiet, seconds, story, worker,
};

#[test]
fn a_launch_says_its_run() {
    let mut manager = quiet("{}");
    let (answer, heard) =
        manager.asks(Command::Launch { worker: worker("weather"), rerun_of: None, origin: None });
    assert_eq!(answer.text, format!("weather is launched as run {}", heard.run()));
    assert_eq!((answer.done, answer.numbers), (true, vec![heard.run()]));
    assert!(heard.says("INFO", "ana: weather is launched"));
    let rerun_of = Some(Number(1));
    let (answer, heard) = manager.asks(Command::Launch { worker: worker("weather"), rerun_of, origin: None });
    assert_eq!(answer.text, format!("weather is launched as run {}, again after #1", heard.run()));
}

#[test]
fn a_launch_that_has_to_wait_says_for_what() {
    let mut manager = configured("{weather: {max running: 1}}", |_, _| Ok(nothing()));
    let text = |manager: &mut Story, worker, rerun_of| {
        let (answer, heard) = manager.asks(Command::Launch { worker, rerun_of, origin: None });
        assert!(answer.done && heard.launched.is_empty());
        answer.text.replace(&answer.numbers[0].to_string(), "ID")
    };
    // It is 04:00.
    for (delay, expected) in [
        (4_500, "05:15:00"),
        (86_400, "2026-03-15 04:00:00"),
        (72_000 - 1, "23:59:59"),
        (72_000, "2026-03-15 00:00:00"),
    ] {
        let said = text(&mut manager, delayed("rivers", delay), None);
        assert_eq!(said, format!("rivers is launched as run ID; it is pending until {expected}"));
    }
    manager.wants(worker("weather"));
    assert_eq!(
        text(&mut manager, worker("weather"), None),
        "weather is launched as run ID; it is blocked by `max running: 1` of weather (1 running)"
    );
    let hold = manager.holds(HoldTarget::All);
    assert_eq!(
        text(&mut manager, worker("ssh"), Some(Number(1))),
        format!("ssh is launched as run ID, again after #1; it is blocked by hold {hold} of all")
    );
}

#[test]
fn a_release_says_what_is_still_blocked() {
    let mut manager = configured("{weather: {max running: 1}}", |_, _| Ok(nothing()));
    let other = manager.holds(HoldTarget::Worker("rivers".into()));
    let all = manager.holds(HoldTarget::All);
    let runs = [worker("weather"), worker("weather"), worker("rivers"), delayed("ssh", 60)];
    let runs = runs.map(|worker| manager.wants(worker));
    let (answer, heard) = manager.asks(Command::Release { number: runs[3] });
    assert_eq!(
        (answer.text, heard.launched.len()),
        (format!("ssh (run {}) is released; it is blocked by hold {all} of all", runs[3]), 0)
    );
    let (answer, heard) = manager.asks(Command::Release { number: all });
    assert_eq!(
        answer.text,
        format!(
            "hold {all} of all has ended; weather {} is blocked by `max running: 1` of weather (1 running); \
             rivers {} is blocked by hold {other} of worker rivers",
            runs[1], runs[2]
        )
    );
    assert_eq!(heard.runs, [runs[0], runs[3]]);
    let (answer, _) = manager.asks(Command::Release { number: other });
    assert_eq!(answer.text, format!("hold {other} of worker rivers has ended"));
}

#[test]
fn a_release_names_a_few_of_many_that_wait() {
    let mut manager = configured("{weather: {max running: 1}}", |_, _| Ok(nothing()));
    let hold = manager.holds(HoldTarget::All);
    for _ in 0..9 {
        manager.wants(worker("weather"));
    }
    let text = manager.asks(Command::Release { number: hold }).0.text;
    assert_eq!(text.matches("; weather #").count(), 5, "{text}");
    assert!(text.ends_with("; and 3 more: nowcast status shows them"), "{text}");
}

#[test]
fn a_released_launch_of_a_join_says_what_blocks_it() {
    for is_parked in [false, true] {
        let mut manager = story(|message, _| {
            Ok(match message.source.as_str() {
                "weather" => join(&[], &["rivers", "ssh"]),
                _ => crate::decisions::story::launches(vec![worker("upload"), delayed("mute", 60)]),
            })
        });
        manager.hears("weather", "success", "null");
        manager.hears("rivers", "success", "null");
        let number = manager.state.joins.named("weather").expect("open").id;
        if is_parked {
            manager.hears("weather", "success", "null");
        }
        let hold = manager.holds(HoldTarget::Worker("upload".into()));
        let (answer, heard) = manager.asks(Command::Release { number });
        let [upload, mute] = answer.numbers[..] else { panic!("two runs: {answer:?}") };
        let waits = format!(
            "; upload {upload} is blocked by hold {hold} of worker upload; mute {mute} is pending until 04:01:00"
        );
        assert!(answer.text.ends_with(&waits) && heard.launched.is_empty(), "{}", answer.text);
    }
}

#[test]
fn a_launch_that_can_never_work_is_refused() {
    let mut manager = quiet("{}");
    for (module, text) in [
        ("", "the worker's module is empty"),
        ("a b", "the worker's module is \"a b\"; a name has no spaces"),
        ("a\nb", "a name has no spaces"),
        ("package.", "the worker's name is empty"),
    ] {
        let (answer, heard) = manager.asks(Command::Launch {
            worker: NextWorker::new(module, Vec::new()),
            rerun_of: None,
            origin: None,
        });
        assert!(!answer.done && heard.launched.is_empty());
        assert!(answer.text.contains(text), "{module:?}: {}", answer.text);
    }
    let mut elsewhere = worker("weather");
    elsewhere.host = "nosuch".to_owned();
    let (answer, heard) = manager.asks(Command::Launch { worker: elsewhere, rerun_of: None, origin: None });
    assert!(!answer.done && heard.launched.is_empty());
    assert_eq!(
        answer.text,
        "the host \"nosuch\" is not in `run: enabled hosts:` or `hosts:`; known hosts: robot.nibi, localhost"
    );
}

#[test]
fn an_invalid_hold_is_refused_and_one_of_an_unregistered_worker_warns() {
    let mut manager = quiet("{}");
    let mut hold = |target: HoldTarget, until: i64| {
        let until = Some(manager.now.timestamp() + seconds(until));
        let (answer, _) = manager.asks(Command::Hold { target, until, duration: None, reason: None });
        assert_eq!(answer.done, !answer.numbers.is_empty());
        answer.text
    };
    assert_eq!(hold(HoldTarget::All, 0), "invalid end of the hold: 04:00:00 is in the past");
    assert!(hold(HoldTarget::All, -86_400).contains("2026-03-13 04:00:00 is in the past"));
    assert_eq!(hold(HoldTarget::Worker(String::new()), 60), "the worker's name is empty");
    assert!(hold(HoldTarget::Host("nosuch".into()), 60).contains("is not in `run: enabled hosts:`"));
    let warning = "warning: worker \"nosuch\" is not in the message registry";
    assert!(hold(HoldTarget::Worker("nosuch".into()), 60).ends_with(warning));
    for target in
        [HoldTarget::Worker("weather".into()), HoldTarget::Host("localhost".into()), HoldTarget::All]
    {
        let text = hold(target, 60);
        assert!(text.ends_with("ends it"), "{text}");
    }
}

#[test]
fn a_launch_of_an_unregistered_worker_warns() {
    let mut manager = quiet("{}");
    let (answer, heard) =
        manager.asks(Command::Launch { worker: worker("stranger"), rerun_of: None, origin: None });
    let warning = "warning: worker \"stranger\" is not in the message registry: its messages will be refused";
    assert!(answer.text.ends_with(warning), "{}", answer.text);
    assert_eq!(heard.launched, ["stranger"]);
    assert!(heard.says("WARNING", "stranger is launched though it is not in the message registry"));
}

#[test]
fn a_command_without_a_caller_is_executed_and_recorded() {
    let mut manager = quiet("{}");
    let command = Command::Launch { worker: worker("weather"), rerun_of: None, origin: None };
    let heard = manager.happens(Event::Command {
        call: None,
        user: "up".into(),
        command,
        historical_checklist: None,
    });
    assert_eq!((heard.launched.len(), heard.answers.len(), heard.records.len()), (1, 0, 1));
}

#[test]
fn what_is_not_running_cannot_be_killed() {
    let mut manager = quiet("{}");
    let answer = manager.asks(Command::Kill { run: Number(99) }).0;
    assert_eq!(
        (answer.done, answer.text.as_str()),
        (false, "no open run has the number #99; nowcast runs lists runs")
    );
    let waits = manager.wants(delayed("weather", 60));
    let (answer, heard) = manager.asks(Command::Kill { run: waits });
    assert_eq!(
        answer.text,
        format!(
            "weather (run {waits}) is pending and cannot be killed; nowcast discard {} discards it",
            waits.0
        )
    );
    assert!(heard.stop_requested.is_empty());
    let ended = manager.wants(worker("rivers"));
    manager.ends(ended, Ending::Status(0));
    let (answer, heard) = manager.asks(Command::Kill { run: ended });
    assert_eq!((answer.done, heard.stop_requested.len()), (false, 0));
    assert_eq!(answer.text, format!("rivers (run {ended}) has ended already"));
}

#[test]
fn wrong_numbers_are_answered_with_what_helps() {
    let mut manager = quiet("{}");
    let wrong = Number(99);
    for command in [
        Command::Release { number: wrong },
        Command::Discard { number: wrong },
        Command::Retry { message: Some(wrong), historical_checklist: false },
    ] {
        let answer = manager.asks(command).0;
        assert!(!answer.done && answer.text.contains("#99") && answer.text.contains("nowcast status"));
    }
    let run = manager.wants(worker("weather"));
    let answer = manager.asks(Command::Discard { number: run }).0;
    assert!(!answer.done && answer.text.ends_with(&format!("is running; nowcast kill {} stops it", run.0)));
    assert!(!manager.asks(Command::Release { number: run }).0.done);
    manager.ends(run, Ending::Status(0));
    assert!(!manager.asks(Command::Discard { number: run }).0.done);
    let hold = manager.holds(HoldTarget::All);
    let answer = manager.asks(Command::Discard { number: hold }).0;
    assert_eq!(answer.text, format!("{hold} is a hold; nowcast release {} ends it", hold.0));
}

#[test]
fn a_delayed_run_is_released_before_its_time_or_discarded() {
    let mut manager = quiet("{}");
    let runs = [manager.wants(delayed("weather", 600)), manager.wants(delayed("rivers", 600))];
    let (answer, heard) = manager.asks(Command::Release { number: runs[0] });
    assert!(answer.done);
    assert_eq!(heard.runs, [runs[0]]);
    let (answer, _) = manager.asks(Command::Discard { number: runs[1] });
    assert_eq!(answer.text, format!("rivers (run {}) is discarded", runs[1]));
    assert!(manager.passes(3_600).launched.is_empty());
    assert!(manager.called().is_empty());
}

#[test]
fn an_open_join_is_released_or_discarded() {
    let rule = |message: &nowcast_core::message::Message, _: &Value| {
        Ok(match message.source.as_str() {
            "weather" => join(&[], &["rivers", "ssh"]),
            _ => launch(&["upload"]),
        })
    };
    for is_released in [true, false] {
        let mut manager = story(rule);
        manager.hears("weather", "success", "null");
        manager.hears("rivers", "success", "null");
        let number = manager.state.joins.named("weather").expect("open").id;
        let (answer, heard) =
            manager.asks(if is_released { Command::Release { number } } else { Command::Discard { number } });
        assert!(answer.done && answer.text.contains("join weather"));
        assert_eq!(heard.launched.len(), usize::from(is_released));
        assert!(manager.state.joins.is_empty() && manager.state.parked.is_empty());
    }
}

#[test]
fn an_operator_speaks_for_a_worker() {
    let mut manager = story(|_, _| Ok(launch(&["upload"])));
    let send = |source: &str, r#type: &str, payload: &str| Command::Send {
        source: source.into(),
        r#type: r#type.into(),
        payload: payload.into(),
        cycle: None,
    };
    let (answer, heard) = manager.asks(send("weather", "success", "{'00': by hand}"));
    let [record] = heard.messages()[..] else { panic!("one message") };
    assert_eq!((record.speaker, &record.outcome), (Speaker::Operator, &Outcome::Ruled));
    assert_eq!(answer.text, format!("message {} is decided", heard.records[0].number));
    assert_eq!((heard.launched.len(), heard.replies.len()), (1, 0));
    assert!(!manager.state.checklist.is_empty());
    let (answer, heard) = manager.asks(send("stranger", "success", "null"));
    assert!(!answer.done && answer.text.contains("unregistered worker"));
    assert_eq!(heard.records.len(), 2);
    let (answer, heard) = manager.asks(send("weather", "success", "{"));
    assert!(!answer.done && answer.text.starts_with("the payload is not valid YAML"));
    assert_eq!(heard.records.len(), 1, "the request alone is kept");
}

#[test]
fn a_checklist_value_is_set() {
    let mut manager = quiet("{}");
    let set = |path: &str, value: &str| Command::ChecklistSet { path: path.into(), value: value.into() };
    let (answer, heard) = manager.asks(set("[weather forecast, '00']", "{a: 1}"));
    assert_eq!(answer.text, "checklist set at ['weather forecast', '00']");
    assert_eq!(heard.others, [nowcast_core::Effect::WriteChecklist]);
    assert_eq!(manager.state.checklist_event, heard.records[0].number);
    assert_eq!(
        manager.state.checklist.to_value(),
        pyyaml::read("{weather forecast: {'00': {a: 1}}}").expect("YAML")
    );
    for (path, value) in [("[]", "1"), ("rivers", "1"), ("[", "1"), ("[rivers]", "{")] {
        let (answer, heard) = manager.asks(set(path, value));
        assert!(!answer.done && heard.others.is_empty(), "{path} {value}");
    }
}

#[test]
fn the_checklist_is_not_cleared_under_open_runs() {
    let mut manager = configured("{}", |_, _| Ok(nothing()));
    manager.hears("weather", "success", "{'00': done}");
    let waits = manager.wants(delayed("rivers", 600));
    let run = manager.wants(worker("ssh"));
    let (answer, _) = manager.asks(Command::ChecklistClear { force: false });
    assert!(!answer.done && answer.text.contains(&format!("ssh {run}")) && answer.text.contains("--force"));
    assert!(answer.text.contains(&format!("rivers {waits}")), "its rule may miss it just as well");
    assert!(!manager.state.checklist.is_empty());
    assert!(manager.asks(Command::ChecklistClear { force: true }).0.done);
    assert!(manager.state.checklist.is_empty());
    manager.ends(run, Ending::Status(0));
    assert!(!manager.asks(Command::ChecklistClear { force: false }).0.done, "its worker has not reported");
    manager.hears("ssh", "success", "null");
    manager.asks(Command::Discard { number: waits });
    assert!(manager.asks(Command::ChecklistClear { force: false }).0.done);
}

#[test]
fn a_kill_is_kept_with_the_name_of_who_asked() {
    let mut manager = quiet("{}");
    let run = manager.wants(worker("weather"));
    let (answer, heard) = manager.asks(Command::Kill { run });
    assert_eq!(answer.text, format!("weather (run {run}) is stopping"));
    assert_eq!(heard.stop_requested, [run]);
    // Its process may not have listened.
    assert_eq!(manager.asks(Command::Kill { run }).1.stop_requested, [run]);
}

#[test]
fn failed_runs_are_acknowledged_and_open_or_unknown_ones_are_not() {
    let mut manager = quiet("{}");
    let open = manager.wants(worker("weather"));
    let acknowledge = |runs: &[Number]| Command::Acknowledge { runs: runs.to_vec(), reason: None };
    let (answer, heard) = manager.asks(acknowledge(&[open]));
    assert!(!answer.done && heard.records.iter().all(|record| record.changes.is_empty()), "{answer:?}");
    assert_eq!(answer.text, format!("run {open} is still open; only failed runs can be acknowledged"));
    for unknown in [manager.state.last_number + 1, 1_000_000] {
        let answer = manager.asks(acknowledge(&[Number(unknown)])).0;
        assert!(!answer.done && answer.text.contains(&format!("there is no run #{unknown}")), "{answer:?}");
    }
    assert_eq!(manager.asks(acknowledge(&[])).0.text, "there are no failures to acknowledge");
    // The state has no closed runs: two numbers that were given stand for them.
    let (first, second) = (Number(open.0 - 1), Number(open.0 + 1));
    let (answer, heard) = manager.asks(acknowledge(&[first, second]));
    assert_eq!(answer.text, format!("2 failed runs are acknowledged: {first}, {second}"));
    let changes = &heard.records.last().expect("a record").changes;
    assert_eq!(*changes, [Change::Acknowledged(first), Change::Acknowledged(second)]);
    let many: Vec<Number> = (1..=open.0).map(Number).filter(|run| *run != open).cycle().take(7).collect();
    let text = manager.asks(acknowledge(&many)).0.text;
    assert!(text.starts_with("7 failed runs are acknowledged: #") && text.ends_with(" and 2 more"), "{text}");
}
