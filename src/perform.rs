//! Carries out effects: the only place where the manager touches the world.
//!
//! It decides nothing. An effect that fails comes back as an event. Nothing of a batch is done before
//! its records are kept.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use zmq::Socket;

use crate::config::Config;
use crate::config::defaults::defaults;
use crate::control::Control;
use crate::failpoint;
use crate::launch::on_host::machine;
use crate::launch::{self, Environment, Place, Runs, Started};
use crate::logging::{self, Logger};
use crate::net::{Envelope, socket};
use crate::notify::Notifier;
use crate::store::checklist_file::Writing;
use crate::store::{ChecklistFile, Journal, JournalError};
use nowcast_core::message::{Message, WORKER};
use nowcast_core::record::What;
use nowcast_core::run::{Report, Stage};
use nowcast_core::{Change, Effect, Event, Level, LogLine, NextWorker, Record, RequestId, Run, RunId, State};
use pyyaml::{Value, python};

/// The logger that the checklist is written to before it is cleared.
const CHECKLIST_LOGGER: &str = "checklist";

/// Runs that are handed to their runners before the manager looks at all else: each takes a few milliseconds.
const SLICE: usize = 20;

/// A run that is to be handed to a runner, or has one, of which this manager is still to hear.
#[derive(Debug)]
pub struct Handover {
    run: RunId,
    folder: String,
    worker: NextWorker,
    /// A manager before has done it, or was about to.
    is_taken_up: bool,
}

/// What carries out effects, with all that it needs for that.
pub struct Performer {
    /// The configuration in force.
    pub config: Arc<Config>,
    /// The connection to the broker.
    pub socket: Socket,
    /// The ways back to the workers that wait for a reply.
    pub envelopes: HashMap<RequestId, Envelope>,
    /// What is kept of everything that happens.
    pub journal: Journal,
    /// The checklist on disk.
    pub checklist_file: ChecklistFile,
    /// The launched workers.
    pub runs: Runs<RunId>,
    /// What is kept as launched and still to be handed over, in slices: thousands at once would keep everybody waiting.
    pub handovers: VecDeque<Handover>,
    /// The way to whoever is told outside.
    pub notifier: Notifier,
    /// The operators' way in.
    pub control: Control,
    /// The manager's log.
    pub log: Logger,
    /// Our own binary, which the built-in workers are part of.
    pub program: PathBuf,
}

/// What is left to do after a batch of effects.
#[derive(Debug, Default)]
pub struct Performed {
    /// What came of it.
    pub events: Vec<Event>,
    /// Configuration, rules and checklist are to be read again.
    pub reload: bool,
    /// The manager is to end with that status.
    pub stop: Option<u8>,
}

/// Parts a batch into what is to be kept first and what is to be done then.
#[must_use]
pub fn part(effects: Vec<Effect>) -> (Vec<Record>, Vec<Effect>) {
    let (mut records, mut rest) = (Vec::new(), Vec::new());
    for effect in effects {
        match effect {
            Effect::Journal(record) => records.push(*record),
            other => rest.push(other),
        }
    }
    (records, rest)
}

/// Writes a line of the core's or of a rule's to a logger.
pub fn log_line(log: &Logger, line: &LogLine) {
    let level = match line.level {
        Level::Debug => logging::Level::DEBUG,
        Level::Info => logging::Level::INFO,
        Level::Warning => logging::Level::WARNING,
        Level::Error => logging::Level::ERROR,
        Level::Critical => logging::Level::CRITICAL,
    };
    log.log(level, &line.text);
}

impl Performer {
    /// Keeps a batch's records, in one commit.
    ///
    /// # Errors
    /// When they are not kept; it can be tried again.
    pub fn keep(&mut self, records: &[Record]) -> Result<(), JournalError> {
        if records.is_empty() {
            return Ok(());
        }
        failpoint::pass("manager: decided");
        self.journal.commit(records)?;
        failpoint::pass("manager: kept");
        for record in records {
            if let What::RunEnded { run } = record.what {
                self.runs.forget(run);
            }
            for change in &record.changes {
                if let Change::Run(run) = change
                    && run.is_running()
                    && run.report.as_ref().is_some_and(Report::is_last)
                {
                    self.runs.reported(run.id);
                }
            }
        }
        Ok(())
    }

    /// Carries out a batch whose records are kept: replies first, then the checklist file, then launches,
    /// so that a launched worker that reads the file finds its own world there, and notifications last.
    pub fn perform(&mut self, effects: Vec<Effect>, state: &State) -> Performed {
        let mut performed = Performed::default();
        if effects.is_empty() {
            return performed;
        }
        self.write_log(&effects);
        let has_launches = effects.iter().any(|effect| matches!(effect, Effect::Launch { .. }));
        let mut ends = Vec::new();
        let mut notices = Vec::new();
        for effect in effects {
            match effect {
                // Done before.
                Effect::Journal(_) | Effect::Log(_) | Effect::LogChecklist(_) => {}
                Effect::Reply { request, message } => self.reply(request, &message),
                Effect::Answer { call, answer } => self.control.answer(call, &answer),
                Effect::WriteChecklist => self.checklist_file.changed(Instant::now()),
                Effect::Launch { run, folder, worker } => {
                    self.handovers.push_back(Handover { run, folder, worker, is_taken_up: false });
                }
                Effect::EndRun(run) => ends.push(run),
                Effect::Notify(notice) => notices.push(notice),
                Effect::Reload => performed.reload = true,
                Effect::Stop { status } => performed.stop = Some(status),
            }
        }
        failpoint::pass("manager: replied");
        if has_launches {
            self.checklist_file.hurry(Instant::now());
        }
        performed.events.extend(self.write_checklist(state));
        failpoint::pass("manager: checklist written");
        for run in ends {
            // One that waits for its turn begins now, to be told as any other.
            let place = self.handovers.iter().position(|handover| handover.run == run);
            if let Some(handover) = place.and_then(|place| self.handovers.remove(place)) {
                performed.events.extend(self.launch(&handover));
            }
            self.runs.end(run);
        }
        performed.events.extend(self.hand_over(state));
        for notice in notices {
            self.notifier.notify(&notice);
        }
        performed
    }

    /// Takes up the runs that a manager before handed over: those that have not begun are started, those that
    /// run are watched, and those that have ended are told.
    pub fn take_up<'a>(&mut self, runs: impl Iterator<Item = &'a Run>) {
        for run in runs {
            if let Stage::Launched { folder, .. } = &run.stage {
                let (run, folder, worker) = (run.id, folder.clone(), run.worker.clone());
                self.handovers.push_back(Handover { run, folder, worker, is_taken_up: true });
            }
        }
    }

    /// Hands the next runs to their runners; what is known of their ends already.
    pub fn hand_over(&mut self, state: &State) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..SLICE {
            let Some(handover) = self.handovers.pop_front() else { break };
            events.extend(self.launch(&handover));
            let run = handover.run;
            // Nobody has told it under this manager.
            let known = state.runs.get(&run).filter(|_| handover.is_taken_up);
            if known.is_some_and(|run| run.told_to_end.is_some()) {
                self.runs.end_once(run);
            }
            if known.is_some_and(|run| run.report.as_ref().is_some_and(Report::is_last)) {
                self.runs.reported(run);
            }
        }
        events
    }

    /// Writes the checklist file if that is due.
    pub fn write_checklist(&mut self, state: &State) -> Option<Event> {
        let snapshot = || (state.checklist_event, state.checklist.to_value());
        let writing = self.checklist_file.tick(snapshot, Instant::now())?;
        Some(match writing {
            Writing::Failed(error) => Event::ChecklistNotWritten { reason: error.to_string() },
            Writing::Recovered => Event::ChecklistWritten,
        })
    }

    fn reply(&mut self, request: RequestId, message: &Message) {
        let Some(mut frames) = self.envelopes.remove(&request) else { return };
        frames.push(message.encode().into_bytes());
        match socket::send(&self.socket, &frames) {
            Ok(true) => {}
            // The broker that brought the request is gone, and with it the way to the worker.
            Ok(false) | Err(zmq::Error::EHOSTUNREACH) => {
                self.log.warning(
                    "a reply did not go out: the message broker that waited for it is gone; it is kept for when the \
                     message comes again",
                );
            }
            Err(error) => self.log.error(format_args!("a reply did not go out: ZMQError: {error}")),
        }
        failpoint::pass("manager: one replied");
    }

    /// Writes the log lines of a batch, together.
    fn write_log(&self, effects: &[Effect]) {
        logging::gather(|| {
            for effect in effects {
                match effect {
                    Effect::Log(line) => log_line(&self.log, line),
                    Effect::LogChecklist(checklist) => self.log_checklist(checklist),
                    _ => {}
                }
            }
        });
    }

    /// The peer writes the checklist once for each handler of the logger, at that handler's level.
    fn log_checklist(&self, checklist: &Value) {
        let levels = logging::handlers_of(CHECKLIST_LOGGER);
        if levels.is_empty() {
            return;
        }
        self.log.info("writing checklist to log file");
        let logger = Logger::new(CHECKLIST_LOGGER);
        for level in levels {
            logger.log(level, format_args!("checklist:\n{}", python::pformat(checklist)));
        }
    }

    /// Sees to it that a run is started once; its end, if that is known already.
    fn launch(&mut self, handover: &Handover) -> Option<Event> {
        let Handover { run, folder, worker, is_taken_up } = handover;
        if !is_taken_up {
            self.log.info(format_args!("launching {worker}"));
        }
        failpoint::pass("manager: launching");
        // One that was started before goes on, whatever the configuration says now.
        let place = Place { folder: &self.runs.root().join(folder), machine: &machine() };
        let command = launch::command(worker, *run, &self.config, &self.program, place);
        if let Ok(command) = &command {
            self.log.debug(format_args!("cmd = {}", python::repr_list(&command.argv)));
        }
        let environment = self.environment(worker);
        let command = command.map_err(|error| error.to_string());
        let started = self.runs.start(*run, folder, command, &environment);
        failpoint::pass("manager: launched");
        match started {
            Started::Running => None,
            Started::Ended(ending) => Some(Event::RunEnded { run: *run, ending }),
        }
    }

    /// What a worker finds in its environment beside the manager's: its name, the configuration, us on the path, and
    /// what its rule says.
    fn environment(&self, worker: &NextWorker) -> Environment {
        let mut environment = vec![(WORKER.to_owned(), worker.name().into())];
        // The configuration file, and what it asks for and is not set: the worker reads the same file.
        environment.extend(defaults(&self.config.file));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain(self.program.parent().map(PathBuf::from));
        // Behind all others: it is only for scripts that find no `nowcast` elsewhere.
        environment.extend(std::env::join_paths(folders).ok().map(|path| ("PATH".to_owned(), path)));
        environment.extend(worker.options.env.iter().map(|(name, value)| (name.clone(), value.into())));
        environment
    }
}
