//! Executes all effects but the records, which `commit.rs` commits first.
//!
//! It never decides anything. An effect that fails comes back as an event.

use std::path::PathBuf;
use std::time::Instant;

use super::Manager;
use crate::config::defaults::defaults;
use crate::failpoint;
use crate::launch::{self, Environment, RunLocation, STOPPED_BEFORE_START, Started};
use crate::process::machine;
use crate::store::checklist_file::WriteState;
use nowcast_core::message::{CYCLE, WORKER};
use nowcast_core::run::{RunReport, Stage};
use nowcast_core::{Cycle, Effect, Event, Level, LogLine, NextWorker, Number, Run, RunId};
use pylogging::Logger;
use pyyaml::{Value, python};

/// The logger that the checklist is written to before it is cleared.
const CHECKLIST_LOGGER: &str = "checklist";

/// The most runs that are started before the loop continues: each takes a few milliseconds.
const MAX_LAUNCHES_AT_ONCE: usize = 20;

/// Why a run is not started that was running in the backup from which the journal was restored, if its folder does not tell more.
const RUNNING_IN_BACKUP: &str = "it was running in the backup from which the journal was restored, and its folder is not here, so \
    whether it has succeeded is not known";

/// A launch that is committed and not yet started, or a run of the previous manager to adopt.
#[derive(Debug)]
pub(super) struct QueuedLaunch {
    run: RunId,
    folder: String,
    worker: NextWorker,
    cycle: Option<Cycle>,
    /// The last event that the checklist file must include, so that the worker finds its world in it.
    checklist_event: Number,
    /// The previous manager started the run, or was about to.
    is_adopted: bool,
}

/// The tasks of the loop after a batch of effects.
#[derive(Debug, Default)]
pub(super) struct FollowUp {
    /// The events that the effects made.
    pub(super) events: Vec<Event>,
    /// Configuration, rules and checklist are to be read again.
    pub(super) reload: bool,
    /// The manager is to exit with this status.
    pub(super) stop: Option<u8>,
}

/// Log a line of the core or of a rule.
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
    /// Execute the effects of a committed batch in this order: log lines, replies, answers, the checklist file, stops of runs, launches
    /// (a launched worker may read that file), notifications.
    ///
    /// Replies sent before the log lines would come later on a machine with two cores: a worker that goes on competes with the writing.
    pub(super) fn perform(&mut self, effects: Vec<Effect>) -> FollowUp {
        let mut follow_up = FollowUp::default();
        if effects.is_empty() {
            return follow_up;
        }
        self.write_log(&effects);
        self.send_replies(&effects);
        let has_launches = effects.iter().any(|effect| matches!(effect, Effect::Launch { .. }));
        let mut stops = Vec::new();
        let mut notices = Vec::new();
        for effect in effects {
            match effect {
                // Committed before, or executed already.
                Effect::Journal(_) | Effect::Reply { .. } | Effect::Log(_) | Effect::LogChecklist(_) => {}
                Effect::Answer { call, answer } => self.control.answer(call, &answer),
                Effect::WriteChecklist => self.checklist_file.mark_changed(Instant::now()),
                Effect::Launch { run, folder, worker, cycle } => {
                    let checklist_event = self.state.checklist_event;
                    self.launch_queue.push_back(QueuedLaunch {
                        run,
                        folder,
                        worker,
                        cycle,
                        checklist_event,
                        is_adopted: false,
                    });
                }
                Effect::StopRun(run) => stops.push(run),
                Effect::Notify(notice) => notices.push(notice),
                Effect::Reload => follow_up.reload = true,
                Effect::Prune { keep, keep_outputs } => self.housekeeping.prune_now(keep, keep_outputs),
                Effect::Stop { status } => follow_up.stop = Some(status),
            }
        }
        failpoint::pass("manager: replied");
        if has_launches {
            self.checklist_file.make_due(Instant::now());
        }
        follow_up.events.extend(self.write_checklist_if_due());
        failpoint::pass("manager: checklist written");
        for run in stops {
            // A queued run may have a runner of an earlier manager. Without one it is not started.
            let position = self.launch_queue.iter().position(|queued| queued.run == run);
            if let Some(queued) = position.and_then(|position| self.launch_queue.remove(position)) {
                follow_up.events.extend(self.start_or_adopt(&queued));
            }
            self.runners.request_stop(run);
        }
        follow_up.events.extend(self.start_queued());
        for notice in notices {
            self.notifier.notify(&notice);
        }
        follow_up
    }

    /// Queue the launched runs of the previous manager; [`Manager::start_queued`] starts or adopts them.
    pub(super) fn queue_adoptions(&mut self, runs: Vec<Run>) {
        for run in runs {
            if let Stage::Launched { folder, .. } = run.stage {
                self.launch_queue.push_back(QueuedLaunch {
                    run: run.id,
                    folder,
                    worker: run.worker,
                    cycle: run.cycle,
                    checklist_event: Number(0),
                    is_adopted: true,
                });
            }
        }
    }

    /// Execute effects that were postponed: the next launches, and the checklist file if it is due.
    pub(super) fn perform_postponed(&mut self) -> Vec<Event> {
        let mut events: Vec<Event> = self.write_checklist_if_due().into_iter().collect();
        events.extend(self.start_queued());
        events
    }

    /// Whether the next queued launch need not wait for the checklist file.
    pub(super) fn can_start_next_queued(&self) -> bool {
        let next = self.launch_queue.front();
        next.is_some_and(|queued| self.checklist_file.includes(queued.checklist_event))
    }

    /// Start up to [`MAX_LAUNCHES_AT_ONCE`] queued launches. Return `RunEnded` for those that have ended already.
    fn start_queued(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..MAX_LAUNCHES_AT_ONCE {
            if !self.can_start_next_queued() {
                break;
            }
            let Some(queued) = self.launch_queue.pop_front() else { break };
            events.extend(self.start_or_adopt(&queued));
            let run = queued.run;
            // An adopted run may have reported, or have been requested to stop, before: its runner is told now.
            let adopted_run = self.state.runs.get(&run).filter(|_| queued.is_adopted);
            if adopted_run.is_some_and(|run| run.stop_requested.is_some()) {
                self.runners.ensure_stop_requested(run);
            }
            if adopted_run.is_some_and(|run| run.report.as_ref().is_some_and(RunReport::is_final)) {
                self.runners.tell_remote_runner_reported(run);
            }
        }
        events
    }

    /// Write the checklist file if that is due.
    fn write_checklist_if_due(&mut self) -> Option<Event> {
        let state = &self.state;
        let snapshot = || (state.checklist_event, state.checklist.to_value());
        let writing = self.checklist_file.write_if_due(snapshot, Instant::now());
        self.report_changed_file();
        Some(match writing? {
            WriteState::Failed(error) => Event::ChecklistNotWritten { reason: error.to_string() },
            WriteState::Recovered => Event::ChecklistWriteRecovered,
        })
    }

    fn send_replies(&mut self, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Reply { request, message } = effect {
                self.broker.reply(*request, message);
            }
        }
    }

    /// Write the log lines of a batch together.
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

    /// Log the checklist as NEMO_Nowcast does: once for each handler of the logger, at that handler's level.
    fn log_checklist(&self, checklist: &Value) {
        let levels = pylogging::handlers_of(CHECKLIST_LOGGER);
        if levels.is_empty() {
            return;
        }
        self.log.info("writing checklist to log file");
        let logger = Logger::new(CHECKLIST_LOGGER);
        for level in levels {
            logger.log_block(level, format_args!("checklist:\n{}", python::pformat(checklist)));
        }
    }

    /// Start a run, unless it was started before. Return its end if it has ended already.
    fn start_or_adopt(&mut self, queued: &QueuedLaunch) -> Option<Event> {
        let QueuedLaunch { run, folder, worker, cycle, is_adopted, .. } = queued;
        // A run that was requested to stop before it was started may be adopted, but not started.
        let launched = self.state.runs.get(run);
        let stop_requested = launched.is_some_and(|run| run.stop_requested.is_some());
        let is_restored = launched.is_some_and(|run| run.is_restored);
        if !is_adopted && !stop_requested {
            self.log.info(format_args!("launching {worker}"));
        }
        failpoint::pass("manager: launching");
        // An error is passed on: a run that was started before is adopted although the configuration lost its command.
        let location = RunLocation { folder: &self.runners.root().join(folder), machine: &machine() };
        let command = launch::build_launch_command(
            worker,
            *run,
            cycle.as_ref(),
            &self.config,
            &self.nowcast_binary,
            location,
        );
        if !stop_requested && let Ok(command) = &command {
            let argv = command.for_log(&self.nowcast_binary);
            self.log.debug(format_args!("cmd = {}", python::repr_list(&argv)));
        }
        let environment = self.environment(worker, *run, cycle.as_ref());
        let command = match command {
            _ if is_restored => Err(RUNNING_IN_BACKUP.to_owned()),
            _ if stop_requested => Err(STOPPED_BEFORE_START.to_owned()),
            command => command.map_err(|error| error.to_string()),
        };
        let started = self.runners.start(*run, folder, command, &environment);
        failpoint::pass("manager: launched");
        match started {
            Started::NotEnded => None,
            Started::Ended(ending) => Some(self.run_ended_event(*run, ending)),
        }
    }

    /// Return the variables of a worker beside the manager's own: its name and cycle, the configuration, a path with our binary, and
    /// those of its settings and its rule.
    fn environment(&self, worker: &NextWorker, run: RunId, cycle: Option<&Cycle>) -> Environment {
        let mut environment = vec![(WORKER.to_owned(), worker.name().into())];
        environment.extend(cycle.map(|cycle| (CYCLE.to_owned(), cycle.as_str().into())));
        // The worker reads the same configuration file, with the same defaults.
        environment.extend(defaults(&self.config.file));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain(self.nowcast_binary.parent().map(PathBuf::from));
        // The last folder: it is only for scripts that find `nowcast` nowhere else.
        environment.extend(std::env::join_paths(folders).ok().map(|path| ("PATH".to_owned(), path)));
        environment.extend(launch::variables(&self.config, worker.name(), run));
        environment.extend(worker.options.env.iter().map(|(name, value)| (name.clone(), value.into())));
        environment
    }
}
