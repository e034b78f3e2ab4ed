//! The chain of causes: from a run or message back to the first message or operator's command.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::read_only::ViewContext;
use crate::cli::table::Table;
use crate::cli::times;
use crate::view::message::{MessageOutcome, MessageView, spoken_by};
use crate::view::run::{RunView, label};
use nowcast_core::counted::counted;
use nowcast_core::record::{MessageRecord, RecordedEvent, Speaker};
use nowcast_core::{Command, Number, Record, Run};

/// The numbers of steps that are shown at both ends of a chain. The chain of a worker that launches itself has no end.
const NEAREST: usize = 14;
const FIRST: usize = 6;

/// The maximum number of steps that are followed.
const FOLLOWED: usize = 4_000;

/// A chain of causes, the nearest first.
#[derive(Debug, Default, Serialize)]
pub(super) struct Causes {
    pub steps: Vec<CauseStep>,
    /// The number of steps that were left out in the middle.
    pub left_out: usize,
    /// The number of steps before those.
    #[serde(skip)]
    gap: usize,
    /// Whether the chain is longer than was followed.
    pub is_cut: bool,
}

/// The kinds of causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CauseKind {
    Run,
    Message,
    Join,
    Command,
    Event,
    /// The cause is older than the journal.
    Gone,
}

/// One cause.
#[derive(Debug, Serialize)]
pub(super) struct CauseStep {
    pub kind: CauseKind,
    pub number: u64,
    pub time: Option<Timestamp>,
    pub text: String,
    /// The rule of a message.
    pub detail: Option<String>,
}

/// The next cause of a chain.
enum Next {
    Event(Number),
    Run(Number),
    Ends,
}

impl Causes {
    /// Return the causes of a run.
    pub(super) fn of_run(run: &Run, context: &ViewContext) -> anyhow::Result<Self> {
        let mut steps = Vec::new();
        let next = cause_of_run(run, context, &mut steps)?;
        Self::follow(next, steps, context)
    }

    /// Return the causes of a message.
    pub(super) fn of_message(record: &Record, context: &ViewContext) -> anyhow::Result<Self> {
        let RecordedEvent::Message(message) = &record.event else { return Ok(Self::default()) };
        let mut steps = Vec::new();
        let next = cause_of_message(record, message, context, &mut steps)?;
        Self::follow(next, steps, context)
    }

    /// Return an event and its causes.
    pub(super) fn from_event(number: Number, context: &ViewContext) -> anyhow::Result<Self> {
        Self::follow(Next::Event(number), Vec::new(), context)
    }

    fn follow(mut next: Next, mut steps: Vec<CauseStep>, context: &ViewContext) -> anyhow::Result<Self> {
        let mut is_cut = false;
        loop {
            if steps.len() >= FOLLOWED {
                is_cut = true;
                break;
            }
            next = match next {
                Next::Ends => break,
                Next::Run(number) => match context.history.run(number)? {
                    None => add_pruned(number, &mut steps),
                    Some(run) => {
                        let view = RunView::new(&run, context);
                        let text = format!("run of {}: {}", view.label(), view.description(&context.now));
                        let time = view.started.or(view.due);
                        steps.push(CauseStep {
                            kind: CauseKind::Run,
                            number: number.0,
                            time,
                            text,
                            detail: None,
                        });
                        cause_of_run(&run, context, &mut steps)?
                    }
                },
                Next::Event(number) => match context.history.event(number)? {
                    None => add_pruned(number, &mut steps),
                    Some(record) => add_event(&record, context, &mut steps)?,
                },
            };
        }
        let left_out = steps.len().saturating_sub(NEAREST + FIRST);
        if left_out > 0 {
            steps.drain(NEAREST..NEAREST + left_out);
        }
        Ok(Self { steps, left_out, gap: NEAREST, is_cut })
    }

    /// Return the steps for people, one a line.
    pub(super) fn to_lines(&self, context: &ViewContext) -> Vec<String> {
        let mut table = Table::indented(0);
        let mut details = Vec::new();
        for step in &self.steps {
            let time = step.time.map(|time| times::second(time, &context.now)).unwrap_or_default();
            table.row([format!("#{}", step.number), time, step.text.clone()]);
            details.push(step.detail.clone());
        }
        let mut lines = Vec::new();
        for (at, (line, detail)) in table.to_string().lines().zip(details).enumerate() {
            if self.left_out > 0 && at == self.gap {
                let more = if self.is_cut { "and more" } else { "more" };
                lines.push(format!("… {} {more} …", self.left_out));
            }
            lines.push(line.to_owned());
            lines.extend(detail.map(|detail| format!("    {detail}")));
        }
        lines
    }
}

fn add_pruned(number: Number, steps: &mut Vec<CauseStep>) -> Next {
    steps.push(CauseStep {
        kind: CauseKind::Gone,
        number: number.0,
        time: None,
        text: "older than the journal keeps (`journal: keep:`)".to_owned(),
        detail: None,
    });
    Next::Ends
}

/// Add the steps between a run and the event that caused it. Return that event.
fn cause_of_run(run: &Run, context: &ViewContext, steps: &mut Vec<CauseStep>) -> anyhow::Result<Next> {
    let made_in = context.history.event_until(run.id)?.filter(|event| event.number > run.cause);
    if let Some(made_in) = made_in {
        if let RecordedEvent::Command { .. } = &made_in.event {
            add_command(&made_in, steps);
        } else {
            let waited_in = context.history.joins_of(made_in.number)?.into_iter().find(|join| {
                join.closed_by == Some(made_in.number)
                    && (join.item.opened_by == run.cause || join.item.received.contains(&run.cause))
            });
            if let Some(join) = waited_in {
                let last = describe(&made_in);
                steps.push(CauseStep {
                    kind: CauseKind::Join,
                    number: join.item.id.0,
                    time: Some(made_in.at.timestamp()),
                    text: format!("waited in join {} until {} {last} came", join.item.name, made_in.number),
                    detail: None,
                });
            }
        }
    }
    Ok(Next::Event(run.cause))
}

/// Describe a message in a few words.
fn describe(record: &Record) -> String {
    match &record.event {
        RecordedEvent::Message(message) => match &message.message {
            Some(said) => format!("{} ({})", said.source, said.r#type),
            None => "a message".to_owned(),
        },
        _ => String::new(),
    }
}

fn add_event(record: &Record, context: &ViewContext, steps: &mut Vec<CauseStep>) -> anyhow::Result<Next> {
    let number = record.number.0;
    let time = Some(record.at.timestamp());
    let text = match &record.event {
        RecordedEvent::Message(message) => {
            let view = MessageView::new(record, message, context)?;
            let origin = spoken_by(message.speaker);
            let origin = if origin.is_empty() { String::new() } else { format!(", {origin}") };
            let mut text = format!("message from {}{origin}", view.label());
            if view.outcome != MessageOutcome::Ruled {
                let _ = write!(text, ": {}", view.outcome.word());
            }
            steps.push(CauseStep { kind: CauseKind::Message, number, time, text, detail: view.rule_text() });
            return cause_of_message(record, message, context, steps);
        }
        RecordedEvent::Command { .. } => {
            add_command(record, steps);
            return Ok(Next::Ends);
        }
        RecordedEvent::RunEnded { run } => format!("run {run} ended"),
        RecordedEvent::Due => "a timer was due".to_owned(),
        RecordedEvent::Forecast => "a forecast changed what is at risk".to_owned(),
        RecordedEvent::RulesLoaded { generation, .. } => {
            format!("rules generation {generation} came into force")
        }
        RecordedEvent::RulesRefused { reason } => format!("rules refused: {reason}"),
        RecordedEvent::ChecklistRead { why } => format!("checklist read: {why}"),
        RecordedEvent::ClockSet { .. } => "the wall clock was set".to_owned(),
    };
    steps.push(CauseStep { kind: CauseKind::Event, number, time, text, detail: None });
    Ok(Next::Ends)
}

fn cause_of_message(
    record: &Record,
    message: &MessageRecord,
    context: &ViewContext,
    steps: &mut Vec<CauseStep>,
) -> anyhow::Result<Next> {
    if matches!(message.speaker, Speaker::Operator | Speaker::Retry)
        && let Some(asked) = context.history.command_after(record.number)?
    {
        add_command(&asked, steps);
    }
    let parked =
        context.history.parked_until(record.number)?.into_iter().find(|parked| parked.id < record.number);
    Ok(match (message.speaker, parked, message.run) {
        (Speaker::Operator, ..) => Next::Ends,
        (Speaker::Retry, Some(parked), _) => Next::Event(parked.id),
        (_, _, Some(run)) => Next::Run(run),
        (_, _, None) => {
            if let Some(said) = &message.message {
                steps.push(CauseStep {
                    kind: CauseKind::Event,
                    number: record.number.0,
                    time: Some(record.at.timestamp()),
                    text: format!(
                        "{} was launched by hand or by another program, not by this manager",
                        said.source
                    ),
                    detail: None,
                });
            }
            Next::Ends
        }
    })
}

fn add_command(record: &Record, steps: &mut Vec<CauseStep>) {
    let RecordedEvent::Command { user, command, answer } = &record.event else { return };
    steps.push(CauseStep {
        kind: CauseKind::Command,
        number: record.number.0,
        time: Some(record.at.timestamp()),
        text: format!("{user}: {}", command_text(command)),
        detail: Some(answer.lines().next().unwrap_or_default().to_owned()),
    });
}

/// Return a command as its user would type it.
pub(super) fn command_text(command: &Command) -> String {
    match command {
        Command::Launch { worker, rerun_of: None, .. } => format!("nowcast launch {}", label(worker)),
        Command::Launch { worker, rerun_of: Some(run), .. } => {
            format!("nowcast rerun {} ({})", run.0, label(worker))
        }
        Command::LaunchScheduled { worker, .. } => format!("the schedule launched {}", label(worker)),
        Command::Retry { message: None, .. } => "nowcast retry --all".to_owned(),
        Command::Retry { message: Some(message), .. } => format!("nowcast retry {}", message.0),
        Command::Send { source, r#type, .. } => format!("nowcast send {source} {type:?}"),
        Command::Kill { run } => format!("nowcast kill {}", run.0),
        Command::KillCycle { cycle } => format!("nowcast kill --cycle {cycle}"),
        Command::CancelCycle { cycle, .. } => format!("nowcast cycle cancel {cycle}"),
        Command::ResumeCycle { cycle } => format!("nowcast cycle resume {cycle}"),
        Command::SkipCycle { cycle, .. } => format!("nowcast cycle skip {cycle}"),
        Command::Rewind(rewind) => format!("nowcast rerun --cycle {} --from {}", rewind.cycle, rewind.from),
        Command::Backfill { launches, .. } => match launches.first() {
            Some(worker) => {
                format!("nowcast backfill {}, {}", worker.name(), counted(launches.len(), "cycle", "cycles"))
            }
            None => "nowcast backfill".to_owned(),
        },
        Command::Hold { target, .. } => format!("nowcast hold, {target}"),
        Command::Release { number } => format!("nowcast release {}", number.0),
        Command::Discard { number } => format!("nowcast discard {}", number.0),
        Command::Acknowledge { runs, .. } => {
            let runs: Vec<String> = runs.iter().map(ToString::to_string).collect();
            format!("nowcast ack, {}", runs.join(", "))
        }
        Command::Prune { .. } => "nowcast journal prune".to_owned(),
        Command::Restore { file, .. } => format!("nowcast restore {file}"),
        Command::ChecklistSet { path, .. } => {
            let path = path.split_whitespace().collect::<Vec<_>>().join(" ");
            format!("nowcast checklist set {path}")
        }
        Command::ChecklistClear { .. } => "nowcast checklist clear".to_owned(),
    }
}
