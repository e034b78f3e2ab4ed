//! Decides a command on a copy of the manager's state, to show the result. It never sends, launches or writes anything.

use std::process::ExitCode;

use serde::Serialize;

use super::print::{self, Json, plain, yaml_text};
use super::read_only::ViewContext;
use crate::rules::RuleSet;
use crate::view::run::{arguments, label};
use nowcast_core::Join;
use nowcast_core::parked::ParkedItem;
use nowcast_core::record::{MessageRecord, Outcome, RecordedEvent};
use nowcast_core::run::Stage;
use nowcast_core::{Change, Command, Effect, Event, Record, State, decide};
use pyyaml::Value;

/// The result of a dry run. Its keys are those of the JSON.
#[derive(Debug, Serialize)]
struct DryRun {
    reply: String,
    rule: Option<String>,
    keys_read: Vec<String>,
    /// The reason why nothing is decided: the rule failed, or the message was refused.
    error: Option<String>,
    log: Vec<String>,
    checklist: Vec<ChecklistChange>,
    launches: Vec<PlannedLaunch>,
    joins: Vec<JoinChange>,
    /// The parked message or launches, in words.
    parks: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ChecklistChange {
    key: String,
    /// The new value, as YAML text.
    value: String,
    #[serde(rename = "json")]
    value_json: serde_json::Value,
}

#[derive(Debug, Serialize)]
struct PlannedLaunch {
    worker: String,
    module: String,
    args: Vec<String>,
    host: String,
    /// Whether it would start at once; if not, `blocked_by` has the reason.
    at_once: bool,
    blocked_by: Option<String>,
}

#[derive(Debug, Serialize)]
struct JoinChange {
    name: String,
    /// The messages that it still requires; empty if it would be complete.
    requires: String,
    waiting: usize,
}

/// Decide a command that sends a message and print the result. The exit status is 1 if the message would not be decided.
pub(super) fn show(
    context: &ViewContext,
    command: Command,
    user: String,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let dry_run = dry_run(context, command, user)?;
    let is_decided = dry_run.error.is_none();
    let printed = if as_json { print::json(&dry_run) } else { print::text(&dry_run.to_text()) };
    Ok(if is_decided { printed } else { ExitCode::FAILURE })
}

fn dry_run(context: &ViewContext, command: Command, user: String) -> anyhow::Result<DryRun> {
    let config = &context.config;
    let engine = RuleSet::of(config).load(None)?;
    let history = &context.history;
    let mut state = context.state(&history.open_now()?, history.checklist_now()?, history.cycles_now()?);
    let event = Event::Command { call: None, user, command, historical_checklist: None };
    let open_before: Vec<Join> = state.joins.open().cloned().collect();
    let effects = decide(&mut state, event, &engine, &context.time);
    let mut dry_run = DryRun {
        reply: String::new(),
        rule: None,
        keys_read: Vec::new(),
        error: None,
        log: Vec::new(),
        checklist: Vec::new(),
        launches: Vec::new(),
        joins: Vec::new(),
        parks: Vec::new(),
    };
    for effect in effects {
        match effect {
            Effect::Log(line) => dry_run.log.push(format!("{} {}", line.level, line.text)),
            Effect::Journal(record) => dry_run.add(&record, &state, context, &open_before),
            // The records include the results of the other effects.
            _ => {}
        }
    }
    Ok(dry_run)
}

impl DryRun {
    fn add(&mut self, record: &Record, state: &State, context: &ViewContext, open_before: &[Join]) {
        let RecordedEvent::Message(message) = &record.event else { return };
        self.add_message(message);
        let mut closed = Vec::new();
        for change in &record.changes {
            match change {
                Change::PayloadMerged { key } => {
                    self.add_change(key, state.checklist.get(key).unwrap_or(&Value::Null));
                }
                Change::ChecklistReplaced { checklist } => self.add_change(&Value::from("(all)"), checklist),
                Change::Run(run)
                    if run.cause == record.number || !matches!(run.stage, Stage::Pending { .. }) =>
                {
                    let at_once = run.is_running();
                    let now = context.present;
                    let blocked_by = match run.due(now) {
                        Some(due) if due > now.steady => {
                            Some(format!("until {}", super::times::second(now.wall_at(due), &record.at)))
                        }
                        Some(_) => state.blocked_by(run),
                        None => None,
                    };
                    if at_once || matches!(run.stage, Stage::Pending { .. }) {
                        self.launches.push(PlannedLaunch {
                            worker: run.worker.name().to_owned(),
                            module: run.worker.module.clone(),
                            args: run.worker.args.clone(),
                            host: run.worker.host.clone(),
                            at_once,
                            blocked_by,
                        });
                    }
                }
                Change::Join(join) => self.joins.push(JoinChange {
                    name: join.name.clone(),
                    requires: join.requirements(),
                    waiting: join.launches().len(),
                }),
                Change::JoinClosed(id) => closed.push(*id),
                Change::Parked(parked) => {
                    let what = match &parked.item {
                        ParkedItem::Message { .. } => "the message".to_owned(),
                        ParkedItem::Launches { launches, .. } => {
                            let shown: Vec<String> =
                                launches.iter().map(|launch| label(&launch.worker)).collect();
                            shown.join(", ")
                        }
                    };
                    let reason = parked.reason.lines().next().unwrap_or_default();
                    self.parks.push(format!("{what}: {reason}"));
                }
                _ => {}
            }
        }
        for join in open_before.iter().filter(|join| closed.contains(&join.id)) {
            // A join that is opened again under its name does not complete.
            if state.joins.named(&join.name).is_none() {
                let name = join.name.clone();
                self.joins.push(JoinChange { name, requires: String::new(), waiting: 0 });
            }
        }
    }

    fn add_message(&mut self, message: &MessageRecord) {
        self.reply.clone_from(&message.reply);
        self.rule.clone_from(&message.rule_location);
        self.keys_read.clone_from(&message.keys_read);
        self.error = match &message.outcome {
            Outcome::RuleFailed(why) | Outcome::NoFunction(why) | Outcome::Refused(why) => Some(why.clone()),
            _ => None,
        };
    }

    fn add_change(&mut self, key: &Value, value: &Value) {
        self.checklist.push(ChecklistChange {
            key: plain(key),
            value: yaml_text(value),
            value_json: serde_json::to_value(Json(value)).unwrap_or_default(),
        });
    }

    fn to_text(&self) -> String {
        let mut lines = vec!["Nothing was sent. The manager would do this now:".to_owned()];
        lines.push(format!("reply      {}", self.reply));
        if let Some(rule) = &self.rule {
            let read =
                if self.keys_read.is_empty() { "nothing".to_owned() } else { self.keys_read.join(", ") };
            lines.push(format!("rule       {rule}; it reads {read}"));
        }
        for change in &self.checklist {
            lines.push(format!("checklist  {}:", change.key));
            lines.extend(change.value.lines().map(|line| format!("             {line}")));
        }
        for launch in &self.launches {
            let args = arguments(&launch.args);
            let waits = match (&launch.blocked_by, launch.at_once) {
                (_, true) => String::new(),
                (Some(why), _) => format!("; it would wait: {why}"),
                (None, _) => "; it would wait".to_owned(),
            };
            let text = format!("launch     {} {args}", launch.worker);
            lines.push(format!("{} on {}{waits}", text.trim_end(), launch.host));
        }
        for join in &self.joins {
            lines.push(if join.requires.is_empty() {
                format!("join       {} would be complete", join.name)
            } else {
                let name = &join.name;
                format!(
                    "join       {name} would require {}; {} would wait in it",
                    join.requires, join.waiting
                )
            });
        }
        lines.extend(self.parks.iter().map(|parked| format!("park       {parked}")));
        lines.extend(self.log.iter().flat_map(|line| line.lines()).map(|line| format!("log        {line}")));
        if let Some(error) = &self.error {
            lines.extend(error.lines().map(|line| format!("error      {line}")));
        } else if self.launches.is_empty() && self.joins.is_empty() && self.parks.is_empty() {
            lines.push("launch     nothing".to_owned());
        }
        lines.push(String::new());
        lines.join("\n")
    }
}
