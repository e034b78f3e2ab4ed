//! What the plan says, in the core's words.

use std::cell::RefCell;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use jiff::{SignedDuration, Timestamp};
use nowcast::config;
use nowcast_core::cycles::NoteScope;
use nowcast_core::hold::HoldTarget;
use nowcast_core::{
    Cycle, CycleOption, JoinRequest, LaunchOptions, NextWorker, Policy, Requirement, ReturnedLaunches,
    RuleCallResult, RuleError, RuleInput, Rules,
};

use crate::model::plan::{
    CONFIGS, CYCLES, DONE, EXPECTED, Held, Join, Launch, MAX_ACTIVE, Rule, SaidCycle, Scope, TYPES, WORKERS,
};

pub static PARSED: LazyLock<Vec<Arc<Policy>>> = LazyLock::new(|| (0..CONFIGS.len()).map(parsed).collect());

fn parsed(number: usize) -> Arc<Policy> {
    use std::fmt::Write;
    let mut text = "
checklist file: checklist.yaml
logging: {version: 1}
zmq: {host: localhost, ports: {manager: 4343, workers: 4344}}
run: {enabled hosts: {far: }}
message registry:
  manager: {ack: message acknowledged}
  next workers module: next_workers
  workers:
"
    .to_owned();
    for name in &WORKERS[..4] {
        let crash = if *name == "d" { "" } else { "crash: '', " };
        let line = format!(
            "    {name}: {{checklist key: {name}, success: '', failure: '', failure late: '', {crash}need: '', clear \
             checklist: ''}}\n"
        );
        text.push_str(&line);
    }
    text.push_str("workers:\n");
    for (name, (running, timeout, retries, delay, cycles)) in WORKERS.iter().zip(CONFIGS[number]) {
        let mut line = format!("  {name}: {{");
        let mut add = |key, value: Option<String>| {
            if let Some(value) = value {
                write!(line, "{key}: {value}, ").expect("a string");
            }
        };
        add("max running", running.map(|count| count.to_string()));
        add("timeout", timeout.map(|seconds| format!("{seconds}s")));
        add("retries", retries.map(|count| count.to_string()));
        add("retry delay", delay.map(|seconds| format!("{seconds}s")));
        add("max cycles", cycles.map(|count| count.to_string()));
        text.push_str(line.trim_end_matches(", "));
        text.push_str("}\n");
    }
    if let Some((worker, r#type)) = DONE[number] {
        let (worker, r#type) = (WORKERS[worker], TYPES[r#type]);
        writeln!(text, "cycles:\n  done: [{{worker: {worker}, type: {type}}}]").expect("a string");
    }
    if let Some(limit) = MAX_ACTIVE[number] {
        writeln!(text, "  max active: {limit}").expect("a string");
    }
    text.push_str("notifications: {t: {url: 'http://localhost/', alarms: all}}\nexpect:\n");
    for (worker, r#type, since, by) in EXPECTED[number] {
        let (worker, r#type) = (WORKERS[*worker], TYPES[*r#type]);
        writeln!(
            text,
            "- {{worker: {worker}, type: {type}, since: '11:00:{since:02}', by: '11:00:{by:02}', timezone: UTC}}"
        )
        .expect("a string");
    }
    let (config, _) = config::parse(Path::new("nowcast.yaml"), text.as_bytes(), &|_| Some(String::new()))
        .expect("a good configuration");
    Arc::new(config.policy())
}

/// The rules that the model has too.
#[derive(Default)]
pub struct Table {
    pub rules: Vec<Rule>,
    /// The times that they were shown.
    pub calls: RefCell<Vec<Timestamp>>,
    /// How many launches they requested.
    pub requested: RefCell<usize>,
}

impl Rules for Table {
    fn call_after(&self, input: &RuleInput<'_>) -> RuleCallResult {
        self.calls.borrow_mut().push(input.now.timestamp());
        let worker = WORKERS.iter().position(|name| *name == input.message.source).expect("a known worker");
        RuleCallResult::new(match self.rules[worker].clone() {
            Rule::Fails => Err(RuleError::Failed("no".into())),
            Rule::IsMissing => Err(RuleError::NoFunction { function: "f".into(), module: "m".into() }),
            Rule::Answers(launches, join) => {
                // The launches of an identified join are wanted when it is made.
                let opened = join.as_ref().filter(|join| join.scope.is_none());
                let own = opened.map_or(0, |join| join.launch.len());
                *self.requested.borrow_mut() += launches.len() + own;
                let next_workers = launches.iter().map(next_worker).collect();
                Ok(ReturnedLaunches { next_workers, join: join.as_ref().map(join_request) })
            }
        })
    }
}

pub fn moment(second: i64) -> Timestamp {
    let begin: Timestamp = "2026-03-14T11:00:00Z".parse().expect("a moment");
    begin + SignedDuration::from_secs(second)
}

pub fn cycle(place: usize) -> Cycle {
    Cycle::parse(CYCLES[place]).expect("a label")
}

pub fn said_cycle(said: SaidCycle) -> Option<CycleOption> {
    match said {
        SaidCycle::Nothing => None,
        SaidCycle::None => Some(CycleOption::None),
        SaidCycle::Cycle(place) => Some(CycleOption::Label(cycle(place))),
    }
}

pub fn next_worker(launch: &Launch) -> NextWorker {
    let span = |seconds: Option<i64>| seconds.map(SignedDuration::from_secs);
    NextWorker {
        module: format!("nowcast.workers.{}", WORKERS[launch.worker]),
        args: if launch.is_debug { vec!["--debug".into()] } else { Vec::new() },
        host: if launch.is_far { "far" } else { "localhost" }.into(),
        options: LaunchOptions {
            delay: span(launch.delay),
            at: launch.at.map(moment),
            timeout: span(launch.timeout),
            retries: launch.retries,
            retry_delay: span(launch.retry_delay),
            env: Vec::new(),
            cycle: said_cycle(launch.cycle),
        },
        location: None,
    }
}

pub fn requirements(list: &[crate::model::plan::RequirementPlan]) -> Vec<Requirement> {
    list.iter()
        .map(|(worker, r#type, count)| Requirement {
            worker: WORKERS[*worker].into(),
            r#type: r#type.map(|r#type| TYPES[r#type].into()),
            count: *count,
            cycle: None,
        })
        .collect()
}

pub fn join_request(join: &Join) -> JoinRequest {
    JoinRequest {
        name: join.name.map(|name| format!("join {name}")),
        wait_for: requirements(&join.wait_for),
        launch: join.launch.iter().map(next_worker).collect(),
        timeout: join.timeout.map(SignedDuration::from_secs),
        scope: join.scope.map(|scope| match scope {
            Scope::Cycle(place) => NoteScope::Cycle(cycle(place)),
            Scope::Since(second) => NoteScope::Since(moment(second)),
        }),
        ..JoinRequest::default()
    }
}

pub fn target(held: Held) -> HoldTarget {
    match held {
        Held::All => HoldTarget::All,
        Held::Worker(worker) => HoldTarget::Worker(WORKERS[worker].into()),
        Held::Far => HoldTarget::Host("far".into()),
    }
}
