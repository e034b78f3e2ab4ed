//! The manager: waits, decides, performs. The one loop in which everything comes together.
//!
//! It decides nothing itself ([`decide`] does) and touches nothing itself ([`Performer`] does).

use std::collections::HashMap;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::ZonedDateTime;
use zmq::{Context, POLLIN, PollItem, Socket, SocketType};

use crate::config::{Config, ReadAgain, Zmq};
use crate::core::checklist::Checklist;
use crate::core::{Effect, Event, Request, RequestId, State, decide, end_if_idle};
use crate::launch::Children;
use crate::logging::Logger;
use crate::net::{Signals, envelope, socket};
use crate::perform::{Performed, Performer};
use crate::rules::{Engine, Options as EngineOptions, Reload, Reloader, RuleSet};
use crate::store::ChecklistFile;
use crate::yaml::{Map, Value, python};

/// The name under which the manager logs and answers: the peer's.
pub const NAME: &str = crate::core::decide::MANAGER;

/// Requests decided in one batch. More would let the first one wait too long for its reply.
const BATCH: usize = 1_000;

/// Milliseconds that the last replies get to leave the process.
const LINGER: i32 = 1_000;

/// Milliseconds until the connection to the broker is tried again; doubled each time up to a second.
const RECONNECT: i32 = 20;

/// Why the manager had to stop.
#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
    /// ZeroMQ failed.
    #[error("ZMQError: {0}")]
    Zmq(#[from] zmq::Error),
    /// The operating system refused something that nothing works without.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

/// How a manager is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Start with an empty checklist, whatever the file holds, also on SIGHUP.
    pub ignore_checklist: bool,
    /// End by itself when no run is open and no join waits.
    pub exit_when_idle: bool,
}

/// A manager, connected to its broker.
pub struct Manager {
    state: State,
    rules: Reloader,
    performer: Performer,
    options: Options,
    log: Logger,
    last_request: u64,
    endpoints: Vec<String>,
    // Declared after the performer's socket, so that it is dropped after it.
    _context: Context,
}

impl Manager {
    /// Loads the rules, connects to the broker, which need not be there yet, and reads the checklist.
    ///
    /// # Errors
    /// When ZeroMQ or the operating system refuses.
    pub fn start(
        config: Config,
        options: Options,
        program: PathBuf,
        log: Logger,
    ) -> Result<Self, ManagerError> {
        let config = Arc::new(config);
        let (rules, loaded) = Reloader::start(rule_set(&config));
        let context = Context::new();
        let socket = context.socket(SocketType::ROUTER)?;
        let performer = Performer {
            socket,
            envelopes: HashMap::new(),
            checklist_file: ChecklistFile::new(config.checklist_file.clone()),
            children: Children::new()?,
            log: log.clone(),
            program,
        };
        let mut state = State::new(Arc::clone(&config), Checklist::default());
        state.exit_when_idle = options.exit_when_idle;
        let mut manager = Self {
            state,
            rules,
            performer,
            options,
            log,
            last_request: 0,
            endpoints: Vec::new(),
            _context: context,
        };
        manager.tell(loaded);
        manager.connect(&config.zmq)?;
        if let Some(entries) = manager.read_checklist() {
            manager.state.checklist = Checklist::new(entries);
        }
        Ok(manager)
    }

    /// Works until a signal or an effect ends it; answers the exit status.
    ///
    /// # Errors
    /// When ZeroMQ or the operating system fails.
    pub fn run(
        &mut self,
        first: Vec<Event>,
        signals: &mut Signals,
        read_again: ReadAgain,
    ) -> Result<u8, ManagerError> {
        let result = self.work(first, signals, read_again);
        if let Err(error) = self.write_pending_checklist() {
            self.log.critical(format_args!("the checklist file could not be written: {error}"));
        }
        result
    }

    fn work(
        &mut self,
        first: Vec<Event>,
        signals: &mut Signals,
        read_again: ReadAgain,
    ) -> Result<u8, ManagerError> {
        let mut events = first;
        self.log.debug("listening...");
        loop {
            let heard = events.iter().any(|event| matches!(event, Event::Request(_)));
            if heard {
                // An edit saved before a message arrives is in force for it.
                let reload = self.rules.check_now();
                self.tell(reload);
            }
            if let Some(status) = self.handle(events, read_again) {
                self.answer_the_rest(read_again)?;
                return Ok(status);
            }
            if heard {
                self.log.debug("listening...");
            }
            events = self.wait(signals)?;
        }
    }

    /// Decides a batch of events, performs what follows, and what follows from that. The exit status if
    /// that is the end.
    fn handle(&mut self, mut events: Vec<Event>, read_again: ReadAgain) -> Option<u8> {
        let mut stop = None;
        while !events.is_empty() {
            let mut effects: Vec<Effect> = Vec::new();
            for event in events {
                effects.extend(decide(&mut self.state, event, &self.rules, &ZonedDateTime::now()));
            }
            effects.extend(end_if_idle(&self.state));
            let performed: Performed = self.performer.perform(effects, &self.state);
            stop = stop.or(performed.stop);
            events = performed.events;
            if performed.reload {
                events.extend(self.reload(read_again));
            }
        }
        stop
    }

    /// The requests that wait in this process already would be lost with it.
    fn answer_the_rest(&mut self, read_again: ReadAgain) -> Result<(), ManagerError> {
        loop {
            let requests = self.receive()?;
            if requests.is_empty() {
                return Ok(());
            }
            self.handle(requests, read_again);
        }
    }

    /// Waits for whatever comes first. Requests come before the ends of runs: a worker ends after
    /// its message, and so it is decided.
    fn wait(&mut self, signals: &mut Signals) -> Result<Vec<Event>, ManagerError> {
        let timeout = self.performer.checklist_file.due().map_or(-1, |due| {
            let left = due.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            i64::try_from(left.as_millis()).unwrap_or(i64::MAX)
        });
        let mut items = [
            self.performer.socket.as_poll_item(POLLIN),
            PollItem::from_fd(signals.as_raw_fd(), POLLIN),
            PollItem::from_fd(self.performer.children.as_raw_fd(), POLLIN),
        ];
        socket::poll(&mut items, timeout)?;
        let mut events = self.receive()?;
        for (run, ending) in self.performer.children.reap()? {
            events.push(Event::RunEnded { run, ending });
        }
        events.extend(signals.take().into_iter().map(Event::Signal));
        events.extend(self.performer.write_checklist(&self.state));
        Ok(events)
    }

    fn receive(&mut self) -> zmq::Result<Vec<Event>> {
        let mut events = Vec::new();
        while events.len() < BATCH
            && let Some(frames) = socket::receive(&self.performer.socket)?
        {
            let Some((envelope, body)) = envelope::open(frames) else {
                self.log.error("something that is not built like a request was dropped; no reply will come");
                continue;
            };
            self.last_request += 1;
            let request = RequestId(self.last_request);
            self.performer.envelopes.insert(request, envelope);
            let message = crate::message::Message::decode(&body);
            events.push(Event::Request(Request { request, ticket: None, body, message }));
        }
        Ok(events)
    }

    /// SIGHUP: everything is read again, without letting go of the broker. A configuration that
    /// cannot be used is refused, and the old one stays.
    fn reload(&mut self, read_again: ReadAgain) -> Option<Event> {
        let config = read_again()?;
        let written = self.write_pending_checklist();
        let config = Arc::new(config);
        if config.checklist_file != self.performer.checklist_file.path() {
            self.performer.checklist_file = ChecklistFile::new(config.checklist_file.clone());
        }
        let loaded = self.rules.follow(rule_set(&config));
        self.tell(loaded);
        if let Err(error) = self.connect(&config.zmq) {
            let host = &config.zmq.host;
            self.log
                .critical(format_args!("cannot connect to {host}: {error}; the connection of before stays"));
        }
        let checklist = match written {
            Ok(()) => self.read_checklist(),
            // The file is older than the memory.
            Err(error) => {
                self.log.critical(format_args!(
                    "the checklist file is not read, for it cannot be written: {error}"
                ));
                None
            }
        };
        self.log.debug("listening...");
        let _ = checklist;
        Some(Event::Reloaded { config })
    }

    /// Connects to where the configuration says. Connections that it no longer names are kept until
    /// the manager ends: replies may still go there.
    fn connect(&mut self, zmq: &Zmq) -> zmq::Result<()> {
        let socket: &Socket = &self.performer.socket;
        if self.endpoints.is_empty() {
            // A ROUTER drops what is over its limit in silence, so there is none; and it says when
            // the broker that a reply is for is gone.
            socket.set_sndhwm(0)?;
            socket.set_rcvhwm(0)?;
            socket.set_router_mandatory(true)?;
            socket.set_linger(LINGER)?;
            socket.set_reconnect_ivl(RECONNECT)?;
            socket.set_reconnect_ivl_max(1_000)?;
        }
        let endpoint = format!("tcp://{}:{}", zmq.host, zmq.manager_port);
        if !self.endpoints.contains(&endpoint) {
            socket.connect(&endpoint)?;
            self.endpoints.push(endpoint);
        }
        self.log.info(format_args!("connected to {} port {}", zmq.host, zmq.manager_port));
        Ok(())
    }

    /// Says what came of a look at the rules' files.
    fn tell(&self, reload: Reload) {
        match reload {
            Reload::Unchanged => {}
            Reload::Loaded => {
                for line in self.rules.engine().into_iter().flat_map(Engine::log) {
                    self.log.log(line.level, &line.text);
                }
                let module = &self.rules.rule_set().module;
                self.log.info(format_args!("next workers module loaded from {module}"));
            }
            Reload::Refused(error) => {
                let kept = if self.rules.engine().is_some() {
                    "the rules of before stay in force"
                } else {
                    "there are none in force, so the rule of every message fails until this is repaired"
                };
                self.log.critical(format_args!("the rules cannot be used, {kept}:\n{error}"));
            }
        }
    }

    /// The checklist that the file holds; `None` leaves the one in memory.
    fn read_checklist(&mut self) -> Option<Map> {
        if self.options.ignore_checklist {
            return None;
        }
        let file = self.performer.checklist_file.path().to_owned();
        match self.performer.checklist_file.load() {
            Ok(entries) => {
                self.log.info(format_args!("checklist read from {}", file.display()));
                let shown = python::pformat(&Value::from(entries.clone()));
                self.log.info(format_args!("checklist:\n{shown}"));
                Some(entries)
            }
            Err(error) => {
                self.log.warning(format_args!("checklist load failed:\n{error}"));
                if self.state.checklist.is_empty() {
                    self.log.warning("running with empty checklist");
                } else {
                    self.log.warning("running with the checklist in memory, and writing it");
                    self.performer.checklist_file.changed(Instant::now());
                }
                None
            }
        }
    }

    fn write_pending_checklist(&mut self) -> std::io::Result<()> {
        let checklist = self.state.checklist.to_value();
        self.performer.checklist_file.flush(|| checklist, Instant::now())
    }
}

/// The rules that a configuration names.
fn rule_set(config: &Config) -> RuleSet {
    let registry = &config.registry;
    RuleSet {
        config_file: config.file.clone(),
        module: registry.next_workers_module.clone(),
        options: EngineOptions { package: registry.workers_package.clone(), ..EngineOptions::default() },
        workers: registry.workers.keys().cloned().collect(),
    }
}
