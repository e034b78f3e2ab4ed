//! `nowcast up`: runs the daemons as child processes and restarts those that exit.
//!
//! It knows nothing of messages and never signals a worker: workers belong to the manager.

mod previous;
mod terminal;

use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use rustix::process::Signal as UnixSignal;
use zmq::{POLLIN, PollItem};

use crate::launch::{Environment, WatchedProcesses};
use crate::net::socket;
use crate::signals::Signals;
use nowcast_core::{Ending, Signal};
use pylogging::Logger;

pub use previous::wait_for_previous;
pub use terminal::ControllingTerminal;

/// The option of a daemon with the process of its `nowcast up`, after its command and the configuration file.
pub const END_WITH: &str = "--end-with";

/// The exit status of a daemon that cannot work, for example because its port is in use. At its first start, when a person
/// is watching, it is not restarted.
pub const CANNOT_START: i32 = 2;

/// The first pause before a daemon is restarted; doubled each time up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// After this uptime, the next pause of a daemon is the first one again.
const STABLE_UPTIME: Duration = Duration::from_secs(60);

/// The longest time that the other daemons wait for the first one: it may be unable to tell that it is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(5);

/// The interval between two looks whether the first daemon is ready.
const READY_INTERVAL: Duration = Duration::from_millis(20);

/// The grace period of a daemon between SIGTERM and SIGKILL: the broker waits up to 10 s for replies.
const GRACE: Duration = Duration::from_secs(15);

/// A daemon to supervise.
#[derive(Debug, Clone)]
pub struct Daemon {
    /// Its name in the log.
    pub name: &'static str,
    /// The command line of the first start.
    pub first: Vec<String>,
    /// The command line of each restart.
    pub restart: Vec<String>,
    /// Whether the whole system stops when it exits.
    pub is_last: bool,
}

/// The daemons and their restarts.
pub struct Supervisor {
    log: Logger,
    processes: WatchedProcesses<usize>,
    environment: Environment,
    daemons: Vec<Supervised>,
    /// The condition for the first start of the daemons after the first one.
    awaited: Option<Readiness>,
}

struct Readiness {
    is_ready: Box<dyn Fn() -> bool>,
    deadline: Instant,
}

struct Supervised {
    daemon: Daemon,
    started: Instant,
    starts: u32,
    pause: Duration,
    start_at: Option<Instant>,
}

impl Supervisor {
    /// Start the first of the daemons with these environment variables, and once it is ready the others in their order. If it
    /// cannot start, they never do: a manager would launch workers that wait for a broker.
    ///
    /// # Errors
    /// When the daemon cannot be started.
    pub fn start(
        daemons: Vec<Daemon>,
        environment: Environment,
        is_first_ready: Box<dyn Fn() -> bool>,
        log: Logger,
    ) -> io::Result<Self> {
        let now = Instant::now();
        let daemons = daemons
            .into_iter()
            .enumerate()
            .map(|(index, daemon)| Supervised {
                daemon,
                started: now,
                starts: 0,
                pause: FIRST_PAUSE,
                start_at: (index == 0).then_some(now),
            })
            .collect();
        let awaited = Some(Readiness { is_ready: is_first_ready, deadline: now + READY_TIMEOUT });
        let mut supervisor = Self { log, processes: WatchedProcesses::new()?, environment, daemons, awaited };
        supervisor.start_due()?;
        Ok(supervisor)
    }

    /// Keep the daemons running until a signal comes or the last daemon exits; return the exit status. SIGHUP reloads,
    /// unless the terminal was closed.
    ///
    /// # Errors
    /// When waiting for signals and exits fails.
    pub fn run(mut self, signals: &mut Signals, terminal: ControllingTerminal) -> io::Result<u8> {
        loop {
            self.wait(signals, self.next_start())?;
            for (index, ending) in self.processes.reap()? {
                if let Some(status) = self.exited(index, &ending) {
                    self.stop(signals)?;
                    return Ok(status);
                }
            }
            for signal in signals.take() {
                match signal {
                    Signal::Hangup if terminal.is_closed() => {
                        self.log.info("terminal closed; shutting down...");
                        self.stop(signals)?;
                        return Ok(0);
                    }
                    Signal::Hangup => self.signal_all(UnixSignal::HUP),
                    Signal::Interrupt | Signal::Terminate => {
                        self.log.info(signal.log_text());
                        self.stop(signals)?;
                        return Ok(0);
                    }
                }
            }
            self.start_others_if_ready();
            self.start_due()?;
        }
    }

    fn start_others_if_ready(&mut self) {
        let now = Instant::now();
        let is_over = |awaited: &mut Readiness| awaited.deadline <= now || (awaited.is_ready)();
        if self.awaited.take_if(is_over).is_some() {
            for supervised in self.daemons.iter_mut().skip(1) {
                supervised.start_at = Some(now);
            }
        }
    }

    fn start_due(&mut self) -> io::Result<()> {
        let now = Instant::now();
        for (index, supervised) in self.daemons.iter_mut().enumerate() {
            if supervised.start_at.is_some_and(|start_at| start_at <= now) {
                let argv = if supervised.starts == 0 {
                    &supervised.daemon.first
                } else {
                    &supervised.daemon.restart
                };
                supervised.start_at = None;
                supervised.started = now;
                supervised.starts += 1;
                match self.processes.start(index, argv, &self.environment) {
                    Ok(_) => {}
                    Err(error) if supervised.starts == 1 => return Err(error),
                    // The system may lack memory or processes for a while.
                    Err(error) => {
                        self.log.error(format_args!("{} cannot be started: {error}", supervised.daemon.name));
                        supervised.start_at = Some(now + LONGEST_PAUSE);
                    }
                }
            }
        }
        Ok(())
    }

    /// A daemon exited: return the exit status if the whole system stops.
    fn exited(&mut self, index: usize, ending: &Ending) -> Option<u8> {
        let supervised = self.daemons.get_mut(index)?;
        let name = supervised.daemon.name;
        if supervised.daemon.is_last {
            if !ending.is_success() {
                self.log.error(format_args!("{name} {ending}"));
            }
            return Some(match ending {
                Ending::Status(0) => 0,
                Ending::Status(CANNOT_START) => 2,
                _ => 1,
            });
        }
        if *ending == Ending::Status(CANNOT_START) && supervised.starts == 1 {
            self.log.critical(format_args!(
                "{name} cannot start; stopping. The lines of {name} above give the reason"
            ));
            return Some(2);
        }
        if supervised.started.elapsed() >= STABLE_UPTIME {
            supervised.pause = FIRST_PAUSE;
        }
        let pause = supervised.pause;
        supervised.start_at = Some(Instant::now() + pause);
        supervised.pause = (pause * 2).min(LONGEST_PAUSE);
        self.log.error(format_args!("{name} {ending}; started again in {} s", pause.as_secs_f32()));
        None
    }

    /// Stop the daemons one after the other: the broker first, while the manager still answers open requests. At a second
    /// signal, or after the grace period, all are killed.
    fn stop(&mut self, signals: &mut Signals) -> io::Result<()> {
        for index in 0..self.daemons.len() {
            self.processes.signal(&index, UnixSignal::TERM);
            let end = Instant::now() + GRACE;
            while self.processes.contains(&index) {
                self.wait(signals, Some(end))?;
                self.processes.reap()?;
                if signals.take().iter().any(|signal| signal.ends()) || Instant::now() >= end {
                    self.signal_all(UnixSignal::KILL);
                }
            }
        }
        Ok(())
    }

    fn signal_all(&self, signal: UnixSignal) {
        for index in 0..self.daemons.len() {
            self.processes.signal(&index, signal);
        }
    }

    fn next_start(&self) -> Option<Instant> {
        let look = self.awaited.as_ref().map(|_| Instant::now() + READY_INTERVAL);
        self.daemons.iter().filter_map(|supervised| supervised.start_at).chain(look).min()
    }

    fn wait(&self, signals: &Signals, until: Option<Instant>) -> io::Result<()> {
        let timeout =
            until.map_or(-1, |until| socket::milliseconds(until.saturating_duration_since(Instant::now())));
        let mut items = [
            PollItem::from_fd(signals.as_raw_fd(), POLLIN),
            PollItem::from_fd(self.processes.as_raw_fd(), POLLIN),
        ];
        socket::poll(&mut items, timeout).map_err(io::Error::other)?;
        Ok(())
    }
}

/// End this process when its parent ends, also by `kill -9`: a daemon that outlives its supervisor would block its port
/// for the next one.
///
/// # Errors
/// When the operating system refuses the request.
pub fn end_with_parent(parent: u32) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(UnixSignal::TERM))?;
    let now = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get().unsigned_abs());
    if now != parent {
        // The parent ended before the call above took effect.
        std::process::exit(0);
    }
    Ok(())
}
