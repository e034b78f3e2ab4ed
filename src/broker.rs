//! The message broker: forwards requests from workers to the manager, and replies back.
//!
//! It never looks inside a message. It keeps every request until its reply comes, and sends it again to a manager
//! that connects again: ZeroMQ loses what it had queued for one that died.

mod manager_socket;
mod presence;
pub mod record;
mod requests;

use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use zmq::{Context, POLLIN, PollItem, Socket, SocketType};

use self::manager_socket::ManagerSocket;
use self::presence::ConnectionNote;
pub use self::presence::ManagerConnection;
use self::record::Recorder;
use self::requests::Requests;
use crate::config::{Config, ReloadConfig, Zmq};
use crate::failpoint;
use crate::net::socket;
use crate::orphans;
use crate::signals::Signals;
use nowcast_core::Signal;
use pylogging::Logger;

/// The name under which the broker logs, as in NEMO_Nowcast.
pub const NAME: &str = "message_broker";

/// How long the broker waits for replies to open requests when it stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The time in milliseconds for the last replies to leave the process.
const LINGER: i32 = 1_000;

/// Connections that the operating system completes before they are accepted; its own limit (`net.core.somaxconn`)
/// may be lower. With the 100 of ZeroMQ, some of a thousand workers that connect at once wait for many seconds.
const BACKLOG: i32 = 65_535;

/// The time in milliseconds without a message after which the recording is written.
const RECORD_PAUSE: i64 = 50;

/// The most messages that are moved in one direction before the other has its turn.
const TURN: usize = 256;

/// Why the broker cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// A port could not be bound.
    #[error(
        "cannot bind {endpoint}: {error}. Is another message broker running, or does something else use port {port}? \
         (`ss -ltnp 'sport = :{port}'` shows what)"
    )]
    Bind {
        /// The address.
        endpoint: String,
        /// The port in it.
        port: u16,
        /// The error of ZeroMQ.
        error: zmq::Error,
    },
    /// The file for the recording cannot be opened.
    #[error("cannot record to {}: {error}. Name a file in a folder that can be written", .file.display())]
    Record {
        /// Its path.
        file: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// ZeroMQ failed.
    #[error("ZMQError: {0}")]
    Zmq(#[from] zmq::Error),
}

/// A broker with its ports bound.
pub struct Broker {
    workers: Socket,
    manager: ManagerSocket,
    bound: Vec<String>,
    requests: Requests,
    /// `broker: redeliver`
    redeliver: bool,
    recorder: Option<Recorder>,
    /// The journal's folder, in which the broker notes whether a manager is connected.
    journal: PathBuf,
    connection: ConnectionNote,
    log: Logger,
    // Declared after the sockets, so that it is dropped after them.
    _context: Context,
}

impl Broker {
    /// Bind the ports. `epoch` is a number that no earlier broker had.
    ///
    /// # Errors
    /// A port is in use, or ZeroMQ fails.
    pub fn bind(config: &Config, epoch: u64, log: Logger) -> Result<Self, BrokerError> {
        let context = Context::new();
        let workers = context.socket(SocketType::ROUTER)?;
        // A ROUTER silently discards messages over its limit, so there is no limit for replies, nor between broker and
        // manager.
        workers.set_sndhwm(0)?;
        workers.set_rcvhwm(0)?;
        workers.set_linger(LINGER)?;
        workers.set_backlog(BACKLOG)?;
        let manager = ManagerSocket::new(&context, epoch, LINGER)?;
        let mut broker = Self {
            workers,
            manager,
            bound: Vec::new(),
            requests: Requests::new(epoch),
            redeliver: config.redeliver,
            recorder: None,
            journal: config.journal.folder.clone(),
            connection: ConnectionNote::new(),
            log,
            _context: context,
        };
        broker.bind_ports(&config.zmq)?;
        Ok(broker)
    }

    /// Append every request and its reply to a file from now on.
    ///
    /// # Errors
    /// The file cannot be opened. If it cannot be written later, the broker logs that and stops recording.
    pub fn record(&mut self, file: &Path) -> Result<(), BrokerError> {
        let refuse = |error| BrokerError::Record { file: file.to_owned(), error };
        self.recorder = Some(Recorder::open(file).map_err(refuse)?);
        self.log.info(format_args!("recording messages to {}", file.display()));
        Ok(())
    }

    /// Use the recording, if there is one. A failure ends the recording and nothing else.
    fn with_recording(&mut self, act: impl FnOnce(&mut Recorder) -> io::Result<()>) {
        let Some(recorder) = &mut self.recorder else { return };
        if let Err(error) = act(recorder) {
            self.log.error(format_args!(
                "the recording {} cannot be written, so nothing is recorded any more: {error}. The broker goes on; \
                 restart it to record again",
                recorder.path().display()
            ));
            self.recorder = None;
        }
    }

    /// Bind the ports that are not bound yet. Ports that a new configuration no longer names stay bound until the
    /// broker ends: workers may still wait there.
    fn bind_ports(&mut self, zmq: &Zmq) -> Result<(), BrokerError> {
        for (client, port) in [("worker", zmq.workers_port), ("manager", zmq.manager_port)] {
            let endpoint = format!("tcp://{}:{port}", zmq.bind_address());
            let other = self.bound.iter().find(|bound| bound.ends_with(&format!(":{port}")));
            if let Some(other) = other.filter(|other| **other != endpoint) {
                self.log
                    .warning(format_args!("port {port} stays bound as {other}; {endpoint} takes a restart"));
            } else if other.is_none() {
                let bound = match client {
                    "worker" => self.workers.bind(&endpoint),
                    _ => self.manager.bind(&endpoint),
                };
                bound.map_err(|error| BrokerError::Bind { endpoint: endpoint.clone(), port, error })?;
                self.bound.push(endpoint);
            }
            self.log.info(format_args!("{client} socket bound to port {port}"));
        }
        Ok(())
    }

    /// Forward messages until a signal ends it.
    ///
    /// # Errors
    /// ZeroMQ fails.
    pub fn run(&mut self, signals: &mut Signals, reload_config: ReloadConfig) -> Result<(), BrokerError> {
        self.note_connection()?;
        loop {
            let is_pending = self.recorder.as_ref().is_some_and(Recorder::is_pending);
            let is_idle = self.wait(signals, if is_pending { RECORD_PAUSE } else { -1 })? == 0;
            if is_idle {
                self.with_recording(Recorder::flush);
            }
            for signal in signals.take() {
                self.log.info(signal.log_text());
                match signal {
                    Signal::Hangup => self.reload(reload_config),
                    Signal::Interrupt | Signal::Terminate => return self.drain(signals),
                }
            }
            self.receive_requests()?;
            self.forward()?;
            orphans::reap(|_, _| ());
        }
    }

    /// Wait for a message in either direction, a change of the manager's connection, or a signal. Return how many of
    /// these came.
    fn wait(&self, signals: &Signals, timeout: i64) -> zmq::Result<i32> {
        let [manager, connections] = self.manager.as_poll_items(self.requests.unsent().is_some());
        let signals = PollItem::from_fd(signals.as_raw_fd(), POLLIN);
        let mut items = [signals, manager, connections, self.workers.as_poll_item(POLLIN)];
        let timeout = if self.manager.has_unreported_loss() { 0 } else { timeout };
        socket::poll(&mut items, timeout)
    }

    fn receive_requests(&mut self) -> zmq::Result<()> {
        for _ in 0..TURN {
            let Some(frames) = socket::receive(&self.workers)? else { break };
            if !frames.iter().any(Vec::is_empty) {
                self.log.warning("a message came from a client that is not a REQ socket; no reply will come");
                continue;
            }
            self.requests.add(frames);
            failpoint::pass("broker: request taken");
        }
        Ok(())
    }

    /// Forward requests and replies. If the manager may have changed, open requests are sent again before new ones.
    fn forward(&mut self) -> zmq::Result<()> {
        if self.manager.has_changed()? {
            self.resend_open_requests()?;
            self.note_connection()?;
        }
        self.send_requests()?;
        self.return_replies(TURN)
    }

    /// Note for `nowcast status` whether a manager is connected.
    fn note_connection(&mut self) -> zmq::Result<()> {
        let connected = self.manager.is_connected()?;
        self.connection.write(&self.journal, connected);
        Ok(())
    }

    /// Send all open requests again: a connection was made or lost, and a lost one may have been any manager's.
    fn resend_open_requests(&mut self) -> zmq::Result<()> {
        // Requests whose replies came before the loss are not sent again.
        self.return_replies(usize::MAX)?;
        self.requests.forget_sent();
        if self.redeliver {
            let count = self.requests.mark_unsent();
            if count > 0 {
                self.log.info(format_args!(
                    "a connection to the manager's port was made or lost; requests to send again: {count}"
                ));
            }
        }
        Ok(())
    }

    fn send_requests(&mut self) -> zmq::Result<()> {
        if self.requests.unsent().is_none() || !self.manager.is_ready()? {
            return Ok(());
        }
        for _ in 0..TURN {
            let Some(request) = self.requests.unsent() else { break };
            if !self.manager.send(request)? {
                break;
            }
            self.requests.mark_sent();
            failpoint::pass("broker: request handed over");
        }
        Ok(())
    }

    fn return_replies(&mut self, limit: usize) -> zmq::Result<()> {
        for _ in 0..limit {
            let Some(mut frames) = self.manager.receive()? else { break };
            if let Some((number, request)) = self.requests.complete(&mut frames) {
                failpoint::pass("broker: reply taken");
                socket::send(&self.workers, &frames)?;
                failpoint::pass("broker: reply sent");
                self.with_recording(|recorder| recorder.note(number, request, &frames));
            } else {
                self.log.debug("a reply to a request that is not open was discarded");
            }
        }
        Ok(())
    }

    fn reload(&mut self, reload_config: ReloadConfig) {
        let Some(config) = reload_config() else { return };
        self.redeliver = config.redeliver;
        if let Err(error) = self.bind_ports(&config.zmq) {
            self.log.error(format_args!("{error}. The ports that were bound before stay as they are"));
        }
    }

    /// Return the replies to open requests before the broker ends; a second signal ends it at once.
    fn drain(&mut self, signals: &mut Signals) -> Result<(), BrokerError> {
        let end = Instant::now() + DRAIN_TIMEOUT;
        // Requests that have arrived, or arrive meanwhile, are served too: plain workers do not send again.
        self.receive_requests()?;
        if self.requests.len() > 0 {
            let count = self.requests.len();
            self.log.info(format_args!("waiting up to {} s for replies: {count}", DRAIN_TIMEOUT.as_secs()));
        }
        while self.requests.len() > 0 {
            let left = end.saturating_duration_since(Instant::now());
            let timeout = i64::try_from(left.as_millis()).unwrap_or(0);
            if timeout == 0 || signals.take().iter().any(|signal| signal.ends()) {
                let count = self.requests.len();
                self.log.warning(format_args!("ended with unanswered requests: {count}"));
                break;
            }
            self.wait(signals, timeout)?;
            self.receive_requests()?;
            self.forward()?;
        }
        self.with_recording(Recorder::flush);
        Ok(())
    }
}
