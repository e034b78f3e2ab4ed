//! Publishes log lines to log aggregators on any host, in the frames that NEMO_Nowcast makes with pyzmq's `PUBHandler`.
//!
//! The publisher never blocks a running program: a thread owns the socket and takes lines from a queue. Lines also wait
//! in the queue while there is no subscriber. Lines that no subscriber has received go to stderr, so none is lost
//! silently.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use zmq::{Context, POLLIN, PollItem, Socket, SocketType};

use super::Publishing;
use crate::config::{CurveSettings, Port};
use crate::net::curve::{self, CurveServer, KeyError};
use crate::net::port_access::PortAccess;
use crate::net::watch::WakeOn;
use crate::net::{ConnectionWatch, Zap, socket};
use pylogging::{Level, LogRecord, Logger, Publisher, say, show_on_stderr};

/// The time after binding its port during which an exiting program waits for a subscriber. A subscriber that failed to
/// connect tries again every 100 to 200 ms, and the machine may be busy. (NEMO_Nowcast waits for 250 ms at each start.)
const SUBSCRIBER_TIMEOUT: Duration = Duration::from_secs(1);

/// The interval between attempts to bind a port.
const BIND_INTERVAL: Duration = Duration::from_millis(250);

/// The time limit in milliseconds of a handshake.
const HANDSHAKE_TIMEOUT: i32 = 5_000;

/// The time limit in milliseconds for sending the last lines.
const LINGER: i32 = 1_000;

/// The maximum number of lines that ZeroMQ queues for a slow subscriber; it discards lines over the limit.
const MAX_QUEUED: i32 = 100_000;

/// The maximum size in bytes of the lines that wait while there is no subscriber.
const MAX_WAITING: usize = 4 << 20;

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
    /// Who may subscribe.
    access: Mutex<PortAccess>,
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
            let mut access = publisher.shared.access.lock().unwrap_or_else(PoisonError::into_inner);
            access.reload(security, curve.as_ref())?;
            drop(access);
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
        let (socket, watch) = make_socket(&context, curve.as_ref(), 0)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(io::Error::from)?;
        let shared = Arc::new(PublisherShared {
            lines: Mutex::default(),
            wake,
            has_ended: Condvar::new(),
            access: Mutex::new(access),
        });
        let addresses = addresses.clone();
        let publisher =
            Self { topic: topic.to_owned(), addresses: addresses.clone(), shared: Arc::clone(&shared) };
        let mut thread = SocketThread {
            topic: topic.to_owned(),
            addresses,
            shared,
            subscriptions: HashSet::new(),
            bound: None,
            has_complained: false,
            zap,
            watch,
            replaced: 0,
            curve: curve.clone(),
            topics: 0,
            socket,
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
        if lines.has_ended {
            drop(lines);
            show_on_stderr(record);
            return;
        }
        lines.bytes += cost(record);
        lines.waiting.push_back(record.kept());
        drop(lines);
        self.shared.wake();
    }

    /// Publish the waiting lines and stop. Wait at most [`SUBSCRIBER_TIMEOUT`] plus [`LINGER`].
    fn finish(&self) {
        let most = SUBSCRIBER_TIMEOUT + Duration::from_millis(LINGER.unsigned_abs().into());
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

/// The maximum size of a subscription in bytes; a subscriber that sends more is disconnected.
const MAX_SUBSCRIPTION_SIZE: i64 = 4_096;

/// The most topics that may be subscribed to. A log aggregator subscribes to one.
const MAX_TOPICS: usize = 10_000;

/// The maximum number of different subscriptions that are counted.
const MAX_SUBSCRIPTIONS: usize = 1_000;

/// Make the socket of a publisher: an XPUB is a PUB socket that also delivers subscriptions.
/// It is the one that has this number in its context.
fn make_socket(
    context: &Context,
    curve: Option<&CurveSettings>,
    number: u32,
) -> Result<(Socket, ConnectionWatch), StartError> {
    let socket = context.socket(SocketType::XPUB)?;
    socket.set_sndhwm(MAX_QUEUED)?;
    socket.set_maxmsgsize(MAX_SUBSCRIPTION_SIZE)?;
    socket.set_linger(LINGER)?;
    socket.set_handshake_ivl(HANDSHAKE_TIMEOUT)?;
    curve::secure_server(&socket, curve, CurveServer::Logging)?;
    socket.set_zap_domain(Port::Logging.name())?;
    let watch = ConnectionWatch::start(context, &socket, &format!("logging-{number}"), WakeOn::Shortages)?;
    Ok((socket, watch))
}

/// The thread that owns the socket.
struct SocketThread {
    topic: String,
    addresses: Vec<String>,
    shared: Arc<PublisherShared>,
    /// The current subscriptions.
    subscriptions: HashSet<Vec<u8>>,
    bound: Option<Instant>,
    /// The number of topics that are subscribed to, also those of other programs: ZeroMQ keeps each.
    topics: usize,
    curve: Option<CurveSettings>,
    /// Whether the lack of a subscriber was reported.
    has_complained: bool,
    /// Asks for each connection.
    zap: Zap,
    socket: Socket,
    watch: ConnectionWatch,
    /// How many times the socket was replaced.
    replaced: u32,
    // Declared after the socket, to be dropped after it: dropping the context waits until the last lines are sent.
    context: Context,
}

impl SocketThread {
    /// Bind the first free address, or return the error of the last one.
    fn bind(&mut self) -> Result<(), zmq::Error> {
        let mut result = Err(zmq::Error::EADDRNOTAVAIL);
        for address in &self.addresses {
            result = self.socket.bind(address);
            if result.is_ok() {
                self.bound = Some(Instant::now());
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
        let Self { shared, socket, watch, zap, context, .. } = self;
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
    fn turn(&mut self) -> Result<bool, StartError> {
        if self.bound.is_none() && self.bind().is_ok() {
            let address = self.shared.lock().bound.clone().unwrap_or_default();
            Logger::new(&self.topic).info(format_args!("publishing log messages to {address}"));
        }
        self.admit()?;
        while let Some(frames) = socket::receive(&self.socket)? {
            self.note_subscription(&frames);
        }
        if self.topics > MAX_TOPICS {
            self.replace_socket()?;
        }
        if self.subscriptions.is_empty() {
            let overdue = self.take_waiting(MAX_WAITING);
            self.show(&overdue);
        } else {
            self.has_complained = false;
            for line in self.take_waiting(0) {
                socket::send(&self.socket, &frames(&self.topic, &line))?;
            }
        }
        let until = {
            let lines = self.shared.lock();
            // If another line has arrived since, the descriptor is ready and the wait returns at once.
            match (lines.is_ending, self.bound.map(|bound| bound + SUBSCRIBER_TIMEOUT)) {
                (true, Some(end)) if !lines.waiting.is_empty() && Instant::now() < end => Some(end),
                (true, _) => return Ok(!lines.waiting.is_empty() && !self.subscriptions.is_empty()),
                (false, Some(_)) => None,
                (false, None) => Some(Instant::now() + BIND_INTERVAL),
            }
        };
        self.wait(until)?;
        Ok(true)
    }

    /// Answer who may subscribe.
    fn admit(&self) -> zmq::Result<()> {
        while let Some(request) = self.zap.receive()? {
            let mut access = self.shared.access.lock().unwrap_or_else(PoisonError::into_inner);
            if !access.allows(&request) {
                self.zap.reject(&request)?;
            } else if access.has_room(&self.watch, &request) {
                self.zap.admit(&request)?;
                access.note_admitted();
            }
        }
        Ok(())
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

    /// End all connections and bind the port again: ZeroMQ keeps every topic that a connection subscribes to, without a limit. A log
    /// aggregator connects again.
    fn replace_socket(&mut self) -> Result<(), StartError> {
        Logger::new(&self.topic).error(format_args!(
            "a program subscribed to more than {MAX_TOPICS} topics of the log messages, so all connections to this port are ended; a log \
             aggregator connects again"
        ));
        self.socket.set_linger(0)?;
        self.replaced += 1;
        let (socket, watch) = make_socket(&self.context, self.curve.as_ref(), self.replaced)?;
        self.socket = socket;
        // The former socket ends only while this thread answers its connections.
        std::mem::replace(&mut self.watch, watch).detach();
        (self.topics, self.bound) = (0, None);
        self.subscriptions.clear();
        Ok(())
    }

    /// Note the beginning or end of a subscription: the first byte is 1 or 0.
    fn note_subscription(&mut self, frames: &[Vec<u8>]) {
        // Subscriptions to other programs' lines do not count.
        let ours = format!("{}.", self.topic);
        let is_for_us =
            |topic: &[u8]| ours.as_bytes().starts_with(topic) || topic.starts_with(ours.as_bytes());
        match frames.first().and_then(|frame| frame.first()) {
            Some(1) => self.topics += 1,
            Some(0) => self.topics = self.topics.saturating_sub(1),
            _ => {}
        }
        match frames.first().and_then(|frame| frame.split_first()) {
            Some((1, topic)) if is_for_us(topic) && self.subscriptions.len() < MAX_SUBSCRIPTIONS => {
                self.subscriptions.insert(topic.to_vec());
            }
            Some((0, topic)) => _ = self.subscriptions.remove(topic),
            _ => {}
        }
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
