//! Carries out effects: the only place where the manager touches the world.
//!
//! It decides nothing. An effect that fails comes back as an event. Nothing of a batch is done before
//! its records are kept.

use std::path::PathBuf;
use std::time::Instant;

use super::Manager;
use crate::config::defaults::defaults;
use crate::failpoint;
use crate::launch::on_host::machine;
use crate::launch::{self, Environment, RunLocation, Started};
use crate::store::checklist_file::WriteState;
use nowcast_core::message::WORKER;
use nowcast_core::run::{RunReport, Stage};
use nowcast_core::{Effect, Event, Level, LogLine, NextWorker, Record, Run, RunId};
use pylogging::Logger;
use pyyaml::{Value, python};

/// The logger that the checklist is written to before it is cleared.
const CHECKLIST_LOGGER: &str = "checklist";

/// Runs that are handed to their runners before the manager looks at all else: each takes a few milliseconds.
const MAX_LAUNCHES_PER_TURN: usize = 20;

/// A launch that is kept and not yet given to a runner, or a run of the previous manager to adopt.
#[derive(Debug)]
pub(super) struct QueuedLaunch {
    run: RunId,
    folder: String,
    worker: NextWorker,
    /// The previous manager started the run, or was about to.
    is_adopted: bool,
}

/// What is left to do after a batch of effects.
#[derive(Debug, Default)]
pub(super) struct Performed {
    /// What came of it.
    pub(super) events: Vec<Event>,
    /// Configuration, rules and checklist are to be read again.
    pub(super) reload: bool,
    /// The manager is to end with that status.
    pub(super) stop: Option<u8>,
}

/// Parts a batch into what is to be kept first and what is to be done then.
pub(super) fn split(effects: Vec<Effect>) -> (Vec<Record>, Vec<Effect>) {
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
pub(super) fn log_line(log: &Logger, line: &LogLine) {
    let level = match line.level {
        Level::Debug => pylogging::Level::DEBUG,
        Level::Info => pylogging::Level::INFO,
        Level::Warning => pylogging::Level::WARNING,
        Level::Error => pylogging::Level::ERROR,
        Level::Critical => pylogging::Level::CRITICAL,
    };
    log.log(level, &line.text);
}

impl Manager {
    /// Carries out a batch whose records are kept: replies first, then the checklist file, then launches,
    /// so that a launched worker that reads the file finds its own world there, and notifications last.
    pub(super) fn perform(&mut self, effects: Vec<Effect>) -> Performed {
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
                Effect::Reply { request, message } => self.broker.reply(request, &message),
                Effect::Answer { call, answer } => self.control.answer(call, &answer),
                Effect::WriteChecklist => self.checklist_file.changed(Instant::now()),
                Effect::Launch { run, folder, worker } => {
                    self.launch_queue.push_back(QueuedLaunch { run, folder, worker, is_adopted: false });
                }
                Effect::StopRun(run) => ends.push(run),
                Effect::Notify(notice) => notices.push(notice),
                Effect::Reload => performed.reload = true,
                Effect::Stop { status } => performed.stop = Some(status),
            }
        }
        failpoint::pass("manager: replied");
        if has_launches {
            self.checklist_file.hurry(Instant::now());
        }
        performed.events.extend(self.write_checklist());
        failpoint::pass("manager: checklist written");
        for run in ends {
            // One that waits for its turn begins now, to be told as any other.
            let place = self.launch_queue.iter().position(|queued| queued.run == run);
            if let Some(queued) = place.and_then(|place| self.launch_queue.remove(place)) {
                performed.events.extend(self.launch(&queued));
            }
            self.runs.request_stop(run);
        }
        performed.events.extend(self.start_queued());
        for notice in notices {
            self.notifier.notify(&notice);
        }
        performed
    }

    /// Watch the runs of the previous manager: those that have not begun are started, and ends that are known already
    /// become events.
    pub(super) fn adopt(&mut self, runs: Vec<Run>) {
        for run in runs {
            if let Stage::Launched { folder, .. } = run.stage {
                self.launch_queue.push_back(QueuedLaunch {
                    run: run.id,
                    folder,
                    worker: run.worker,
                    is_adopted: true,
                });
            }
        }
    }

    /// Go on with effects that were put off: the next launches, and the checklist file if it is due.
    pub(super) fn resume(&mut self) -> Vec<Event> {
        let mut events = self.start_queued();
        events.extend(self.write_checklist());
        events
    }

    /// Give the next launches to runners. Returns the ends that are known already.
    fn start_queued(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..MAX_LAUNCHES_PER_TURN {
            let Some(queued) = self.launch_queue.pop_front() else { break };
            events.extend(self.launch(&queued));
            let run = queued.run;
            // This manager has not asked an adopted run for anything yet.
            let known = self.state.runs.get(&run).filter(|_| queued.is_adopted);
            if known.is_some_and(|run| run.stop_requested.is_some()) {
                self.runs.ensure_stop_requested(run);
            }
            if known.is_some_and(|run| run.report.as_ref().is_some_and(RunReport::is_last)) {
                self.runs.note_reported(run);
            }
        }
        events
    }

    /// Write the checklist file if that is due.
    fn write_checklist(&mut self) -> Option<Event> {
        let state = &self.state;
        let snapshot = || (state.checklist_event, state.checklist.to_value());
        let writing = self.checklist_file.tick(snapshot, Instant::now())?;
        Some(match writing {
            WriteState::Failed(error) => Event::ChecklistNotWritten { reason: error.to_string() },
            WriteState::Recovered => Event::ChecklistWritten,
        })
    }

    /// Writes the log lines of a batch, together.
    fn write_log(&self, effects: &[Effect]) {
        pylogging::gather(|| {
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
        let levels = pylogging::handlers_of(CHECKLIST_LOGGER);
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
    fn launch(&mut self, queued: &QueuedLaunch) -> Option<Event> {
        let QueuedLaunch { run, folder, worker, is_adopted } = queued;
        if !is_adopted {
            self.log.info(format_args!("launching {worker}"));
        }
        failpoint::pass("manager: launching");
        // One that was started before goes on, whatever the configuration says now.
        let location = RunLocation { folder: &self.runs.root().join(folder), machine: &machine() };
        let command = launch::command(worker, *run, &self.config, &self.program, location);
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
