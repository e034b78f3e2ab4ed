//! [`Attention`]: an item that needs an operator, with the reason and the commands that help.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::context::ViewContext;
use super::daemons::{DaemonState, DaemonView, Daemons, UpState};
use super::expected::ExpectedView;
use super::hint::Hint;
use super::run::label;
use super::times;
use crate::config::Config;
use crate::net::broker_state::RefusedManager;
use crate::store::journal::{Acknowledgement, JournalError, OpenItems};
use nowcast_core::AtRisk;
use nowcast_core::Run;
use nowcast_core::expected::Expected;
use nowcast_core::hold::{Hold, HoldTarget};
use nowcast_core::parked::{Parked, ParkedItem};
use nowcast_core::{Cycle, Join};

/// The time before its deadline from which on a join is shown.
const SOON_OVERDUE: SignedDuration = SignedDuration::from_mins(15);

/// The time after which a join is stuck if no worker that it requires is pending or running.
const STUCK_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// How long a conflict about a join that has ended is shown.
const CONFLICT_SHOWN: SignedDuration = SignedDuration::from_hours(24);

/// An item that needs an operator. Its keys are those of the JSON.
#[derive(Debug, Clone, Serialize)]
pub struct Attention {
    pub kind: AttentionKind,
    /// The number of the run, message, parked launches or join; for a group, the latest.
    pub number: Option<u64>,
    /// The numbers of the whole group, the latest first.
    pub numbers: Vec<u64>,
    /// The worker, join or daemon concerned.
    pub subject: String,
    pub since: Option<Timestamp>,
    /// The cycles of the runs, messages, launches or join.
    pub cycles: Vec<String>,
    /// The reason, in one line.
    pub reason: String,
    /// The whole text of the reason if it has more lines, such as a traceback.
    pub detail: Option<String>,
    /// The last lines of a failed run's output.
    pub output: Vec<String>,
    /// The deadline that has passed or is near.
    pub due: Option<Timestamp>,
    /// When the last message of the late kind was received.
    pub last_received: Option<Timestamp>,
    /// The open run that retries a failed one.
    pub retried_by: Option<u64>,
    /// The acknowledgement by an operator, if there is one. The item then no longer degrades the system.
    pub acknowledged: Option<Acknowledgement>,
    /// The commands that help, the most useful first.
    #[serde(rename = "try")]
    pub hints: Vec<Hint>,
}

/// The kinds of items, in the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AttentionKind {
    /// A daemon does not run or does not respond.
    Daemon,
    /// The journal cannot be read or written.
    Journal,
    /// The journal was restored from a backup, and launches are held since.
    Restored,
    /// Changed rules were refused, or there are no rules.
    Rules,
    /// A run failed or crashed, and no run like it has succeeded since.
    Failed,
    /// A parked message: its rule failed or is missing, or it was not decided.
    Message,
    /// Parked launches: their join was overdue or opened again.
    Launches,
    /// Rules requested a join by cycle or since a moment in different ways.
    Conflict,
    /// Contact with the host of a run is lost.
    Contact,
    /// An expected message has not arrived in time.
    Late,
    /// An expected message will probably not arrive in time.
    AtRisk,
    /// A run takes far longer than like ones did.
    Slow,
    /// A join is soon overdue, or stuck.
    Join,
}

impl AttentionKind {
    /// Return the word that people see.
    pub fn word(self) -> &'static str {
        match self {
            AttentionKind::Daemon => "DAEMON",
            AttentionKind::Journal => "JOURNAL",
            AttentionKind::Restored => "RESTORED",
            AttentionKind::Rules => "RULES",
            AttentionKind::Failed => "FAILED",
            AttentionKind::Message => "MESSAGE",
            AttentionKind::Launches => "LAUNCHES",
            AttentionKind::Conflict => "CONFLICT",
            AttentionKind::Contact => "CONTACT",
            AttentionKind::Late => "LATE",
            AttentionKind::AtRisk => "AT RISK",
            AttentionKind::Slow => "SLOW",
            AttentionKind::Join => "JOIN",
        }
    }
}

impl Attention {
    pub(super) fn new(kind: AttentionKind, subject: impl Into<String>, reason: impl Into<String>) -> Self {
        let whole: String = reason.into();
        let (reason, detail) = match whole.split_once('\n') {
            Some((first, _)) => (first.trim_end().to_owned(), Some(whole)),
            None => (whole, None),
        };
        Self {
            kind,
            number: None,
            numbers: Vec::new(),
            subject: subject.into(),
            since: None,
            cycles: Vec::new(),
            reason,
            detail,
            output: Vec::new(),
            due: None,
            last_received: None,
            retried_by: None,
            acknowledged: None,
            hints: Vec::new(),
        }
    }

    /// Return the item with its number.
    pub(super) fn numbered(self, number: u64) -> Self {
        Self { number: Some(number), numbers: vec![number], ..self }
    }

    pub(super) fn of_journal(error: &JournalError) -> Self {
        Self::new(AttentionKind::Journal, "", error.to_string())
    }
}

/// Return the items about daemons and a stalled manager. `has_journal` is true if a nowcast manager has run here.
pub(super) fn of_daemons(daemons: &Daemons, config: &Config, has_journal: bool) -> Vec<Attention> {
    let mut items: Vec<Attention> =
        daemons.all.iter().filter_map(|daemon| of_daemon(daemon, daemons, config, has_journal)).collect();
    items.extend(
        daemons.other_version.as_ref().map(|text| Attention::new(AttentionKind::Daemon, "manager", text)),
    );
    items.extend(daemons.refused.as_ref().map(|refused| of_refused(refused, config)));
    items.extend(daemons.stalled.clone().map(|why| of_stalled(why, config)));
    items
}

/// The reason is nearly always a full disk.
fn of_stalled(why: String, config: &Config) -> Attention {
    let disk = format!("df -h {}", config.journal.folder.display());
    let hints = vec![Hint::with_effect(disk, "shows the free space; the manager goes on by itself")];
    Attention { hints, ..Attention::new(AttentionKind::Journal, "", why) }
}

fn of_refused(refused: &RefusedManager, config: &Config) -> Attention {
    let reason = format!("the broker refuses a second manager, at {}", refused.address);
    Attention {
        since: Some(refused.at),
        hints: vec![show_managers(config)],
        ..Attention::new(AttentionKind::Daemon, "manager", reason)
    }
}

/// Return the command that shows which process is connected, or tries it, as a manager.
fn show_managers(config: &Config) -> Hint {
    let command = format!("ss -tnp 'dport = :{}'", config.zmq.manager_port);
    Hint::with_effect(command, "shows which process that is, on its host")
}

fn of_daemon(
    daemon: &DaemonView,
    daemons: &Daemons,
    config: &Config,
    has_journal: bool,
) -> Option<Attention> {
    let hints = match daemon.state {
        DaemonState::Running => return None,
        // Without a journal, NEMO_Nowcast's manager runs here on purpose.
        DaemonState::Replaced if !has_journal => return None,
        // The broker would refuse a second manager, so no hint starts one.
        DaemonState::Replaced => vec![show_managers(config)],
        DaemonState::NotResponding | DaemonState::Limited => Vec::new(),
        DaemonState::NotRunning => vec![match daemons.up_state {
            UpState::Runs => Hint::with_effect(
                format!("nowcast logs {}", daemon.name),
                "shows why; \"nowcast up\" starts it again",
            ),
            UpState::Ended { is_detached } if daemons.up() == 0 => {
                let command = if is_detached { "nowcast up --detach" } else { "nowcast up" };
                Hint::with_effect(command, "unless Supervisor or systemd starts the daemons")
            }
            _ => Hint::new(format!("nowcast {} {}", daemon.name, config.file.display())),
        }],
    };
    let reason = daemon.reason.clone().unwrap_or_default();
    Some(Attention { hints, ..Attention::new(AttentionKind::Daemon, daemon.name, reason) })
}

/// Return the items found in the journal, except failed runs, unsorted.
pub(super) fn of_journal(context: &ViewContext, open: &OpenItems) -> Result<Vec<Attention>, JournalError> {
    let mut items: Vec<Attention> = open.holds.iter().filter_map(of_restored).collect();
    items.extend(of_rules(open));
    items.extend(open.parked.iter().map(of_parked));
    items.extend(open.joins.iter().chain(&open.ended_joins).filter_map(|join| of_conflict(join, context)));
    items.extend(of_contact(context, open));
    items.extend(of_late(context, open));
    items.extend(of_at_risk(context, open));
    for join in &open.joins {
        items.extend(of_join(join, context, open)?);
    }
    Ok(items)
}

fn of_restored(hold: &Hold) -> Option<Attention> {
    let is_of_restore = hold.target == HoldTarget::Restored;
    let reason = "all launches are held: what has happened since the backup is not in the journal";
    let subject = hold.reason.clone().unwrap_or_default();
    let release = format!("nowcast release {}", hold.id.0);
    let hints =
        vec![Hint::with_effect(release, "once each parked and pending launch is released or discarded")];
    is_of_restore.then(|| Attention {
        hints,
        ..Attention::new(AttentionKind::Restored, subject, reason).numbered(hold.id.0)
    })
}

fn of_rules(open: &OpenItems) -> Option<Attention> {
    let rules = open.rules.as_ref()?;
    let (number, reason) = rules.refused.as_ref()?;
    let in_force = if rules.generation == 0 {
        "no rules are in force, so every rule fails"
    } else {
        "the previous rules stay in force"
    };
    let text = format!("{in_force}: {reason}");
    let hint = Hint::with_effect(
        "nowcast rules check",
        "shows every error; the repaired file is loaded when it is saved",
    );
    Some(Attention {
        hints: vec![hint],
        ..Attention::new(AttentionKind::Rules, "refused", text).numbered(number.0)
    })
}

/// Return an item for each run that has lost contact with its host.
fn of_contact(context: &ViewContext, open: &OpenItems) -> Vec<Attention> {
    let item = |run: &Run| {
        let contact = context.run_folder(run)?.lost_contact()?;
        Some(Attention {
            since: Some(contact.since),
            cycles: labels(&run.cycle),
            hints: vec![Hint::new(format!("nowcast why {}", run.id.0))],
            ..Attention::new(AttentionKind::Contact, label(&run.worker), contact.to_string())
                .numbered(run.id.0)
        })
    };
    open.runs.iter().filter(|run| run.is_running()).filter_map(item).collect()
}

fn of_parked(parked: &Parked) -> Attention {
    let number = parked.id.0;
    let (item, hints) = match &parked.item {
        ParkedItem::Message { source, r#type, counted_as, undecided, .. } => {
            // A message that has not counted in joins never reached a rule.
            let (problem, effect) = match (undecided, counted_as) {
                (Some(_), _) => ("not decided", "which may make the manager exit again"),
                (None, Some(_)) => ("rule failed", "once the rule is repaired"),
                (None, None) => ("no rule", "once the rule is repaired"),
            };
            (
                Attention::new(
                    AttentionKind::Message,
                    format!("{source} ({type})"),
                    format!("{problem}: {}", parked.reason),
                ),
                vec![Hint::with_effect(format!("nowcast retry {number}"), effect)],
            )
        }
        ParkedItem::Launches { join, launches } => (
            Attention::new(
                AttentionKind::Launches,
                join.clone().unwrap_or_else(|| {
                    launches.iter().map(|launch| launch.worker.name()).collect::<Vec<_>>().join(", ")
                }),
                format!("{}; not launched: {}", parked.reason, launches.len()),
            ),
            hints_for_parked(parked),
        ),
    };
    let mut cycles = labels(parked.cycles());
    cycles.dedup();
    Attention { since: Some(parked.at.timestamp()), cycles, hints, ..item.numbered(number) }
}

/// Return the commands that decide parked launches.
#[must_use]
pub fn hints_for_parked(parked: &Parked) -> Vec<Hint> {
    let number = parked.id.0;
    let launches = match (&parked.item, parked.cycles().next()) {
        // Only a cancelled cycle parks launches without a join, and it refuses to release them.
        (ParkedItem::Launches { join: None, .. }, Some(cycle)) => {
            Hint::with_effect(format!("nowcast cycle resume {cycle}"), "launches all that is parked of it")
        }
        _ => Hint::with_effect(format!("nowcast release {number}"), "launches them"),
    };
    vec![launches, Hint::with_effect(format!("nowcast discard {number}"), "discards it")]
}

/// Return cycles as text.
pub(super) fn labels<'a>(cycles: impl IntoIterator<Item = &'a Cycle>) -> Vec<String> {
    cycles.into_iter().map(Cycle::to_string).collect()
}

/// Return an item for each expected message that is late.
fn of_late(context: &ViewContext, open: &OpenItems) -> Vec<Attention> {
    let is_expected = |expected: &&Expected| {
        context.config.expect.iter().any(|one| one.worker == expected.worker && one.r#type == expected.r#type)
    };
    let item = |expected: &Expected| {
        let late = expected.late.as_ref()?;
        let subject = format!("{} ({})", expected.worker, expected.r#type);
        let reason = format!("expected by {}", late.strftime("%Y-%m-%d %H:%M %Z"));
        Some(Attention {
            since: Some(late.timestamp()),
            cycles: labels(&expected.late_cycle),
            due: Some(late.timestamp()),
            last_received: expected.last_received,
            hints: vec![Hint::new(format!("nowcast why {}", expected.worker))],
            ..Attention::new(AttentionKind::Late, subject, reason)
        })
    };
    open.expected.iter().filter(is_expected).filter_map(item).collect()
}

/// Return an item for each expected message that will probably be late.
fn of_at_risk(context: &ViewContext, open: &OpenItems) -> Vec<Attention> {
    let forecasts = ExpectedView::gather(&context.config, &open.expected, context.now.timestamp());
    let is_open = |at_risk: &&AtRisk| !at_risk.is_over && at_risk.deadline > context.now.timestamp();
    let item = |expected: &Expected, at_risk: &AtRisk| {
        let is_its = |forecast: &&ExpectedView| {
            (&forecast.worker, &forecast.r#type, forecast.due)
                == (&expected.worker, &expected.r#type, at_risk.deadline)
        };
        let reason = match forecasts.iter().find(is_its) {
            Some(forecast) => forecast.describe(&context.now),
            None => format!("due {}", times::minute(at_risk.deadline, &context.now)),
        };
        Attention {
            since: Some(at_risk.warned),
            cycles: labels(&at_risk.cycle),
            due: Some(at_risk.deadline),
            hints: vec![
                Hint::new("nowcast forecast".to_owned()),
                Hint::new(format!("nowcast why {}", expected.worker)),
            ],
            ..Attention::new(
                AttentionKind::AtRisk,
                format!("{} ({})", expected.worker, expected.r#type),
                reason,
            )
        }
    };
    let of_kind = |expected: &Expected| {
        let open = expected.at_risk.iter().filter(is_open);
        open.map(|at_risk| item(expected, at_risk)).collect::<Vec<_>>()
    };
    open.expected.iter().flat_map(of_kind).collect()
}

/// Return an item for a join that rules requested in different ways, while it is open or that was not long ago.
fn of_conflict(join: &Join, context: &ViewContext) -> Option<Attention> {
    let identity = join.identity.as_ref()?;
    let conflict = identity.conflict.as_ref()?;
    let is_recent = context.now.timestamp().duration_since(conflict.at) < CONFLICT_SHOWN;
    if identity.end.is_some() && !is_recent {
        return None;
    }
    let reason = identity.disagreement(conflict);
    Some(Attention {
        since: Some(conflict.at),
        cycles: labels(&join.cycle),
        hints: vec![Hint::new(format!("nowcast why {}", join.id.0))],
        ..Attention::new(AttentionKind::Conflict, join.name.clone(), reason).numbered(join.id.0)
    })
}

/// Return an item for a join that is soon overdue, or stuck: no worker that it requires is pending or running.
fn of_join(join: &Join, context: &ViewContext, open: &OpenItems) -> Result<Option<Attention>, JournalError> {
    let now = context.present;
    let opened = context.history.event(join.opened_by)?;
    let is_soon = join.deadline.is_some_and(|deadline| deadline.since(now.steady) <= SOON_OVERDUE);
    let is_open = |worker: &str| open.runs.iter().any(|run| run.worker.name() == worker);
    // In a cycle that goes on, a run that is not launched yet may send what is missing.
    let goes_on =
        join.identity.is_some() && open.runs.iter().any(|run| run.cycle.is_some() && run.cycle == join.cycle);
    let opened_steady = opened.as_ref().map(|event| context.history.steady(event)).transpose()?;
    let is_stuck = opened_steady.is_none_or(|opened| now.steady.since(opened) >= STUCK_AFTER)
        && !goes_on
        && !join.requires.iter().any(|requirement| is_open(&requirement.worker));
    let item = Attention {
        since: opened.map(|event| event.at.timestamp()),
        cycles: labels(&join.cycle),
        due: join.deadline.map(|deadline| now.wall_at(deadline)),
        hints: vec![Hint::new(format!("nowcast why {}", join.id.0))],
        ..Attention::new(AttentionKind::Join, join.name.clone(), requirements(join)).numbered(join.id.0)
    };
    Ok((is_soon || is_stuck).then_some(item))
}

/// Return the messages that a join still requires and the number of launches that wait in it, as text.
pub fn requirements(join: &Join) -> String {
    waiting_for(&join.requirements(), join.launches().len())
}

/// Return the text of [`requirements`] from its parts.
pub fn waiting_for(requires: &str, launches: usize) -> String {
    match launches {
        0 => format!("needs {requires}"),
        1 => format!("needs {requires}, 1 launch waits"),
        _ => format!("needs {requires}, {launches} launches wait"),
    }
}
