//! Publishes log lines to log aggregators on any host, in the frames that NEMO_Nowcast makes with pyzmq's `PUBHandler`.
//!
//! The publisher never blocks a running program: a thread owns the socket and takes lines from a queue. Lines also wait
//! in the queue while there is no subscriber. Lines that no subscriber has received go to stderr, so none is lost
//! silently.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use zmq::{Context, POLLIN, PollItem, Socket, SocketType};

use super::Publishing;
use super::subscriptions::{self, MAX_MESSAGES, MAX_TOPIC_BYTES, Noted, Subscriptions};
use crate::config::{CurveSettings, Port};
use crate::net::curve::{self, CurveServer, KeyError};
use crate::net::disconnect::disconnect;
use crate::net::port_access::PortAccess;
use crate::net::rare_line::RareLine;
use crate::net::socket::{self, Sender};
use crate::net::watch::WakeOn;
use crate::net::{ConnectionWatch, Zap};
use pylogging::{Level, LogRecord, Logger, Publisher, say, show_on_stderr};

/// The time after binding its port during which an exiting program waits for a subscriber. A subscriber that failed to
/// connect tries again every 100 to 200 ms, and the machine may be busy. (NEMO_Nowcast waits for 250 ms at each start.)
const SUBSCRIBER_TIMEOUT: Duration = Duration::from_secs(1);

/// The interval between attempts to bind a port.
const BIND_INTERVAL: Duration = Duration::from_millis(250);

/// The time limit in milliseconds for sending the last lines.
const LINGER: i32 = 1_000;

/// More time for the thread on a busy machine, where it may not run for seconds.
const MARGIN: Duration = Duration::from_secs(5);

/// The maximum number of lines that ZeroMQ queues for a slow subscriber; it discards lines over the limit.
const MAX_QUEUED: i32 = 100_000;

/// The maximum size in bytes of the lines that wait while there is no subscriber.
const MAX_WAITING: usize = 4 << 20;

/// The maximum size in bytes of the lines that wait in any case; later ones are shown on stderr.
const MAX_BACKLOG: usize = 64 << 20;

/// The most reports of the socket, and connections, that are handled before lines are sent.
const TURN: usize = 1_000;

/// The approximate size in bytes of a line without its text.
const OVERHEAD: usize = 200;

/// The publishers of this process, so that a reloaded configuration keeps its port: one, or two while a configuration
/// is being replaced.
static ALL: Mutex<Vec<Weak<ZmqPublisher>>> = Mutex::new(Vec::new());

/// A publisher of lines under one name.
#[derive(Debug)]
pub(super) struct ZmqPublisher {
    topic: String,
    addresses: Vec<String>,
    shared: Arc<PublisherShared>,
}

#[derive(Debug)]
struct PublisherShared {
    lines: Mutex<Backlog>,
    /// The event descriptor that wakes the thread.
    wake: OwnedFd,
    has_ended: Condvar,
    /// The clients that may subscribe.
    access: Mutex<PortAccess>,
    /// Whether that has changed since the thread has looked at its connections.
    is_access_new: AtomicBool,
}

/// Why a publisher cannot start.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    /// The key files cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// ZeroMQ or the operating system has run out of resources.
    #[error(transparent)]
    System(#[from] io::Error),
}

impl From<zmq::Error> for StartError {
    fn from(error: zmq::Error) -> Self {
        Self::System(error.into())
    }
}

#[derive(Debug, Default)]
struct Backlog {
    waiting: VecDeque<LogRecord<'static>>,
    bytes: usize,
    bound: Option<String>,
    is_ending: bool,
    has_ended: bool,
}

impl ZmqPublisher {
    /// Return the publisher of a program: an existing one that serves one of its addresses, or a new one.
    ///
    /// A new publisher binds the first free address. If none is free, the reason is returned too, and it keeps trying.
    ///
    /// # Errors
    /// When ZeroMQ or the operating system has run out of resources, or the key files cannot be used.
    pub fn obtain(publishing: &Publishing) -> Result<(Arc<Self>, Option<zmq::Error>), StartError> {
        let Publishing { name: topic, addresses, security, curve } = publishing;
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|publisher| publisher.strong_count() > 0);
        let serves = |publisher: &Arc<Self>| publisher.topic == *topic && publisher.serves(addresses);
        if let Some(publisher) = all.iter().filter_map(Weak::upgrade).find(serves) {
            let mut access = publisher.shared.access();
            access.report_new_curve(curve.as_ref());
            let reloaded = access.reload(security);
            drop(access);
            // New networks are in force although a key file cannot be read.
            publisher.shared.is_access_new.store(true, Ordering::Release);
            publisher.shared.wake();
            reloaded?;
            return Ok((publisher, None));
        }
        let (publisher, error) = Self::start(publishing)?;
        let publisher = Arc::new(publisher);
        all.push(Arc::downgrade(&publisher));
        Ok((publisher, error))
    }

    fn start(publishing: &Publishing) -> Result<(Self, Option<zmq::Error>), StartError> {
        let Publishing { name: topic, addresses, security, curve } = publishing;
        let context = Context::new();
        let access = PortAccess::new(Port::Logging, security, curve.as_ref(), Logger::new(topic))?;
        let zap = Zap::bind(&context)?;
        let socket = make_socket(&context, curve.as_ref())?;
        let probe = make_probe(&context, &socket)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(io::Error::from)?;
        let shared = Arc::new(PublisherShared {
            lines: Mutex::default(),
            wake,
            has_ended: Condvar::new(),
            access: Mutex::new(access),
            is_access_new: AtomicBool::new(false),
        });
        // Nothing may fail after it: its thread ends only when the socket is closed.
        let watch = ConnectionWatch::start(&context, &socket, "logging", WakeOn::Shortages)?;
        let addresses = addresses.clone();
        let publisher =
            Self { topic: topic.to_owned(), addresses: addresses.clone(), shared: Arc::clone(&shared) };
        let mut thread = SocketThread {
            topic: topic.to_owned(),
            addresses,
            shared,
            subscriptions: Subscriptions::new(topic),
            bound: None,
            has_complained: false,
            admitted: 0,
            excess: RareLine::new(Level::WARNING, Logger::new(topic)),
            probe,
            socket,
            zap,
            watch,
            context,
        };
        let error = thread.bind().err();
        std::thread::Builder::new().name("publisher".to_owned()).spawn(move || thread.run())?;
        Ok((publisher, error))
    }

    /// Return whether one of these addresses is bound, or the publisher is trying to bind these addresses.
    fn serves(&self, addresses: &[String]) -> bool {
        let lines = self.shared.lock();
        !lines.is_ending
            && lines.bound.as_ref().map_or(self.addresses == addresses, |bound| addresses.contains(bound))
    }

    /// Return the bound address, such as `tcp://*:5560`.
    pub fn address(&self) -> Option<String> {
        self.shared.lock().bound.clone()
    }
}

impl Publisher for ZmqPublisher {
    /// Publish a line. As with pyzmq, lines of levels without a name are not published.
    fn publish(&self, record: &LogRecord<'_>) {
        if !has_topic(record.level) {
            return;
        }
        let mut lines = self.shared.lock();
        if lines.has_ended || lines.bytes > MAX_BACKLOG {
            drop(lines);
            show_on_stderr(record);
            return;
        }
        lines.bytes += cost(record);
        lines.waiting.push_back(record.kept());
        drop(lines);
        self.shared.wake();
    }

    /// Publish the waiting lines and stop. Wait at most [`SUBSCRIBER_TIMEOUT`] plus [`LINGER`] plus [`MARGIN`]; lines that are left then are
    /// shown on stderr.
    fn finish(&self) {
        let most = SUBSCRIBER_TIMEOUT + Duration::from_millis(LINGER.unsigned_abs().into()) + MARGIN;
        let end = Instant::now() + most;
        let mut lines = self.shared.lock();
        lines.is_ending = true;
        self.shared.wake();
        while !lines.has_ended {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.shared.has_ended.wait_timeout(lines, left);
            lines = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let left = std::mem::take(&mut lines.waiting);
        drop(lines);
        left.iter().for_each(show_on_stderr);
    }
}

impl Drop for ZmqPublisher {
    fn drop(&mut self) {
        self.shared.lock().is_ending = true;
        self.shared.wake();
    }
}

impl PublisherShared {
    fn lock(&self) -> MutexGuard<'_, Backlog> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn access(&self) -> MutexGuard<'_, PortAccess> {
        self.access.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // The write fails only if the counter is full, and then the thread wakes anyway.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

fn cost(record: &LogRecord<'_>) -> usize {
    record.message.len() + OVERHEAD
}

/// Return whether lines of this level can be published: NEMO_Nowcast's aggregator exits at an unknown level.
fn has_topic(level: Level) -> bool {
    [Level::DEBUG, Level::INFO, Level::WARNING, Level::ERROR, Level::CRITICAL].contains(&level)
}

/// Return the topic and the message as pyzmq sends them, except that messages with `::` stay whole: pyzmq splits them,
/// and NEMO_Nowcast's aggregator exits on that.
fn frames(topic: &str, record: &LogRecord<'_>) -> [String; 2] {
    [format!("{topic}.{}", record.level), format!("{}\n", record.message)]
}

/// The maximum size of a received frame in bytes; a subscriber that sends a larger one is disconnected. Handshakes take less.
const MAX_FRAME: i64 = 1_024;

/// The messages of a connection that `libzmq` takes ahead: one subscription, as the name that ZAP gave its user counts as a message that is
/// never read. With more, a flood of one connection keeps `libzmq` in one call: it reads while there is something to read, and to read a
/// topic takes longer than to receive it.
const RECEIVED_AHEAD: i32 = 2;

/// The bytes that the operating system takes ahead from a connection: they are read even if the connection is ended.
const RECEIVE_BUFFER: i32 = 8_192;

/// The time limit of a handshake in milliseconds. A connection that is refused ends then, and its other end tries again.
const HANDSHAKE_TIMEOUT: i32 = 5_000;

/// The address of the probe's connection.
const PROBE: &str = "inproc://subscriptions";

/// Make the socket of a publisher: an XPUB is a PUB socket that also delivers subscriptions.
fn make_socket(context: &Context, curve: Option<&CurveSettings>) -> Result<Socket, KeyError> {
    let socket = context.socket(SocketType::XPUB)?;
    socket.set_sndhwm(MAX_QUEUED)?;
    socket.set_rcvhwm(RECEIVED_AHEAD)?;
    socket.set_rcvbuf(RECEIVE_BUFFER)?;
    socket.set_maxmsgsize(MAX_FRAME)?;
    socket.set_handshake_ivl(HANDSHAKE_TIMEOUT)?;
    socket.set_xpub_verbose(true)?;
    socket.set_linger(LINGER)?;
    curve::secure_server(&socket, curve, CurveServer::Logging)?;
    socket.set_zap_domain(Port::Logging.name())?;
    Ok(socket)
}

/// Make the socket that asks whether a topic is subscribed to.
fn make_probe(context: &Context, socket: &Socket) -> zmq::Result<Socket> {
    socket.bind(PROBE)?;
    let probe = context.socket(SocketType::XSUB)?;
    probe.set_sndhwm(0)?;
    probe.set_linger(0)?;
    probe.connect(PROBE)?;
    Ok(probe)
}

/// The thread that owns the socket.
struct SocketThread {
    topic: String,
    addresses: Vec<String>,
    shared: Arc<PublisherShared>,
    subscriptions: Subscriptions,
    bound: Option<BoundPort>,
    /// Whether the lack of a subscriber was reported.
    has_complained: bool,
    /// How many connections were admitted.
    admitted: u64,
    /// Tells of connections that were ended because they sent too much.
    excess: RareLine,
    /// Subscribes for a moment to topics that may be cancelled.
    probe: Socket,
    socket: Socket,
    /// Asks for each connection. Dropped after the socket, which would admit all connections without it.
    zap: Zap,
    /// Counts the connections.
    watch: ConnectionWatch,
    // Declared after the sockets, to be dropped after them: dropping the context waits until the last lines are sent.
    context: Context,
}

/// The port of a publisher.
#[derive(Debug, Clone, Copy)]
struct BoundPort {
    port: u16,
    since: Instant,
}

impl SocketThread {
    /// Bind the first free address, or return the error of the last one.
    fn bind(&mut self) -> Result<(), zmq::Error> {
        let mut result = Err(zmq::Error::EADDRNOTAVAIL);
        for address in &self.addresses {
            result = self.socket.bind(address);
            if result.is_ok() {
                let endpoint = self.socket.get_last_endpoint()?.unwrap_or_default();
                let port = endpoint.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_default();
                self.bound = Some(BoundPort { port, since: Instant::now() });
                self.shared.lock().bound = Some(address.clone());
                break;
            }
        }
        result
    }

    fn run(mut self) {
        loop {
            match self.turn() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    say(&format!("log messages are no longer published: {error}"));
                    break;
                }
            }
        }
        let rest = self.take_waiting(0);
        self.show(&rest);
        let Self { shared, probe, socket, zap, watch, context, .. } = self;
        drop(probe);
        drop(socket);
        // The connections end only when this end of them has ended.
        drop(zap);
        drop(watch);
        drop(context);
        let late = {
            let mut lines = shared.lock();
            lines.has_ended = true;
            std::mem::take(&mut lines.waiting)
        };
        late.iter().for_each(show_on_stderr);
        shared.has_ended.notify_all();
    }

    /// Do one round of work and wait for more; return `false` at the end.
    fn turn(&mut self) -> Result<bool, KeyError> {
        if self.bound.is_none() && self.bind().is_ok() {
            let address = self.shared.lock().bound.clone().unwrap_or_default();
            Logger::new(&self.topic).info(format_args!("publishing log messages to {address}"));
        }
        self.admit()?;
        let is_certain = self.receive_subscriptions()?;
        self.end_refused();
        if self.subscriptions.is_empty() {
            let overdue = self.take_waiting(MAX_WAITING);
            self.show(&overdue);
        } else if is_certain {
            self.has_complained = false;
            for line in self.take_waiting(0) {
                socket::send(&self.socket, &frames(&self.topic, &line))?;
            }
        }
        let until = {
            let lines = self.shared.lock();
            // If another line has arrived since, the descriptor is ready and the wait returns at once.
            match (lines.is_ending, self.bound.map(|bound| bound.since + SUBSCRIBER_TIMEOUT)) {
                (true, Some(end)) if !lines.waiting.is_empty() && Instant::now() < end => Some(end),
                (true, _) => return Ok(!lines.waiting.is_empty() && !self.subscriptions.is_empty()),
                (false, Some(_)) => None,
                (false, None) => Some(Instant::now() + BIND_INTERVAL),
            }
        };
        self.wait(until)?;
        Ok(true)
    }

    /// Answer who may subscribe. A connection is refused for now (status 300), since after a rejection (400) a `libzmq` client would never
    /// connect again, though it may be allowed later. One that finds no room gets no answer, so it tries again.
    fn admit(&mut self) -> zmq::Result<()> {
        for _ in 0..TURN {
            let Some(request) = self.zap.receive()? else { break };
            let mut access = self.shared.access();
            if !access.allows(&request) {
                self.zap.refuse(&request)?;
            } else if access.has_room(&self.watch, &request) {
                access.note_admitted();
                self.admitted += 1;
                let user = subscriptions::user_name(self.admitted, request.key.as_ref());
                self.zap.admit_as(&request, &user)?;
            }
        }
        Ok(())
    }

    /// Note subscriptions and their ends, and ask if some may have ended. Return whether it was certain which there are.
    fn receive_subscriptions(&mut self) -> zmq::Result<bool> {
        let mut is_certain = false;
        for _ in 0..TURN {
            let Some((sender, frames)) = socket::receive_with_sender(&self.socket)? else { break };
            match self.subscriptions.note(sender, frames.first().map_or(&[], Vec::as_slice)) {
                Noted::Nothing => {}
                Noted::Certain => is_certain = true,
                Noted::Excess(sender) => {
                    self.disconnect(&sender);
                    self.excess.note(&format!(
                        "a connection from {} to the port for log messages was ended: it sent more than {MAX_MESSAGES} subscriptions or \
                         {MAX_TOPIC_BYTES} bytes of topics",
                        sender.address
                    ));
                }
            }
        }
        for message in self.subscriptions.question() {
            socket::send(&self.probe, &[message])?;
        }
        Ok(is_certain || self.subscriptions.is_certain())
    }

    /// End the connections that are no longer allowed.
    fn end_refused(&mut self) {
        let is_access_new = self.shared.is_access_new.swap(false, Ordering::AcqRel);
        if self.subscriptions.take_new_connection() || is_access_new {
            let mut access = self.shared.access();
            let is_allowed =
                |sender: &Sender| access.still_allows(&sender.address, subscriptions::key_of(sender));
            let refused = self.subscriptions.take_refused(is_allowed);
            drop(access);
            for sender in refused {
                self.disconnect(&sender);
            }
        }
    }

    fn disconnect(&self, sender: &Sender) {
        if let Some(bound) = self.bound {
            disconnect(sender.descriptor, bound.port);
        }
    }

    fn wait(&self, until: Option<Instant>) -> zmq::Result<()> {
        let timeout =
            until.map_or(-1, |until| socket::milliseconds(until.saturating_duration_since(Instant::now())));
        let mut items = [
            self.socket.as_poll_item(POLLIN),
            PollItem::from_fd(self.shared.wake.as_fd().as_raw_fd(), POLLIN),
            self.zap.as_socket_item(),
        ];
        socket::poll(&mut items, timeout)?;
        // One read resets the counter of all wake-ups.
        let _ = rustix::io::read(&self.shared.wake, &mut [0; 8]);
        Ok(())
    }

    /// Take the oldest waiting lines until at most `most` bytes wait.
    fn take_waiting(&self, most: usize) -> Vec<LogRecord<'static>> {
        let mut lines = self.shared.lock();
        let mut taken = Vec::new();
        while lines.bytes > most {
            let Some(line) = lines.waiting.pop_front() else { break };
            lines.bytes = lines.bytes.saturating_sub(cost(&line));
            taken.push(line);
        }
        taken
    }

    /// Show lines on stderr that no subscriber has received.
    fn show(&mut self, lines: &[LogRecord<'static>]) {
        if !lines.is_empty() && !std::mem::replace(&mut self.has_complained, true) {
            let bound = self.shared.lock().bound.clone();
            let why = match bound {
                Some(address) => {
                    format!(
                        "no subscriber has received log lines from {address}; is the log aggregator running?"
                    )
                }
                None => format!("none of the ports for log lines is free: {}.", self.addresses.join(", ")),
            };
            say(&format!("{why} They are shown here:"));
        }
        lines.iter().for_each(show_on_stderr);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_never_cut_and_a_level_without_a_name_has_no_topic() {
        let mut line = LogRecord {
            name: "manager".into(),
            publisher: None,
            level: Level::CRITICAL,
            created: jiff::Timestamp::UNIX_EPOCH,
            message: "core::decide\n failed".into(),
            is_block: false,
            source: None,
        };
        assert_eq!(frames("manager", &line), ["manager.CRITICAL", "core::decide\n failed\n"]);
        assert!(has_topic(line.level));
        line.level = Level(15);
        assert!(!has_topic(line.level));
    }
}
