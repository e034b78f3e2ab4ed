//! The manager: one loop that waits for events, lets the core decide them and performs the effects.
//!
//! It never decides anything itself: [`decide()`] does. `commit.rs` commits the records of a batch, then `perform.rs` executes its
//! other effects. `wait.rs` waits, and `receive.rs` makes events of messages; the other files serve these.

mod checklist;
mod commit;
mod connection;
mod due_clock;
mod endpoints;
mod failures;
mod forecaster;
mod guarded_rules;
mod housekeeping;
mod inbox;
mod perform;
mod poison_guard;
mod receive;
mod refusal;
mod reload;
mod start;
mod wait;
mod watchdog;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::config::{Config, ReloadConfig};
use crate::control::Control;
use crate::failpoint;
use crate::launch::{LaunchedRuns, RunFolder};
use crate::net::curve::KeyError;
use crate::notify::{LAST_CHANCE, Notifier};
use crate::service_manager::ServiceManager;
use crate::signals::Signals;
use crate::store::{ChecklistFile, Journal, JournalError, Presence};
use connection::BrokerConnection;
use due_clock::DueClock;
use forecaster::Forecaster;
use guarded_rules::GuardedRules;
use housekeeping::Housekeeping;
use inbox::Inbox;
use nowcast_core::{Effect, Ending, Event, Run, RunId, State, decide, end_if_idle};
use perform::QueuedLaunch;
use pylogging::Logger;
use wait::Ready;

/// The name under which the manager logs and replies, as in NEMO_Nowcast.
pub const NAME: &str = nowcast_core::decide::MANAGER;

/// Why the manager cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
    /// ZeroMQ failed.
    #[error("ZMQError: {0}")]
    Zmq(#[from] zmq::Error),
    /// The key files cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The operating system refused something that the manager needs.
    #[error(transparent)]
    System(#[from] std::io::Error),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The broker does not let this program connect.
    #[error(
        "the message broker at {address} rejects this manager: `security:` in the broker's configuration does not allow its address or \
         key; the broker's log says which"
    )]
    Rejected {
        /// The broker's address.
        address: String,
    },
    /// The broker serves another manager.
    #[error(
        "the message broker refuses this manager: another one is connected ({other}). Stop one of them, or set \
         `broker: managers: many` to let them share the messages"
    )]
    Refused {
        /// The other manager.
        other: String,
        /// Whether this manager had been connected before.
        was_admitted: bool,
    },
}

/// How a manager is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Ignore the checklist file: start with an empty checklist, also on SIGHUP.
    pub ignore_checklist: bool,
    /// Exit when no run is open and no join waits.
    pub exit_when_idle: bool,
}

/// How the loop ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// With that exit status.
    With(u8),
    /// Stopped while the last batch could not be committed: none of its effects was executed.
    Uncommitted,
}

/// A manager, connected to its broker.
pub struct Manager {
    config: Arc<Config>,
    options: Options,
    /// Our own binary, which contains runners and built-in workers.
    nowcast_binary: PathBuf,
    log: Logger,

    state: State,
    rules: GuardedRules,
    clock: DueClock,
    /// Events to decide before new ones.
    pending_events: Vec<Event>,

    broker: BrokerConnection,
    inbox: Inbox,
    control: Control,
    journal: Journal,
    /// A note in the folder to which a reload has renamed the journal's.
    renamed_journal: Option<Presence>,
    housekeeping: Housekeeping,
    checklist_file: ChecklistFile,
    runners: LaunchedRuns,
    /// Launches that are committed and not yet started, and runs to adopt.
    launch_queue: VecDeque<QueuedLaunch>,
    notifier: Notifier,
    forecaster: Forecaster,
    service_manager: ServiceManager,
    /// What a reload has accepted or refused, until its events are decided.
    reload_result: Option<Result<(), String>>,
}

impl Manager {
    /// Decide the `launches` of the command line first, then work until a signal or an effect stops the manager. Return the
    /// exit status.
    ///
    /// # Errors
    /// ZeroMQ or the operating system fails.
    pub fn run(
        &mut self,
        launches: Vec<Event>,
        signals: &mut Signals,
        reload_config: ReloadConfig,
    ) -> Result<u8, ManagerError> {
        let result = self.work(launches, signals, reload_config);
        // A manager that stops in an orderly way does not do so because of a message.
        self.rules.poison_guard.note_no_message();
        // Changes of a batch that was not committed must not reach the checklist file.
        if !matches!(result, Ok(End::Uncommitted))
            && let Err(error) = self.flush_checklist()
        {
            self.report_failure(format!("the checklist file could not be written: {error}"));
        }
        if let Err(error) = &result {
            self.notify_failure(format!("the manager stops: {error}"));
        }
        self.notifier.finish(LAST_CHANCE);
        result.map(|end| if let End::With(status) = end { status } else { 1 })
    }

    fn work(
        &mut self,
        launches: Vec<Event>,
        signals: &mut Signals,
        reload_config: ReloadConfig,
    ) -> Result<End, ManagerError> {
        let previous_runs: Vec<Run> = self.state.runs.values().cloned().collect();
        let mut first = std::mem::take(&mut self.pending_events);
        first.extend(launches);
        if let Some(end) = self.handle(first, signals, reload_config)? {
            return self.drain(end, signals, reload_config);
        }
        // Runs of the previous manager are adopted after the checklist file is written, which they may read. If it cannot
        // be written, it stays due, and the next attempt logs why.
        let _ = self.flush_checklist();
        self.queue_adoptions(previous_runs);
        let mut events = Vec::new();
        let mut logs_listening = true;
        self.service_manager.ready();
        loop {
            self.service_manager.keep_alive();
            if let Some(end) = self.handle(events, signals, reload_config)? {
                return self.drain(end, signals, reload_config);
            }
            if logs_listening {
                self.log.debug("listening...");
            }
            let ready = self.wait(signals)?;
            self.maintain(&ready);
            self.broker.maintain(&mut self.inbox)?;
            // Before messages are decoded: none of them is the reason if the manager exits meanwhile.
            let postponed = self.perform_postponed();
            events = self.collect(&ready, signals)?;
            events.extend(postponed);
            logs_listening = events.iter().any(|event| matches!(event, Event::Request(_)));
            // Checked after collecting, so that an edit which was saved before an event is in force for it; and each time, so
            // that an invalid edit is reported while the manager is idle.
            let reload = self.rules.reload_if_changed();
            events.splice(0..0, self.report_reload(reload, &self.config));
        }
    }

    /// Collect events. Requests come before the ends of runs, because a worker sends its message before it exits.
    fn collect(&mut self, ready: &Ready, signals: &mut Signals) -> Result<Vec<Event>, ManagerError> {
        let mut events = std::mem::take(&mut self.pending_events);
        self.receive()?;
        events.extend(self.next_batch()?);
        let ended = self.runners.collect_ended()?;
        events.extend(ended.into_iter().map(|(run, ending)| self.run_ended_event(run, ending)));
        if ready.has_operator_request {
            events.extend(self.receive_operator_requests());
        }
        if ready.has_signal {
            events.extend(signals.take().into_iter().map(Event::Signal));
        }
        events.extend(self.forecast_event());
        events.extend(self.check_due());
        Ok(events)
    }

    /// Return the event that a run has ended, with the time that its folder tells.
    fn run_ended_event(&self, run: RunId, ending: Ending) -> Event {
        let folder = self.state.runs.get(&run).and_then(Run::folder);
        let exit = folder
            .and_then(|folder| RunFolder::new(self.runners.root().join(folder), run.0.to_string()).exit());
        Event::RunEnded { run, ending, ended_at: exit.map(|exit| exit.noted_time()) }
    }

    /// Decide a batch of events, commit it and perform its effects; then the same for the events that these make. Return
    /// how the loop ends, if it does.
    fn handle(
        &mut self,
        mut events: Vec<Event>,
        signals: &mut Signals,
        reload_config: ReloadConfig,
    ) -> Result<Option<End>, ManagerError> {
        let mut stop = None;
        if events.iter().any(|event| matches!(event, Event::Request(_))) {
            failpoint::pass("manager: received");
        }
        while !events.is_empty() {
            let mut effects: Vec<Effect> = Vec::new();
            for event in events {
                self.service_manager.keep_alive();
                let keys = receive::poison_keys(&event);
                self.rules.poison_guard.begin_deciding(&keys);
                effects.extend(decide(&mut self.state, event, &self.rules, &self.clock.read()));
                self.rules.poison_guard.end_deciding(&keys);
            }
            self.rules.poison_guard.note_no_message();
            effects.extend(end_if_idle(&self.state));
            let (records, effects) = commit::split_off_records(effects);
            if !self.commit_batch(&records, signals)? {
                return Ok(Some(End::Uncommitted));
            }
            let follow_up = self.perform(effects);
            stop = stop.or(follow_up.stop);
            events = follow_up.events;
            if follow_up.reload {
                self.service_manager.reloading();
                events.extend(self.reload(reload_config));
            }
        }
        self.report_reloaded();
        Ok(stop.map(End::With))
    }

    /// Handle the requests that this process has received; otherwise the broker would have to send them again. Later requests are left to the
    /// next manager, so that this ends under load. After a batch that could not be committed no
    /// more is decided: the decisions would depend on changes that are lost.
    fn drain(
        &mut self,
        mut end: End,
        signals: &mut Signals,
        reload_config: ReloadConfig,
    ) -> Result<End, ManagerError> {
        self.receive()?;
        while !self.inbox.is_empty() && matches!(end, End::With(_)) {
            let requests = self.next_batch()?;
            if let Some(End::Uncommitted) = self.handle(requests, signals, reload_config)? {
                end = End::Uncommitted;
            }
        }
        Ok(end)
    }

    fn flush_checklist(&mut self) -> std::io::Result<()> {
        let snapshot = (self.state.checklist_event, self.state.checklist.to_value());
        let written = self.checklist_file.flush(|| snapshot, Instant::now());
        self.report_changed_file();
        written
    }
}
