//! The message broker: takes the workers' requests, hands them to the manager, and brings the
//! replies back.
//!
//! It never looks inside a message. It remembers every request until it is answered, so that
//! it can end without leaving a worker behind.

use std::collections::{BTreeSet, VecDeque};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use zmq::{Context, POLLIN, POLLOUT, PollItem, Socket, SocketType};

use crate::config::{ReadAgain, Zmq};
use crate::core::Signal;
use crate::logging::Logger;
use crate::net::socket::{self, Frames};
use crate::net::{Signals, Ticket};

/// The name under which the broker logs: the peer's.
pub const NAME: &str = "message_broker";

/// How long the broker waits for open requests when it is told to end.
const DRAIN: Duration = Duration::from_secs(10);

/// Milliseconds that the last replies get to leave the process.
const LINGER: i32 = 1_000;

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
    /// ZeroMQ failed.
    #[error("ZMQError: {0}")]
    Zmq(#[from] zmq::Error),
}

/// A broker with its ports bound.
pub struct Broker {
    workers: Socket,
    manager: Socket,
    bound: Vec<String>,
    epoch: u64,
    last_number: u64,
    /// Handed to the manager and not answered.
    open: BTreeSet<Ticket>,
    /// Not yet handed to the manager, because none is there.
    waiting: VecDeque<(Ticket, Frames)>,
    log: Logger,
    // Declared after the sockets, so that it is dropped after them.
    _context: Context,
}

impl Broker {
    /// Binds the ports. `epoch` is a number that no earlier broker had.
    ///
    /// # Errors
    /// When a port is in use or ZeroMQ fails.
    pub fn bind(zmq: &Zmq, epoch: u64, log: Logger) -> Result<Self, BrokerError> {
        let context = Context::new();
        let workers = context.socket(SocketType::ROUTER)?;
        let manager = context.socket(SocketType::DEALER)?;
        // A ROUTER drops what is over its limit in silence, so there is none between broker and
        // manager, nor for replies.
        for socket in [&workers, &manager] {
            socket.set_sndhwm(0)?;
            socket.set_rcvhwm(0)?;
            socket.set_linger(LINGER)?;
        }
        let mut broker = Self {
            workers,
            manager,
            bound: Vec::new(),
            epoch,
            last_number: 0,
            open: BTreeSet::new(),
            waiting: VecDeque::new(),
            log,
            _context: context,
        };
        broker.bind_ports(zmq)?;
        Ok(broker)
    }

    /// Binds what is not bound yet. Ports that a new configuration no longer names stay bound until
    /// the broker ends, for workers may still wait there.
    fn bind_ports(&mut self, zmq: &Zmq) -> Result<(), BrokerError> {
        let ports =
            [("worker", zmq.workers_port, &self.workers), ("manager", zmq.manager_port, &self.manager)];
        for (whose, port, socket) in ports {
            let endpoint = format!("tcp://{}:{port}", zmq.bind_address());
            let other = self.bound.iter().find(|bound| bound.ends_with(&format!(":{port}")));
            if let Some(other) = other.filter(|other| **other != endpoint) {
                self.log
                    .warning(format_args!("port {port} stays bound as {other}; {endpoint} takes a restart"));
            } else if other.is_none() {
                socket.bind(&endpoint).map_err(|error| BrokerError::Bind {
                    endpoint: endpoint.clone(),
                    port,
                    error,
                })?;
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
        loop {
            self.wait(signals, true, -1)?;
            for signal in signals.take() {
                self.log.info(signal.log_text());
                match signal {
                    Signal::Hangup => self.reload(read_again),
                    Signal::Interrupt | Signal::Terminate => return self.drain(signals),
                }
            }
            self.take_requests()?;
            self.hand_over()?;
            self.return_replies()?;
        }
    }

    /// Waits for a message in either direction or a signal.
    fn wait(&self, signals: &Signals, requests: bool, timeout: i64) -> zmq::Result<()> {
        // A DEALER without a manager is never writable, so nothing spins while none is there.
        let manager = if self.waiting.is_empty() { POLLIN } else { POLLIN | POLLOUT };
        let mut items =
            vec![PollItem::from_fd(signals.as_raw_fd(), POLLIN), self.manager.as_poll_item(manager)];
        if requests {
            items.push(self.workers.as_poll_item(POLLIN));
        }
        socket::poll(&mut items, timeout).map(|_| ())
    }

    fn take_requests(&mut self) -> zmq::Result<()> {
        for _ in 0..TURN {
            let Some(frames) = socket::receive(&self.workers)? else { break };
            if !frames.iter().any(Vec::is_empty) {
                self.log.warning("a client that is no REQ socket sent something; no reply will come");
                continue;
            }
            self.last_number += 1;
            self.waiting.push_back((Ticket { epoch: self.epoch, number: self.last_number }, frames));
        }
        Ok(())
    }

    fn hand_over(&mut self) -> zmq::Result<()> {
        while let Some((ticket, mut frames)) = self.waiting.pop_front() {
            frames.insert(0, ticket.to_frame());
            let sent = socket::send(&self.manager, &frames);
            if !matches!(sent, Ok(true)) {
                frames.remove(0);
                self.waiting.push_front((ticket, frames));
                return sent.map(|_| ());
            }
            self.open.insert(ticket);
        }
        Ok(())
    }

    fn return_replies(&mut self) -> zmq::Result<()> {
        for _ in 0..TURN {
            let Some(mut frames) = socket::receive(&self.manager)? else { break };
            let ticket = frames.first().and_then(|frame| Ticket::from_frame(frame));
            // A reply whose ticket is not open answers a request of an earlier broker, or one that
            // was answered already.
            if !ticket.is_some_and(|ticket| self.open.remove(&ticket)) {
                self.log.debug("a reply to a request that is not open was dropped");
                continue;
            }
            frames.remove(0);
            socket::send(&self.workers, &frames)?;
        }
        Ok(())
    }

    fn reload(&mut self, read_again: ReadAgain) {
        let Some(config) = read_again() else { return };
        if let Err(error) = self.bind_ports(&config.zmq) {
            self.log.error(format_args!("{error}. The ports that were bound before stay as they are"));
        }
    }

    /// Brings the replies to the open requests back before it ends; a second signal ends it at once.
    fn drain(&mut self, signals: &mut Signals) -> Result<(), BrokerError> {
        let end = Instant::now() + DRAIN;
        let count = self.open.len() + self.waiting.len();
        if count > 0 {
            self.log.info(format_args!("waiting up to {} s for replies: {count}", DRAIN.as_secs()));
        }
        while !(self.open.is_empty() && self.waiting.is_empty()) {
            let left = end.saturating_duration_since(Instant::now());
            let timeout = i64::try_from(left.as_millis()).unwrap_or(0);
            if timeout == 0 || signals.take().iter().any(|signal| signal.ends()) {
                let count = self.open.len() + self.waiting.len();
                self.log.warning(format_args!("ended with unanswered requests: {count}"));
                break;
            }
            self.wait(signals, false, timeout)?;
            self.hand_over()?;
            self.return_replies()?;
        }
        Ok(())
    }
}
