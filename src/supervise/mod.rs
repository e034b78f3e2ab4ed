//! `nowcast up`: the daemons as child processes, started again when they die.
//!
//! It knows nothing of messages, and does not touch the workers: they belong to the manager.

mod terminal;

use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use rustix::process::Signal as Kill;
use zmq::{POLLIN, PollItem};

use crate::launch::{Children, Environment};
use crate::net::socket;
use crate::signals::Signals;
use nowcast_core::{Ending, Signal};
use pylogging::Logger;

pub use terminal::Terminal;

/// The exit status of a daemon that cannot work at all, say because its port is in use. There is no
/// sense in starting it over and over at the first start, when a person is watching.
pub const CANNOT_START: i32 = 2;

/// The first pause before a daemon is started again; doubled each time up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A daemon that ran for so long was well; its next pause is the first one again.
const WELL: Duration = Duration::from_secs(60);

/// How long a daemon may take to end before it is killed: the broker waits up to 10 s for replies.
const GRACE: Duration = Duration::from_secs(15);

/// A daemon to supervise.
#[derive(Debug, Clone)]
pub struct Daemon {
    /// Its name in the log.
    pub name: &'static str,
    /// Its command line at the first start.
    pub first: Vec<String>,
    /// Its command line after it died.
    pub again: Vec<String>,
    /// Whether the whole system ends with it, well if its status is 0.
    pub is_last: bool,
}

/// The daemons, and how they are doing.
pub struct Supervisor {
    log: Logger,
    children: Children<usize>,
    environment: Environment,
    daemons: Vec<Supervised>,
}

struct Supervised {
    daemon: Daemon,
    started: Instant,
    starts: u32,
    pause: Duration,
    due: Option<Instant>,
}

impl Supervisor {
    /// Starts every daemon, in the order given, with these environment variables.
    ///
    /// # Errors
    /// When our own binary cannot be started.
    pub fn start(daemons: Vec<Daemon>, environment: Environment, log: Logger) -> io::Result<Self> {
        let now = Instant::now();
        let daemons = daemons
            .into_iter()
            .map(|daemon| Supervised { daemon, started: now, starts: 0, pause: FIRST_PAUSE, due: Some(now) })
            .collect();
        let mut supervisor = Self { log, children: Children::new()?, environment, daemons };
        supervisor.start_due()?;
        Ok(supervisor)
    }

    /// Keeps them running until a signal ends it or the system has finished; answers the exit status. SIGHUP is a reload
    /// unless it says that the terminal was closed.
    ///
    /// # Errors
    /// When the operating system refuses what nothing works without.
    pub fn run(mut self, signals: &mut Signals, terminal: Terminal) -> io::Result<u8> {
        loop {
            self.wait(signals, self.next_due())?;
            for (index, ending) in self.children.reap()? {
                if let Some(status) = self.ended(index, &ending) {
                    self.stop(signals)?;
                    return Ok(status);
                }
            }
            for signal in signals.take() {
                match signal {
                    Signal::Hangup if terminal.is_gone() => {
                        self.log.info("terminal closed; shutting down...");
                        self.stop(signals)?;
                        return Ok(0);
                    }
                    Signal::Hangup => self.signal_all(Kill::HUP),
                    Signal::Interrupt | Signal::Terminate => {
                        self.log.info(signal.log_text());
                        self.stop(signals)?;
                        return Ok(0);
                    }
                }
            }
            self.start_due()?;
        }
    }

    fn start_due(&mut self) -> io::Result<()> {
        let now = Instant::now();
        for (index, supervised) in self.daemons.iter_mut().enumerate() {
            if supervised.due.is_some_and(|due| due <= now) {
                let argv =
                    if supervised.starts == 0 { &supervised.daemon.first } else { &supervised.daemon.again };
                supervised.due = None;
                supervised.started = now;
                supervised.starts += 1;
                match self.children.start(index, argv, &self.environment) {
                    Ok(()) => {}
                    Err(error) if supervised.starts == 1 => return Err(error),
                    // Short of memory or processes, perhaps; better in a while.
                    Err(error) => {
                        self.log.error(format_args!("{} cannot be started: {error}", supervised.daemon.name));
                        supervised.due = Some(now + LONGEST_PAUSE);
                    }
                }
            }
        }
        Ok(())
    }

    /// A daemon ended: the exit status if that is the end of the system.
    fn ended(&mut self, index: usize, ending: &Ending) -> Option<u8> {
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
            self.log
                .critical(format_args!("{name} cannot work, so nothing is started; its lines above say why"));
            return Some(2);
        }
        if supervised.started.elapsed() >= WELL {
            supervised.pause = FIRST_PAUSE;
        }
        let pause = supervised.pause;
        supervised.due = Some(Instant::now() + pause);
        supervised.pause = (pause * 2).min(LONGEST_PAUSE);
        self.log.error(format_args!("{name} {ending}; started again in {} s", pause.as_secs_f32()));
        None
    }

    /// Ends the daemons one after the other: the broker first, while the manager still answers what
    /// is open. A second signal, or none of them ending in time, kills.
    fn stop(&mut self, signals: &mut Signals) -> io::Result<()> {
        for index in 0..self.daemons.len() {
            self.children.signal(&index, Kill::TERM);
            let end = Instant::now() + GRACE;
            while self.children.contains(&index) {
                self.wait(signals, Some(end))?;
                self.children.reap()?;
                if signals.take().iter().any(|signal| signal.ends()) || Instant::now() >= end {
                    self.signal_all(Kill::KILL);
                }
            }
        }
        Ok(())
    }

    fn signal_all(&self, signal: Kill) {
        for index in 0..self.daemons.len() {
            self.children.signal(&index, signal);
        }
    }

    fn next_due(&self) -> Option<Instant> {
        self.daemons.iter().filter_map(|supervised| supervised.due).min()
    }

    fn wait(&self, signals: &Signals, until: Option<Instant>) -> io::Result<()> {
        let timeout =
            until.map_or(-1, |until| socket::milliseconds(until.saturating_duration_since(Instant::now())));
        let mut items = [
            PollItem::from_fd(signals.as_raw_fd(), POLLIN),
            PollItem::from_fd(self.children.as_raw_fd(), POLLIN),
        ];
        socket::poll(&mut items, timeout).map_err(io::Error::other)?;
        Ok(())
    }
}

/// Ends this process when the one that started it does, be it by `kill -9`: a daemon that outlives its
/// supervisor would keep its port from the next one.
///
/// # Errors
/// When the operating system refuses.
pub fn end_with_parent(parent: u32) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Kill::TERM))?;
    let now = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get().unsigned_abs());
    if now != parent {
        // It ended before the call above took hold.
        std::process::exit(0);
    }
    Ok(())
}
