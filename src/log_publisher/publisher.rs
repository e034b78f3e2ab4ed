//! Log messages on a ZeroMQ socket, for a log aggregator on any host: the frames that the peer's programs make
//! with pyzmq's `PUBHandler`.
//!
//! It never keeps the program waiting for the network: a thread has the socket, and lines wait for it. While
//! nobody listens they wait, too; those that nobody has taken go to stderr, so that none is lost in silence.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use zmq::{Context, POLLIN, PollItem, Socket, SocketType};

use crate::net::socket;
use pylogging::{Level, LogRecord, Logger, Publisher, say, show_on_stderr};

/// How long after it has bound its port a program that ends waits for somebody who listens: one that has
/// failed to connect tries again every 100 to 200 ms, and the machine may be busy. The peer waits for 250 ms at each
/// start.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often a port is tried again that was in use.
const PAUSE: Duration = Duration::from_millis(250);

/// Milliseconds that the last lines get to leave the process.
const LINGER: i32 = 1_000;

/// Lines that ZeroMQ keeps for a subscriber that is slow; what is over that, it drops.
const QUEUE: i32 = 100_000;

/// Bytes of lines that wait while nobody listens.
const MOST_WAITING: usize = 4 << 20;

/// What a line costs besides its text, about.
const OVERHEAD: usize = 200;

/// The publishers of this process, so that a configuration that is read again keeps its port: one, or two while one
/// configuration takes the place of another.
static ALL: Mutex<Vec<Weak<ZmqPublisher>>> = Mutex::new(Vec::new());

/// Publishes lines under one name.
#[derive(Debug)]
pub(super) struct ZmqPublisher {
    topic: String,
    addresses: Vec<String>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    lines: Mutex<Lines>,
    /// Wakes the thread.
    wake: OwnedFd,
    has_ended: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    waiting: VecDeque<LogRecord<'static>>,
    bytes: usize,
    bound: Option<String>,
    is_ending: bool,
    has_ended: bool,
}

impl ZmqPublisher {
    /// The publisher under that name: the one that there is, if it can go on with these addresses, or a new one.
    ///
    /// It takes the first address that is free. If none is, that is the second answer: why; and it tries them again
    /// and again.
    ///
    /// # Errors
    /// When ZeroMQ or the operating system have nothing left.
    pub fn obtain(topic: &str, addresses: &[String]) -> io::Result<(Arc<Self>, Option<zmq::Error>)> {
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|publisher| publisher.strong_count() > 0);
        let serves = |publisher: &Arc<Self>| publisher.topic == topic && publisher.serves(addresses);
        if let Some(publisher) = all.iter().filter_map(Weak::upgrade).find(serves) {
            return Ok((publisher, None));
        }
        let (publisher, error) = Self::start(topic, addresses)?;
        let publisher = Arc::new(publisher);
        all.push(Arc::downgrade(&publisher));
        Ok((publisher, error))
    }

    fn start(topic: &str, addresses: &[String]) -> io::Result<(Self, Option<zmq::Error>)> {
        let context = Context::new();
        // It is a PUB that also tells who subscribes.
        let socket = context.socket(SocketType::XPUB)?;
        socket.set_sndhwm(QUEUE)?;
        socket.set_maxmsgsize(LARGEST_SUBSCRIPTION)?;
        socket.set_linger(LINGER)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let shared = Arc::new(Shared { lines: Mutex::default(), wake, has_ended: Condvar::new() });
        let addresses = addresses.to_vec();
        let publisher =
            Self { topic: topic.to_owned(), addresses: addresses.clone(), shared: Arc::clone(&shared) };
        let mut thread = Thread {
            topic: topic.to_owned(),
            addresses,
            shared,
            subscriptions: HashSet::new(),
            bound: None,
            has_complained: false,
            socket,
            context,
        };
        let error = thread.bind().err();
        std::thread::Builder::new().name("publisher".to_owned()).spawn(move || thread.run())?;
        Ok((publisher, error))
    }

    /// Whether it has one of these addresses, or is about to.
    fn serves(&self, addresses: &[String]) -> bool {
        let lines = self.shared.lock();
        !lines.is_ending
            && lines.bound.as_ref().map_or(self.addresses == addresses, |bound| addresses.contains(bound))
    }

    /// The address that it has bound, `tcp://*:5560`.
    pub fn address(&self) -> Option<String> {
        self.shared.lock().bound.clone()
    }
}

impl Publisher for ZmqPublisher {
    /// Levels without a name of their own are not published, as with pyzmq.
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

    /// Publishes what waits and ends, within [`PATIENCE`] after the port was bound and [`LINGER`].
    fn finish(&self) {
        let most = PATIENCE + Duration::from_millis(LINGER.unsigned_abs().into());
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

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // It cannot fail but for a counter that is full, and then the thread wakes anyway.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

fn cost(record: &LogRecord<'_>) -> usize {
    record.message.len() + OVERHEAD
}

/// The peer's aggregator ends at a level that it does not know.
fn has_topic(level: Level) -> bool {
    [Level::DEBUG, Level::INFO, Level::WARNING, Level::ERROR, Level::CRITICAL].contains(&level)
}

/// The topic and the message as pyzmq sends them. It would cut a message in two at `::`, which the peer's aggregator
/// does not survive; this does not.
fn frames(topic: &str, record: &LogRecord<'_>) -> [String; 2] {
    [format!("{topic}.{}", record.level), format!("{}\n", record.message)]
}

/// Bytes of a subscription; who sends more is disconnected.
const LARGEST_SUBSCRIPTION: i64 = 4_096;

/// Different subscriptions that are told apart; nobody has so many.
const MOST_SUBSCRIPTIONS: usize = 1_000;

/// What has the socket.
struct Thread {
    topic: String,
    addresses: Vec<String>,
    shared: Arc<Shared>,
    /// What somebody has subscribed to.
    subscriptions: HashSet<Vec<u8>>,
    bound: Option<Instant>,
    /// Whether it was said that nobody listens.
    has_complained: bool,
    socket: Socket,
    // Declared after the socket, so that it is dropped after it: that waits until the last lines have left.
    context: Context,
}

impl Thread {
    /// Errors: that of the last address.
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
                    say(&format!("log messages are no longer published: ZMQError: {error}"));
                    break;
                }
            }
        }
        let rest = self.take_waiting(0);
        self.show(&rest);
        let Self { shared, socket, context, .. } = self;
        drop(socket);
        drop(context);
        let late = {
            let mut lines = shared.lock();
            lines.has_ended = true;
            std::mem::take(&mut lines.waiting)
        };
        late.iter().for_each(show_on_stderr);
        shared.has_ended.notify_all();
    }

    /// Does what there is to do and waits for more; `false` at the end.
    fn turn(&mut self) -> zmq::Result<bool> {
        if self.bound.is_none() && self.bind().is_ok() {
            let address = self.shared.lock().bound.clone().unwrap_or_default();
            Logger::new(&self.topic).info(format_args!("publishing log messages to {address}"));
        }
        while let Some(frames) = socket::receive(&self.socket)? {
            self.note_subscription(&frames);
        }
        if self.subscriptions.is_empty() {
            let overdue = self.take_waiting(MOST_WAITING);
            self.show(&overdue);
        } else {
            self.has_complained = false;
            for line in self.take_waiting(0) {
                socket::send(&self.socket, &frames(&self.topic, &line))?;
            }
        }
        let until = {
            let lines = self.shared.lock();
            // A line may have come meanwhile; then the descriptor is ready.
            match (lines.is_ending, self.bound.map(|bound| bound + PATIENCE)) {
                (true, Some(end)) if !lines.waiting.is_empty() && Instant::now() < end => Some(end),
                (true, _) => return Ok(!lines.waiting.is_empty() && !self.subscriptions.is_empty()),
                (false, Some(_)) => None,
                (false, None) => Some(Instant::now() + PAUSE),
            }
        };
        self.wait(until)?;
        Ok(true)
    }

    fn wait(&self, until: Option<Instant>) -> zmq::Result<()> {
        let timeout =
            until.map_or(-1, |until| socket::milliseconds(until.saturating_duration_since(Instant::now())));
        let mut items = [
            self.socket.as_poll_item(POLLIN),
            PollItem::from_fd(self.shared.wake.as_fd().as_raw_fd(), POLLIN),
        ];
        socket::poll(&mut items, timeout)?;
        // It counts, and one look is enough for all.
        let _ = rustix::io::read(&self.shared.wake, &mut [0; 8]);
        Ok(())
    }

    /// A first byte of 1 begins a subscription, 0 ends it.
    fn note_subscription(&mut self, frames: &[Vec<u8>]) {
        // Somebody who wants other programs' lines does not listen to these.
        let ours = format!("{}.", self.topic);
        let is_for_us =
            |topic: &[u8]| ours.as_bytes().starts_with(topic) || topic.starts_with(ours.as_bytes());
        match frames.first().and_then(|frame| frame.split_first()) {
            Some((1, topic)) if is_for_us(topic) && self.subscriptions.len() < MOST_SUBSCRIPTIONS => {
                self.subscriptions.insert(topic.to_vec());
            }
            Some((0, topic)) => _ = self.subscriptions.remove(topic),
            _ => {}
        }
    }

    /// The oldest lines that wait, until no more than so many bytes do.
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

    /// Shows lines on stderr that nobody has taken.
    fn show(&mut self, lines: &[LogRecord<'static>]) {
        if !lines.is_empty() && !std::mem::replace(&mut self.has_complained, true) {
            let bound = self.shared.lock().bound.clone();
            let why = match bound {
                Some(address) => {
                    format!("nobody has taken log lines from {address}; is the log aggregator running?")
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
    fn a_message_is_never_cut_and_a_level_without_a_name_is_none() {
        let mut line = LogRecord {
            name: "manager".into(),
            publisher: None,
            level: Level::CRITICAL,
            created: jiff::Timestamp::UNIX_EPOCH,
            message: "core::decide\n failed".into(),
            source: None,
        };
        assert_eq!(frames("manager", &line), ["manager.CRITICAL", "core::decide\n failed\n"]);
        assert!(has_topic(line.level));
        line.level = Level(15);
        assert!(!has_topic(line.level));
    }
}
