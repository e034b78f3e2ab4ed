//! The manager: waits, decides, performs. The one loop in which everything comes together.
//!
//! It decides nothing itself ([`decide()`] does) and touches nothing itself ([`Performer`] does).

mod checklist;
mod guard;
mod keep;
mod receive;
mod reload;
mod trouble;
mod watchdog;

use std::collections::{HashMap, VecDeque};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{Timestamp, ZonedDateTime};
use zmq::{Context, POLLIN, PollItem, SocketType};

use crate::config::{Config, ReadAgain};
use crate::control::Control;
use crate::failpoint;
use crate::launch::{Runs, old_runs};
use crate::logging::Logger;
use crate::net::socket;
use crate::notify::{LAST_CHANCE, Notifier};
use crate::perform::{Performed, Performer, part};
use crate::rules::{Reloader, RuleSet};
use crate::signals::Signals;
use crate::store::{ChecklistFile, Journal, JournalError};
use checklist::When;
use guard::Guard;
use keep::Housekeeping;
use nowcast_core::{Effect, Event, Run, State, decide, end_if_idle};
use receive::Held;

/// The name under which the manager logs and answers: the peer's.
pub const NAME: &str = nowcast_core::decide::MANAGER;

/// Milliseconds that the last replies get to leave the process.
const LINGER: i32 = 1_000;

/// Milliseconds until the connection to the broker is tried again; doubled each time up to a second.
const RECONNECT: i32 = 20;

/// The longest that the loop waits: the rules may have changed, or somebody may have set the clock.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The folder of the runs, in the journal's.
pub const RUNS: &str = "runs";

/// The name of a note in the journal's folder: which checklist file was once there.
const CHECKLIST_NOTE: &str = "checklist-file";

/// How long after its start a manager calls nothing overdue: what waits at the broker comes first.
const SETTLING: Duration = Duration::from_secs(2);

/// Why the manager had to stop.
#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
    /// ZeroMQ failed.
    #[error("ZMQError: {0}")]
    Zmq(#[from] zmq::Error),
    /// The operating system refused something that nothing works without.
    #[error(transparent)]
    System(#[from] std::io::Error),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// How a manager is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Start with an empty checklist, whatever the file holds, also on SIGHUP.
    pub ignore_checklist: bool,
    /// End by itself when no run is open and no join waits.
    pub exit_when_idle: bool,
}

/// How the loop ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// With that exit status.
    With(u8),
    /// Told to, while the last batch could not be kept: nothing of it was done.
    Unkept,
}

/// A manager, connected to its broker.
pub struct Manager {
    state: State,
    rules: Guard,
    performer: Performer,
    options: Options,
    log: Logger,
    last_request: u64,
    held: Held,
    /// The moment up to which everything that is due was decided.
    looked_at: Timestamp,
    housekeeping: Housekeeping,
    /// Nothing is due before that.
    settled_at: Instant,
    /// What is to be decided before anything else.
    first: Vec<Event>,
    endpoints: Vec<String>,
    // Declared after the performer's socket, so that it is dropped after it.
    _context: Context,
}

impl Manager {
    /// Opens the journal, loads the rules and connects to the broker, which need not be there yet.
    ///
    /// # Errors
    /// When another manager has the journal, or it cannot be used, or ZeroMQ or the operating system refuses.
    pub fn start(
        config: Config,
        options: Options,
        program: PathBuf,
        log: Logger,
    ) -> Result<Self, ManagerError> {
        let config = Arc::new(config);
        let folder = config.journal.folder.clone();
        let journal = Journal::open(&folder)?;
        let mut state = recover(&journal, &config, &options)?;
        let (rules, loaded) = Reloader::start(RuleSet::of(&config));
        let runs = Runs::new(program.clone(), folder.join(RUNS))?;
        // A journal that was begun anew must not give a run a folder in which another one has ended.
        if state.last_number == 0 {
            // A journal that is begun anew must not count runs that have folders already.
            state.last_number = old_runs::highest(runs.root());
        }
        runs.keep_only(state.runs.running().map(|run| run.id));
        let context = Context::new();
        let performer = Performer {
            config: Arc::clone(&config),
            socket: context.socket(SocketType::ROUTER)?,
            envelopes: HashMap::new(),
            journal,
            checklist_file: checklist_file(&config),
            runs,
            handovers: VecDeque::new(),
            notifier: Notifier::start(&config.notifications, log.clone()),
            control: Control::bind(&folder)?,
            log: log.clone(),
            program,
        };
        let mut manager = Self {
            state,
            rules: Guard::new(rules, &folder, log.clone())?,
            performer,
            options,
            log,
            last_request: 0,
            held: Held::default(),
            // What fell due while no manager was there is still to be decided.
            looked_at: Timestamp::MIN,
            housekeeping: Housekeeping::default(),
            settled_at: Instant::now() + SETTLING,
            first: Vec::new(),
            endpoints: Vec::new(),
            _context: context,
        };
        let mut first = manager.tell(loaded, &config);
        manager.connect(&config.zmq)?;
        first.extend(manager.read_checklist(When::Start)?);
        manager.first = first;
        Ok(manager)
    }

    /// Works until a signal or an effect ends it; answers the exit status.
    ///
    /// # Errors
    /// When ZeroMQ or the operating system fails.
    pub fn run(
        &mut self,
        then: Vec<Event>,
        signals: &mut Signals,
        read_again: ReadAgain,
    ) -> Result<u8, ManagerError> {
        let result = self.work(then, signals, read_again);
        // After a batch that could not be kept nothing of it goes into the checklist file.
        if !matches!(result, Ok(End::Unkept))
            && let Err(error) = self.write_pending_checklist()
        {
            self.trouble(format!("the checklist file could not be written: {error}"));
        }
        if let Err(error) = &result {
            self.tell_of_trouble(format!("the manager ends: {error}"));
        }
        self.performer.notifier.finish(LAST_CHANCE);
        result.map(|end| if let End::With(status) = end { status } else { 1 })
    }

    fn work(
        &mut self,
        then: Vec<Event>,
        signals: &mut Signals,
        read_again: ReadAgain,
    ) -> Result<End, ManagerError> {
        let left: Vec<Run> = self.state.runs.values().cloned().collect();
        let mut first = std::mem::take(&mut self.first);
        first.extend(then);
        if let Some(end) = self.handle(first, signals, read_again)? {
            return self.answer_the_rest(end, signals, read_again);
        }
        // What a manager before has left is taken up when the checklist file is as its runs were to find it.
        // If that cannot be written, it stays due, and the next attempt says why.
        let _ = self.write_pending_checklist();
        self.performer.take_up(left.iter());
        let mut events = Vec::new();
        let mut says_that_it_listens = true;
        loop {
            if let Some(end) = self.handle(events, signals, read_again)? {
                return self.answer_the_rest(end, signals, read_again);
            }
            if says_that_it_listens {
                self.log.debug("listening...");
            }
            events = self.wait(signals)?;
            says_that_it_listens = events.iter().any(|event| matches!(event, Event::Request(_)));
            // An edit saved before a message arrives, or an operator asks, is in force for it; and one that cannot be
            // used is said soon, also when nothing happens.
            let reload = self.rules.reloader.check_now();
            events.splice(0..0, self.tell(reload, &self.performer.config));
        }
    }

    /// Decides a batch of events, keeps it, performs what follows, and what follows from that. How it
    /// ends, if it does.
    fn handle(
        &mut self,
        mut events: Vec<Event>,
        signals: &mut Signals,
        read_again: ReadAgain,
    ) -> Result<Option<End>, ManagerError> {
        let mut stop = None;
        if events.iter().any(|event| matches!(event, Event::Request(_))) {
            failpoint::pass("manager: received");
        }
        while !events.is_empty() {
            let mut effects: Vec<Effect> = Vec::new();
            for event in events {
                self.rules.expect(receive::name_of(&event));
                effects.extend(decide(&mut self.state, event, &self.rules, &ZonedDateTime::now().into()));
            }
            effects.extend(end_if_idle(&self.state));
            let (records, effects) = part(effects);
            if !self.keep(&records, signals)? {
                return Ok(Some(End::Unkept));
            }
            let performed: Performed = self.performer.perform(effects, &self.state);
            stop = stop.or(performed.stop);
            events = performed.events;
            if performed.reload {
                events.extend(self.reload(read_again));
            }
        }
        Ok(stop.map(End::With))
    }

    /// The requests that wait in this process already would have to come again. Those that
    /// come meanwhile are the next manager's, or this would never end under load. Not if the last batch could not
    /// be kept: what was decided after it would stand on what never was.
    fn answer_the_rest(
        &mut self,
        mut end: End,
        signals: &mut Signals,
        read_again: ReadAgain,
    ) -> Result<End, ManagerError> {
        while let End::With(_) = end {
            let requests = self.receive()?;
            let are_all = requests.len() < receive::BATCH && !self.held.is_waiting();
            if let Some(End::Unkept) = self.handle(requests, signals, read_again)? {
                end = End::Unkept;
            }
            if are_all {
                break;
            }
        }
        Ok(end)
    }

    /// Waits for whatever comes first. Requests come before the ends of runs: a worker ends after
    /// its message, and so it is decided.
    fn wait(&mut self, signals: &mut Signals) -> Result<Vec<Event>, ManagerError> {
        let mut items = vec![
            self.performer.socket.as_poll_item(POLLIN),
            PollItem::from_fd(signals.as_raw_fd(), POLLIN),
            PollItem::from_fd(self.performer.runs.as_raw_fd(), POLLIN),
        ];
        items.extend(self.performer.control.poll_items());
        let timeout = socket::milliseconds(self.patience());
        let count = socket::poll(&mut items, timeout)?;
        let has_signal = items[1].is_readable();
        let has_call = items[3..].iter().any(PollItem::is_readable);
        drop(items);
        self.tidy_control();
        self.performer.notifier.beat();
        let is_idle = count == 0 && !self.has_work();
        if is_idle || self.performer.journal.is_untidy() {
            self.keep_house(is_idle);
        }
        let mut events = std::mem::take(&mut self.first);
        events.extend(self.receive()?);
        events.extend(self.performer.hand_over(&self.state));
        let more_waits = events.len() >= receive::BATCH || self.held.is_waiting();
        let ended = self.performer.runs.ended()?;
        events.extend(ended.into_iter().map(|(run, ending)| Event::RunEnded { run, ending }));
        if has_call {
            events.extend(self.receive_calls());
        }
        if has_signal {
            events.extend(signals.take().into_iter().map(Event::Signal));
        }
        let now = Timestamp::now();
        // The clock may have been set back.
        self.looked_at = self.looked_at.min(now);
        // Nothing is called overdue or silent while what it waits for may still wait in the socket.
        let is_due = self.state.next_due(self.looked_at).is_some_and(|due| due <= now);
        if is_due && !more_waits && Instant::now() >= self.settled_at {
            self.looked_at = now;
            events.push(Event::Due);
        }
        events.extend(self.performer.write_checklist(&self.state));
        Ok(events)
    }

    /// Whether there is something to do though nothing comes.
    fn has_work(&self) -> bool {
        self.held.is_waiting() || !self.first.is_empty() || !self.performer.handovers.is_empty()
    }

    /// How long the loop may wait for something to come.
    fn patience(&self) -> Duration {
        if self.has_work() {
            return Duration::ZERO;
        }
        let file = self.performer.checklist_file.due();
        let file = file.map(|due| due.saturating_duration_since(Instant::now()));
        let due = self.state.next_due(self.looked_at).map(|due| {
            let left = Duration::try_from(due.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO);
            left.max(self.settled_at.saturating_duration_since(Instant::now()))
        });
        let runs = self.performer.runs.due();
        let runs = runs.map(|due| due.saturating_duration_since(Instant::now()));
        file.into_iter()
            .chain(due)
            .chain(runs)
            .chain(self.housekeeping.due())
            .fold(LONGEST_WAIT, Duration::min)
    }

    fn write_pending_checklist(&mut self) -> std::io::Result<()> {
        let snapshot = (self.state.checklist_event, self.state.checklist.to_value());
        self.performer.checklist_file.flush(|| snapshot, Instant::now())
    }
}

/// The checklist file of a configuration.
fn checklist_file(config: &Config) -> ChecklistFile {
    // The note stays where the journal is; it names the file, which may be another one after a reload.
    ChecklistFile::new(config.checklist_file.clone(), config.journal.folder.join(CHECKLIST_NOTE))
}

/// The state as the journal has it.
fn recover(journal: &Journal, config: &Config, options: &Options) -> Result<State, JournalError> {
    let recovered = journal.load()?;
    let (checklist, open) = (recovered.checklist, recovered.changes);
    let mut state = State::recovered(Arc::new(config.policy()), checklist, open, recovered.last_number);
    state.checklist_event = recovered.checklist_event;
    state.exit_when_idle = options.exit_when_idle;
    // The manager before may have refused some; the first that are loaded are noted in any case.
    state.rules_refused = true;
    Ok(state)
}
