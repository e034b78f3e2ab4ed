//! [`Status`]: what there is to say. Its keys are those of the JSON; `docs/operating.md` has them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path;

use jiff::{Timestamp, ZonedDateTime};
use serde::Serialize;

use super::attention::{self, Attention};
use super::daemons::Daemons;
use crate::config::{Config, ScheduledWorker};
use crate::store::journal::{History, JournalError, Open};
use crate::view::entries::RunView;
use crate::view::look::{self, Look};
use nowcast_core::hold::Hold;
use nowcast_core::joins::Join;
use nowcast_core::run::Stage;
use pyyaml::Map;

/// How well the system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Health {
    /// All daemons run and nothing needs attention.
    Healthy,
    /// Something needs attention.
    Degraded,
    /// A daemon does not run.
    Down,
}

#[derive(Debug, Serialize)]
pub struct Status {
    /// The folder of the configuration file.
    pub name: String,
    pub state: Health,
    pub time: Timestamp,
    pub daemons: Daemons,
    pub rules_generation: u64,
    pub attention: Vec<Attention>,
    pub running: Vec<Running>,
    pub joins: Vec<JoinView>,
    pub holds: Vec<HoldView>,
    pub waiting: Vec<WaitingRun>,
    /// What the scheduler has launched next.
    pub scheduled: Vec<Scheduled>,
}

#[derive(Debug, Serialize)]
pub struct Scheduled {
    /// The worker, its arguments, and its times.
    pub item: String,
    pub next: Timestamp,
}

#[derive(Debug, Serialize)]
pub struct Running {
    #[serde(flatten)]
    pub run: RunView,
    /// How long such a run usually takes.
    pub usual_seconds: Option<f64>,
}

#[derive(Debug, Serialize)]
pub struct JoinView {
    pub number: u64,
    pub name: String,
    pub needs: String,
    /// How many launches wait in it.
    pub launches: usize,
    pub deadline: Option<Timestamp>,
    pub opened_by: u64,
}

#[derive(Debug, Serialize)]
pub struct HoldView {
    pub number: u64,
    pub target: String,
    pub until: Option<Timestamp>,
    pub reason: Option<String>,
    pub user: String,
}

#[derive(Debug, Serialize)]
pub struct WaitingRun {
    #[serde(flatten)]
    pub run: RunView,
    /// What stands before it beside its time.
    pub behind: Option<String>,
}

/// The next time of each scheduled worker, the soonest first.
fn scheduled(config: &Config, now: &ZonedDateTime) -> Vec<Scheduled> {
    let next = |entry: &ScheduledWorker| {
        let there = now.timestamp().to_zoned_datetime(entry.zone.clone());
        Some(Scheduled { item: entry.item(), next: entry.times.after(&there)?.timestamp() })
    };
    let mut scheduled: Vec<Scheduled> = config.scheduled.iter().filter_map(next).collect();
    scheduled.sort_by_key(|scheduled| scheduled.next);
    scheduled
}

impl Status {
    /// Looks at everything.
    pub fn gather(config: &Config, now: &ZonedDateTime) -> Self {
        let daemons = Daemons::look(config);
        let mut status = Self {
            name: name(config),
            state: Health::Healthy,
            time: now.timestamp(),
            rules_generation: 0,
            attention: attention::of_daemons(&daemons, config),
            daemons,
            running: Vec::new(),
            joins: Vec::new(),
            holds: Vec::new(),
            waiting: Vec::new(),
            scheduled: scheduled(config, now),
        };
        if let Err(error) = status.read_journal(config, now) {
            status.attention.push(Attention::of_journal(&error));
        }
        status.state = match (status.daemons.is_one_missing(), status.attention.is_empty()) {
            (true, _) => Health::Down,
            (false, false) => Health::Degraded,
            (false, true) => Health::Healthy,
        };
        status
    }

    fn read_journal(&mut self, config: &Config, now: &ZonedDateTime) -> Result<(), JournalError> {
        let history = match History::open(&config.journal.folder) {
            // It is said already that no manager runs.
            Err(JournalError::None { .. }) => return Ok(()),
            opened => opened?,
        };
        let look = Look { config: config.clone(), history, now: now.clone() };
        let open = look.history.open_now()?;
        self.rules_generation = open.rules.as_ref().map_or(0, |rules| rules.generation);
        self.attention.extend(attention::of_rules(&open));
        self.attention.extend(attention::of_failed_runs(&look, &open)?);
        self.attention.extend(attention::of_contact(&look, &open));
        self.attention.extend(attention::of_parked(&open));
        let (alarming, quiet) = attention::joins(&look, &open)?;
        self.attention.extend(alarming);
        self.attention.extend(attention::of_late(&look, &open));
        self.joins = quiet.into_iter().map(JoinView::new).collect();
        self.holds = open.holds.iter().map(HoldView::new).collect();
        self.read_runs(&look, &open)
    }

    fn read_runs(&mut self, look: &Look, open: &Open) -> Result<(), JournalError> {
        let state = look::state(&look.config, open, Map::new());
        // Thousands of the same may run.
        let mut usual_of = HashMap::new();
        for run in &open.runs {
            let view = RunView::new(run, look);
            if matches!(run.stage, Stage::Waiting { .. }) {
                self.waiting.push(WaitingRun { run: view, behind: state.obstacle(run) });
            } else {
                let usual_seconds = match usual_of.entry((run.worker.name(), &run.worker.args)) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(new) => {
                        let usual = look.history.usual_duration(run.worker.name(), &run.worker.args)?;
                        *new.insert(usual.map(|usual| usual.as_secs_f64()))
                    }
                };
                self.running.push(Running { run: view, usual_seconds });
            }
        }
        self.waiting.sort_by_key(|waiting| (waiting.run.due, waiting.run.number));
        Ok(())
    }
}

impl JoinView {
    pub fn new(join: &Join) -> Self {
        Self {
            number: join.id.0,
            name: join.name.clone(),
            needs: join.wants(),
            launches: join.launches().len(),
            deadline: join.deadline,
            opened_by: join.opened_by.0,
        }
    }
}

impl HoldView {
    fn new(hold: &Hold) -> Self {
        Self {
            number: hold.id.0,
            target: hold.target.to_string(),
            until: hold.until,
            reason: hold.reason.clone(),
            user: hold.user.clone(),
        }
    }
}

/// The folder of the configuration file; its own name if that has none.
fn name(config: &Config) -> String {
    let file = path::absolute(&config.file).unwrap_or_else(|_| config.file.clone());
    let folder = file.parent().and_then(|folder| folder.file_name());
    let name = folder.or_else(|| file.file_stem()).unwrap_or_default();
    name.to_string_lossy().into_owned()
}
