//! Launches and runs: from a requested launch to the end of its run.
//!
//! Every launch goes through `Decision::launch_ready_runs`, whether a rule, a retry, the schedule or an operator requested it. So due
//! times, holds and limits apply to all. It is called at the end of each record.

use std::sync::Arc;

use crate::alarm::Alarm;
use crate::clock::{Now, Steady};
use crate::cycle::Cycle;
use crate::cycle_of;
use crate::decide::Decision;
use crate::decision_time::NotedTime;
use crate::effect::Effect;
use crate::hold::Hold;
use crate::level::Level;
use crate::message::Message;
use crate::next_worker::NextWorker;
use crate::parked::{Parked, ParkedItem};
use crate::policy::RetryDelay;
use crate::record::{Change, RecordedEvent};
use crate::requested_launch::RequestedLaunch;
use crate::rules::ReturnedLaunches;
use crate::run::{Ending, Number, Run, RunId, Stage, StopReason, is_failure};
use crate::state::State;

impl Decision<'_> {
    /// Make pending runs of the launches that a rule returned, or add them to a join. `counted_as` is the number under which the message
    /// has counted in joins before.
    pub(super) fn add_returned_launches(
        &mut self,
        message: &Message,
        returned: ReturnedLaunches,
        counted_as: Option<Number>,
    ) {
        let cycle = message.cycle.as_ref();
        let mut launches = requested_launches(returned.next_workers, self.number, cycle);
        let (mut released, mut of_identified) = (Vec::new(), Vec::new());
        match returned.join.map(|request| (request.scope.clone(), request)) {
            Some((Some(scope), request)) => of_identified = self.request_join(message, scope, request),
            // A join without requirements is complete at once.
            Some((None, request)) if request.wait_for.is_empty() => {
                released = requested_launches(request.launch, self.number, cycle);
            }
            Some((None, request)) => self.open_join(message, request),
            None => {}
        }
        // This moves `launches` into the oldest open join that requires the message, if there is one.
        released.extend(self.count_in_joins(message, &mut launches, counted_as));
        for launch in launches.into_iter().chain(released).chain(of_identified) {
            self.add_launch(launch);
        }
    }

    /// Create a pending run for a launch that waits in no join, or no longer. If its cycle is cancelled, park it and return `None`.
    pub(super) fn add_launch(&mut self, launch: RequestedLaunch) -> Option<RunId> {
        self.add_launch_to_chain(launch, None)
    }

    /// Do the same for the launch of a rerun: `origin` is the first run of its chain.
    pub(super) fn add_launch_to_chain(
        &mut self,
        launch: RequestedLaunch,
        origin: Option<RunId>,
    ) -> Option<RunId> {
        if self.is_cancelled(launch.cycle.as_ref()) {
            self.park_launch(launch);
            return None;
        }
        let worker = &launch.worker;
        let due = self.now.steady.after(worker.options.delay.unwrap_or_default());
        // Of a delay and a time, the later one counts.
        let at = worker.options.at.filter(|at| self.now.steady_at(*at) > due);
        let stage = Stage::Pending { due: at.map_or(due, |at| self.now.steady_at(at)), at };
        if !self.state.policy.registered.contains_key(worker.name()) {
            let text = format!(
                "{} is launched though it is not in the message registry; its messages will be refused",
                worker.name()
            );
            self.log(Level::Warning, text);
        }
        Some(self.add_pending_run(launch, stage, None, origin))
    }

    /// Park a launch whose cycle is cancelled.
    fn park_launch(&mut self, launch: RequestedLaunch) {
        let cycle = launch.cycle.as_ref().map(ToString::to_string).unwrap_or_default();
        let reason = format!("cycle {cycle} is cancelled");
        self.log(Level::Info, format!("{} is parked, not launched: {reason}", launch.worker.name()));
        let item = ParkedItem::Launches { join: None, launches: vec![launch] };
        let id = self.next_number();
        self.change(Change::Parked(Parked { id, at: self.time.wall.clone(), reason, item }));
    }

    /// Create a pending run. Before the record is finished, [`Decision::launch_ready_runs`] launches it if it is due and not blocked.
    fn add_pending_run(
        &mut self,
        RequestedLaunch { worker, cycle, cause, join }: RequestedLaunch,
        stage: Stage,
        before: Option<&Run>,
        origin: Option<RunId>,
    ) -> RunId {
        let id = self.next_number();
        self.change(Change::Run(Arc::new(Run {
            id,
            worker,
            cycle,
            cause,
            join,
            origin,
            attempt: before.map_or(1, |run| run.attempt + 1),
            retry_of: before.map(|run| run.id),
            stage,
            report: None,
            sent: Vec::new(),
            stop_requested: None,
            is_restored: false,
        })));
        id
    }

    /// Launch every pending run that is due and not blocked by a hold or a limit.
    pub(super) fn launch_ready_runs(&mut self) {
        // A run that another one of the same pass has blocked may have kept a later one out of it.
        while self.launch_ready_once() {}
    }

    /// Launch the runs that are ready now. Return whether some were launched, and others became blocked by that.
    fn launch_ready_once(&mut self) -> bool {
        let (mut is_any_launched, mut is_any_blocked) = (false, false);
        for id in self.state.ready(self.now) {
            // `ready` checks a limit once for each queue, and a worker may have several: an earlier launch of this loop may have
            // reached it.
            let Some(run) = self.state.runs.get(&id) else { continue };
            if self.state.blocked_by(run).is_some() {
                is_any_blocked = true;
                continue;
            }
            is_any_launched = true;
            self.launch(run.clone());
        }
        is_any_launched && is_any_blocked
    }

    fn launch(&mut self, mut run: Run) {
        if let Some(cycle) = &run.cycle {
            self.see_cycle(cycle);
            self.note_launch(cycle, run.worker.name());
        }
        let folder = format!("{}/{}", self.time.wall.date(), run.id.0);
        run.stage = Stage::Launched { at: self.now.time, folder: folder.clone() };
        self.effects.push(Effect::Launch {
            run: run.id,
            folder,
            worker: run.worker.clone(),
            cycle: run.cycle.clone(),
        });
        self.change(Change::Run(Arc::new(run)));
    }

    /// Record the end of a run, or that it could not be started. `ended_at` is when, if that was noted.
    pub(super) fn handle_run_ended(&mut self, id: RunId, ending: Ending, ended_at: Option<NotedTime>) {
        let Some(mut run) = self.state.runs.get(&id).cloned() else { return };
        let Stage::Launched { at, folder } = run.stage else { return };
        self.begin_record();
        let name = run.worker.name().to_owned();
        let is_known_failure = run.report.as_ref().is_some_and(|report| is_failure(&report.r#type));
        let is_covered_by_report = !ending.is_success() && is_known_failure
            || matches!(ending, Ending::OnHost(_)) && run.report.is_some();
        if is_covered_by_report {
            // The report has raised the alarm, if there was one to raise.
            self.log(Level::Warning, format!("{name} (run {id}) {ending}"));
        } else if let Ending::NotStarted(reason) = &ending {
            self.alarm(Alarm::NotLaunched, &name, format!("could not launch {}: {reason}", run.worker));
        } else if !ending.is_success() {
            self.state.has_failures = true;
            self.log(Level::Error, format!("{name} (run {id}) {ending}"));
        }
        let noted = ended_at.map(|ended_at| self.state.clock.time_point_of(&ended_at, self.now));
        // A damaged record must not make it end before it began.
        let noted = noted.filter(|noted| noted.steady >= at.steady && noted.steady <= self.now.steady);
        let ran = Some(noted.unwrap_or(self.now.time).steady.since(at.steady));
        let exited = noted.map(|noted| noted.wall);
        run.stage = Stage::Ended { launched: Some(at.wall), exited, at: self.now.time, ran, ending, folder };
        self.change(Change::Run(Arc::new(run)));
        self.launch_ready_runs();
        self.finish_record(RecordedEvent::RunEnded { run: id });
    }

    /// Add the retry of a failed run, if it has attempts left; return the new run.
    pub(super) fn retry_if_failed(&mut self, run: &Run, r#type: &str) -> Option<RunId> {
        let was_stopped_by_operator = matches!(run.stop_requested, Some(StopReason::Killed(_)))
            || self.is_cancelled(run.cycle.as_ref());
        let is_retried = || self.state.runs.values().any(|other| other.retry_of == Some(run.id));
        if !is_failure(r#type) || was_stopped_by_operator || is_retried() {
            return None;
        }
        let options = &run.worker.options;
        let retries = self.state.setting(run, |worker| worker.retries, options.retries).unwrap_or(0);
        if run.attempt > retries {
            return None;
        }
        let said = options.retry_delay.map(RetryDelay::constant);
        let delay = self.state.setting(run, |worker| worker.retry_delay, said);
        let delay = delay.map(|delay| delay.before(run.attempt + 1)).unwrap_or_default();
        let stage = Stage::Pending { due: self.now.steady.after(delay), at: None };
        let (worker, cycle) = (run.worker.clone(), run.cycle.clone());
        let launch = RequestedLaunch { worker, cycle, cause: self.number, join: run.join };
        let next = self.add_pending_run(launch, stage, Some(run), Some(run.chain()));
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
    /// Return what blocks a due launch, as text after "blocked by".
    #[must_use]
    pub fn blocked_by(&self, run: &Run) -> Option<String> {
        if let Some(hold) = self.hold_of(run) {
            return Some(format!("hold {} of {}", hold.id, hold.target));
        }
        if let Some(before) = self.running_predecessor(run) {
            return Some(format!("run {before}, which it retries and which has not ended"));
        }
        let name = run.worker.name();
        if let Some(limit) = self.max_running(run) {
            let count = self.count_running(name);
            if count >= limit {
                return Some(format!("`max running: {limit}` of {name} ({count} running)"));
            }
        }
        self.cycle_limit(name, run.cycle.as_ref()?)
    }

    /// Return the runs that may be launched now, in the order of their launch.
    fn ready(&self, now: Now) -> Vec<RunId> {
        let mut ready: Vec<(Steady, RunId)> =
            self.runs.due_queues(now).flat_map(|queue| self.ready_of(self.admitted(queue))).collect();
        ready.sort_unstable();
        ready.into_iter().map(|(_, id)| id).collect()
    }

    /// Return the runs of one queue that may be launched now. A hold or a limit blocks the whole queue, so it is checked once
    /// and not for each run.
    fn ready_of<'a>(&self, queue: impl Iterator<Item = (Steady, &'a Run)>) -> Vec<(Steady, RunId)> {
        let mut queue = queue.peekable();
        let free = match queue.peek() {
            Some((_, first)) if self.hold_of_queue(first).is_none() => {
                let limit = self.max_running(first).unwrap_or(usize::MAX);
                limit.saturating_sub(self.count_running(first.worker.name()))
            }
            _ => 0,
        };
        let is_blocked = |run: &Run| {
            let by_cycle = |cycle| self.cycle_limit(run.worker.name(), cycle).is_some();
            run.cycle.as_ref().is_some_and(by_cycle) || run.cycle.is_some() && self.hold_of(run).is_some()
        };
        let launchable = queue.filter(|(_, run)| self.running_predecessor(run).is_none() && !is_blocked(run));
        launchable.take(free).map(|(due, run)| (due, run.id)).collect()
    }

    fn hold_of(&self, run: &Run) -> Option<&Hold> {
        self.holds.values().find(|hold| hold.holds(&run.worker, run.cycle.as_ref()))
    }

    /// Return a hold that pauses all runs in the queue of a run, whatever their cycle.
    fn hold_of_queue(&self, run: &Run) -> Option<&Hold> {
        self.holds.values().find(|hold| hold.holds(&run.worker, None))
    }

    /// Return the run that this one retries, if it has not ended.
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

fn requested_launches(
    workers: Vec<NextWorker>,
    cause: Number,
    message: Option<&Cycle>,
) -> Vec<RequestedLaunch> {
    let request = |worker: NextWorker| {
        let cycle = cycle_of::launch(worker.options.cycle.as_ref(), message);
        RequestedLaunch { worker, cycle, cause, join: None }
    };
    workers.into_iter().map(request).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::checklist::Checklist;
    use crate::hold::HoldTarget;
    use crate::policy::{Limits, Policy};
    use pyyaml::Value;

    const EPOCH: Now = Now::by_wall_clock(Timestamp::UNIX_EPOCH);

    /// A state with thousands of pending runs of two workers on two hosts.
    fn crowded() -> State {
        let limits = Limits { max_running: Some(3), ..Limits::default() };
        let policy = Policy { limits: [("weather".to_owned(), limits)].into(), ..Policy::default() };
        let mut state = State::new(Arc::new(policy), Checklist::default());
        for id in 1..=4_000 {
            let mut worker = NextWorker::new(if id % 2 == 0 { "weather" } else { "rivers" }, Vec::new());
            if id % 4 > 1 {
                worker.host = "robot.nibi".to_owned();
            }
            put(&mut state, id, worker, Stage::Pending { due: EPOCH.steady, at: None });
        }
        state
    }

    fn put(state: &mut State, id: u64, worker: NextWorker, stage: Stage) {
        let (cause, attempt, retry_of, report) = (Number(0), 1, None, None);
        let run = Run {
            id: Number(id),
            worker,
            cycle: None,
            cause,
            join: None,
            origin: None,
            attempt,
            retry_of,
            stage,
            report,
            sent: Vec::new(),
            stop_requested: None,
            is_restored: false,
        };
        state.apply(&Change::Run(Arc::new(run)), &Value::Null);
    }

    /// How many pending runs are examined to find those that may be launched, and the number of those.
    fn examined(state: &State) -> (usize, usize) {
        let (mut examined, mut ready) = (0, 0);
        for queue in state.runs.due_queues(EPOCH) {
            ready += state.ready_of(state.admitted(queue).inspect(|_| examined += 1)).len();
        }
        (examined, ready)
    }

    #[test]
    fn of_thousands_of_blocked_runs_one_per_queue_is_examined() {
        let mut state = crowded();
        // Three of weather on each host, and all of rivers.
        assert_eq!(examined(&state), (2_006, 2_006));
        for id in 5_001..=5_003 {
            let stage = Stage::Launched { at: EPOCH.time, folder: String::new() };
            put(&mut state, id, NextWorker::new("weather", Vec::new()), stage);
        }
        assert_eq!(examined(&state), (2_002, 2_000));
        let (id, user) = (Number(6_000), String::new());
        let hold = Hold { id, target: HoldTarget::All, until: None, ends: None, reason: None, user };
        state.apply(&Change::Hold(hold), &Value::Null);
        assert_eq!(examined(&state), (4, 0));
    }

    #[test]
    fn of_thousands_of_cycles_that_wait_for_a_slot_those_that_have_one_are_examined() {
        let limits = Limits { max_cycles: Some(3), ..Limits::default() };
        let policy = Policy { limits: [("weather".to_owned(), limits)].into(), ..Policy::default() };
        let mut state = State::new(Arc::new(policy), Checklist::default());
        for id in 1..=1_000 {
            let cycle = Cycle::parse(&format!("cycle-{id}")).unwrap();
            let seen = Change::CycleSeen { cycle: cycle.clone(), number: Number(id), at: EPOCH.time };
            state.apply(&seen, &Value::Null);
            let stage = Stage::Pending { due: EPOCH.steady, at: None };
            put(&mut state, id, NextWorker::new("weather", Vec::new()), stage);
            let mut run = state.runs[&Number(id)].clone();
            run.cycle = Some(cycle);
            state.apply(&Change::Run(Arc::new(run)), &Value::Null);
        }
        // The first three get the slots.
        assert_eq!(examined(&state), (3, 3));
        for id in 1..=3 {
            let cycle = Cycle::parse(&format!("cycle-{id}")).unwrap();
            state.apply(&Change::CycleLaunched { cycle, worker: "weather".to_owned() }, &Value::Null);
        }
        assert_eq!(examined(&state), (3, 3));
    }
}
