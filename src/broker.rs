//! The message broker: forwards requests from workers to the manager, and replies back.
//!
//! It never looks inside a message. It keeps every request until its reply comes, and sends it again to a manager
//! that connects again: ZeroMQ loses what it had queued for one that died.

mod access;
mod admission;
mod descriptors;
mod error;
mod manager_socket;
mod presence;
pub mod record;
mod refusals;
pub mod requests;
mod unended;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use zmq::{Context, POLLIN, PollItem, Socket, SocketType};

use self::access::Access;
use self::admission::Admission;
use self::descriptors::Descriptors;
pub use self::error::BrokerError;
use self::manager_socket::ManagerSocket;
use self::presence::StateNote;
pub use self::presence::noted_state;
use self::record::Recorder;
use self::refusals::Refusals;
use self::requests::{Completed, ExceededLimit, Requests};
use self::unended::UnendedMessages;
use crate::config::{Config, Port, ReloadConfig, WireLimits};
use crate::exposure;
use crate::failpoint;
use crate::net::broker_state::{BrokerState, QUESTION};
use crate::net::curve::{self, CurveServer};
use crate::net::rare_line::RareLine;
use crate::net::socket::Frames;
use crate::net::watch::WakeOn;
use crate::net::{ConnectionWatch, ManagerIdentity, socket};
use crate::orphans;
use crate::service_manager::{ACCEPTED, ServiceManager};
use crate::signals::Signals;
use nowcast_core::Signal;
use pylogging::{Level, Logger};

/// The name under which the broker logs, as in NEMO_Nowcast.
pub const NAME: &str = "message_broker";

/// How long the broker waits for replies to open requests when it stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The time in milliseconds for the last replies to leave the process.
const LINGER: i32 = 1_000;

/// Connections that the operating system completes before they are accepted; its own limit (`net.core.somaxconn`)
/// may be lower. With the 100 of ZeroMQ, some of a thousand workers that connect at once wait for many seconds.
const BACKLOG: i32 = 65_535;

/// The time without a message after which the recording is written.
const RECORD_PAUSE: Duration = Duration::from_millis(50);

/// The most messages or connections of one kind that are handled before the others have their turn.
const TURN: usize = 256;

/// The most requests of one connection that wait in ZeroMQ's queue; the client waits with more.
const RECEIVE_QUEUE: i32 = 256;

/// The shortest time between two occasions on which open requests are sent again, while several managers may be connected.
const RESEND_INTERVAL: Duration = Duration::from_secs(1);

/// The I/O thread of the workers' port, as ZeroMQ's bit mask.
const IO_THREAD: u64 = 1;

/// The number of I/O threads: one for the workers' port and one for the manager's.
const IO_THREADS: i32 = 2;

/// The longest time in milliseconds of a handshake at the workers' port. A worker that found no room holds its descriptor so long.
const HANDSHAKE_TIMEOUT: i32 = 5_000;

/// A broker with its ports bound.
pub struct Broker {
    // Declared first, so that it is dropped first: the connections of the others end only when its end of them has ended.
    admission: Admission,
    access: Access,
    workers: Socket,
    // Declared after the socket that it watches, so that it is dropped after it.
    workers_watch: ConnectionWatch,
    manager: ManagerSocket,
    bound: Vec<String>,
    requests: Requests,
    /// `broker: redeliver`
    redeliver: bool,
    /// `broker: managers`
    has_many_managers: bool,
    recorder: Option<Recorder>,
    limits: WireLimits,
    /// A line for each limit, so that none hides another.
    overload: BTreeMap<ExceededLimit, RareLine>,
    no_reply: RareLine,
    unended: UnendedMessages,
    /// When open requests were last sent again.
    resent: Option<Instant>,
    /// They are to be sent again, once the last time is long enough ago.
    must_resend: bool,
    descriptors: Descriptors,
    refusals: Refusals,
    /// The journal's folder, in which the broker notes its state.
    journal: PathBuf,
    note: StateNote,
    service_manager: ServiceManager,
    log: Logger,
    // Declared after the sockets, so that it is dropped after them.
    _context: Context,
}

/// The events that the loop waits for, in the order of its poll items.
#[derive(Debug, Clone, Copy)]
enum Source {
    Signals,
    Replies,
    ManagerConnections,
    Requests,
    Shortages,
    Admissions,
}

/// Which sources have something.
#[derive(Debug, Clone, Copy)]
struct ReadySources([bool; 6]);

impl ReadySources {
    fn has(self, source: Source) -> bool {
        self.0[source as usize]
    }

    fn is_idle(self) -> bool {
        self.0 == [false; 6]
    }
}

impl Broker {
    /// Bind the ports. `epoch` is a number that no earlier broker had.
    ///
    /// # Errors
    /// A port is in use, or ZeroMQ fails.
    pub fn bind(config: &Config, epoch: u64, log: Logger) -> Result<Self, BrokerError> {
        let context = Context::new();
        context.set_io_threads(IO_THREADS)?;
        let descriptors = Descriptors::raise_limit(log.clone());
        descriptors.check()?;
        let admission = Admission::bind(&context)?;
        let workers = context.socket(SocketType::ROUTER)?;
        // A ROUTER silently discards replies over its limit. A client that reads its replies never has so many.
        let replies = config.security.limits.requests_per_client;
        workers.set_sndhwm(i32::try_from(replies).unwrap_or(i32::MAX))?;
        workers.set_rcvhwm(RECEIVE_QUEUE)?;
        workers.set_linger(LINGER)?;
        workers.set_backlog(BACKLOG)?;
        workers.set_affinity(IO_THREAD)?;
        workers.set_handshake_ivl(HANDSHAKE_TIMEOUT)?;
        // libzmq ends a connection over its limit without a word, so larger frames than are accepted arrive, and are logged.
        workers.set_maxmsgsize(2 * i64::from(config.security.limits.message_size))?;
        workers.set_zap_domain(access::WORKERS)?;
        let curve = config.zmq.curve.as_ref();
        curve::secure_server(&workers, curve, CurveServer::Broker)?;
        let access = Access::new(config, &log)?;
        let manager = ManagerSocket::new(&context, epoch, LINGER, curve)?;
        // Last, as nothing may fail after it: its thread ends only when the socket is closed.
        let workers_watch = ConnectionWatch::start(&context, &workers, "workers", WakeOn::Shortages)?;
        let mut broker = Self {
            admission,
            access,
            workers,
            workers_watch,
            manager,
            bound: Vec::new(),
            requests: Requests::new(epoch),
            redeliver: config.redeliver,
            has_many_managers: config.has_many_managers,
            recorder: None,
            limits: config.security.limits,
            overload: BTreeMap::new(),
            no_reply: RareLine::new(Level::WARNING, log.clone()),
            unended: UnendedMessages::new(config.zmq.workers_port, log.clone()),
            resent: None,
            must_resend: false,
            descriptors,
            refusals: Refusals::new(log.clone()),
            journal: config.journal.folder.clone(),
            note: StateNote::new(),
            service_manager: ServiceManager::of_environment(),
            log,
            _context: context,
        };
        broker.bind_ports(config)?;
        for port in config.open_ports() {
            broker.log.warning(format_args!(
                "the {} is open to other machines without encryption and keys: see docs/security.md, and set `security:`",
                port.description()
            ));
        }
        for found in exposure::of_keys(config) {
            broker.log.warning(format_args!("{found}, and so can decide who connects; run {}", found.repair));
        }
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
    fn bind_ports(&mut self, config: &Config) -> Result<(), BrokerError> {
        let ports = [
            ("worker", Port::Workers, config.zmq.workers_port),
            ("manager", Port::Manager, config.zmq.manager_port),
        ];
        for (client, kind, port) in ports {
            let endpoint = format!("tcp://{}:{port}", config.bind_address(kind));
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
        self.note_state();
        self.service_manager.ready();
        loop {
            self.service_manager.keep_alive();
            let is_pending = self.recorder.as_ref().is_some_and(Recorder::is_pending);
            let ready = self.wait(signals, is_pending.then_some(RECORD_PAUSE))?;
            if ready.is_idle() {
                self.with_recording(Recorder::flush);
            }
            let taken = if ready.has(Source::Signals) { signals.take() } else { Vec::new() };
            for signal in taken {
                self.log.info(signal.log_text());
                match signal {
                    Signal::Hangup => {
                        self.service_manager.reloading();
                        let result = self.reload(reload_config);
                        self.service_manager.reloaded(&result.map(|()| ACCEPTED.to_owned()));
                    }
                    Signal::Interrupt | Signal::Terminate => return self.drain(signals),
                }
            }
            self.turn(ready)?;
            orphans::reap(|_, _| ());
        }
    }

    /// Wait for a message in either direction, a connection, a signal, or a time at which something is due.
    fn wait(&self, signals: &Signals, timeout: Option<Duration>) -> zmq::Result<ReadySources> {
        let [manager, connections] = self.manager.as_poll_items();
        let mut items = [
            PollItem::from_fd(signals.as_raw_fd(), POLLIN),
            manager,
            connections,
            self.workers.as_poll_item(POLLIN),
            self.workers_watch.as_poll_item(),
            self.admission.as_poll_item()?,
        ];
        let send = self.requests.next_to_send().and_then(|_| self.manager.due());
        let look = Some(self.unended.due());
        let due = [
            send,
            look,
            self.resend_due(),
            self.admission.due(),
            self.descriptors.due(),
            self.refusals.due(),
        ];
        let until_due =
            due.into_iter().flatten().min().map(|due| due.saturating_duration_since(Instant::now()));
        let timeout = timeout.into_iter().chain(until_due).chain(self.service_manager.due()).min();
        socket::poll(&mut items, timeout.map_or(-1, socket::milliseconds))?;
        let mut ready = ReadySources(items.map(|item| item.is_readable()));
        ready.0[Source::Admissions as usize] |= self.admission.may_have_more();
        Ok(ready)
    }

    /// Handle what has come: a bounded number of each kind.
    fn turn(&mut self, ready: ReadySources) -> zmq::Result<()> {
        if ready.has(Source::Shortages)
            && let Some(error) = self.workers_watch.take().shortage
        {
            self.descriptors.note_shortage(error, self.workers_watch.open());
        }
        if ready.has(Source::Admissions) {
            self.admission.receive(&mut self.access, &self.workers_watch, || self.descriptors.has_room())?;
        }
        if ready.has(Source::Requests) {
            self.receive_requests()?;
        }
        if ready.has(Source::ManagerConnections) {
            self.update_managers()?;
        }
        if self.resend_due().is_some_and(|due| due <= Instant::now()) {
            self.mark_open_unsent()?;
            self.manager.forget_lost();
        }
        self.admit_managers()?;
        self.send_requests()?;
        if ready.has(Source::Replies) {
            self.return_replies(TURN)?;
        }
        if self.unended.due() <= Instant::now() {
            // It reads files of `/proc`.
            self.descriptors.lend(1);
            self.unended.look(self.requests.size(), self.limits.waiting_size);
            self.descriptors.take_back();
        }
        self.refusals.expire();
        self.descriptors.expire();
        self.note_state();
        Ok(())
    }

    fn receive_requests(&mut self) -> zmq::Result<()> {
        for _ in 0..TURN {
            let Some(frames) = self.receive_frames()? else { break };
            if frames.is_empty() {
                continue;
            }
            // Its replies would come back to it as requests.
            if frames.first().is_some_and(|client| ManagerIdentity::is_of_manager(client)) {
                self.no_reply.note(
                    "a manager is connected to the port for workers, and what it sends there is discarded: see `zmq: ports:` in its configuration",
                );
                continue;
            }
            if let [client, question] = frames.as_slice()
                && question == QUESTION
            {
                let answer = serde_json::to_vec(&self.state()).unwrap_or_default();
                socket::send(&self.workers, &[client, &answer])?;
                continue;
            }
            if !frames.iter().any(Vec::is_empty) {
                self.no_reply
                    .note("a message came from a client that is not a REQ socket; no reply will come");
                continue;
            }
            if let Err(limit) = self.requests.add(frames, &self.limits) {
                let line = self.overload.entry(limit);
                line.or_insert_with(|| RareLine::new(Level::ERROR, self.log.clone())).note(&format!(
                    "requests over the limit `security: limits: {limit}:` are discarded, and their workers get no reply"
                ));
                continue;
            }
            failpoint::pass("broker: request taken");
        }
        Ok(())
    }

    /// Receive the next message, if one has arrived. A message whose key was revoked has no frames.
    fn receive_frames(&mut self) -> zmq::Result<Option<Frames>> {
        if !self.access.workers.has_keys() && !self.unended.is_watching() {
            return socket::receive(&self.workers);
        }
        let Some((sender, frames)) = socket::receive_with_sender(&self.workers)? else { return Ok(None) };
        if let Some(sender) = &sender {
            self.unended.note_message(sender.descriptor);
        }
        let is_taken = !self.access.workers.has_keys()
            || sender.is_some_and(|sender| self.access.workers.takes_message_of(&sender.user));
        Ok(Some(if is_taken { frames } else { Frames::new() }))
    }

    /// Handle connections that managers made or lost. If there are any, open requests are sent again before new ones.
    fn update_managers(&mut self) -> zmq::Result<()> {
        let change = self.manager.update()?;
        if change.is_made {
            self.admission.note_established();
        }
        if change.is_made || change.is_accepted {
            self.descriptors.take_back();
        }
        if let Some(error) = change.shortage {
            self.descriptors.note_shortage(error, self.workers_watch.open());
            if self.descriptors.lend_to_manager() {
                self.manager.accept();
            }
        }
        self.must_resend |= change.is_made || change.is_lost;
        Ok(())
    }

    fn admit_managers(&mut self) -> zmq::Result<()> {
        self.manager.share(self.has_many_managers);
        if self.has_many_managers {
            return self.admission.admit_all(&mut self.access.manager, self.manager.watch());
        }
        if !self.manager.is_connected() {
            self.admission.admit_one(|| self.manager.has_connection())?;
        }
        while let Some(address) = self.admission.refuse_next()? {
            if self.manager.is_connected() {
                self.refusals.note(address, self.manager.introduced());
            }
        }
        Ok(())
    }

    fn state(&self) -> BrokerState {
        BrokerState {
            connected: self.manager.is_connected(),
            manager: self.manager.introduced().cloned(),
            refused: self.refusals.last().cloned(),
            shortage: self.descriptors.shortage().cloned(),
        }
    }

    /// Note the state for `nowcast status`.
    fn note_state(&mut self) {
        let state = self.state();
        if let Some(manager) = state.manager.as_ref().filter(|manager| !self.note.names(manager)) {
            self.log.info(format_args!("manager connected: {manager}"));
        }
        if self.note.differs(&state) {
            self.descriptors.lend(1);
            self.note.write(&self.journal, state, &self.log);
            self.descriptors.take_back();
        }
    }

    /// Return when open requests are to be sent again. Programs that connect and disconnect all the time must not have them sent each time.
    fn resend_due(&self) -> Option<Instant> {
        let now = Instant::now();
        let last = self.resent.filter(|_| self.has_many_managers);
        self.must_resend.then(|| last.map_or(now, |last| last + RESEND_INTERVAL))
    }

    /// Mark all open requests as unsent: a connection was made or lost, and a lost one may have been any manager's.
    fn mark_open_unsent(&mut self) -> zmq::Result<()> {
        (self.must_resend, self.resent) = (false, Some(Instant::now()));
        // Requests whose replies came before the loss are not sent again.
        self.return_replies(usize::MAX)?;
        self.requests.reset_sent_bytes();
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
        if self.requests.next_to_send().is_none() || !self.manager.settle_if_ready()? {
            return Ok(());
        }
        for _ in 0..TURN {
            let Some(request) = self.requests.next_to_send() else { break };
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
            let Some(frames) = self.manager.receive()? else { break };
            if let Some(Completed { number, request, reply }) = self.requests.complete(frames) {
                failpoint::pass("broker: reply taken");
                socket::send(&self.workers, &reply)?;
                failpoint::pass("broker: reply sent");
                self.with_recording(|recorder| recorder.note(number, request, &reply));
            } else {
                self.log.debug("a reply to a request that is not open was discarded");
            }
        }
        Ok(())
    }

    /// Reload the configuration. Return what was refused.
    fn reload(&mut self, reload_config: ReloadConfig) -> Result<(), String> {
        // Log files are opened again.
        self.descriptors.lend(u64::MAX);
        let config = reload_config()?;
        self.redeliver = config.redeliver;
        self.has_many_managers = config.has_many_managers;
        // libzmq's limit stays.
        let message_size = self.limits.message_size;
        self.limits = WireLimits { message_size, ..config.security.limits };
        let mut refused = Vec::new();
        if let Err(error) = self.access.reload(&config) {
            refused.push(format!("{error}. The keys that were authorized before stay so"));
        }
        if self.journal != config.journal.folder {
            self.journal.clone_from(&config.journal.folder);
            self.note = StateNote::new();
        }
        if let Err(error) = self.bind_ports(&config) {
            refused.push(format!("{error}. The ports that were bound before stay as they are"));
        }
        for text in &refused {
            self.log.error(text);
        }
        if refused.is_empty() { Ok(()) } else { Err(refused.join("\n")) }
    }

    /// Return the replies to open requests before the broker ends; a second signal ends it at once.
    fn drain(&mut self, signals: &mut Signals) -> Result<(), BrokerError> {
        let end = Instant::now() + DRAIN_TIMEOUT;
        // Requests that have arrived, or arrive meanwhile, are served too: plain workers do not send again.
        self.receive_requests()?;
        if !self.requests.is_empty() {
            let count = self.requests.len();
            self.log.info(format_args!("waiting up to {} s for replies: {count}", DRAIN_TIMEOUT.as_secs()));
        }
        while !self.requests.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || signals.take().iter().any(|signal| signal.ends()) {
                let count = self.requests.len();
                self.log.warning(format_args!("ended with unanswered requests: {count}"));
                break;
            }
            let ready = self.wait(signals, Some(left))?;
            self.turn(ready)?;
        }
        self.with_recording(Recorder::flush);
        Ok(())
    }
}
