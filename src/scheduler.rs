//! The scheduler: has workers launched when their time comes.
//!
//! It is a clock and keeps nothing. It asks the manager for each launch, by the worker's name in the schedule and the
//! time; the manager keeps both and launches once, so that whoever of them dies, each time comes once. Beside
//! a manager of the peer's, which cannot be asked, it launches by itself, as the peer's scheduler does.

mod due;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use zmq::{POLLIN, PollItem};

use self::due::Plan;
use crate::config::{Config, ReadAgain, ScheduledWorker};
use crate::core::next_worker::LOCALHOST;
use crate::core::{Command, NextWorker, Number, Signal};
use crate::launch::on_host::machine;
use crate::launch::{self, Children, Place};
use crate::logging::Logger;
use crate::net::call::{Call, CallError, call_within};
use crate::net::{Signals, socket};
use crate::store::journal::JournalError;
use crate::store::{History, Presence};
use crate::yaml::python;

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
    plan: Plan,
    /// Whether it launches by itself, whatever manager there is.
    alone: bool,
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
enum Launcher {
    /// Our manager, be it that it does not run at the moment.
    Manager,
    /// This process: there is no manager of ours.
    Itself,
}

impl Scheduler {
    /// Takes up the schedule of a configuration. `alone` has it launch by itself, also beside our manager; `program` is
    /// our own binary.
    ///
    /// # Errors
    /// When the operating system has no descriptors left.
    pub fn new(config: Config, alone: bool, program: PathBuf, log: Logger) -> io::Result<Self> {
        let workers = Children::new()?;
        let mut scheduler = Self {
            config,
            plan: Plan::default(),
            alone,
            workers,
            program,
            presence: Presence::of(NAME),
            complained: false,
            log,
        };
        scheduler.follow();
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
                            self.follow();
                        }
                    }
                    Signal::Interrupt | Signal::Terminate => return Ok(()),
                }
            }
            self.workers.reap()?;
            let is_announced = self.presence.announce(&self.config.journal.folder);
            let now = Timestamp::now();
            for missed in self.plan.look(now) {
                self.log.warning(format_args!(
                    "{} was not launched for {} of its times, the last one {}: nobody was there; `catch up: latest` \
                     or `all` in its entry launches it after all",
                    missed.item,
                    missed.count,
                    missed.last.to_zoned_datetime(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S")
                ));
            }
            let is_asked = self.launch_due();
            let pause = self.until_next(Timestamp::now());
            self.wait(signals, if is_asked && is_announced { pause } else { pause.min(ASK_AGAIN) })?;
        }
    }

    /// Follows the schedule of the configuration, from where the one before and the journal are.
    fn follow(&mut self) {
        let launched = match History::open(&self.config.journal.folder).and_then(|history| history.open_now())
        {
            Ok(open) => open.scheduled,
            Err(JournalError::None { .. }) => BTreeMap::new(),
            Err(error) => {
                self.log.warning(format_args!("which times were missed is not known: {error}"));
                BTreeMap::new()
            }
        };
        let before = std::mem::take(&mut self.plan);
        self.plan = Plan::new(&self.config.scheduled, &launched, before, Timestamp::now());
        self.log.debug(format_args!("scheduled workers: {}", self.config.scheduled.len()));
    }

    /// Has everything launched that is due. False when the manager could not be asked: then it is tried again.
    fn launch_due(&mut self) -> bool {
        while let Some((scheduled, due)) = self.plan.first() {
            let scheduled = scheduled.clone();
            let launched = match self.launcher() {
                Launcher::Manager => self.ask(&scheduled, due),
                Launcher::Itself => {
                    self.launch(&worker(&scheduled));
                    Ok(())
                }
            };
            if let Err(error) = launched {
                if !std::mem::replace(&mut self.complained, true) {
                    self.log.error(format_args!(
                        "{} is due and waits until the manager can be asked: {error}",
                        scheduled.item()
                    ));
                }
                return false;
            }
            self.complained = false;
            self.plan.done();
        }
        true
    }

    fn launcher(&self) -> Launcher {
        // A journal is our manager's; without one it has never run.
        let has_none =
            || matches!(History::open(&self.config.journal.folder), Err(JournalError::None { .. }));
        if self.alone || has_none() { Launcher::Itself } else { Launcher::Manager }
    }

    /// Asks the manager for a launch, and logs its answer.
    fn ask(&self, scheduled: &ScheduledWorker, due: Timestamp) -> Result<(), CallError> {
        let command = Command::LaunchScheduled { item: scheduled.item(), due, worker: worker(scheduled) };
        let call = Call { user: NAME.to_owned(), command: Some(command) };
        let answer = call_within(&self.config.journal.folder, &call, PATIENCE)?;
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
        let place = Place { folder: &self.config.journal.folder, machine: &machine() };
        let started = launch::command(worker, Number(0), &self.config, &self.program, place)
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
        let until = self.plan.next().map(|next| next.duration_since(now));
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
