//! The rules engine through its public interface: what rules see, what they may return, how their
//! errors read, and that no rule can do harm.

use std::time::Duration;

use jiff::ZonedDateTime;
use nowcast::rules::{CallLimits, Engine, EngineOptions, RulesLoadError};
use nowcast_core::message::Message;
use nowcast_core::notes::Note;
use nowcast_core::{
    Cycle, Cycles, NextWorker, Number, ReturnedLaunches, RuleCallResult, RuleError, RuleInput, Rules,
};
use pyyaml::{Map, Value};

mod answers;
mod documented;
mod explained;
mod hostile;
mod joins;
mod keys_read;
mod last;
mod library;
mod limits;
mod options;
mod places;
mod repeatable;
mod sandbox;
mod views;

/// A rules file in a folder of its own, loaded.
struct Nowcast {
    _folder: tempfile::TempDir,
    engine: Engine,
    config: Value,
    checklist: Value,
    payload: Value,
    cycle: Option<Cycle>,
    cycles: Option<Cycles>,
}

fn limits() -> CallLimits {
    CallLimits {
        // Long enough for a slow machine that does something else; the hostile loops reach the
        // instruction limit first.
        time: Duration::from_secs(20),
        instructions: 3_000_000,
        memory: 24 << 20,
        text: 1 << 20,
        log_lines: 20,
        log_bytes: 10_000,
    }
}

fn load(rules: &str, options: &EngineOptions) -> Result<(tempfile::TempDir, Engine), RulesLoadError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("next_workers.lua");
    std::fs::write(&path, rules).unwrap();
    Engine::load(&path, "next_workers", options).map(|engine| (folder, engine))
}

fn now() -> ZonedDateTime {
    "2026-03-14T05:15:30-07:00[America/Vancouver]".parse().unwrap()
}

impl Nowcast {
    fn with(rules: &str, options: &EngineOptions) -> Self {
        let (folder, engine) = load(rules, options).unwrap_or_else(|error| panic!("{error}"));
        Self {
            _folder: folder,
            engine,
            config: Map::new().into(),
            checklist: Map::new().into(),
            payload: Value::Null,
            cycle: None,
            cycles: None,
        }
    }

    fn new(rules: &str) -> Self {
        Self::with(rules, &EngineOptions { limits: limits(), package: None, ..EngineOptions::default() })
    }

    /// Rules whose `after_sleep` is this body.
    fn rule(body: &str) -> Self {
        Self::new(&format!(
            "function after_good() return {{ NextWorker(\"fine\") }} end\nfunction after_sleep(msg, config, checklist)\n{body}\nend"
        ))
    }

    fn checklist(mut self, checklist: Value) -> Self {
        self.checklist = checklist;
        self
    }

    fn payload(mut self, payload: Value) -> Self {
        self.payload = payload;
        self
    }

    /// The message's cycle.
    fn cycle(mut self, label: &str) -> Self {
        self.cycle = Some(cycle(label));
        self
    }

    /// The notes are known: worker, type, cycle, time, payload.
    fn notes(mut self, notes: &[(&str, &str, Option<&str>, &str, Value)]) -> Self {
        let note = |(number, given): (u64, &(&str, &str, Option<&str>, &str, Value))| {
            let (worker, r#type, label, at, payload) = given.clone();
            let note = Note {
                message: Number(number),
                worker: worker.to_owned(),
                r#type: r#type.to_owned(),
                at: at.parse().unwrap(),
                steady: None,
                run: None,
                origin: None,
                cycle: label.map(cycle),
                without_payload: false,
            };
            (note, payload)
        };
        self.cycles = Some(Cycles::of_notes((1..).zip(notes).map(note)));
        self
    }

    fn call(&self, source: &str) -> RuleCallResult {
        let message = Message::new(source, "success", self.payload.clone());
        let message = Message { cycle: self.cycle.clone(), ..message };
        self.engine.call_after(&RuleInput {
            message: &message,
            config: &self.config,
            checklist: &self.checklist,
            cycles: self.cycles.as_ref(),
            now: &now(),
        })
    }

    /// What `after_sleep` returned, without the places of its launches.
    fn answer(&self) -> ReturnedLaunches {
        self.answer_of("sleep")
    }

    fn answer_of(&self, source: &str) -> ReturnedLaunches {
        without_places(self.call(source).result.unwrap_or_else(|error| panic!("{error}")))
    }

    /// What the rule logged, each value of one `log.info(…)` in a line.
    fn said(&self) -> Vec<String> {
        let call = self.call("sleep");
        if let Err(error) = &call.result {
            panic!("{error}");
        }
        call.log.into_iter().map(|line| line.text).collect()
    }

    fn error(&self) -> String {
        match self.call("sleep").result {
            Err(RuleError::Failed(text)) => text,
            other => panic!("no error but {other:?}"),
        }
    }

    /// The first line of the error, without its place.
    fn reason(&self) -> String {
        let error = self.error();
        let line = error.lines().next().unwrap_or_default();
        line.splitn(3, ':').nth(2).unwrap_or(line).trim().to_owned()
    }

    /// A good rule of the same file still works.
    fn expect_well(&self) {
        let answer = self.answer_of("good");
        assert_eq!(answer.next_workers, [worker("fine", &[])]);
    }
}

fn without_places(mut answer: ReturnedLaunches) -> ReturnedLaunches {
    answer.join.iter_mut().for_each(|join| join.location = None);
    let own = answer.join.iter_mut().flat_map(|join| &mut join.launch);
    answer.next_workers.iter_mut().chain(own).for_each(|worker| worker.location = None);
    answer
}

fn cycle(label: &str) -> Cycle {
    Cycle::parse(label).unwrap()
}

fn worker(module: &str, args: &[&str]) -> NextWorker {
    NextWorker::new(module, args.iter().map(ToString::to_string).collect())
}

fn list(items: impl IntoIterator<Item = Value>) -> Value {
    items.into_iter().collect::<Vec<Value>>().into()
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    entries.into_iter().collect()
}

/// The log of a rule with this body.
fn said(body: &str) -> Vec<String> {
    Nowcast::rule(&format!("{body}\nreturn {{}}")).said()
}

/// The one line that the rule prints.
fn print(expression: &str) -> String {
    said(&format!("print({expression})")).remove(0)
}

fn reason(body: &str) -> String {
    Nowcast::rule(body).reason()
}
