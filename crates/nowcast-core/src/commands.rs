//! What operators ask for. Each request is kept in the journal with the user's name and the answer.

use jiff::Timestamp;

use crate::alarm::Alarm;
use crate::command::{Answer, Command, is_ahead};
use crate::decide::Decision;
use crate::effect::Effect;
use crate::event::CallId;
use crate::hold::{Hold, Target};
use crate::level::Level;
use crate::message::Message;
use crate::messages::Incoming;
use crate::next_worker::{LOCALHOST, NextWorker, name_problem};
use crate::parked::{Parked, ParkedWhat};
use crate::record::{Change, Outcome, Speaker, What};
use crate::run::{Ending, Number, Run, RunId, Stage, ToldToEnd};
use pyyaml::Value;
use pyyaml::limits::MAX_GIVEN_DEPTH;

/// Runs that an answer names one by one: more make a text that nobody reads.
const NAMED: usize = 5;

/// What came of a request: numbers and a text, or why not.
type Outcomes = Result<(String, Vec<Number>), String>;

impl Decision<'_> {
    /// Does what an operator asks for, keeps it and answers.
    pub(super) fn command(
        &mut self,
        call: Option<CallId>,
        user: String,
        command: Command,
        checklist_then: Option<&Value>,
    ) {
        // What decides messages makes their records; the request's own comes first.
        let outcome = match &command {
            Command::Retry { message, .. } => self.retry(*message, checklist_then),
            Command::Send { source, r#type, payload } => self.send(source, r#type, payload),
            other => {
                self.begin();
                self.act(&user, other)
            }
        };
        if matches!(command, Command::Retry { .. } | Command::Send { .. }) {
            self.begin();
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
        self.finish(What::Command { user, command, answer: text });
    }

    fn act(&mut self, user: &str, command: &Command) -> Outcomes {
        match command {
            Command::Launch { worker, again } => {
                let again = again.map(|run| format!(", again after {run}")).unwrap_or_default();
                self.launch_asked(worker, &again)
            }
            Command::LaunchScheduled { item, due, worker } => {
                let last = self.state.scheduled.get(item).filter(|last| !is_ahead(**last, self.timestamp()));
                if last.is_some_and(|last| last >= due) {
                    let due = self.clock(*due);
                    return Ok((format!("{item} was launched for {due} or later already"), Vec::new()));
                }
                let why = format!(", scheduled for {}", self.clock(*due));
                let launched = self.launch_asked(worker, &why).inspect_err(|reason| {
                    // Nobody waits for this answer.
                    let text = format!("{item} is not launched{why}: {reason}");
                    self.alarm(Alarm::NotLaunched, worker.name(), text);
                })?;
                self.change(Change::Scheduled { item: item.clone(), due: *due });
                Ok(launched)
            }
            Command::Kill { run } => self.kill(*run, user),
            Command::Hold { target, until, reason } => {
                let warning = self.check_target(target)?;
                if let Some(until) = until.filter(|until| *until <= self.timestamp()) {
                    return Err(format!("the hold would be over already: {} is past", self.clock(until)));
                }
                let id = self.next_number();
                let release = id.0;
                let text = format!(
                    "launches of {target} are held as {id}; nowcast release {release} lets them go{warning}"
                );
                let (until, reason, user) = (*until, reason.clone(), user.to_owned());
                let target = target.clone();
                self.change(Change::Hold(Hold { id, target, until, reason, user }));
                Ok((text, vec![id]))
            }
            Command::Release { what } => self.release(*what),
            Command::Discard { what } => self.discard(*what),
            Command::ChecklistSet { path, value } => self.set_checklist(path, value),
            Command::ChecklistClear { force } => self.clear_by_hand(*force),
            Command::Retry { .. } | Command::Send { .. } => Err("not an act of this kind".to_owned()),
        }
    }

    /// Wants a run; `why` is added to the answer.
    fn launch_asked(&mut self, worker: &NextWorker, why: &str) -> Outcomes {
        let worker = NextWorker { place: None, ..worker.clone() };
        let name = worker.name().to_owned();
        let problem = name_problem("the worker's module", &worker.module);
        problem.or_else(|| name_problem("the worker's name", &name)).map_or(Ok(()), Err)?;
        self.check_host(&worker.host)?;
        let stranger = self.stranger(&name, ": its messages will be refused");
        let run = self.want(worker, self.number);
        let waits = self.waits(run);
        Ok((format!("{name} is launched as run {run}{why}{waits}{stranger}"), vec![run]))
    }

    /// Refuses what no launch can be of; a warning about what none is of yet.
    fn check_target(&self, target: &Target) -> Result<String, String> {
        match target {
            Target::All => Ok(String::new()),
            Target::Host(host) => self.check_host(host).map(|()| String::new()),
            Target::Worker(name) => match name_problem("the worker's name", name) {
                Some(problem) => Err(problem),
                None => Ok(self.stranger(name, "")),
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
            "the host {host:?} is not in `run: enabled hosts:` or `hosts:`; there are: {}",
            known.join(", ")
        ))
    }

    /// What is to be added to the answer about a worker that is not in the message registry.
    fn stranger(&self, name: &str, so: &str) -> String {
        let registered = &self.state.policy.registered;
        if registered.contains_key(name) {
            return String::new();
        }
        format!("; careful, no worker {name:?} is in the message registry{so}")
    }

    fn kill(&mut self, id: RunId, user: &str) -> Outcomes {
        let Some(mut run) = self.state.runs.get(&id).cloned() else {
            return Err(format!("there is no open run {id}; nowcast runs shows which there are"));
        };
        let name = run.worker.name().to_owned();
        match run.stage {
            Stage::Waiting { .. } => {
                Err(format!("{name} (run {id}) is not running yet; nowcast discard {} discards it", id.0))
            }
            Stage::Ended { .. } => Err(format!("{name} (run {id}) has ended already")),
            Stage::Launched { .. } => {
                run.told_to_end = Some(ToldToEnd::Killed(user.to_owned()));
                self.effects.push(Effect::EndRun(id));
                self.change(Change::Run(Box::new(run)));
                Ok((format!("{name} (run {id}) is told to end"), vec![id]))
            }
        }
    }

    fn release(&mut self, what: Number) -> Outcomes {
        if let Some(hold) = self.state.holds.get(&what).cloned() {
            let now = self.timestamp();
            let is_held = |(_, run): &(Timestamp, &Run)| hold.holds(&run.worker);
            let mut held: Vec<_> = self.state.runs.queues(now).flatten().filter(is_held).collect();
            held.sort_by_key(|(due, run)| (*due, run.id));
            let held: Vec<RunId> = held.into_iter().map(|(_, run)| run.id).collect();
            self.change(Change::HoldReleased(what));
            let waiting = self.still_waiting(&held);
            return Ok((format!("the hold {what} of {} is over{waiting}", hold.target), Vec::new()));
        }
        if let Some(Parked { what: ParkedWhat::Launches { join, launches }, .. }) =
            self.state.parked.get(&what).cloned()
        {
            self.change(Change::Unparked(what));
            let runs: Vec<RunId> =
                launches.into_iter().map(|launch| self.want(launch.worker, launch.cause)).collect();
            let waiting = self.still_waiting(&runs);
            return Ok((format!("what waited in the join of {join} is launched{waiting}"), runs));
        }
        if let Some(join) = self.state.joins.get(what).cloned() {
            self.change(Change::JoinClosed(what));
            let runs: Vec<RunId> =
                join.launches().into_iter().map(|launch| self.want(launch.worker, launch.cause)).collect();
            let waiting = self.still_waiting(&runs);
            let text = format!("the join of {} waits no more for {}{waiting}", join.name, join.wants());
            return Ok((text, runs));
        }
        match self.state.runs.get(&what).cloned() {
            Some(mut run) if matches!(run.stage, Stage::Waiting { .. }) => {
                run.stage = Stage::Waiting { due: self.timestamp() };
                let name = run.worker.name().to_owned();
                self.change(Change::Run(Box::new(run)));
                let waits = self.waits(what);
                Ok((format!("{name} (run {what}) waits for its time no more{waits}"), vec![what]))
            }
            _ if self.state.parked.contains_key(&what) => {
                Err(format!("{what} is a parked message; nowcast retry {} decides it again", what.0))
            }
            _ => Err(nothing_there(what)),
        }
    }

    /// What is to be added to the answer about a launch that does not go at once.
    fn waits(&mut self, run: RunId) -> String {
        self.admit();
        self.waits_for(run).map(|what| format!("; it waits{what}")).unwrap_or_default()
    }

    /// What is to be added to the answer about launches that do not all go at once.
    fn still_waiting(&mut self, runs: &[RunId]) -> String {
        self.admit();
        let waits = |id: &RunId| {
            let name = self.state.runs.get(id)?.worker.name();
            Some(format!("; {name} {id} waits{}", self.waits_for(*id)?))
        };
        let waiting: Vec<String> = runs.iter().filter_map(waits).collect();
        let named: String = waiting.iter().take(NAMED).map(String::as_str).collect();
        match waiting.len().saturating_sub(NAMED) {
            0 => named,
            more => format!("{named}; and {more} more: nowcast status shows them"),
        }
    }

    /// What a run waits for, for a person; `None` for one that does not wait.
    fn waits_for(&self, id: RunId) -> Option<String> {
        let run = self.state.runs.get(&id)?;
        let Stage::Waiting { due } = run.stage else { return None };
        if due > self.timestamp() {
            return Some(format!(" until {}", self.clock(due)));
        }
        Some(self.state.obstacle(run).map(|obstacle| format!(": {obstacle}")).unwrap_or_default())
    }

    /// A moment as the manager's clock shows it, with its date if that is not today's.
    fn clock(&self, moment: Timestamp) -> String {
        let local = moment.to_zoned_datetime(self.time.wall.time_zone().clone());
        let is_today = local.date() == self.time.wall.date();
        local.strftime(if is_today { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" }).to_string()
    }

    fn discard(&mut self, what: Number) -> Outcomes {
        if let Some(parked) = self.state.parked.get(&what).cloned() {
            self.change(Change::Unparked(what));
            let text = match parked.what {
                ParkedWhat::Message { source, r#type, .. } => {
                    format!("the parked message {what} is discarded: {source}: ({type})")
                }
                ParkedWhat::Launches { join, .. } => {
                    format!("what waited in the join of {join} is discarded")
                }
            };
            return Ok((text, Vec::new()));
        }
        if let Some(join) = self.state.joins.get(what).cloned() {
            self.change(Change::JoinClosed(what));
            return Ok((
                format!("the join of {} is discarded, with what waited in it", join.name),
                Vec::new(),
            ));
        }
        match self.state.runs.get(&what).cloned() {
            Some(run) if matches!(run.stage, Stage::Waiting { .. }) => {
                let text = format!("{} (run {what}) is discarded", run.worker.name());
                self.discard_run(run);
                Ok((text, Vec::new()))
            }
            Some(run) if run.is_running() => {
                Err(format!("{} (run {what}) is running; nowcast kill {} ends it", run.worker.name(), what.0))
            }
            _ if self.state.holds.contains_key(&what) => {
                Err(format!("{what} is a hold; nowcast release {} ends it", what.0))
            }
            _ => Err(nothing_there(what)),
        }
    }

    fn discard_run(&mut self, mut run: Run) {
        let at = self.timestamp();
        run.stage = Stage::Ended { launched: None, at, ending: Ending::Discarded, folder: String::new() };
        self.change(Change::Run(Box::new(run)));
    }

    fn set_checklist(&mut self, path: &str, value: &str) -> Outcomes {
        let path = pyyaml::read(path).map_err(|error| format!("the keys are no YAML: {error}"))?;
        let value = pyyaml::read(value).map_err(|error| format!("the value is no YAML: {error}"))?;
        let keys = path.as_list().filter(|keys| !keys.is_empty()).ok_or("a checklist key is missing")?;
        // The checklist is a mapping, and so is what each key but the last leads to.
        let deepest_key = keys.iter().zip(1..).map(|(key, level)| level + key.depth()).max();
        check_depth("this checklist entry", deepest_key.unwrap_or_default().max(keys.len() + value.depth()))?;
        let shown = pyyaml::python::repr_value(&path);
        self.change(Change::ChecklistSet { path, value });
        Ok((format!("checklist set at {shown}"), Vec::new()))
    }

    /// Half of all rule errors come from a checklist that was cleared while workers were running.
    fn clear_by_hand(&mut self, force: bool) -> Outcomes {
        let count = self.state.runs.len();
        if !force && count > 0 {
            let named = self.state.runs.values().take(NAMED);
            let named: Vec<String> = named.map(|run| format!("{} {}", run.worker.name(), run.id)).collect();
            let more = count - named.len();
            return Err(format!(
                "{} still open, and the rules may miss what is cleared: {}{}; with --force it is cleared all the same",
                if count == 1 { "a run is" } else { "runs are" },
                named.join(", "),
                if more > 0 { format!(" and {more} more") } else { String::new() },
            ));
        }
        self.clear_checklist();
        Ok(("checklist cleared".to_owned(), Vec::new()))
    }

    fn send(&mut self, source: &str, r#type: &str, payload: &str) -> Outcomes {
        let payload = pyyaml::read(payload).map_err(|error| format!("the payload is no YAML: {error}"))?;
        check_depth("the payload", payload.depth())?;
        let message = Message::new(source, r#type, payload);
        let reply = self.message(Incoming::made(message, Speaker::Operator, None));
        outcome_of(self.number, &reply.outcome)
    }

    fn retry(&mut self, which: Option<Number>, checklist_then: Option<&Value>) -> Outcomes {
        let is_message = |parked: &&Parked| matches!(parked.what, ParkedWhat::Message { .. });
        let parked: Vec<Parked> = match which {
            None => self.state.parked.values().filter(is_message).cloned().collect(),
            Some(number) => match self.state.parked.get(&number).filter(is_message) {
                Some(parked) => vec![parked.clone()],
                None => {
                    return Err(format!(
                        "{number} is no parked message; nowcast status shows which there are"
                    ));
                }
            },
        };
        if parked.is_empty() {
            return Ok(("no message is parked".to_owned(), Vec::new()));
        }
        let mut failed = Vec::new();
        let mut numbers = Vec::new();
        for parked in &parked {
            let ParkedWhat::Message { source, r#type, payload, .. } = &parked.what else { continue };
            let payload = pyyaml::read_own(payload.as_bytes()).map_err(|error| error.to_string())?;
            let message = Message::new(source, r#type, payload);
            let checklist = checklist_then.cloned().unwrap_or_else(|| self.state.checklist.to_value());
            let reply = self.decide_again(parked, message, &checklist);
            numbers.push(self.number);
            if let Err(text) = outcome_of(parked.id, &reply.outcome) {
                failed.push(text);
            }
        }
        match (failed.as_slice(), parked.len()) {
            ([], 1) => Ok((format!("message {} is decided", parked[0].id), numbers)),
            ([], count) => Ok((format!("{count} messages are decided"), numbers)),
            (failed, _) => Err(failed.join("\n")),
        }
    }
}

/// Refuses what could be kept and not be read again.
fn check_depth(what: &str, depth: usize) -> Result<(), String> {
    if depth <= MAX_GIVEN_DEPTH {
        return Ok(());
    }
    Err(format!("{what} is nested {depth} deep, and {MAX_GIVEN_DEPTH} is the most; nothing was changed"))
}

fn outcome_of(number: Number, outcome: &Outcome) -> Outcomes {
    match outcome {
        Outcome::RuleFailed(why) => Err(format!("message {number} is parked, since its rule failed:\n{why}")),
        Outcome::NoFunction(why) | Outcome::Refused(why) => Err(format!("message {number}: {why}")),
        _ => Ok((format!("message {number} is decided"), vec![number])),
    }
}

fn nothing_there(what: Number) -> String {
    format!("{what} cannot be released or discarded; nowcast status shows what waits")
}
