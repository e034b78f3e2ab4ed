//! Operators' commands. The journal has each with the user's name and the answer.

pub mod cycles;
mod messages;
mod pending;
mod restore;
mod rewind;

use std::sync::Arc;

use jiff::Timestamp;

use crate::alarm::Alarm;
use crate::command::{Answer, Command};
use crate::cycle::{Cycle, CycleOption};
use crate::cycle_of;
use crate::decide::Decision;
use crate::effect::Effect;
use crate::event::CallId;
use crate::hold::{Hold, HoldTarget};
use crate::level::Level;
use crate::next_worker::{LOCALHOST, NextWorker, name_problem};
use crate::record::{Change, RecordedEvent};
use crate::requested_launch::RequestedLaunch;
use crate::run::{Number, RunId, Stage, StopReason};
use pyyaml::Value;

/// Runs that an answer names: more make a text too long to read.
const NAMED: usize = 5;

/// The answer's text and numbers, or the reason of a refusal.
type Outcomes = Result<(String, Vec<Number>), String>;

/// Return why a launch in a cancelled cycle is refused.
pub(crate) fn refused_by_cancelled(cycle: &Cycle) -> String {
    format!("cycle {cycle} is cancelled; \"nowcast cycle resume {cycle}\" continues it")
}

impl Decision<'_> {
    /// Execute a command, record it and answer.
    pub(super) fn handle_command(
        &mut self,
        call: Option<CallId>,
        user: String,
        command: Command,
        historical_checklist: Option<&Value>,
    ) {
        // Messages that the command decides have records of their own, before the command's.
        let outcome = match &command {
            Command::Retry { message, .. } => self.retry_messages(*message, historical_checklist),
            Command::Send { source, r#type, payload, cycle } => {
                self.send(source, r#type, payload, cycle.clone())
            }
            other => {
                self.begin_record();
                self.execute(&user, other)
            }
        };
        if matches!(command, Command::Retry { .. } | Command::Send { .. }) {
            self.begin_record();
        }
        let answer = match outcome {
            Ok((text, numbers)) => Answer::done(text, numbers),
            Err(text) => Answer::refused(text),
        };
        self.log(Level::Info, format!("{user}: {}", answer.text));
        let text = answer.text.clone();
        if let Some(call) = call {
            self.effects.push(Effect::Answer { call, answer });
        }
        self.launch_ready_runs();
        self.finish_record(RecordedEvent::Command { user, command, answer: text });
    }

    fn execute(&mut self, user: &str, command: &Command) -> Outcomes {
        match command {
            Command::Launch { worker, rerun_of, origin } => {
                if let Some(CycleOption::Label(cycle)) = &worker.options.cycle
                    && self.is_cancelled(Some(cycle))
                {
                    return Err(refused_by_cancelled(cycle));
                }
                let again = rerun_of.map(|run| format!(", again after {run}")).unwrap_or_default();
                self.launch_requested(worker, *origin, &again)
            }
            Command::LaunchScheduled { item, due, worker } => {
                let launched = self.state.scheduled.get(item);
                if launched.is_some_and(|launched| launched.contains(*due)) {
                    let due = self.clock(*due);
                    return Ok((format!("{item} was launched for {due} already"), Vec::new()));
                }
                let expired = launched.map(|launched| launched.expired(*due)).unwrap_or_default();
                let why = format!(", scheduled for {}", self.clock(*due));
                let launched = self.launch_requested(worker, None, &why).inspect_err(|reason| {
                    // The scheduler only counts answers, so the reason goes to the log.
                    let text = format!("{item} is not launched{why}: {reason}");
                    self.alarm(Alarm::NotLaunched, worker.name(), text);
                })?;
                self.change(Change::Scheduled { item: item.clone(), due: *due, expired });
                Ok(launched)
            }
            Command::Kill { run } => self.kill(*run, user),
            Command::KillCycle { cycle } => self.kill_cycle(cycle, user),
            Command::CancelCycle { cycle, .. } => self.cancel_cycle(cycle, user),
            Command::ResumeCycle { cycle } => self.resume_cycle(cycle),
            Command::SkipCycle { cycle, .. } => self.skip_cycle(cycle, user),
            Command::Rewind(rewind) => self.rewind(rewind),
            Command::Backfill { launches, again } => self.backfill(launches, *again),
            Command::Hold { target, until, duration, reason } => {
                let warning = self.check_target(target)?;
                if let Some(until) = until.filter(|until| *until <= self.now.wall) {
                    return Err(format!("invalid end of the hold: {} is in the past", self.clock(until)));
                }
                let id = self.next_number();
                let release = id.0;
                let text = format!(
                    "launches of {target} are held by hold {id}; nowcast release {release} ends it{warning}"
                );
                let ends = duration.map(|duration| self.now.steady.after(duration));
                let (until, reason, user) = (*until, reason.clone(), user.to_owned());
                let target = target.clone();
                self.change(Change::Hold(Hold { id, target, until, ends, reason, user }));
                Ok((text, vec![id]))
            }
            Command::Release { number } => self.release(*number),
            Command::Discard { number } => self.discard(*number),
            Command::Prune { keep, keep_outputs } => {
                self.effects.push(Effect::Prune { keep: *keep, keep_outputs: *keep_outputs });
                Ok((
                    "old entries and outputs are removed as soon as the manager is idle; its log says which"
                        .to_owned(),
                    Vec::new(),
                ))
            }
            Command::Restore { file, is_latest, launched_since } => {
                Ok(self.restore(user, file, *is_latest, launched_since))
            }
            Command::Acknowledge { runs, .. } => self.acknowledge(runs),
            Command::ChecklistSet { path, value } => self.set_checklist(path, value),
            Command::ChecklistClear { force } => self.clear_on_request(*force),
            Command::Retry { .. } | Command::Send { .. } => {
                Err("the command decides messages and is executed elsewhere".to_owned())
            }
        }
    }

    /// Add a requested launch, to the chain that began with `origin`; `why` is part of the answer.
    fn launch_requested(&mut self, worker: &NextWorker, origin: Option<RunId>, why: &str) -> Outcomes {
        self.check_launch(worker)?;
        let worker = NextWorker { location: None, ..worker.clone() };
        let name = worker.name().to_owned();
        let warning = self.unregistered_warning(&name, ": its messages will be refused");
        let cycle = cycle_of::launch(worker.options.cycle.as_ref(), None);
        let of_cycle = cycle.as_ref().map(|cycle| format!(" of cycle {cycle}")).unwrap_or_default();
        let launch = RequestedLaunch { worker, cycle, cause: self.number, join: None };
        let Some(run) = self.add_launch_to_chain(launch, origin) else {
            return Ok((format!("{name} is parked{why}: its cycle is cancelled"), Vec::new()));
        };
        let waits = self.pending_note(run);
        Ok((format!("{name} is launched as run {run}{of_cycle}{why}{waits}{warning}"), vec![run]))
    }

    /// Refuse a launch of a name or on a host that cannot be.
    fn check_launch(&self, worker: &NextWorker) -> Result<(), String> {
        let problem = name_problem("the worker's module", &worker.module);
        problem.or_else(|| name_problem("the worker's name", worker.name())).map_or(Ok(()), Err)?;
        self.check_host(&worker.host)
    }

    /// Refuse a target that no launch can have; return a warning about an unregistered worker.
    fn check_target(&self, target: &HoldTarget) -> Result<String, String> {
        match target {
            HoldTarget::All | HoldTarget::Cycle(_) | HoldTarget::Restored => Ok(String::new()),
            HoldTarget::Host(host) => self.check_host(host).map(|()| String::new()),
            HoldTarget::Worker(name) => match name_problem("the worker's name", name) {
                Some(problem) => Err(problem),
                None => Ok(self.unregistered_warning(name, "")),
            },
        }
    }

    fn check_host(&self, host: &str) -> Result<(), String> {
        let policy = &self.state.policy;
        if policy.knows_host(host) {
            return Ok(());
        }
        let known: Vec<&str> = policy.hosts.iter().map(String::as_str).chain([LOCALHOST]).collect();
        Err(format!(
            "the host {host:?} is not in `run: enabled hosts:` or `hosts:`; known hosts: {}",
            known.join(", ")
        ))
    }

    /// Return a warning for the answer if a worker is not in the message registry.
    fn unregistered_warning(&self, name: &str, so: &str) -> String {
        let registered = &self.state.policy.registered;
        if registered.contains_key(name) {
            return String::new();
        }
        format!("; warning: worker {name:?} is not in the message registry{so}")
    }

    fn kill(&mut self, id: RunId, user: &str) -> Outcomes {
        let Some(mut run) = self.state.runs.get(&id).cloned() else {
            return Err(format!("no open run has the number {id}; nowcast runs lists runs"));
        };
        let name = run.worker.name().to_owned();
        match run.stage {
            Stage::Pending { .. } => Err(format!(
                "{name} (run {id}) is pending and cannot be killed; nowcast discard {} discards it",
                id.0
            )),
            Stage::Ended { .. } => Err(format!("{name} (run {id}) has ended already")),
            Stage::Launched { .. } => {
                run.stop_requested = Some(StopReason::Killed(user.to_owned()));
                self.effects.push(Effect::StopRun(id));
                self.change(Change::Run(Arc::new(run)));
                Ok((format!("{name} (run {id}) is stopping"), vec![id]))
            }
        }
    }

    /// Acknowledge failed runs. The state holds only open runs, so it is for the caller to name runs that failed.
    fn acknowledge(&mut self, runs: &[RunId]) -> Outcomes {
        if let Some(open) = runs.iter().find(|run| self.state.runs.contains_key(run)) {
            return Err(format!("run {open} is still open; only failed runs can be acknowledged"));
        }
        if let Some(unknown) = runs.iter().find(|run| run.0 >= self.number.0) {
            return Err(format!("there is no run {unknown}; \"nowcast status\" shows failed runs"));
        }
        for run in runs {
            self.change(Change::Acknowledged(*run));
        }
        let named: Vec<String> = runs.iter().take(NAMED).map(ToString::to_string).collect();
        let text = match runs.len() {
            0 => "there are no failures to acknowledge".to_owned(),
            1 => format!("failed run {} is acknowledged", named[0]),
            count if count <= NAMED => format!("{count} failed runs are acknowledged: {}", named.join(", ")),
            count => format!(
                "{count} failed runs are acknowledged: {} and {} more",
                named.join(", "),
                count - NAMED
            ),
        };
        Ok((text, runs.to_vec()))
    }

    /// Return a moment in the manager's time zone, with its date if that is not today.
    pub(super) fn clock(&self, moment: Timestamp) -> String {
        let local = moment.to_zoned_datetime(self.time.wall.time_zone().clone());
        let is_today = local.date() == self.time.wall.date();
        local.strftime(if is_today { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" }).to_string()
    }
}
