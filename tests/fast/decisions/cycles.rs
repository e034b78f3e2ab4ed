//! Cycles: how a run and a message get their label.

use nowcast_core::hold::HoldTarget;
use nowcast_core::message::Message;
use nowcast_core::record::Outcome;
use nowcast_core::rules::ReturnedLaunches;
use nowcast_core::{Command, Cycle, CycleOption, Ending, JoinRequest, NextWorker, Number, Requirement};

use crate::decisions::story::{Heard, Story, configured, cycle, story, worker};

/// A launch that says a cycle, or `none`.
fn saying(name: &str, label: &str) -> NextWorker {
    let mut launch = worker(name);
    let option = if label == "none" { CycleOption::None } else { CycleOption::Label(cycle(label)) };
    launch.options.cycle = Some(option);
    launch
}

fn returning(launches: Vec<NextWorker>) -> ReturnedLaunches {
    ReturnedLaunches { next_workers: launches, join: None }
}

fn cycle_of(manager: &Story, run: Number) -> Option<String> {
    manager.state.runs[&run].cycle.as_ref().map(Cycle::to_string)
}

/// The cycles of the open runs of a worker, oldest first.
fn cycles_of(manager: &Story, name: &str) -> Vec<Option<String>> {
    let of_worker = manager.state.runs.values().filter(|run| run.worker.name() == name);
    of_worker.map(|run| run.cycle.as_ref().map(Cycle::to_string)).collect()
}

#[test]
fn a_launch_has_the_cycle_of_the_message_unless_it_says_another_or_none() {
    let mut manager = story(|message, _| {
        let launches = vec![worker("rivers"), saying("ssh", "tomorrow"), saying("upload", "none")];
        Ok(returning(if message.source == "weather" { launches } else { Vec::new() }))
    });
    let run = manager.wants(saying("weather", "today"));
    let heard = manager.hears("weather", "success", "null");
    assert_eq!(heard.messages()[0].message.as_ref().expect("decoded").cycle, Some(cycle("today")));
    assert_eq!(cycle_of(&manager, run), Some("today".to_owned()));
    for (name, expected) in
        [("rivers", Some("today".to_owned())), ("ssh", Some("tomorrow".to_owned())), ("upload", None)]
    {
        assert_eq!(cycles_of(&manager, name), [expected], "{name}");
    }
}

#[test]
fn a_message_that_names_an_invalid_cycle_draws_a_warning_and_has_none() {
    let mut manager = story(|message, _| {
        assert_eq!(message.cycle, None);
        Ok(ReturnedLaunches::default())
    });
    for (named, shown) in [("a b", Some("a b")), ("''", Some("")), ("12", None), ("[a]", None)] {
        let body = format!("{{source: weather, type: success, payload: null, cycle: {named}}}");
        let heard = manager.hears_message(Message::decode(body.as_bytes()).expect("a message"));
        let warnings: Vec<&String> = heard.log.iter().filter(|line| line.starts_with("WARNING")).collect();
        let expected = shown.map(|text| {
            format!("WARNING weather: (success) names the invalid cycle {text:?}, which is ignored")
        });
        assert_eq!(warnings, expected.iter().collect::<Vec<_>>(), "{named}");
    }
    let body = format!("{{source: weather, type: success, payload: null, cycle: {}}}", "x".repeat(10_000));
    let heard = manager.hears_message(Message::decode(body.as_bytes()).expect("a message"));
    assert!(heard.log.iter().all(|line| line.len() < 400), "{:?}", heard.log);
}

#[test]
fn a_rule_sees_the_cycle_of_the_run_and_not_the_one_that_the_sender_names() {
    let mut manager = story(|message, _| {
        assert_eq!(message.cycle, Some(Cycle::parse("today").expect("a label")));
        Ok(ReturnedLaunches::default())
    });
    let run = manager.wants(saying("weather", "today"));
    let message = Message {
        run: Some(run.0.to_string()),
        cycle: Some(cycle("other")),
        ..Message::new("weather", "success", pyyaml::Value::Null)
    };
    let heard = manager.hears_message(message);
    assert_eq!(heard.messages()[0].outcome, Outcome::Ruled);
}

#[test]
fn a_message_without_a_run_has_the_cycle_that_it_names() {
    let mut manager = story(|_, _| Ok(returning(vec![worker("rivers")])));
    let message = Message {
        cycle: Some(cycle("hindcast-12")),
        ..Message::new("weather", "success", pyyaml::Value::Null)
    };
    manager.hears_message(message);
    assert_eq!(cycles_of(&manager, "rivers"), [Some("hindcast-12".to_owned())]);
    manager.hears("weather", "success", "null");
    assert_eq!(cycles_of(&manager, "rivers"), [Some("hindcast-12".to_owned()), None]);
}

#[test]
fn a_message_that_names_a_cycle_reports_for_a_run_of_that_cycle() {
    let mut manager = story(|_, _| Ok(ReturnedLaunches::default()));
    let runs = ["a", "b"].map(|cycle| manager.wants(saying("weather", cycle)));
    let of = |label: &str| Message {
        cycle: Some(cycle(label)),
        ..Message::new("weather", "success", pyyaml::Value::Null)
    };
    assert_eq!(manager.hears_message(of("b")).messages()[0].run, Some(runs[1]));
    let heard = manager.hears_message(of("c"));
    let record = heard.messages()[0];
    assert_eq!(
        (record.run, record.message.as_ref().expect("decoded").cycle.clone()),
        (None, Some(cycle("c")))
    );
}

#[test]
fn equal_runs_of_different_cycles_are_warned_of() {
    for (cycles, is_warned) in [(["a", "b"], true), (["a", "a"], false), (["a", "none"], true)] {
        let mut manager = story(|_, _| Ok(ReturnedLaunches::default()));
        let runs = cycles.map(|cycle| manager.wants(saying("weather", cycle)));
        let heard = manager.hears("weather", "success", "null");
        assert_eq!(heard.messages()[0].run, Some(runs[0]));
        let warns = |heard: &Heard| {
            heard.log.iter().any(|line| line.starts_with("WARNING weather: (success) may be of run"))
        };
        assert_eq!(warns(&heard), is_warned, "{cycles:?}: {heard:#?}");
        // The other one is alone now.
        assert!(!warns(&manager.hears("weather", "success", "null")));
    }
}

#[test]
fn a_retry_and_a_release_keep_the_cycle() {
    let mut manager = configured("{weather: {retries: 1}}", |_, _| Ok(ReturnedLaunches::default()));
    let run = manager.wants(saying("weather", "today"));
    manager.hears("weather", "failure", "null");
    manager.ends(run, Ending::Status(1));
    assert_eq!(cycles_of(&manager, "weather"), [Some("today".to_owned())]);
    manager.holds(HoldTarget::All);
    let held = manager.wants(saying("rivers", "today"));
    manager.asks(Command::Release { number: held });
    assert_eq!(cycle_of(&manager, held), Some("today".to_owned()));
}

#[test]
fn launches_of_a_join_keep_their_own_cycles_and_its_own_have_that_of_the_opener() {
    let mut manager = story(|message, _| {
        Ok(match message.source.as_str() {
            "weather" => {
                let wait_for =
                    vec![Requirement { worker: "rivers".into(), r#type: None, count: 1, cycle: None }];
                let join = JoinRequest { wait_for, launch: vec![worker("upload")], ..JoinRequest::default() };
                ReturnedLaunches { next_workers: vec![worker("ssh")], join: Some(join) }
            }
            "rivers" => returning(vec![worker("ssh")]),
            _ => ReturnedLaunches::default(),
        })
    });
    manager.wants(saying("weather", "today"));
    manager.wants(saying("rivers", "hindcast"));
    manager.hears("weather", "success", "null");
    manager.hears("rivers", "success", "null");
    assert_eq!(cycles_of(&manager, "ssh"), [Some("today".to_owned()), Some("hindcast".to_owned())]);
    assert_eq!(cycles_of(&manager, "upload"), [Some("today".to_owned())]);
}

#[test]
fn a_crash_that_the_manager_reports_has_the_cycle_of_its_run() {
    let mut manager = story(|_, _| Ok(returning(vec![worker("upload")])));
    let run = manager.wants(saying("weather", "today"));
    manager.ends(run, Ending::Killed(9));
    manager.passes(3);
    assert_eq!(cycles_of(&manager, "upload"), [Some("today".to_owned())]);
}

#[test]
fn a_parked_message_keeps_its_cycle_although_its_run_is_closed() {
    let is_repaired = std::rc::Rc::new(std::cell::Cell::new(false));
    let repaired = is_repaired.clone();
    let mut manager = story(move |_, _| {
        if repaired.get() {
            return Ok(returning(vec![worker("upload")]));
        }
        Err(nowcast_core::RuleError::Failed("no".to_owned()))
    });
    let run = manager.wants(saying("weather", "today"));
    manager.hears("weather", "success", "null");
    manager.ends(run, Ending::Status(0));
    is_repaired.set(true);
    manager.asks(Command::Retry { message: None, historical_checklist: false });
    assert_eq!(cycles_of(&manager, "upload"), [Some("today".to_owned())]);
}

#[test]
fn an_operator_says_the_cycle_of_a_launch_and_of_a_message() {
    let mut manager = story(|message, _| {
        Ok(if message.source == "weather" {
            returning(vec![worker("rivers")])
        } else {
            ReturnedLaunches::default()
        })
    });
    let run = manager.wants(worker("ssh"));
    assert_eq!(cycle_of(&manager, run), None);
    let send = |cycle| Command::Send {
        source: "weather".to_owned(),
        r#type: "success".to_owned(),
        payload: "null".to_owned(),
        cycle,
    };
    manager.asks(send(Some(CycleOption::Label(cycle("today")))));
    manager.asks(send(None));
    assert_eq!(cycles_of(&manager, "rivers"), [Some("today".to_owned()), None]);
}

#[test]
fn an_operator_s_message_reports_for_a_run_of_the_cycle_that_it_names_or_of_none() {
    let mut manager = story(|_, _| Ok(ReturnedLaunches::default()));
    let today = manager.wants(saying("weather", "today"));
    let mut sent = |cycle| {
        let (source, r#type, payload) = ("weather".to_owned(), "success".to_owned(), "null".to_owned());
        let (_, heard) = manager.asks(Command::Send { source, r#type, payload, cycle });
        let record = heard.messages()[0];
        (record.run, record.message.as_ref().expect("decoded").cycle.clone())
    };
    assert_eq!(sent(Some(CycleOption::None)), (None, None));
    assert_eq!(sent(Some(CycleOption::Label(cycle("other")))), (None, Some(cycle("other"))));
    assert_eq!(sent(Some(CycleOption::Label(cycle("today")))), (Some(today), Some(cycle("today"))));
}

#[test]
fn the_option_is_a_label_or_false_in_json() {
    for (option, json) in
        [(CycleOption::Label(cycle("2026-11-24")), "\"2026-11-24\""), (CycleOption::None, "false")]
    {
        assert_eq!(serde_json::to_string(&option).expect("JSON"), json);
        assert_eq!(serde_json::from_str::<CycleOption>(json).expect("an option"), option);
    }
    for invalid in ["true", "\"a b\"", "12"] {
        serde_json::from_str::<CycleOption>(invalid).expect_err(invalid);
    }
}
