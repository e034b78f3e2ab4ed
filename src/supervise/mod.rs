//! `nowcast up`: runs the daemons as child processes and restarts those that exit.
//!
//! It knows nothing of messages and never signals a worker: workers belong to the manager.

mod only_one;
mod operation;
mod output_file;
mod previous;
mod reports;
pub mod request;
mod terminal;

use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal as UnixSignal};
use zmq::{POLLIN, PollItem};

use crate::launch::{Environment, WatchedProcesses};
use crate::net::socket;
use crate::service_manager::ServiceManager;
use crate::signals::Signals;
use nowcast_core::{Ending, Signal};
use pylogging::Logger;

pub use only_one::RunningUp;
use operation::Operation;
pub use operation::UpAccess;
pub use output_file::OutputFile;
pub use previous::wait_for_previous;
use reports::{DaemonReport, Reports};
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

/// The longest time that the loop waits: its socket may have been removed, or its output may be too long.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The grace period of a daemon between SIGTERM and SIGKILL: the broker waits up to 10 s for replies.
const GRACE: Duration = Duration::from_secs(15);

/// A daemon to supervise.
#[derive(Debug, Clone)]
pub struct Daemon {
    /// Its name in the log.
    pub name: &'static str,
    /// Its command, by which operators name it.
    pub command: &'static str,
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
    /// When the daemons after the first one start, if that is not ready before.
    start_others_by: Option<Instant>,
    /// Where operators reach this process; `None` if that cannot be made.
    access: Option<UpAccess>,
    operation: Option<Operation>,
    output: Option<OutputFile>,
    service_manager: ServiceManager,
    /// Whether all daemons have been ready at once.
    was_ready: bool,
}

struct Supervised {
    daemon: Daemon,
    reports: Option<Reports>,
    started: Instant,
    starts: u32,
    pause: Duration,
    start_at: Option<Instant>,
    process: Option<Pid>,
    is_ready: bool,
}

impl Supervisor {
    /// Start the first of the daemons with these environment variables, and once it is ready the others in their order. If it
    /// cannot start, they never do: a manager would launch workers that wait for a broker. Without `access`, it is not known when a
    /// daemon is ready.
    ///
    /// # Errors
    /// When the daemon cannot be started.
    pub fn start(
        daemons: Vec<Daemon>,
        environment: Environment,
        access: Option<UpAccess>,
        output: Option<OutputFile>,
        log: Logger,
    ) -> io::Result<Self> {
        let now = Instant::now();
        let supervised = |(index, daemon): (usize, Daemon)| {
            let reports = access.as_ref().map(|access| access.reports_of(&daemon)).transpose();
            let reports = reports.unwrap_or_else(|error| {
                log.error(format_args!("it will not be known when {} is ready: {error}", daemon.name));
                None
            });
            Supervised {
                daemon,
                reports,
                started: now,
                starts: 0,
                pause: FIRST_PAUSE,
                start_at: (index == 0).then_some(now),
                process: None,
                is_ready: false,
            }
        };
        let daemons = daemons.into_iter().enumerate().map(supervised).collect();
        let mut processes = WatchedProcesses::new()?;
        processes.withhold(&[]);
        let mut supervisor = Self {
            log,
            processes,
            environment,
            daemons,
            start_others_by: Some(now + READY_TIMEOUT),
            access,
            operation: None,
            output,
            service_manager: ServiceManager::of_environment(),
            was_ready: false,
        };
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
            self.wait(signals, Some(self.next_due()))?;
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
            self.receive_reports();
            if let Some(call) = self.receive_requests() {
                self.stop(signals)?;
                self.answer_stopped(call);
                return Ok(0);
            }
            self.continue_operation();
            self.start_others_if_ready();
            self.start_due()?;
            self.maintain();
        }
    }

    fn receive_reports(&mut self) {
        for index in 0..self.daemons.len() {
            let supervised = &mut self.daemons[index];
            for report in supervised.reports.iter().flat_map(Reports::receive).collect::<Vec<_>>() {
                match report {
                    DaemonReport::Ready => supervised.is_ready = supervised.process.is_some(),
                    DaemonReport::Reloaded(result) => {
                        self.operation.iter_mut().for_each(|operation| operation.reloaded(index, &result));
                    }
                }
            }
        }
        if !self.was_ready && self.daemons.iter().all(|supervised| supervised.is_ready) {
            self.was_ready = true;
            self.service_manager.ready();
        }
    }

    fn start_others_if_ready(&mut self) {
        let now = Instant::now();
        let is_ready = self.daemons.first().is_some_and(|first| first.is_ready);
        if self.start_others_by.take_if(|by| is_ready || *by <= now).is_some() {
            // One that an operator restarted meanwhile runs.
            for supervised in
                self.daemons.iter_mut().skip(1).filter(|supervised| supervised.process.is_none())
            {
                supervised.start_at.get_or_insert(now);
            }
        }
    }

    fn maintain(&mut self) {
        self.service_manager.keep_alive();
        if let Some(Err(error)) = self.access.as_mut().and_then(|access| access.control.maintain()) {
            self.log.error(format_args!(
                "the control socket was removed and cannot be made, so operators cannot connect; it is tried again every second: {error}"
            ));
        }
        if let Some(Err(error)) = self.output.as_mut().map(OutputFile::maintain) {
            self.log.warning(format_args!("{error}"));
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
                supervised.is_ready = false;
                // Reports of the previous process.
                supervised.reports.iter().for_each(|reports| _ = reports.receive());
                let mut environment = self.environment.clone();
                environment.extend(supervised.reports.as_ref().map(Reports::variable));
                match self.processes.start(index, argv, &environment) {
                    Ok(process) => supervised.process = Some(process),
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
        (supervised.process, supervised.is_ready) = (None, false);
        if self.operation.as_mut().is_some_and(|operation| operation.exited(index, ending)) {
            supervised.start_at = Some(Instant::now());
            supervised.pause = FIRST_PAUSE;
            return None;
        }
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
            let mut kill_at = Instant::now() + GRACE;
            while self.processes.contains(&index) {
                // Requests and reports are not read any more: waiting for them would return at once.
                wait_for(&mut self.exits_and(signals), Some(kill_at))?;
                self.processes.reap()?;
                if signals.take().iter().any(|signal| signal.ends()) || Instant::now() >= kill_at {
                    self.signal_all(UnixSignal::KILL);
                    kill_at = Instant::now() + GRACE;
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

    fn next_due(&self) -> Instant {
        let now = Instant::now();
        let starts = self.daemons.iter().filter_map(|supervised| supervised.start_at);
        let operation = self.operation.as_ref().map(Operation::due);
        let keep_alive = self.service_manager.due().map(|due| now + due);
        let others = [self.start_others_by, operation, keep_alive].into_iter().flatten();
        starts.chain(others).fold(now + LONGEST_WAIT, Instant::min)
    }

    fn wait(&self, signals: &Signals, until: Option<Instant>) -> io::Result<()> {
        let mut items = self.exits_and(signals);
        let reports = self.daemons.iter().filter_map(|supervised| supervised.reports.as_ref());
        items.extend(reports.map(|reports| PollItem::from_fd(reports.as_raw_fd(), POLLIN)));
        items.extend(self.access.iter().flat_map(|access| access.control.poll_items()));
        wait_for(&mut items, until)
    }

    fn exits_and(&self, signals: &Signals) -> Vec<PollItem<'static>> {
        [signals.as_raw_fd(), self.processes.as_raw_fd()].map(|fd| PollItem::from_fd(fd, POLLIN)).into()
    }
}

fn wait_for(items: &mut [PollItem<'_>], until: Option<Instant>) -> io::Result<()> {
    let timeout =
        until.map_or(-1, |until| socket::milliseconds(until.saturating_duration_since(Instant::now())));
    socket::poll(items, timeout).map_err(io::Error::other)?;
    Ok(())
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
