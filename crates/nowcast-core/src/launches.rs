//! Launches and runs: what rules want, what waits for it, what is let go, and how it ends.
//!
//! There is one way from a wanted launch to a runner, `Decision::admit`, for rules, retries, schedules
//! and operators alike; times, holds and limits all stand on it.

use jiff::{SignedDuration, Timestamp};

use crate::alarm::Alarm;
use crate::decide::Decision;
use crate::effect::Effect;
use crate::hold::Hold;
use crate::joins::PendingLaunch;
use crate::level::Level;
use crate::message::Message;
use crate::next_worker::NextWorker;
use crate::record::{Change, RecordedEvent};
use crate::rules::RuleAnswer;
use crate::run::{Ending, Number, Run, RunId, Stage, StopReason, is_failure};
use crate::state::State;

impl Decision<'_> {
    /// Launches what a rule returned, or lets it wait in a join. `counted_as` is the number under which
    /// the message has counted in its joins already, if it has.
    pub(super) fn apply_answer(&mut self, message: &Message, answer: RuleAnswer, counted_as: Option<Number>) {
        let mut launches = waiting(answer.next_workers, self.number);
        let mut released = Vec::new();
        match answer.join {
            // It waits for nothing.
            Some(request) if request.wait_for.is_empty() => released = waiting(request.launch, self.number),
            Some(request) => self.open_join(&message.source, request),
            None => {}
        }
        released.extend(self.count_in_joins(message, &mut launches, counted_as));
        for launch in launches.into_iter().chain(released) {
            self.add_launch(launch.worker, launch.cause);
        }
    }

    /// A launch that nothing but time, holds and limits stands before any more.
    pub(super) fn add_launch(&mut self, worker: NextWorker, cause: Number) -> RunId {
        let now = self.timestamp();
        let due = worker.options.delay.map_or(now, |delay| later(now, delay));
        let due = worker.options.at.map_or(due, |at| at.max(due));
        if !self.state.policy.registered.contains_key(worker.name()) {
            let text = format!(
                "{} is launched though it is not in the message registry; its messages will be refused",
                worker.name()
            );
            self.log(Level::Warning, text);
        }
        self.add_pending_run(worker, cause, due, None)
    }

    fn add_pending_run(
        &mut self,
        worker: NextWorker,
        cause: Number,
        due: Timestamp,
        before: Option<&Run>,
    ) -> RunId {
        let id = self.next_number();
        self.change(Change::Run(Box::new(Run {
            id,
            worker,
            cause,
            attempt: before.map_or(1, |run| run.attempt + 1),
            retry_of: before.map(|run| run.id),
            stage: Stage::Pending { due },
            report: None,
            stop_requested: None,
        })));
        id
    }

    /// Hands over every waiting run that neither its time nor a hold nor a limit keeps back.
    pub(super) fn admit(&mut self) {
        for id in self.state.ready(self.timestamp()) {
            // One that goes may fill the limit of its worker's on another host.
            if let Some(run) = self.state.runs.get(&id)
                && self.state.blocked_by(run).is_none()
            {
                self.launch(run.clone());
            }
        }
    }

    fn launch(&mut self, mut run: Run) {
        let folder = format!("{}/{}", self.time.wall.date(), run.id.0);
        run.stage = Stage::Launched { at: self.timestamp(), folder: folder.clone() };
        self.effects.push(Effect::Launch { run: run.id, folder, worker: run.worker.clone() });
        self.change(Change::Run(Box::new(run)));
    }

    /// A run has ended or could not be started.
    pub(super) fn end_run(&mut self, id: RunId, ending: Ending) {
        let Some(mut run) = self.state.runs.get(&id).cloned() else { return };
        let Stage::Launched { at, folder } = run.stage else { return };
        self.begin();
        let name = run.worker.name().to_owned();
        let is_known_failure = run.report.as_ref().is_some_and(|report| is_failure(&report.r#type));
        let is_reported = !ending.is_success() && is_known_failure
            || matches!(ending, Ending::OnHost(_)) && run.report.is_some();
        if is_reported {
            // Its report says whether that is trouble.
            self.log(Level::Warning, format!("{name} (run {id}) {ending}"));
        } else if let Ending::NotStarted(reason) = &ending {
            self.alarm(Alarm::NotLaunched, &name, format!("could not launch {}: {reason}", run.worker));
        } else if !ending.is_success() {
            self.state.has_failures = true;
            self.log(Level::Error, format!("{name} (run {id}) {ending}"));
        }
        run.stage = Stage::Ended { launched: Some(at), at: self.timestamp(), ending, folder };
        self.change(Change::Run(Box::new(run)));
        self.finish(RecordedEvent::RunEnded { run: id });
    }

    /// Launches a failed run again, if it has retries left; answers the new run.
    pub(super) fn retry_run(&mut self, run: &Run, r#type: &str) -> Option<RunId> {
        let was_killed = matches!(run.stop_requested, Some(StopReason::Killed(_)));
        let is_tried = || self.state.runs.values().any(|other| other.retry_of == Some(run.id));
        if !is_failure(r#type) || was_killed || is_tried() {
            return None;
        }
        let options = &run.worker.options;
        let retries = self.state.setting(run, |worker| worker.retries, options.retries).unwrap_or(0);
        if run.attempt > retries {
            return None;
        }
        let delay =
            self.state.setting(run, |worker| worker.retry_delay, options.retry_delay).unwrap_or_default();
        let next =
            self.add_pending_run(run.worker.clone(), self.number, later(self.timestamp(), delay), Some(run));
        let text = format!(
            "{} (run {}) failed: ({}); attempt {} of {} {}",
            run.worker.name(),
            run.id,
            r#type,
            run.attempt + 1,
            retries + 1,
            if delay.is_zero() { "follows".to_owned() } else { format!("follows in {delay:#}") },
        );
        self.log(Level::Warning, text);
        Some(next)
    }
}

impl State {
    /// What keeps a run that is due from being launched, for a person.
    #[must_use]
    pub fn blocked_by(&self, run: &Run) -> Option<String> {
        if let Some(hold) = self.hold_of(run) {
            return Some(format!("hold {} of {}", hold.id, hold.target));
        }
        if let Some(before) = self.running_predecessor(run) {
            return Some(format!("run {before}, of which it is a retry, has not ended"));
        }
        let (name, limit) = (run.worker.name(), self.max_running(run)?);
        let count = self.count_running(name);
        (count >= limit).then(|| format!("{count} of {name} run, and its `max running` is {limit}"))
    }

    /// The runs that may go now, in the order in which they are to go.
    fn ready(&self, now: Timestamp) -> Vec<RunId> {
        let mut ready: Vec<(Timestamp, RunId)> =
            self.runs.queues(now).flat_map(|queue| self.ready_of(queue)).collect();
        ready.sort_unstable();
        ready.into_iter().map(|(_, id)| id).collect()
    }

    /// Those of one worker on one host that may go now. A hold or a limit keeps all of them back, so that
    /// thousands which wait for it need not be looked at.
    fn ready_of<'a>(&self, queue: impl Iterator<Item = (Timestamp, &'a Run)>) -> Vec<(Timestamp, RunId)> {
        let mut queue = queue.peekable();
        let room = match queue.peek() {
            Some((_, first)) if self.hold_of(first).is_none() => {
                let limit = self.max_running(first).unwrap_or(usize::MAX);
                limit.saturating_sub(self.count_running(first.worker.name()))
            }
            _ => 0,
        };
        let may_go = queue.filter(|(_, run)| self.running_predecessor(run).is_none());
        may_go.take(room).map(|(due, run)| (due, run.id)).collect()
    }

    fn hold_of(&self, run: &Run) -> Option<&Hold> {
        self.holds.values().find(|hold| hold.holds(&run.worker))
    }

    /// The run that this one tries again, if that has not ended.
    fn running_predecessor(&self, run: &Run) -> Option<RunId> {
        run.retry_of.filter(|before| self.runs.get(before).is_some_and(Run::is_running))
    }

    fn max_running(&self, run: &Run) -> Option<usize> {
        let limit = self.policy.limits.get(run.worker.name())?.max_running?;
        usize::try_from(limit).ok()
    }

    fn count_running(&self, name: &str) -> usize {
        self.runs.begun(name).filter(|run| run.is_running()).count()
    }
}

fn waiting(workers: Vec<NextWorker>, cause: Number) -> Vec<PendingLaunch> {
    workers.into_iter().map(|worker| PendingLaunch { worker, cause }).collect()
}

/// A moment and a while; the end of the calendar if that is beyond it.
pub(super) fn later(from: Timestamp, after: SignedDuration) -> Timestamp {
    from.checked_add(after).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::checklist::Checklist;
    use crate::hold::HoldTarget;
    use crate::policy::{Limits, Policy};
    use pyyaml::Value;

    /// A state in which thousands of two workers wait, on two hosts each.
    fn crowded() -> State {
        let limits = Limits { max_running: Some(3), ..Limits::default() };
        let policy = Policy { limits: [("weather".to_owned(), limits)].into(), ..Policy::default() };
        let mut state = State::new(Arc::new(policy), Checklist::default());
        for id in 1..=4_000 {
            let mut worker = NextWorker::new(if id % 2 == 0 { "weather" } else { "rivers" }, Vec::new());
            if id % 4 > 1 {
                worker.host = "robot.nibi".to_owned();
            }
            put(&mut state, id, worker, Stage::Pending { due: Timestamp::UNIX_EPOCH });
        }
        state
    }

    fn put(state: &mut State, id: u64, worker: NextWorker, stage: Stage) {
        let (cause, attempt, retry_of, report) = (Number(0), 1, None, None);
        let run =
            Run { id: Number(id), worker, cause, attempt, retry_of, stage, report, stop_requested: None };
        state.apply(&Change::Run(Box::new(run)), &Value::Null);
    }

    /// How many of the runs that wait are looked at to find those that may go, and how many those are.
    fn examined(state: &State) -> (usize, usize) {
        let (mut examined, mut ready) = (0, 0);
        for queue in state.runs.queues(Timestamp::UNIX_EPOCH) {
            ready += state.ready_of(queue.inspect(|_| examined += 1)).len();
        }
        (examined, ready)
    }

    #[test]
    fn of_thousands_that_are_kept_back_one_for_each_worker_and_host_is_looked_at() {
        let mut state = crowded();
        // Three of weather on each host, and whatever else there is.
        assert_eq!(examined(&state), (2_006, 2_006));
        let at = Timestamp::UNIX_EPOCH;
        for id in 5_001..=5_003 {
            let stage = Stage::Launched { at, folder: String::new() };
            put(&mut state, id, NextWorker::new("weather", Vec::new()), stage);
        }
        assert_eq!(examined(&state), (2_002, 2_000));
        let (id, user) = (Number(6_000), String::new());
        let hold = Hold { id, target: HoldTarget::All, until: None, reason: None, user };
        state.apply(&Change::Hold(hold), &Value::Null);
        assert_eq!(examined(&state), (4, 0));
    }
}
