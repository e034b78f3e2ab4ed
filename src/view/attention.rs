//! What somebody has to look at, and the command that helps.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::daemons::{Daemon, Daemons};
use crate::config::Config;
use crate::store::journal::{JournalError, Open, RunFilter, RunState};
use crate::view::entries::{RunView, label};
use crate::view::look::Look;
use nowcast_core::expected::Expected;
use nowcast_core::joins::Join;
use nowcast_core::parked::ParkedWhat;
use nowcast_core::record::What;
use nowcast_core::run::Stage;
use nowcast_core::{Command, Run};

/// How long a failed run is shown.
const LATELY: SignedDuration = SignedDuration::from_hours(24);

/// How long before it is overdue a join is shown here.
const SOON_OVERDUE: SignedDuration = SignedDuration::from_mins(15);

/// How long a join may wait for something that nobody is about to do.
const STUCK_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// What somebody has to look at.
#[derive(Debug, Clone, Serialize)]
pub struct Attention {
    pub kind: Kind,
    pub number: Option<u64>,
    /// The worker, join or file that it is about.
    pub about: String,
    pub since: Option<Timestamp>,
    pub text: String,
    /// The command that helps.
    pub help: Option<String>,
}

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A daemon does not run.
    Daemon,
    /// The journal cannot be read.
    Journal,
    /// Changed rules were refused, or there are none.
    Rules,
    /// A run failed and none like it has gone well since.
    Failed,
    /// Contact with the host of a run is lost.
    Contact,
    /// A message whose rule failed.
    Message,
    /// Launches whose join was overdue or opened again.
    Launches,
    /// A join that is soon overdue, or waits for something that nobody is about to do.
    Join,
    /// A message that should have come by now.
    Late,
}

impl Kind {
    pub fn heading(self) -> &'static str {
        match self {
            Kind::Daemon => "DAEMON",
            Kind::Journal => "JOURNAL",
            Kind::Rules => "RULES",
            Kind::Failed => "FAILED",
            Kind::Contact => "CONTACT",
            Kind::Message => "MESSAGE",
            Kind::Launches => "LAUNCHES",
            Kind::Join => "JOIN",
            Kind::Late => "LATE",
        }
    }
}

impl Attention {
    pub fn of_journal(error: &JournalError) -> Self {
        Self {
            kind: Kind::Journal,
            number: None,
            about: String::new(),
            since: None,
            text: error.to_string(),
            help: None,
        }
    }
}

pub fn of_daemons(daemons: &Daemons, config: &Config) -> Vec<Attention> {
    let of_daemon = |about: &str, daemon: &Daemon, missing: String| {
        let (text, help) = match daemon {
            Daemon::Works => return None,
            Daemon::Stuck(why) => (why.clone(), None),
            Daemon::Missing => (missing, Some(format!("nowcast {about} {}", config.file.display()))),
        };
        let (kind, about) = (Kind::Daemon, about.to_owned());
        Some(Attention { kind, number: None, about, since: None, text, help })
    };
    let nobody = format!("nobody listens on {} port {}", config.zmq.host, config.zmq.workers_port);
    let mut found = Vec::new();
    found.extend(of_daemon("broker", &daemons.broker, nobody));
    if let Some(text) = daemons.stands_still.clone() {
        found.push(Attention {
            kind: Kind::Journal,
            number: None,
            about: String::new(),
            since: None,
            text,
            help: None,
        });
    }
    let stopped = "it is not running: nothing is decided or launched".to_owned();
    found.extend(of_daemon("manager", &daemons.manager, stopped));
    let no_clock = "it is not running: nothing is launched when its time comes".to_owned();
    let no_log = "it is not running: what is published is not written down".to_owned();
    found.extend(
        daemons.log_aggregator.as_ref().and_then(|daemon| of_daemon("log-aggregator", daemon, no_log)),
    );
    found.extend(daemons.scheduler.as_ref().and_then(|daemon| of_daemon("scheduler", daemon, no_clock)));
    found
}

pub fn of_rules(open: &Open) -> Option<Attention> {
    let rules = open.rules.as_ref()?;
    let (number, reason) = rules.refused.as_ref()?;
    let kept = if rules.generation == 0 {
        "there are none in force, so every rule fails"
    } else {
        "those of before stay in force"
    };
    Some(Attention {
        kind: Kind::Rules,
        number: Some(number.0),
        about: "refused".to_owned(),
        since: None,
        text: format!("{kept}: {reason}"),
        help: Some("nowcast rules check; the repaired file is loaded as soon as it is saved".to_owned()),
    })
}

/// Runs that failed lately, the last of each worker with the same arguments, unless one went well since.
pub fn of_failed_runs(look: &Look, open: &Open) -> Result<Vec<Attention>, JournalError> {
    // Wanted long before they ended, perhaps.
    let since = look.now.timestamp().checked_sub(LATELY * 7).ok();
    let failed = look.history.runs(&RunFilter { state: RunState::Failed, since, ..RunFilter::default() })?;
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for run in failed {
        let Stage::Ended { at, .. } = run.stage else { continue };
        let is_first = seen.insert(label(&run.worker));
        if !is_first || look.now.timestamp().duration_since(at) > LATELY || is_made_good(look, &run)? {
            continue;
        }
        let view = RunView::new(&run, look);
        let again = try_again(look, open, &run)?;
        let again = again.map(|again| format!("; tried again as {}", again.id)).unwrap_or_default();
        found.push(Attention {
            kind: Kind::Failed,
            number: Some(run.id.0),
            about: label(&run.worker),
            since: Some(at),
            text: format!("{}{again}", view.fate(&look.now)),
            help: Some(format!("nowcast why {}", run.id.0)),
        });
    }
    Ok(found)
}

/// The open run that tries a failed one again, as its retry or because somebody ran it again.
fn try_again<'a>(look: &Look, open: &'a Open, failed: &Run) -> Result<Option<&'a Run>, JournalError> {
    for run in open.runs.iter().filter(|run| run.id > failed.id) {
        let is_retry = run.retry_of == Some(failed.id);
        if is_retry || (is_same(run, failed) && is_rerun(look, run, failed)?) {
            return Ok(Some(run));
        }
    }
    Ok(None)
}

fn is_rerun(look: &Look, run: &Run, failed: &Run) -> Result<bool, JournalError> {
    let cause = look.history.event(run.cause)?.map(|event| event.what);
    let again = match cause {
        Some(What::Command { command: Command::Launch { again, .. }, .. }) => again,
        _ => None,
    };
    Ok(again == Some(failed.id))
}

fn is_same(one: &Run, other: &Run) -> bool {
    one.worker.name() == other.worker.name()
        && one.worker.args == other.worker.args
        && one.worker.host == other.worker.host
}

/// Whether a later run of the same worker with the same arguments went well.
fn is_made_good(look: &Look, failed: &Run) -> Result<bool, JournalError> {
    /// Runs of one worker that are looked at.
    const LOOKED_AT: u32 = 500;
    let worker = Some(failed.worker.name().to_owned());
    let runs = look.history.runs(&RunFilter { worker, limit: Some(LOOKED_AT), ..RunFilter::default() })?;
    let later = runs.iter().take_while(|run| run.id > failed.id);
    Ok(later.filter(|run| is_same(run, failed)).any(|run| run.ended_well() == Some(true)))
}

/// Runs on a host with which contact is lost.
pub fn of_contact(look: &Look, open: &Open) -> Vec<Attention> {
    let attention = |run: &Run| {
        let contact = look.run_folder(run)?.contact()?;
        Some(Attention {
            kind: Kind::Contact,
            number: Some(run.id.0),
            about: label(&run.worker),
            since: Some(contact.since),
            text: contact.to_string(),
            help: Some(format!("nowcast why {}", run.id.0)),
        })
    };
    open.runs.iter().filter(|run| run.is_running()).filter_map(attention).collect()
}

pub fn of_parked(open: &Open) -> Vec<Attention> {
    let attention = |parked: &nowcast_core::parked::Parked| {
        let since = Some(parked.at.timestamp());
        let number = Some(parked.id.0);
        match &parked.what {
            ParkedWhat::Message { source, r#type, .. } => Attention {
                kind: Kind::Message,
                number,
                about: format!("{source} ({type})"),
                since,
                // Its first line says that the rule failed, the second where and why.
                text: format!("rule failed: {}", parked.reason.lines().nth(1).unwrap_or(&parked.reason)),
                help: Some(format!("repair the rule, then nowcast retry {}", parked.id.0)),
            },
            ParkedWhat::Launches { join, launches } => Attention {
                kind: Kind::Launches,
                number,
                about: join.clone(),
                since,
                text: format!("{}; {} not launched", parked.reason, launches.len()),
                help: Some(format!("nowcast release {0} or nowcast discard {0}", parked.id.0)),
            },
        }
    };
    open.parked.iter().map(attention).collect()
}

/// Expected messages that have not come.
pub fn of_late(look: &Look, open: &Open) -> Vec<Attention> {
    let is_expected = |expected: &&Expected| {
        look.config.expect.iter().any(|one| one.worker == expected.worker && one.r#type == expected.r#type)
    };
    let attention = |expected: &Expected| {
        let late = expected.late.as_ref()?;
        let last = expected.came.map_or_else(String::new, |came| {
            format!("; the last one came {}", crate::view::times::minute(came, &look.now))
        });
        Some(Attention {
            kind: Kind::Late,
            number: None,
            about: format!("{} ({})", expected.worker, expected.r#type),
            since: Some(late.timestamp()),
            text: format!("expected by {}{last}", late.strftime("%Y-%m-%d %H:%M %Z")),
            help: Some(format!("nowcast why {}", expected.worker)),
        })
    };
    open.expected.iter().filter(is_expected).filter_map(attention).collect()
}

/// The open joins: those that need attention, and the others.
pub fn joins<'a>(look: &Look, open: &'a Open) -> Result<(Vec<Attention>, Vec<&'a Join>), JournalError> {
    let now = look.now.timestamp();
    let mut alarming = Vec::new();
    let mut quiet = Vec::new();
    for join in &open.joins {
        let opened = look.history.event(join.opened_by)?.map(|event| event.at.timestamp());
        let is_soon = join.deadline.is_some_and(|deadline| deadline.duration_since(now) <= SOON_OVERDUE);
        let is_under_way = |worker: &str| open.runs.iter().any(|run| run.worker.name() == worker);
        let is_stuck = opened.is_none_or(|opened| now.duration_since(opened) >= STUCK_AFTER)
            && !join.wait_for.iter().any(|wanted| is_under_way(&wanted.worker));
        if !is_soon && !is_stuck {
            quiet.push(join);
            continue;
        }
        let overdue = join
            .deadline
            .map(|deadline| format!("; overdue at {}", crate::view::times::minute(deadline, &look.now)));
        alarming.push(Attention {
            kind: Kind::Join,
            number: Some(join.id.0),
            about: join.name.clone(),
            since: opened,
            text: format!("{}{}", needs(join), overdue.unwrap_or_default()),
            help: Some(format!("nowcast why {}", join.id.0)),
        });
    }
    Ok((alarming, quiet))
}

/// What a join needs and how many launches wait in it.
pub fn needs(join: &Join) -> String {
    waits_for(&join.wants(), join.launches().len())
}

/// The same of a join that is known by its parts.
pub fn waits_for(needs: &str, launches: usize) -> String {
    match launches {
        0 => format!("needs {needs}"),
        1 => format!("needs {needs}, 1 launch waits"),
        _ => format!("needs {needs}, {launches} launches wait"),
    }
}
