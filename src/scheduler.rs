//! The scheduler: has workers launched when their time comes.
//!
//! It is a clock and keeps nothing. It asks the manager for each launch, by the entry of the schedule and the time; the
//! manager keeps both and launches once, so that whoever of them dies, each time comes once. Beside a manager of
//! the peer's, which cannot be asked, it launches by itself, as the peer's scheduler does.

mod due;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use zmq::{POLLIN, PollItem};

use self::due::Plan;
use crate::config::{Config, ReadAgain, ScheduledWorker};
use crate::control::call::{Call, CallError, call_within};
use crate::launch::on_host::machine;
use crate::launch::{self, Children, RunLocation};
use crate::net::socket;
use crate::signals::Signals;
use crate::store::journal::JournalError;
use crate::store::{History, Presence};
use nowcast_core::next_worker::LOCALHOST;
use nowcast_core::{Command, NextWorker, Number, Signal};
use pylogging::Logger;
use pyyaml::python;

/// The name under which it logs: the peer's.
pub const NAME: &str = "scheduler";

/// How long the manager may take for an answer; then it is asked again.
const PATIENCE: Duration = Duration::from_secs(5);

/// The pause before a manager that could not be asked is asked again, or its folder is looked for.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The longest pause: a clock that is set is noticed after it.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A scheduler with its schedule.
pub struct Scheduler {
    config: Config,
    /// `None` until it is known what the manager has launched.
    plan: Option<Plan>,
    /// Who launches; `None` until that is known.
    launcher: Option<Launcher>,
    /// Workers that it launched itself.
    workers: Children<()>,
    program: PathBuf,
    /// What says that it runs.
    presence: Presence,
    /// Whether it was said that the manager cannot be asked.
    complained: bool,
    log: Logger,
}

/// Who launches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Launcher {
    /// Our manager, be it that it does not run at the moment.
    Manager,
    /// This process: there is no manager of ours.
    Itself,
}

/// Why an entry could not be launched yet.
#[derive(Debug, thiserror::Error)]
enum Delay {
    #[error(transparent)]
    NotAsked(#[from] CallError),
    #[error("{0}")]
    Undecided(String),
}

impl Scheduler {
    /// Takes up the schedule of a configuration. Without a `launcher` it is the manager if it has a journal; `program` is
    /// our own binary.
    ///
    /// # Errors
    /// When the operating system has no descriptors left.
    pub fn new(
        config: Config,
        launcher: Option<Launcher>,
        program: PathBuf,
        log: Logger,
    ) -> io::Result<Self> {
        let (workers, presence) = (Children::new()?, Presence::of(NAME));
        let mut scheduler =
            Self { config, plan: None, launcher, workers, program, presence, complained: false, log };
        scheduler.make_plan();
        Ok(scheduler)
    }

    /// Has workers launched until a signal ends it. Workers that it launched itself go on.
    ///
    /// # Errors
    /// When the operating system refuses what nothing works without.
    pub fn run(&mut self, signals: &mut Signals, read_again: ReadAgain) -> io::Result<()> {
        loop {
            for signal in signals.take() {
                self.log.info(signal.log_text());
                match signal {
                    Signal::Hangup => {
                        if let Some(config) = read_again() {
                            self.config = config;
                            let scheduled = &self.config.scheduled;
                            self.plan.iter_mut().for_each(|plan| plan.follow(scheduled, Timestamp::now()));
                            self.say_what_is_scheduled();
                        }
                    }
                    Signal::Interrupt | Signal::Terminate => return Ok(()),
                }
            }
            self.workers.reap()?;
            let is_announced = self.presence.announce(&self.config.journal.folder);
            let is_ready = self.plan.is_some() || self.make_plan();
            self.look();
            let is_asked = self.launch_due();
            let pause = self.until_next(Timestamp::now());
            let is_well = is_ready && is_asked && is_announced;
            self.wait(signals, if is_well { pause } else { pause.min(ASK_AGAIN) })?;
        }
    }

    /// Makes the plan, from what the manager has launched so far; false while that cannot be known.
    fn make_plan(&mut self) -> bool {
        let launched = match History::open(&self.config.journal.folder).and_then(|history| history.open_now())
        {
            _ if self.launcher == Some(Launcher::Itself) => BTreeMap::new(),
            Ok(open) => open.scheduled,
            Err(JournalError::None { .. }) => BTreeMap::new(),
            Err(error) => {
                self.complain(&format!("nothing is launched until it is known what was: {error}"));
                return false;
            }
        };
        self.complained = false;
        self.plan = Some(Plan::new(&self.config.scheduled, &launched, Timestamp::now()));
        self.say_what_is_scheduled();
        true
    }

    fn say_what_is_scheduled(&self) {
        self.log.debug(format_args!("scheduled workers: {}", self.config.scheduled.len()));
    }

    /// Says something once, until all is well again.
    fn complain(&mut self, text: &str) {
        if !std::mem::replace(&mut self.complained, true) {
            self.log.error(text);
        }
    }

    /// Takes up what has become due, and says what was missed.
    fn look(&mut self) {
        let Some(plan) = &mut self.plan else { return };
        for missed in plan.look(Timestamp::now()) {
            let last = missed.last.to_zoned_datetime(TimeZone::system());
            self.log.warning(format_args!(
                "{} was not launched for {} of its times, the last one {}: nobody was there; `catch up: latest` or \
                 `all` in its entry launches it after all",
                missed.item,
                missed.count,
                last.strftime("%Y-%m-%d %H:%M:%S")
            ));
        }
    }

    /// Has everything launched that is due. False when the manager could not be asked: then it is tried again.
    fn launch_due(&mut self) -> bool {
        while let Some((scheduled, due)) = self.plan.as_ref().and_then(Plan::first) {
            let scheduled = scheduled.clone();
            let launched = match self.launcher() {
                Launcher::Manager => self.ask(&scheduled, due),
                Launcher::Itself => {
                    self.launch(&worker(&scheduled));
                    Ok(())
                }
            };
            if let Err(error) = launched {
                let item = scheduled.item();
                self.complain(&format!("{item} is due and waits until the manager can be asked: {error}"));
                return false;
            }
            self.complained = false;
            self.plan.iter_mut().for_each(Plan::done);
        }
        true
    }

    fn launcher(&mut self) -> Launcher {
        if let Some(launcher) = self.launcher {
            return launcher;
        }
        // A journal is our manager's; without one it has never run.
        // It stays so, also while the disk is away.
        let opened = History::open(&self.config.journal.folder);
        let launcher = if let Err(JournalError::None { file }) = opened {
            self.log.info(format_args!(
                "there is no journal {}, so workers are launched here, as beside a manager of NEMO_Nowcast",
                file.display()
            ));
            Launcher::Itself
        } else {
            Launcher::Manager
        };
        self.launcher = Some(launcher);
        launcher
    }

    /// Asks the manager for a launch, and logs its answer.
    fn ask(&self, scheduled: &ScheduledWorker, due: Timestamp) -> Result<(), Delay> {
        let command = Command::LaunchScheduled { item: scheduled.item(), due, worker: worker(scheduled) };
        let call = Call { user: NAME.to_owned(), command: Some(command) };
        let answer = call_within(&self.config.journal.folder, &call, PATIENCE)?;
        if answer.is_undecided {
            return Err(Delay::Undecided(answer.text));
        }
        if answer.done {
            self.log.info(answer.text);
        } else {
            self.log.critical(format_args!("{} was not launched: {}", scheduled.item(), answer.text));
        }
        Ok(())
    }

    /// Launches by itself, with the lines that the peer logs. One that cannot be launched is said, and waits for its next
    /// time.
    fn launch(&mut self, worker: &NextWorker) {
        self.log.info(format_args!("launching {worker}"));
        // It is no run of a manager's, so its number is nobody's.
        let location = RunLocation { folder: &self.config.journal.folder, machine: &machine() };
        let started = launch::command(worker, Number(0), &self.config, &self.program, location)
            .map_err(|error| error.to_string())
            .and_then(|command| {
                self.log.debug(format_args!("cmd = {}", python::repr_list(&command.argv)));
                self.workers.start((), &command.argv, &[]).map_err(|error| error.to_string())
            });
        if let Err(error) = started {
            self.log.critical(format_args!("{} was not launched: {error}", worker.name()));
        }
    }

    fn until_next(&self, now: Timestamp) -> Duration {
        let until = self.plan.as_ref().and_then(Plan::next).map(|next| next.duration_since(now));
        until.map_or(LONGEST_PAUSE, |until| Duration::try_from(until).unwrap_or_default()).min(LONGEST_PAUSE)
    }

    fn wait(&self, signals: &Signals, most: Duration) -> io::Result<()> {
        let mut items = [
            PollItem::from_fd(signals.as_raw_fd(), POLLIN),
            PollItem::from_fd(self.workers.as_raw_fd(), POLLIN),
        ];
        socket::poll(&mut items, socket::milliseconds(most)).map_err(io::Error::other)?;
        Ok(())
    }
}

fn worker(scheduled: &ScheduledWorker) -> NextWorker {
    let host = scheduled.host.clone().unwrap_or_else(|| LOCALHOST.to_owned());
    NextWorker { host, ..NextWorker::new(scheduled.module.clone(), scheduled.args.clone()) }
}
