//! The core's decisions, without a socket, a file or a process: events in, effects out.

use std::path::Path;
use std::sync::Arc;

use jiff::ZonedDateTime;
use nowcast::config;
use nowcast::core::checklist::Checklist;
use nowcast::core::{
    Command, Effect, Ending, Event, JoinRequest, NextWorker, Request, RequestId, RuleAnswer, RuleCall,
    RuleError, Rules, RunId, Signal, State, Wanted, decide, end_if_idle,
};
use nowcast::logging::Level;
use nowcast::message::Message;
use nowcast::yaml::{self, Value};

const CONFIG: &str = "
checklist file: checklist.yaml
logging: {version: 1}
zmq: {host: localhost, ports: {manager: 4343, workers: 4344}}
message registry:
  manager: {ack: message acknowledged}
  next workers module: next_workers
  workers:
    weather: {checklist key: weather forecast, success: downloaded, failure: failed, crash: crashed, need: needs, clear checklist: clear}
    rivers: {checklist key: rivers, success: collected, crash: crashed}
    ssh: {checklist key: ssh, success: collected, crash: crashed}
    upload: {success: uploaded, crash: crashed}
";

/// Rules that are a function of ours.
struct Fake<F>(F);

impl<F: Fn(&Message, &Value) -> Result<RuleAnswer, RuleError>> Rules for Fake<F> {
    fn after(&self, message: &Message, _config: &Value, checklist: &Value, _now: &ZonedDateTime) -> RuleCall {
        RuleCall::new((self.0)(message, checklist))
    }
}

struct Manager<R> {
    state: State,
    rules: R,
    requests: u64,
}

fn manager<F: Fn(&Message, &Value) -> Result<RuleAnswer, RuleError>>(rules: F) -> Manager<Fake<F>> {
    let (config, _) =
        config::parse(Path::new("nowcast.yaml"), CONFIG.as_bytes(), &|_| None).expect("a good one");
    Manager { state: State::new(Arc::new(config), Checklist::default()), rules: Fake(rules), requests: 0 }
}

impl<R: Rules> Manager<R> {
    fn happens(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = decide(&mut self.state, event, &self.rules, &ZonedDateTime::now());
        effects.extend(end_if_idle(&self.state));
        effects
    }

    fn only_run(&self) -> RunId {
        assert_eq!(self.state.runs.len(), 1);
        *self.state.runs.keys().next().expect("a run")
    }

    /// A worker's message; answers what was replied, launched, and done besides.
    fn hears(&mut self, source: &str, r#type: &str, payload: &str) -> Heard {
        self.requests += 1;
        let request = RequestId(self.requests);
        let message = Message::new(source, r#type, yaml::read(payload).expect("YAML"));
        let body = message.encode().into_bytes();
        let message = Ok(message);
        let effects = self.happens(Event::Request(Request { request, ticket: None, body, message }));
        let mut heard = Heard::default();
        for effect in effects {
            match effect {
                Effect::Log(line) => heard.log.push(format!("{} {}", line.level, line.text)),
                Effect::Reply { request: answered, message } => {
                    assert_eq!(answered, request);
                    heard.replies.push(message.r#type);
                }
                Effect::Launch { worker, .. } => heard.launched.push(worker.module),
                Effect::Journal(_) => {}
                other => heard.others.push(other),
            }
        }
        assert_eq!(heard.replies.len(), 1, "every request gets one reply");
        heard
    }
}

#[derive(Debug, Default)]
struct Heard {
    replies: Vec<String>,
    launched: Vec<String>,
    log: Vec<String>,
    others: Vec<Effect>,
}

fn launch(names: &[&str]) -> RuleAnswer {
    let worker = |name: &&str| NextWorker::new(*name, Vec::new());
    RuleAnswer { next_workers: names.iter().map(worker).collect(), join: None }
}

fn join(names: &[&str], must_finish: &[&str]) -> RuleAnswer {
    let wanted = |name: &&str| Wanted { worker: (*name).into(), r#type: None, count: 1 };
    let wait_for = must_finish.iter().map(wanted).collect();
    RuleAnswer { join: Some(JoinRequest { wait_for, ..JoinRequest::default() }), ..launch(names) }
}

#[test]
fn a_message_is_logged_merged_ruled_answered_and_followed() {
    let mut manager = manager(|message, checklist| {
        assert_eq!(message.source, "weather");
        assert_eq!(
            checklist.get("weather forecast").and_then(|entry| entry.get("00")),
            Some(&Value::from("done"))
        );
        Ok(launch(&["rivers", "ssh"]))
    });
    let heard = manager.hears("weather", "success", "{'00': done}");
    assert_eq!(heard.replies, ["ack"]);
    assert_eq!(heard.launched, ["rivers", "ssh"]);
    assert_eq!(
        heard.log,
        [
            "DEBUG received message from weather: (success) downloaded",
            "INFO checklist updated with [weather forecast] items from weather worker"
        ]
    );
    assert_eq!(heard.others, [Effect::WriteChecklist]);
}

#[test]
fn nothing_is_written_for_a_message_without_a_payload() {
    let mut manager = manager(|_, _| Ok(RuleAnswer::default()));
    assert_eq!(manager.hears("weather", "success", "null").others, []);
}

#[test]
fn need_is_answered_without_the_rules() {
    let mut manager = manager(|message, _| {
        assert_ne!(message.r#type, "need");
        Ok(RuleAnswer::default())
    });
    manager.hears("weather", "success", "{'00': done}");
    assert_eq!(manager.hears("weather", "need", "weather forecast").log.len(), 1);
    let missing = manager.hears("weather", "need", "tides");
    assert_eq!(
        missing.log[1],
        "ERROR weather needs 'tides', which is not in the checklist; it has: 'weather forecast'"
    );
}

#[test]
fn clearing_shows_the_checklist_first_and_asks_no_rule() {
    let mut manager = manager(|message, _| {
        assert_ne!(message.r#type, "clear checklist");
        Ok(RuleAnswer::default())
    });
    manager.hears("weather", "success", "{'00': done}");
    let before = manager.state.checklist.to_value();
    let heard = manager.hears("weather", "clear checklist", "null");
    assert_eq!(heard.replies, ["checklist cleared"]);
    assert_eq!(heard.others, [Effect::LogChecklist(before), Effect::WriteChecklist]);
    assert!(manager.state.checklist.is_empty());
}

#[test]
fn a_failing_rule_costs_its_launches_only() {
    let mut manager = manager(|_, _| Err(RuleError::Failed("next_workers.lua:3: no".into())));
    let heard = manager.hears("weather", "success", "{'00': done}");
    assert_eq!((heard.replies, heard.launched), (vec!["ack".to_owned()], vec![]));
    assert!(heard.log[2].starts_with("CRITICAL ") && heard.log[2].contains("\nnext_workers.lua:3: no\n"));
    assert!(manager.state.checklist.get(&Value::from("weather forecast")).is_some());
}

#[test]
fn a_failing_rule_still_counts_in_a_join() {
    let mut manager = manager(|message, _| match message.source.as_str() {
        "weather" => Ok(join(&[], &["rivers", "ssh"])),
        "rivers" => Ok(launch(&["upload"])),
        _ => Err(RuleError::Failed("no".into())),
    });
    manager.hears("weather", "success", "null");
    assert_eq!(manager.hears("rivers", "success", "null").launched, Vec::<String>::new());
    assert_eq!(manager.hears("ssh", "success", "null").launched, ["upload"]);
}

#[test]
fn the_worker_that_opens_a_join_may_be_in_it() {
    let mut manager = manager(|message, _| {
        Ok(if message.source == "weather" { join(&["upload"], &["weather", "ssh"]) } else { launch(&[]) })
    });
    assert_eq!(manager.hears("weather", "success", "null").launched, Vec::<String>::new());
    assert_eq!(manager.hears("ssh", "success", "null").launched, ["upload"]);
}

#[test]
fn an_empty_set_is_no_join() {
    let mut manager = manager(|_, _| Ok(join(&["upload"], &[])));
    assert_eq!(manager.hears("weather", "success", "null").launched, ["upload"]);
}

#[test]
fn a_missing_function_does_not_count_in_a_join() {
    let mut manager = manager(|message, _| match message.source.as_str() {
        "weather" => Ok(join(&[], &["ssh"])),
        source => {
            Err(RuleError::NoFunction { function: format!("after_{source}"), module: "next_workers".into() })
        }
    });
    manager.hears("weather", "success", "null");
    let heard = manager.hears("ssh", "success", "null");
    assert_eq!(heard.replies, ["no after_worker function"]);
    assert!(!manager.state.joins.is_empty());
}

fn stop_of(effects: &[Effect]) -> Option<u8> {
    effects.iter().find_map(|effect| if let Effect::Stop { status } = effect { Some(*status) } else { None })
}

/// A manager that ends when idle, has launched `weather` and hears this of it: its exit status.
fn status_after(r#type: &str, ending: Ending) -> Option<u8> {
    let mut manager = manager(|_, _| Ok(RuleAnswer::default()));
    manager.state.exit_when_idle = true;
    let worker = launch(&["weather"]).next_workers.remove(0);
    let effects = manager.happens(Event::Command {
        call: None,
        user: "ana".to_owned(),
        command: Command::Launch { worker, again: None },
        checklist_then: None,
    });
    assert_eq!(stop_of(&effects), None, "a run is open");
    assert!(manager.hears("weather", r#type, "null").others.is_empty(), "the run is still open");
    stop_of(&manager.happens(Event::RunEnded { run: manager.only_run(), ending }))
}

#[test]
fn a_manager_that_ends_when_idle_says_whether_something_crashed() {
    assert_eq!(status_after("success", Ending::Status(0)), Some(0));
    assert_eq!(status_after("failure", Ending::Status(0)), Some(0));
    assert_eq!(status_after("crash", Ending::Status(0)), Some(1));
    assert_eq!(status_after("success", Ending::Status(3)), Some(1));
    assert_eq!(status_after("success", Ending::Killed(9)), Some(1));
}

#[test]
fn a_waiting_join_keeps_a_manager_up() {
    let mut manager = manager(|_, _| Ok(join(&[], &["ssh"])));
    manager.state.exit_when_idle = true;
    manager.hears("weather", "success", "null");
    assert!(!manager.state.is_idle());
    let other = manager.hears("rivers", "success", "null");
    assert_eq!(stop_of(&other.others), None);
}

#[test]
fn signals_reload_or_end() {
    let mut manager = manager(|_, _| Ok(RuleAnswer::default()));
    let text = "hangup signal (SIGHUP) received; reloading configuration";
    assert_eq!(
        manager.happens(Event::Signal(Signal::Hangup)),
        [Effect::log(Level::INFO, text), Effect::Reload]
    );
    assert_eq!(stop_of(&manager.happens(Event::Signal(Signal::Terminate))), Some(0));
    assert_eq!(stop_of(&manager.happens(Event::Signal(Signal::Interrupt))), Some(0));
}

#[test]
fn a_launch_that_fails_is_said_and_closed() {
    let mut manager = manager(|_, _| Ok(launch(&["upload"])));
    manager.hears("weather", "success", "null");
    assert!(!manager.state.is_idle());
    let effects = manager.happens(Event::RunEnded {
        run: manager.only_run(),
        ending: Ending::NotStarted("no such program".into()),
    });
    let text = "could not launch NextWorker(module='upload', args=[], host='localhost'): no such program";
    assert_eq!(effects[0], Effect::log(Level::CRITICAL, text));
    assert!(!manager.state.is_idle(), "its rule is still to hear of it");
}
