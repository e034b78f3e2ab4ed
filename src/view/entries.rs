//! Runs and messages as the listings show them: the keys of their JSON, and their words for people.
//!
//! The keys are documented in `docs/operating.md`; programs stand on them.

use std::fmt::Write as _;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use serde::Serialize;

use super::look::Look;
use super::times;
use nowcast_core::next_worker::LOCALHOST;
use nowcast_core::record::{MessageRecord, Outcome, Speaker, What};
use nowcast_core::run::{Stage, ToldToEnd};
use nowcast_core::{Ending, NextWorker, Record, Run};
use pyyaml::Keys;

/// A run.
#[derive(Debug, Clone, Serialize)]
pub struct RunView {
    pub number: u64,
    pub worker: String,
    pub module: String,
    pub args: Vec<String>,
    pub host: String,
    /// `waiting`, `running`, `contact lost` (with its host), `ending` (it was told to), `ended` (its report is awaited), `done`, `failed` or `discarded`.
    pub state: &'static str,
    /// How it ended, in words.
    pub ending: Option<String>,
    pub told_to_end: Option<String>,
    /// What is known since contact with its host was lost.
    pub contact: Option<String>,
    pub attempt: u32,
    pub retry_of: Option<u64>,
    /// The event that wanted it.
    pub cause: u64,
    pub due: Option<Timestamp>,
    pub started: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    pub seconds: Option<f64>,
    /// The message by which it reported, and that one's type.
    pub report: Option<u64>,
    pub report_type: Option<String>,
    pub output: Option<PathBuf>,
}

impl RunView {
    pub fn new(run: &Run, look: &Look) -> Self {
        let (due, started, ended, ending) = match &run.stage {
            Stage::Waiting { due } => (Some(*due), None, None, None),
            Stage::Launched { at, .. } => (None, Some(*at), None, None),
            Stage::Ended { launched, at, ending, .. } => (None, *launched, Some(*at), Some(ending)),
        };
        let until = ended.unwrap_or_else(|| look.now.timestamp());
        let contact = look.run_folder(run).filter(|_| run.is_running()).and_then(|folder| folder.contact());
        Self {
            number: run.id.0,
            worker: run.worker.name().to_owned(),
            module: run.worker.module.clone(),
            args: run.worker.args.clone(),
            host: run.worker.host.clone(),
            state: match state(run) {
                "running" if contact.is_some() => "contact lost",
                state => state,
            },
            contact: contact.map(|contact| contact.to_string()),
            ending: ending.map(Ending::to_string),
            told_to_end: run.told_to_end.as_ref().map(|told| match told {
                ToldToEnd::TimeLimit => "it ran longer than its timeout".to_owned(),
                ToldToEnd::Killed(user) => format!("killed by {user}"),
            }),
            attempt: run.attempt,
            retry_of: run.retry_of.map(|before| before.0),
            cause: run.cause.0,
            due,
            started,
            ended,
            seconds: started.map(|started| until.duration_since(started).as_secs_f64()),
            report: run.report.as_ref().map(|report| report.message.0),
            report_type: run.report.as_ref().map(|report| report.r#type.clone()),
            output: look.run_folder(run).map(|folder| folder.output_log()),
        }
    }

    /// How long it ran, or runs.
    pub fn lasted(&self) -> Option<SignedDuration> {
        self.seconds.map(SignedDuration::from_secs_f64)
    }

    /// Its worker and arguments.
    pub fn label(&self) -> String {
        labelled(&self.worker, &self.args, &self.host)
    }

    /// How it stands or ended, for a person.
    pub fn fate(&self, now: &ZonedDateTime) -> String {
        let lasted = self.lasted().map(|lasted| format!(" after {}", times::span(lasted)));
        let mut text = match (self.state, &self.ending) {
            ("waiting", _) => match self.due {
                Some(due) if due > now.timestamp() => format!("waits until {}", times::second(due, now)),
                _ => "waits".to_owned(),
            },
            ("running" | "contact lost" | "ending", _) => {
                format!("is running{}", lasted.unwrap_or_default().replace(" after", " for"))
            }
            (_, Some(ending)) => format!("{ending}{}", lasted.unwrap_or_default()),
            (state, None) => state.to_owned(),
        };
        if let Some(why) = &self.told_to_end {
            let _ = write!(text, " ({why})");
        }
        if let Some(contact) = &self.contact {
            let _ = write!(text, "; {contact}");
        }
        if let Some(report) = &self.report_type {
            let _ = write!(text, ", reported ({report})");
        }
        text
    }
}

fn state(run: &Run) -> &'static str {
    match (&run.stage, run.ended_well()) {
        (Stage::Waiting { .. }, _) => "waiting",
        (Stage::Launched { .. }, _) if run.told_to_end.is_some() => "ending",
        (Stage::Launched { .. }, _) => "running",
        (_, None) => "discarded",
        _ if !run.is_closed() => "ended",
        (_, Some(true)) => "done",
        (_, Some(false)) => "failed",
    }
}

/// A worker with its arguments and, if that is another one, its host.
pub fn label(worker: &NextWorker) -> String {
    labelled(worker.name(), &worker.args, &worker.host)
}

fn labelled(name: &str, args: &[String], host: &str) -> String {
    let mut text = name.to_owned();
    if !args.is_empty() {
        text.push(' ');
        text.push_str(&arguments(args));
    }
    if host != LOCALHOST {
        text.push_str(" on ");
        text.push_str(host);
    }
    text
}

/// Arguments as a shell would read them.
pub fn arguments(args: &[String]) -> String {
    shlex::try_join(args.iter().map(String::as_str)).unwrap_or_else(|_| args.join(" "))
}

/// A message.
#[derive(Debug, Clone, Serialize)]
pub struct MessageView {
    pub number: u64,
    pub time: Timestamp,
    pub worker: Option<String>,
    pub r#type: Option<String>,
    /// The payload as YAML text; `None` for bytes that are no message.
    pub payload: Option<String>,
    /// `worker`, `manager` (a made crash), `operator` (send) or `retry`.
    pub speaker: Speaker,
    /// The run that it reports for.
    pub run: Option<u64>,
    /// `ruled`, `rule failed`, `no function`, `refused`, `answered`, `cleared` or `tried again`.
    pub outcome: &'static str,
    /// Why, for the outcomes that need it.
    pub reason: Option<String>,
    pub reply: String,
    /// Where the rule is, as `next_workers.lua:12`.
    pub rule: Option<String>,
    pub rules_generation: u64,
    pub keys_read: Vec<String>,
    /// The runs that came of it.
    pub launched: Vec<u64>,
}

impl MessageView {
    pub fn new(record: &Record, message: &MessageRecord, look: &Look) -> anyhow::Result<Self> {
        let (outcome, reason) = match &message.outcome {
            Outcome::Ruled => ("ruled", None),
            Outcome::RuleFailed(why) => ("rule failed", Some(why.clone())),
            Outcome::NoFunction(why) => ("no function", Some(why.clone())),
            Outcome::Refused(why) => ("refused", Some(why.clone())),
            Outcome::Answered => ("answered", None),
            Outcome::Cleared => ("cleared", None),
            Outcome::TriedAgain(run) => ("tried again", Some(format!("run {run} tries it again"))),
        };
        let said = message.message.as_ref();
        let launched = look.history.runs_caused_by(record.number)?;
        Ok(Self {
            number: record.number.0,
            time: record.at.timestamp(),
            worker: said.map(|said| said.source.clone()),
            r#type: said.map(|said| said.r#type.clone()),
            payload: said.map(|said| pyyaml::write(&said.payload, Keys::AsGiven)),
            speaker: message.speaker,
            run: message.run.map(|run| run.0),
            outcome,
            reason,
            reply: message.reply.clone(),
            rule: message.place.clone(),
            rules_generation: message.generation,
            keys_read: message.keys_read.clone(),
            launched: launched.iter().map(|run| run.id.0).collect(),
        })
    }

    /// The message of a record, if it is one.
    pub fn of(record: &Record, look: &Look) -> anyhow::Result<Option<Self>> {
        match &record.what {
            What::Message(message) => Self::new(record, message, look).map(Some),
            _ => Ok(None),
        }
    }

    /// Who says what.
    pub fn label(&self) -> String {
        match (&self.worker, &self.r#type) {
            (Some(worker), Some(r#type)) => format!("{worker} ({type})"),
            _ => "something that is no message".to_owned(),
        }
    }

    /// Which rule was called and what it looked at.
    pub fn rule_text(&self) -> Option<String> {
        let place = self.rule.as_ref()?;
        let read = if self.keys_read.is_empty() {
            "it read nothing of the checklist".to_owned()
        } else {
            format!("it read {}", self.keys_read.join(", "))
        };
        Some(format!("rule {place}, rules generation {}; {read}", self.rules_generation))
    }

    /// The first line of the reason.
    pub fn reason_line(&self) -> Option<&str> {
        self.reason.as_deref().and_then(|reason| reason.lines().next())
    }
}

/// Who speaks in a message, if it is not the worker of its own accord.
pub fn spoken_by(speaker: Speaker) -> &'static str {
    match speaker {
        Speaker::Worker => "",
        Speaker::Manager => "made by the manager, since the run ended without a report",
        Speaker::Operator => "sent by an operator",
        Speaker::Retry => "decided again for an operator",
    }
}
