//! Operators' commands: each is done or says why not, is answered and kept.

use nowcast::core::hold::Target;
use nowcast::core::record::{Outcome, Speaker};
use nowcast::core::{Command, Ending, Event, Number};
use nowcast::yaml::{self, Value};

use crate::story::{configured, delayed, join, launch, nothing, quiet, story, worker};

#[test]
fn a_launch_says_its_run() {
    let mut manager = quiet("{}");
    let (answer, heard) = manager.asks(Command::Launch { worker: worker("weather"), again: None });
    assert_eq!(answer.text, format!("weather is launched as run {}", heard.run()));
    assert_eq!((answer.done, answer.numbers), (true, vec![heard.run()]));
    assert!(heard.says("INFO", "ana: weather is launched"));
    let again = Some(Number(1));
    let (answer, heard) = manager.asks(Command::Launch { worker: worker("weather"), again });
    assert_eq!(answer.text, format!("weather is launched as run {}, again after #1", heard.run()));
}

#[test]
fn a_launch_of_a_stranger_is_done_with_a_warning() {
    let mut manager = quiet("{}");
    let (_, heard) = manager.asks(Command::Launch { worker: worker("stranger"), again: None });
    assert_eq!(heard.launched, ["stranger"]);
    assert!(heard.says("WARNING", "stranger is launched though it is not in the message registry"));
}

#[test]
fn a_command_that_nobody_waits_for_is_done_and_kept() {
    let mut manager = quiet("{}");
    let command = Command::Launch { worker: worker("weather"), again: None };
    let heard =
        manager.happens(Event::Command { call: None, user: "up".into(), command, checklist_then: None });
    assert_eq!((heard.launched.len(), heard.answers.len(), heard.records.len()), (1, 0, 1));
}

#[test]
fn what_is_not_running_cannot_be_killed() {
    let mut manager = quiet("{}");
    let answer = manager.asks(Command::Kill { run: Number(99) }).0;
    assert_eq!(
        (answer.done, answer.text.as_str()),
        (false, "there is no open run #99; nowcast runs shows which there are")
    );
    let waits = manager.wants(delayed("weather", 60));
    let (answer, heard) = manager.asks(Command::Kill { run: waits });
    assert_eq!(
        answer.text,
        format!("weather (run {waits}) is not running yet; nowcast drop {} gives it up", waits.0)
    );
    assert!(heard.told_to_end.is_empty());
    let ended = manager.wants(worker("rivers"));
    manager.ends(ended, Ending::Status(0));
    let (answer, heard) = manager.asks(Command::Kill { run: ended });
    assert_eq!((answer.done, heard.told_to_end.len()), (false, 0));
    assert_eq!(answer.text, format!("rivers (run {ended}) has ended already"));
}

#[test]
fn wrong_numbers_are_answered_with_what_helps() {
    let mut manager = quiet("{}");
    let wrong = Number(99);
    for command in [
        Command::Release { what: wrong },
        Command::Drop { what: wrong },
        Command::Retry { message: Some(wrong), checklist_then: false },
    ] {
        let answer = manager.asks(command).0;
        assert!(!answer.done && answer.text.contains("#99") && answer.text.contains("nowcast status"));
    }
    let run = manager.wants(worker("weather"));
    let answer = manager.asks(Command::Drop { what: run }).0;
    assert!(!answer.done && answer.text.ends_with(&format!("is running; nowcast kill {} ends it", run.0)));
    assert!(!manager.asks(Command::Release { what: run }).0.done);
    manager.ends(run, Ending::Status(0));
    assert!(!manager.asks(Command::Drop { what: run }).0.done);
    let hold = manager.holds(Target::All);
    let answer = manager.asks(Command::Drop { what: hold }).0;
    assert_eq!(answer.text, format!("{hold} is a hold; nowcast release {} ends it", hold.0));
}

#[test]
fn a_waiting_run_is_let_go_before_its_time_or_dropped() {
    let mut manager = quiet("{}");
    let runs = [manager.wants(delayed("weather", 600)), manager.wants(delayed("rivers", 600))];
    let (answer, heard) = manager.asks(Command::Release { what: runs[0] });
    assert!(answer.done);
    assert_eq!(heard.runs, [runs[0]]);
    let (answer, _) = manager.asks(Command::Drop { what: runs[1] });
    assert_eq!(answer.text, format!("rivers (run {}) is dropped", runs[1]));
    assert!(manager.passes(3_600).launched.is_empty());
    assert!(manager.called().is_empty());
}

#[test]
fn an_open_join_is_let_go_or_dropped() {
    let rule = |message: &nowcast::message::Message, _: &Value| {
        Ok(match message.source.as_str() {
            "weather" => join(&[], &["rivers", "ssh"]),
            _ => launch(&["upload"]),
        })
    };
    for is_released in [true, false] {
        let mut manager = story(rule);
        manager.hears("weather", "success", "null");
        manager.hears("rivers", "success", "null");
        let what = manager.state.joins.named("weather").expect("open").id;
        let (answer, heard) =
            manager.asks(if is_released { Command::Release { what } } else { Command::Drop { what } });
        assert!(answer.done && answer.text.contains("the join of weather"));
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
    assert!(!answer.done && answer.text.starts_with("the payload is no YAML"));
    assert_eq!(heard.records.len(), 1, "the request alone is kept");
}

#[test]
fn a_checklist_value_is_set() {
    let mut manager = quiet("{}");
    let set = |path: &str, value: &str| Command::ChecklistSet { path: path.into(), value: value.into() };
    let (answer, heard) = manager.asks(set("[weather forecast, '00']", "{a: 1}"));
    assert_eq!(answer.text, "checklist set at ['weather forecast', '00']");
    assert_eq!(heard.others, [nowcast::core::Effect::WriteChecklist]);
    assert_eq!(manager.state.checklist_event, heard.records[0].number);
    assert_eq!(
        manager.state.checklist.to_value(),
        yaml::read("{weather forecast: {'00': {a: 1}}}").expect("YAML")
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
    assert!(!manager.asks(Command::ChecklistClear { force: false }).0.done, "nobody has reported for it");
    manager.hears("ssh", "success", "null");
    manager.asks(Command::Drop { what: waits });
    assert!(manager.asks(Command::ChecklistClear { force: false }).0.done);
}

#[test]
fn a_kill_is_kept_with_the_name_of_who_asked() {
    let mut manager = quiet("{}");
    let run = manager.wants(worker("weather"));
    let (answer, heard) = manager.asks(Command::Kill { run });
    assert_eq!(answer.text, format!("weather (run {run}) is told to end"));
    assert_eq!(heard.told_to_end, [run]);
    // Its process may not have listened.
    assert_eq!(manager.asks(Command::Kill { run }).1.told_to_end, [run]);
}
