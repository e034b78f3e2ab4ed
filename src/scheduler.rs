//! The scheduler: requests the launches of the schedule when their times come.
//!
//! It is a clock without state. It asks the manager for each launch by schedule entry and time. The manager records both
//! and launches once for each time, whichever of the two dies. Beside NEMO_Nowcast's manager, which has no such
//! request, it launches workers itself, as NEMO_Nowcast's scheduler does.

pub(crate) mod due;

use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use zmq::{POLLIN, PollItem};

use self::due::{EarlierLaunches, MissedTimes, SchedulePlan};
use crate::clock::MachineClock;
use crate::config::{Config, ReloadConfig, ScheduledWorker};
use crate::control::call::{Call, CallError, call_within};
use crate::launch::{self, RunLocation, WatchedProcesses, merged_config};
use crate::net::socket;
use crate::private_folder::{self, OTHERS_WRITE};
use crate::process::machine;
use crate::service_manager::{ACCEPTED, ServiceManager};
use crate::signals::Signals;
use crate::store::journal::JournalError;
use crate::store::{History, Presence};
use nowcast_core::clock::describe_step;
use nowcast_core::message::CYCLE;
use nowcast_core::{Clock, Command, CycleOption, DecisionTime, NextWorker, Number, Signal};
use pylogging::Logger;
use pyyaml::python;

/// The name of its logger, as in NEMO_Nowcast.
pub const NAME: &str = "scheduler";

/// The timeout of a request to the manager; afterwards it is repeated.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The pause before a failed request, or a failed reading of the journal, is retried.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The longest pause, after which a step of the wall clock is noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A scheduler with its schedule.
pub struct Scheduler {
    config: Config,
    /// `None` until the last launches of the manager are known.
    plan: Option<SchedulePlan>,
    /// Which process launches; `None` until that is known.
    launched_by: Option<LaunchedBy>,
    machine_clock: MachineClock,
    /// The clock as this process has seen it.
    clock: Clock,
    /// Workers that this process launched.
    workers: WatchedProcesses<()>,
    nowcast_binary: PathBuf,
    /// Shows other programs that the scheduler runs.
    presence: Presence,
    /// Whether the current problem has been logged.
    is_problem_logged: bool,
    log: Logger,
}

/// The process that launches workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaunchedBy {
    /// The nowcast manager, even if it is not running now.
    Manager,
    /// This process, beside NEMO_Nowcast's manager.
    Scheduler,
}

/// Why the manager has not decided a launch yet.
#[derive(Debug, thiserror::Error)]
enum NotDecided {
    #[error(transparent)]
    NotAsked(#[from] CallError),
    #[error("{0}")]
    Undecided(String),
}

impl Scheduler {
    /// Return the scheduler for a configuration. Without `launched_by`, the manager launches if it has a journal; `program`
    /// is the nowcast binary.
    ///
    /// # Errors
    /// When the operating system has no descriptors left.
    pub fn new(
        config: Config,
        launched_by: Option<LaunchedBy>,
        nowcast_binary: PathBuf,
        log: Logger,
    ) -> io::Result<Self> {
        let (workers, presence) = (WatchedProcesses::new()?, Presence::of(NAME));
        let mut scheduler = Self {
            config,
            plan: None,
            launched_by,
            machine_clock: MachineClock::new(),
            clock: Clock::default(),
            workers,
            nowcast_binary,
            presence,
            is_problem_logged: false,
            log,
        };
        scheduler.workers.withhold(&scheduler.config.notifications.secret_variables);
        scheduler.make_plan();
        Ok(scheduler)
    }

    /// Request launches until a signal comes. Workers that this process launched continue.
    ///
    /// # Errors
    /// When waiting for signals and exits fails.
    pub fn run(&mut self, signals: &mut Signals, reload_config: ReloadConfig) -> io::Result<()> {
        let service_manager = ServiceManager::of_environment();
        service_manager.ready();
        loop {
            for signal in signals.take() {
                self.log.info(signal.log_text());
                match signal {
                    Signal::Hangup => {
                        service_manager.reloading();
                        let result = reload_config().map(|config| self.take_configuration(config));
                        service_manager.reloaded(&result.map(|()| ACCEPTED.to_owned()));
                    }
                    Signal::Interrupt | Signal::Terminate => return Ok(()),
                }
            }
            self.workers.reap()?;
            let is_announced = self.presence.announce(&self.config.journal.folder);
            let time = self.machine_clock.read();
            let is_clock_set = self.follow_clock(&time);
            let is_ready = self.plan.is_some() || self.make_plan();
            self.collect_due(time.timestamp(), is_clock_set);
            let is_launched = self.launch_first();
            let pause = self.until_next(Timestamp::now());
            let is_well = is_ready && is_launched && is_announced;
            let has_more = self.plan.as_ref().is_some_and(|plan| plan.first().is_some());
            // Between two launches the clock may have been set.
            let pause = match (is_well, has_more) {
                (true, true) => Duration::ZERO,
                (true, false) => pause,
                (false, _) => pause.min(RETRY_INTERVAL),
            };
            service_manager.keep_alive();
            self.wait(signals, service_manager.due().map_or(pause, |due| due.min(pause)))?;
        }
    }

    fn take_configuration(&mut self, config: Config) {
        self.config = config;
        self.workers.withhold(&self.config.notifications.secret_variables);
        let scheduled = &self.config.scheduled;
        self.plan.iter_mut().for_each(|plan| plan.update(scheduled, Timestamp::now()));
        self.log_schedule();
    }

    /// Make the plan from the last launches of the manager. Return false while they cannot be read.
    fn make_plan(&mut self) -> bool {
        let time = self.machine_clock.read();
        let launches = match self.launches(&time) {
            _ if self.launched_by == Some(LaunchedBy::Scheduler) => Vec::new(),
            Ok(launches) => launches,
            Err(JournalError::None { .. }) => Vec::new(),
            Err(error) => {
                self.log_problem(&format!(
                    "nothing is launched until the last launches can be read: {error}"
                ));
                return false;
            }
        };
        self.is_problem_logged = false;
        self.plan = Some(SchedulePlan::new(&self.config.scheduled, launches, time.timestamp()));
        self.log_schedule();
        true
    }

    /// Return the earlier launches of each entry of the schedule.
    fn launches(&self, time: &DecisionTime) -> Result<Vec<EarlierLaunches>, JournalError> {
        let history = History::open(&self.config.journal.folder)?;
        let mut open = history.open_now()?;
        let now = open.clock.now(time);
        let launches = |entry: &ScheduledWorker| {
            let item = entry.item();
            let times = open.scheduled.remove(&item).unwrap_or_default();
            EarlierLaunches::read(&history, entry, times, now)
        };
        self.config.scheduled.iter().map(launches).collect()
    }

    fn log_schedule(&self) {
        self.log.debug(format_args!("scheduled workers: {}", self.config.scheduled.len()));
    }

    /// Log a problem once until it is solved.
    fn log_problem(&mut self, text: &str) {
        if !std::mem::replace(&mut self.is_problem_logged, true) {
            self.log.error(text);
        }
    }

    /// Go on by the wall clock if that was set. Return whether it was.
    fn follow_clock(&mut self, time: &DecisionTime) -> bool {
        let Some(reading) = self.clock.next_reading(time) else { return false };
        let (from, to) = (reading.set_from, reading.wall);
        self.clock.reading = Some(reading);
        let Some(from) = from else { return false };
        let step = describe_step(from, to, &TimeZone::system());
        self.log.warning(format_args!("{step}; the schedule follows the clock"));
        self.plan.iter_mut().for_each(|plan| plan.set_clock(from, to));
        true
    }

    /// Add the times that have become due to the plan, and log the times that were missed.
    fn collect_due(&mut self, now: Timestamp, is_clock_set: bool) {
        let Some(plan) = &mut self.plan else { return };
        for MissedTimes { item, last, count } in plan.collect_due(now) {
            let missed = if is_clock_set {
                format!("the clock was set forward over {count} of the times of {item}")
            } else {
                format!("{item} missed {count} of its times")
            };
            let last = last.to_zoned_datetime(TimeZone::system());
            self.log.warning(format_args!(
                "{missed}, the last one at {}; to launch missed times later, set `catch up: latest` or `all` in its entry",
                last.strftime("%Y-%m-%d %H:%M:%S")
            ));
        }
    }

    /// Launch the first entry that is due. Return false if the manager could not decide, so that the request is retried.
    fn launch_first(&mut self) -> bool {
        let Some((scheduled, due)) = self.plan.as_ref().and_then(SchedulePlan::first) else { return true };
        let scheduled = scheduled.clone();
        let launched = match self.launched_by() {
            LaunchedBy::Manager => self.request_launch(&scheduled, due),
            LaunchedBy::Scheduler => {
                self.launch(&due::launch(&scheduled, due));
                Ok(())
            }
        };
        if let Err(error) = launched {
            let item = scheduled.item();
            self.log_problem(&format!("{item} is due and waits until the manager can be asked: {error}"));
            return false;
        }
        self.is_problem_logged = false;
        self.plan.iter_mut().for_each(SchedulePlan::complete_first);
        true
    }

    fn launched_by(&mut self) -> LaunchedBy {
        if let Some(launched_by) = self.launched_by {
            return launched_by;
        }
        // The nowcast manager has a journal; without one it has never run. The result is kept, also while the disk is
        // unavailable.
        let opened = History::open(&self.config.journal.folder);
        let launched_by = if let Err(JournalError::None { file }) = opened {
            self.log.info(format_args!(
                "there is no journal {}, so workers are launched here, as beside a manager of NEMO_Nowcast",
                file.display()
            ));
            LaunchedBy::Scheduler
        } else {
            LaunchedBy::Manager
        };
        self.launched_by = Some(launched_by);
        launched_by
    }

    /// Request a launch from the manager, and log its answer.
    fn request_launch(&self, scheduled: &ScheduledWorker, due: Timestamp) -> Result<(), NotDecided> {
        let command =
            Command::LaunchScheduled { item: scheduled.item(), due, worker: due::launch(scheduled, due) };
        let call = Call { user: NAME.to_owned(), command: Some(command) };
        let answer = call_within(&self.config.journal.folder, &call, ANSWER_TIMEOUT)?.answer;
        if answer.is_undecided {
            return Err(NotDecided::Undecided(answer.text));
        }
        if answer.done {
            self.log.info(answer.text);
        } else {
            self.log.critical(format_args!("{} was not launched: {}", scheduled.item(), answer.text));
        }
        Ok(())
    }

    /// Launch a worker from this process, with NEMO_Nowcast's log lines. A failure is logged, and not retried before the
    /// next time.
    fn launch(&mut self, worker: &NextWorker) {
        self.log.info(format_args!("launching {worker}"));
        // This is not a run of a manager, so no run has the number.
        let location = RunLocation { folder: &self.config.journal.folder, machine: &machine() };
        let cycle = worker.options.cycle.clone().and_then(CycleOption::into_label);
        let command = launch::build_launch_command(
            worker,
            Number(0),
            cycle.as_ref(),
            &self.config,
            &self.nowcast_binary,
            location,
        );
        let command = command.map_err(|error| error.to_string()).and_then(|command| {
            self.write_merged_config().map(|()| command).map_err(|error| error.to_string())
        });
        let started = command.and_then(|command| {
            let shown = command.for_log(&self.nowcast_binary);
            self.log.debug(format_args!("cmd = {}", python::repr_list(&shown)));
            let argv = command.without_runner(&self.nowcast_binary);
            let mut environment = launch::variables(&self.config, worker.name(), Number(0));
            environment.extend(cycle.map(|cycle| (CYCLE.to_owned(), cycle.as_str().into())));
            self.workers.start((), &argv, &environment).map(|_| ()).map_err(|error| error.to_string())
        });
        if let Err(error) = started {
            self.log.critical(format_args!("{} was not launched: {error}", worker.name()));
        }
    }

    /// Write the configuration as one file for workers that do not know `include:`. With a manager of ours, that one does.
    fn write_merged_config(&self) -> io::Result<()> {
        if self.config.places.has_includes() {
            private_folder::make_or_repair(&self.config.journal.folder, OTHERS_WRITE, &self.log)?;
        }
        merged_config::write(&self.config)
    }

    fn until_next(&self, now: Timestamp) -> Duration {
        let until = self.plan.as_ref().and_then(SchedulePlan::next).map(|next| next.duration_since(now));
        until.map_or(LONGEST_PAUSE, |until| Duration::try_from(until).unwrap_or_default()).min(LONGEST_PAUSE)
    }

    fn wait(&self, signals: &Signals, timeout: Duration) -> io::Result<()> {
        let mut items = [
            PollItem::from_fd(signals.as_raw_fd(), POLLIN),
            PollItem::from_fd(self.workers.as_raw_fd(), POLLIN),
        ];
        socket::poll(&mut items, socket::milliseconds(timeout)).map_err(io::Error::other)?;
        Ok(())
    }
}
