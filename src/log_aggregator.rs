//! The log aggregator: receives the log messages that programs publish on any host, and logs them here.
//!
//! It never replies, and no message can stop it: invalid messages are counted and skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use zmq::{Context, POLLIN, PollItem, SocketEvent, SocketType};

use crate::config::{Config, CurveSettings, ReloadConfig};
use crate::net::curve::{self, CurveServer, KeyError};
use crate::net::port_access;
use crate::net::rare_line::RareLine;
use crate::net::{MonitoredSocket, socket};
use crate::service_manager::{ACCEPTED, ServiceManager};
use crate::signals::Signals;
use crate::store::Presence;
use nowcast_core::Signal;
use pylogging::{Level, Logger};

/// The name under which the aggregator logs, as in NEMO_Nowcast.
pub const NAME: &str = "log_aggregator";

/// The maximum number of messages that are logged with one `write` to each file before signals are checked again.
const TURN: usize = 256;

/// The maximum size of a frame in bytes; a publisher that sends more is disconnected.
const MAX_FRAME: i64 = 64 << 20;

/// The ZeroMQ threads that connect, as bits: one for remote hosts, whose names may need a slow name server, and one
/// that never waits for a name server.
const LOCAL: u64 = 1;
const REMOTE: u64 = 2;

/// The seconds without data, the number of unanswered probes and their interval in seconds, after which the connection
/// to a publisher's host counts as lost and is made again.
const KEEPALIVE: (i32, i32, i32) = (60, 3, 20);

/// The interval between checks for a missing journal folder.
const FOLDER_INTERVAL: Duration = Duration::from_secs(1);

/// The XSUB messages that begin and end the subscription to everything.
const SUBSCRIBE: &[u8] = b"\x01";
const UNSUBSCRIBE: &[u8] = b"\x00";

/// The number of handshakes that a publisher ended, one after the other, after which that is logged: a worker may end during one.
const FAILED_HANDSHAKES: u32 = 2;

/// The time in milliseconds without a message after which a stopping aggregator expects no more lines.
const QUIET: i64 = 100;

/// The time limit for receiving the last lines, before and again after unsubscribing.
const LAST_LINES_TIMEOUT: Duration = Duration::from_secs(2);

/// The log aggregator with its subscriptions.
pub struct Aggregator {
    socket: MonitoredSocket,
    /// The keys with which the socket was made.
    curve: Option<CurveSettings>,
    /// The addresses that the socket is connected to.
    endpoints: Vec<String>,
    /// The handshakes that a publisher ended since the last one that succeeded, by its address.
    failed_handshakes: BTreeMap<String, u32>,
    /// The addresses of publishers that `libzmq` no longer connects to.
    rejecting: BTreeSet<String>,
    rejections: RareLine,
    invalid_messages: u64,
    presence: Presence,
    /// The journal's folder.
    journal: PathBuf,
    log: Logger,
    // Declared after the socket, so that it is dropped after it.
    _context: Context,
}

impl Aggregator {
    /// Subscribe to all publishers of the configuration.
    ///
    /// # Errors
    /// When ZeroMQ fails or a key file cannot be used. A host that cannot be reached is not an error: ZeroMQ tries to connect until it succeeds.
    pub fn subscribe(config: &Config, log: Logger) -> Result<Self, KeyError> {
        let context = Context::new();
        context.set_io_threads(2)?;
        // A SUB would discard the lines in transit when it unsubscribes.
        let socket = context.socket(SocketType::XSUB)?;
        curve::secure_client(&socket, config.zmq.curve.as_ref(), CurveServer::Logging)?;
        socket.send(SUBSCRIBE, 0)?;
        socket.set_maxmsgsize(MAX_FRAME)?;
        let (idle, count, interval) = KEEPALIVE;
        socket.set_tcp_keepalive(1)?;
        socket.set_tcp_keepalive_idle(idle)?;
        socket.set_tcp_keepalive_cnt(count)?;
        socket.set_tcp_keepalive_intvl(interval)?;
        let events = [
            SocketEvent::HANDSHAKE_SUCCEEDED,
            SocketEvent::HANDSHAKE_FAILED_AUTH,
            SocketEvent::HANDSHAKE_FAILED_PROTOCOL,
            SocketEvent::HANDSHAKE_FAILED_NO_DETAIL,
        ];
        let socket = MonitoredSocket::start(&context, socket, "publishers", &events)?;
        let mut aggregator = Self {
            socket,
            curve: config.zmq.curve.clone(),
            endpoints: Vec::new(),
            failed_handshakes: BTreeMap::new(),
            rejecting: BTreeSet::new(),
            rejections: RareLine::new(Level::WARNING, log.clone()),
            invalid_messages: 0,
            presence: Presence::of(NAME),
            journal: config.journal.folder.clone(),
            log,
            _context: context,
        };
        aggregator.connect(config);
        Ok(aggregator)
    }

    /// Log the published messages until a signal stops the aggregator.
    ///
    /// # Errors
    /// When ZeroMQ fails.
    pub fn run(&mut self, signals: &mut Signals, reload_config: ReloadConfig) -> zmq::Result<()> {
        let service_manager = ServiceManager::of_environment();
        service_manager.ready();
        loop {
            service_manager.keep_alive();
            let mut items = [
                self.socket.as_poll_item(POLLIN),
                PollItem::from_fd(signals.as_raw_fd(), POLLIN),
                self.socket.event_poll_item(),
            ];
            // The manager may create the folder later.
            let folder = (!self.presence.announce(&self.journal)).then_some(FOLDER_INTERVAL);
            let timeout = folder.into_iter().chain(service_manager.due()).min();
            socket::poll(&mut items, timeout.map_or(-1, socket::milliseconds))?;
            for signal in signals.take() {
                self.log.info(signal.log_text());
                match signal {
                    Signal::Hangup => {
                        service_manager.reloading();
                        let result = reload_config().map(|config| self.take_configuration(&config));
                        service_manager.reloaded(&result.map(|()| ACCEPTED.to_owned()));
                    }
                    Signal::Interrupt | Signal::Terminate => return self.receive_last(),
                }
            }
            self.note_handshakes()?;
            self.receive()?;
        }
    }

    fn take_configuration(&mut self, config: &Config) {
        if self.curve != config.zmq.curve {
            port_access::takes_a_restart(&self.log, "curve:", "the log aggregator");
        }
        self.disconnect_rejected();
        self.connect(config);
    }

    /// Log it if a publisher does not let this program connect. Our own publishers end the handshake then, and `libzmq` tries again. After an
    /// explicit rejection, or with a publisher that encrypts otherwise, it does not.
    fn note_handshakes(&mut self) -> zmq::Result<()> {
        for _ in 0..TURN {
            let Some((event, address)) = self.socket.next_event_with_address()? else { break };
            match event {
                SocketEvent::HANDSHAKE_SUCCEEDED => _ = self.failed_handshakes.remove(&address),
                SocketEvent::HANDSHAKE_FAILED_NO_DETAIL => {
                    let failed = self.failed_handshakes.entry(address.clone()).or_default();
                    *failed += 1;
                    if *failed >= FAILED_HANDSHAKES {
                        self.rejections.note(&format!(
                            "the publisher at {address} does not let the log aggregator connect: allow its address and key in `security:` \
                             there; the log aggregator tries again"
                        ));
                    }
                }
                _ => {
                    self.rejecting.insert(address.clone());
                    self.rejections.note(&format!(
                        "the publisher at {address} rejects the log aggregator: compare `security:` of both; after a change, the log \
                         aggregator tries again at SIGHUP"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Disconnect from publishers that rejected this program, to connect again.
    fn disconnect_rejected(&mut self) {
        let addresses = std::mem::take(&mut self.rejecting);
        let rejecting: BTreeSet<String> =
            addresses.iter().flat_map(|address| endpoints_of(&self.endpoints, address)).collect();
        self.endpoints.retain(|endpoint| !rejecting.contains(endpoint));
        self.disconnect(&Vec::from_iter(rejecting));
    }

    fn disconnect(&self, endpoints: &[String]) {
        for endpoint in endpoints {
            if let Err(error) = self.socket.disconnect(endpoint) {
                self.log.error(format_args!("cannot disconnect from {endpoint}: {error}"));
            }
        }
    }

    /// Connect to the publishers of the configuration, and disconnect from those that it no longer names.
    fn connect(&mut self, config: &Config) {
        let mut named = Vec::new();
        for (publisher, ports) in &config.log_ports {
            for port in ports {
                let (host, port) = (port.host.as_ref().unwrap_or(&config.zmq.host), port.port);
                let endpoint = format!("tcp://{host}:{port}");
                let is_known = self.endpoints.contains(&endpoint) || named.contains(&endpoint);
                let thread = if *host == config.zmq.host { LOCAL } else { REMOTE };
                let connect =
                    || self.socket.set_affinity(thread).and_then(|()| self.socket.connect(&endpoint));
                if let Err(error) = if is_known { Ok(()) } else { connect() } {
                    self.log.error(format_args!("cannot subscribe to {host} port {port}: {error}"));
                    continue;
                }
                self.log
                    .info(format_args!("subscribed to {host} port {port} for all messages from {publisher}"));
                named.push(endpoint);
            }
        }
        let (_, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.endpoints).into_iter().partition(|endpoint| named.contains(endpoint));
        self.disconnect(&others);
        self.endpoints = named;
    }

    /// Log the messages that have arrived, up to [`TURN`].
    fn receive(&mut self) -> zmq::Result<()> {
        let mut received = Vec::new();
        while received.len() < TURN {
            let Some(frames) = socket::receive(&self.socket)? else { break };
            received.push(frames);
        }
        let mut invalid_messages = 0;
        pylogging::gather(|| {
            for frames in &received {
                match parse(frames) {
                    Some(line) => self.log.relay(&line.publisher, line.level, &line.text),
                    None => invalid_messages += 1,
                }
            }
        });
        if invalid_messages > 0 {
            self.report_invalid(invalid_messages);
        }
        Ok(())
    }

    /// Count invalid messages, and log a warning when the count reaches 1, 10, 100, 1,000 …
    fn report_invalid(&mut self, more: u64) {
        let digits = |count: u64| count.checked_ilog10();
        if digits(self.invalid_messages) != digits(self.invalid_messages + more) {
            let count = self.invalid_messages + more;
            self.log.warning(format_args!(
                "invalid log messages were received and skipped; so far: {count}. A log message is a topic NAME.LEVEL and \
                 a text"
            ));
        }
        self.invalid_messages += more;
    }

    /// Log the last lines of programs that stop at the same time, then unsubscribe and log the lines in transit.
    /// Publishers keep later lines for the next aggregator, so a restart loses none.
    fn receive_last(&mut self) -> zmq::Result<()> {
        self.receive_until_quiet()?;
        socket::send(&self.socket, &[UNSUBSCRIBE])?;
        self.receive_until_quiet()
    }

    fn receive_until_quiet(&mut self) -> zmq::Result<()> {
        let end = Instant::now() + LAST_LINES_TIMEOUT;
        while Instant::now() < end && socket::poll(&mut [self.socket.as_poll_item(POLLIN)], QUIET)? > 0 {
            self.receive()?;
        }
        Ok(())
    }
}

/// Return the endpoint of an address that `libzmq` reports. The address may have the host's number in place of its name: then each
/// endpoint with that port may be meant.
fn endpoints_of(endpoints: &[String], address: &str) -> Vec<String> {
    if endpoints.iter().any(|endpoint| endpoint == address) {
        return vec![address.to_owned()];
    }
    let port = |text: &str| text.rsplit(':').next().map(str::to_owned);
    endpoints.iter().filter(|endpoint| port(endpoint) == port(address)).cloned().collect()
}

/// A received log message.
#[derive(Debug, PartialEq, Eq)]
pub struct PublishedLine {
    /// The name of the program that published it.
    pub publisher: String,
    /// Its level, never [`Level::NOTSET`].
    pub level: Level,
    /// Its text, without whitespace at its ends.
    pub text: String,
}

/// Parse a log message, or return `None` if the frames are not one.
///
/// pyzmq cuts a text at its first `::` and appends the first part to the topic; the text is joined again here.
#[must_use]
pub fn parse(frames: &[Vec<u8>]) -> Option<PublishedLine> {
    let [topic, text] = frames else { return None };
    let topic = std::str::from_utf8(topic).ok()?;
    let text = String::from_utf8_lossy(text);
    // Names can contain dots, and any text can follow the level.
    let (at, level) = topic.match_indices('.').find_map(|(at, _)| {
        let name = topic[at + 1..].split('.').next()?;
        Some(at).zip(Level::from_name(name).filter(|level| *level > Level::NOTSET))
    })?;
    let (publisher, rest) = topic.split_at(at);
    if publisher.is_empty() || publisher.chars().any(char::is_control) {
        return None;
    }
    let cut = rest[1..].split_once('.').map(|(_, cut)| cut);
    let text = match cut {
        None => text,
        Some(cut) => format!("{cut}::{text}").into(),
    };
    Some(PublishedLine { publisher: publisher.to_owned(), level, text: strip(&text).to_owned() })
}

/// Strip whitespace as Python's `strip` does, for which four control characters are whitespace too.
fn strip(text: &str) -> &str {
    text.trim_matches(|letter: char| letter.is_whitespace() || ('\x1c'..='\x1f').contains(&letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(topic: &[u8], text: &[u8]) -> Option<(String, u32, String)> {
        let line = parse(&[topic.to_vec(), text.to_vec()])?;
        Some((line.publisher, line.level.0, line.text))
    }

    #[test]
    fn a_log_message_has_a_name_a_level_and_a_text() {
        let of = |name: &str, level, text: &str| Some((name.to_owned(), level, text.to_owned()));
        assert_eq!(line(b"manager.INFO", b" listening...\n"), of("manager", 20, "listening..."));
        assert_eq!(
            line(b"nowcast.workers.sleep.WARN", b"a\nb\x1f\n"),
            of("nowcast.workers.sleep", 30, "a\nb")
        );
        assert_eq!(line(b"sleep.CRITICAL.core.x", b"decide\n"), of("sleep", 50, "core.x::decide"));
        assert_eq!(line(b"sleep.INFO", b"\xff\n"), of("sleep", 20, "\u{fffd}"));
        assert_eq!(line(b"INFO.sleep.DEBUG", b""), of("INFO.sleep", 10, ""));
    }

    #[test]
    fn a_publisher_is_found_by_its_address_and_by_its_port_only_if_that_is_resolved() {
        let endpoints = ["tcp://salish:4345", "tcp://robot:4345", "tcp://robot:4346"].map(str::to_owned);
        assert_eq!(endpoints_of(&endpoints, "tcp://robot:4345"), ["tcp://robot:4345"]);
        assert_eq!(
            endpoints_of(&endpoints, "tcp://10.0.7.3:4345"),
            ["tcp://salish:4345", "tcp://robot:4345"]
        );
        assert_eq!(endpoints_of(&endpoints, "tcp://10.0.7.3:1"), Vec::<String>::new());
    }

    #[test]
    fn other_messages_are_invalid() {
        for topic in
            ["", ".", "INFO", ".INFO", "sleep", "sleep.info", "sleep.NOTSET", "a\nb.INFO", "sleep.Level 15"]
        {
            assert_eq!(line(topic.as_bytes(), b"text"), None, "{topic:?}");
        }
        assert_eq!(line(b"\xff.INFO", b"text"), None);
        for count in [0, 1, 3, 1000] {
            assert_eq!(parse(&vec![b"sleep.INFO".to_vec(); count]), None);
        }
    }
}
