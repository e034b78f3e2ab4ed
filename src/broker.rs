//! The message broker: takes the workers' requests, hands them to the manager, and brings the
//! replies back.
//!
//! It never looks inside a message. It keeps every request until it is answered, and sends it again to a
//! manager that comes anew: what ZeroMQ had queued for one that died is lost.

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
use crate::config::{Config, ReadAgain, Zmq};
use crate::failpoint;
use crate::net::socket;
use crate::signals::Signals;
use nowcast_core::Signal;
use pylogging::Logger;

/// The name under which the broker logs: the peer's.
pub const NAME: &str = "message_broker";

/// How long the broker waits for open requests when it is told to end.
const DRAIN: Duration = Duration::from_secs(10);

/// Milliseconds that the last replies get to leave the process.
const LINGER: i32 = 1_000;

/// Connections that the operating system completes before they are accepted; it takes less if its own limit
/// (`net.core.somaxconn`) is lower. With the 100 of ZeroMQ, some of a thousand workers that come at once wait
/// for many seconds.
const BACKLOG: i32 = 65_535;

/// Milliseconds without a message after which the recording is written.
const RECORD_PAUSE: i64 = 50;

/// How many messages are moved in one direction before the other has its turn.
const TURN: usize = 256;

/// Why the broker had to stop.
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
        /// What ZeroMQ says.
        error: zmq::Error,
    },
    /// The file for the recording cannot be opened.
    #[error("cannot record to {}: {error}. Name a file in a folder that can be written", .file.display())]
    Record {
        /// Which.
        file: PathBuf,
        /// Why.
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
    /// The journal's folder, for the note whether a manager is connected.
    journal: PathBuf,
    connection: ConnectionNote,
    log: Logger,
    // Declared after the sockets, so that it is dropped after them.
    _context: Context,
}

impl Broker {
    /// Binds the ports. `epoch` is a number that no earlier broker had.
    ///
    /// # Errors
    /// When a port is in use or ZeroMQ fails.
    pub fn bind(config: &Config, epoch: u64, log: Logger) -> Result<Self, BrokerError> {
        let context = Context::new();
        let workers = context.socket(SocketType::ROUTER)?;
        // A ROUTER drops what is over its limit in silence, so there is none for replies, nor between
        // broker and manager.
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

    /// Writes every request and its reply from now on to a file, behind what is in it.
    ///
    /// # Errors
    /// When the file cannot be opened. One that cannot be written later is said, and the recording ends.
    pub fn record(&mut self, file: &Path) -> Result<(), BrokerError> {
        let refuse = |error| BrokerError::Record { file: file.to_owned(), error };
        self.recorder = Some(Recorder::open(file).map_err(refuse)?);
        self.log.info(format_args!("recording messages to {}", file.display()));
        Ok(())
    }

    /// Does something with the recording, if there is one. It never costs more than itself.
    fn recording(&mut self, act: impl FnOnce(&mut Recorder) -> io::Result<()>) {
        let Some(recorder) = &mut self.recorder else { return };
        if let Err(error) = act(recorder) {
            self.log.error(format_args!(
                "the recording {} cannot be written, so nothing is recorded any more: {error}. The broker goes on; \
                 start it anew to record again",
                recorder.path().display()
            ));
            self.recorder = None;
        }
    }

    /// Binds what is not bound yet. Ports that a new configuration no longer names stay bound until
    /// the broker ends, for workers may still wait there.
    fn bind_ports(&mut self, zmq: &Zmq) -> Result<(), BrokerError> {
        for (whose, port) in [("worker", zmq.workers_port), ("manager", zmq.manager_port)] {
            let endpoint = format!("tcp://{}:{port}", zmq.bind_address());
            let other = self.bound.iter().find(|bound| bound.ends_with(&format!(":{port}")));
            if let Some(other) = other.filter(|other| **other != endpoint) {
                self.log
                    .warning(format_args!("port {port} stays bound as {other}; {endpoint} takes a restart"));
            } else if other.is_none() {
                let bound = match whose {
                    "worker" => self.workers.bind(&endpoint),
                    _ => self.manager.bind(&endpoint),
                };
                bound.map_err(|error| BrokerError::Bind { endpoint: endpoint.clone(), port, error })?;
                self.bound.push(endpoint);
            }
            self.log.info(format_args!("{whose} socket bound to port {port}"));
        }
        Ok(())
    }

    /// Moves messages until a signal ends it.
    ///
    /// # Errors
    /// When ZeroMQ fails.
    pub fn run(&mut self, signals: &mut Signals, read_again: ReadAgain) -> Result<(), BrokerError> {
        self.note_connection()?;
        loop {
            let is_pending = self.recorder.as_ref().is_some_and(Recorder::is_pending);
            let is_idle = self.wait(signals, if is_pending { RECORD_PAUSE } else { -1 })? == 0;
            if is_idle {
                self.recording(Recorder::flush);
            }
            for signal in signals.take() {
                self.log.info(signal.log_text());
                match signal {
                    Signal::Hangup => self.reload(read_again),
                    Signal::Interrupt | Signal::Terminate => return self.drain(signals),
                }
            }
            self.receive_requests()?;
            self.forward()?;
        }
    }

    /// Waits for a message in either direction, a manager that comes or goes, or a signal.
    /// Answers how many of these came.
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
                self.log.warning("a client that is no REQ socket sent something; no reply will come");
                continue;
            }
            self.requests.add(frames);
            failpoint::pass("broker: request taken");
        }
        Ok(())
    }

    /// What is done for the requests that are kept, in this order: all that is open is to be sent again, before
    /// anything new is, when the manager may have changed; then requests go there, and replies come back.
    fn forward(&mut self) -> zmq::Result<()> {
        if self.manager.has_changed()? {
            self.resend_open_requests()?;
            self.note_connection()?;
        }
        self.send_requests()?;
        self.return_replies(TURN)
    }

    /// Notes for those who look whether a manager is connected.
    fn note_connection(&mut self) -> zmq::Result<()> {
        let connected = self.manager.is_connected()?;
        self.connection.write(&self.journal, connected);
        Ok(())
    }

    /// A connection was made or lost. A lost one may have been any manager's, so this goes for each loss.
    fn resend_open_requests(&mut self) -> zmq::Result<()> {
        // What was answered before the loss needs no second answer.
        self.return_replies(usize::MAX)?;
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

    fn return_replies(&mut self, most: usize) -> zmq::Result<()> {
        for _ in 0..most {
            let Some(mut frames) = self.manager.receive()? else { break };
            if let Some((number, request)) = self.requests.complete(&mut frames) {
                failpoint::pass("broker: reply taken");
                socket::send(&self.workers, &frames)?;
                failpoint::pass("broker: reply sent");
                self.recording(|recorder| recorder.note(number, request, &frames));
            } else {
                self.log.debug("a reply to a request that is not open was dropped");
            }
        }
        Ok(())
    }

    fn reload(&mut self, read_again: ReadAgain) {
        let Some(config) = read_again() else { return };
        self.redeliver = config.redeliver;
        if let Err(error) = self.bind_ports(&config.zmq) {
            self.log.error(format_args!("{error}. The ports that were bound before stay as they are"));
        }
    }

    /// Brings the replies to the open requests back before it ends; a second signal ends it at once.
    fn drain(&mut self, signals: &mut Signals) -> Result<(), BrokerError> {
        let end = Instant::now() + DRAIN;
        // What has arrived is taken on, and what comes meanwhile: plain workers do not send again.
        self.receive_requests()?;
        if self.requests.len() > 0 {
            let count = self.requests.len();
            self.log.info(format_args!("waiting up to {} s for replies: {count}", DRAIN.as_secs()));
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
        self.recording(Recorder::flush);
        Ok(())
    }
}
