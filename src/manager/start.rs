//! Starts a manager from the journal and the configuration. It never launches anything or replies.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{self, Path, PathBuf};
use std::sync::Arc;

use super::checklist::ReadOccasion;
use super::connection::BrokerConnection;
use super::due_clock::DueClock;
use super::forecaster::Forecaster;
use super::guarded_rules::GuardedRules;
use super::housekeeping::Housekeeping;
use super::inbox::Inbox;
use super::poison_guard::PoisonGuard;
use super::watchdog::Watchdog;
use super::{Manager, ManagerError, Options};
use crate::config::Config;
use crate::control::{Control, Listener};
use crate::exposure;
use crate::failpoint;
use crate::launch::{LaunchedRuns, claims_folder, merged_config, old_runs};
use crate::net::ManagerIdentity;
use crate::notify::Notifier;
use crate::private_folder::{self, OTHERS, OTHERS_WRITE};
use crate::process::machine;
use crate::rules::{Engine, Reloader, RuleSet};
use crate::service_manager::ServiceManager;
use crate::store::journal::{self, Migration};
use crate::store::{CHECKLIST_NOTE, ChecklistFile, Journal, JournalError};
use nowcast_core::State;
use pylogging::Logger;

/// The most files of other users that one log line names.
const MOST_NAMED: usize = 5;

impl Manager {
    /// Open the journal, load the rules and connect to the broker, which may start later.
    ///
    /// # Errors
    /// Another manager has the journal, the journal cannot be used, or ZeroMQ or the operating system refuses.
    pub fn start(
        config: Config,
        options: Options,
        nowcast_binary: PathBuf,
        log: Logger,
    ) -> Result<Self, ManagerError> {
        let config = Arc::new(config);
        let folder = config.journal.folder.clone();
        make_private(&config, &log)?;
        if journal::is_restore_unfinished(&folder) {
            log.warning("a restore of the journal was interrupted; it is finished now");
        }
        let mut journal = Journal::open_and_report(&folder, |Migration { from, to }| {
            log.info(format_args!(
                "migrating the journal from version {from} to version {to}; with millions of events this takes minutes. A copy from before is \
                 kept for {} days: {}",
                journal::KEPT_FOR.as_secs() / (24 * 60 * 60),
                journal::kept_version(&folder, from).display()
            ));
        })?;
        journal.set_configuration(&config.text)?;
        merged_config::write(&config)
            .map_err(|error| JournalError::Unusable { file: folder.clone(), error })?;
        let mut state = recover(&journal, &config, &options)?;
        let rule_set = RuleSet::of(&config);
        let mut watchdog = Watchdog::start(log.clone())?;
        let last = last_rules(&journal, &rule_set, state.rules.0, &mut watchdog, &log)?;
        let (rules, loaded) = watchdog.watch(|| {
            failpoint::pass(failpoint::LOADING_RULES);
            Reloader::start(rule_set, last)
        });
        let mut runners = LaunchedRuns::new(nowcast_binary.clone(), config.journal.runs_folder())?;
        runners.raise_open_files();
        runners.withhold(&config.notifications.secret_variables);
        // A new journal must not give a run a folder in which another one has ended.
        if state.last_number == 0 {
            state.last_number = old_runs::highest(runners.root());
        }
        runners.retain_marks(state.runs.running().map(|run| run.id));
        let mut manager = Self {
            state,
            rules: GuardedRules::new(rules, watchdog, PoisonGuard::new(&folder, log.clone())?),
            clock: DueClock::start(),
            pending_events: Vec::new(),
            broker: BrokerConnection::new(identity(&folder), &config.zmq, log.clone())?,
            inbox: Inbox::default(),
            control: Control::bind(&folder, Listener::Manager)?,
            journal,
            renamed_journal: None,
            housekeeping: Housekeeping::default(),
            checklist_file: checklist_file(&config),
            runners,
            launch_queue: VecDeque::new(),
            notifier: Notifier::start(&config.notifications, log.clone()),
            forecaster: Forecaster::default(),
            service_manager: ServiceManager::of_environment(),
            reload_result: None,
            config,
            options,
            nowcast_binary,
            log,
        };
        let config = Arc::clone(&manager.config);
        let mut first = manager.report_reload(loaded, &config);
        manager.broker.connect(&config.zmq, config.redeliver)?;
        first.extend(manager.read_checklist(ReadOccasion::Start)?);
        manager.pending_events = first;
        Ok(manager)
    }
}

/// Take away the rights that other users have on the folders and files of the journal: by them they could read outputs, or make the manager end a
/// process that is not a worker's. Warn of other files that they could change.
fn make_private(config: &Config, log: &Logger) -> Result<(), JournalError> {
    let journal = &config.journal.folder;
    let runs = config.journal.runs_folder();
    let unusable = |path: &Path| {
        let file = path.to_owned();
        move |error| JournalError::Unusable { file, error }
    };
    for (folder, rights) in [(journal, OTHERS_WRITE), (&runs, OTHERS), (&claims_folder(&runs), OTHERS)] {
        private_folder::make_or_repair(folder, rights, log).map_err(unusable(folder))?;
    }
    for file in private_folder::files_in(journal) {
        match private_folder::repair(&file, OTHERS_WRITE, log) {
            // Another manager, which has the journal, may have removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            repaired => repaired.map_err(unusable(&file))?,
        }
    }
    set_foreign_aside(config, log)?;
    for found in exposure::of_inputs(config) {
        log.warning(format_args!(
            "{found}, and so can change what the system does; run {}, and see that nothing was changed",
            found.repair
        ));
    }
    Ok(())
}

/// Give what other users have put into the journal's folder, the folders of runs and the claims a name under which it is not used. It could
/// name a process of theirs or of this user's as that of a worker, to be ended as one. The manager starts without it.
fn set_foreign_aside(config: &Config, log: &Logger) -> Result<(), JournalError> {
    let found = exposure::foreign_in_journal(&config.journal);
    let mut renamed = Vec::new();
    for foreign in found.iter().filter(|foreign| !private_folder::is_set_aside(&foreign.path)) {
        let unusable = |error| JournalError::Unusable { file: foreign.path.clone(), error };
        let name = private_folder::set_aside(&foreign.path).map_err(unusable)?;
        renamed.push(format!("{} (of uid {})", name.display(), foreign.user));
    }
    if renamed.is_empty() {
        return Ok(());
    }
    let more = renamed.len().saturating_sub(MOST_NAMED);
    let and_more = if more > 0 { format!(" and {more} more") } else { String::new() };
    renamed.truncate(MOST_NAMED);
    log.critical(format_args!(
        "other users have put files or folders into the journal's folder, by which the manager could take their processes for workers; \
         renamed and not used: {}{and_more}. Look at what they are, and remove them; if they are this system's, give them to its user \
         with chown and take the end off their names",
        renamed.join(", ")
    ));
    Ok(())
}

/// Return how this process introduces itself to a broker.
fn identity(journal: &Path) -> ManagerIdentity {
    let process = std::process::id();
    // The standard library seeds every hasher from the operating system's random numbers.
    let session = RandomState::new().hash_one(process);
    let journal = path::absolute(journal).unwrap_or_else(|_| journal.to_owned());
    ManagerIdentity {
        session: format!("{session:016x}"),
        process,
        host: machine(),
        journal: journal.display().to_string(),
    }
}

/// Return the last rules that were in force, from the journal; `None` if it has no files of them or they are unusable.
fn last_rules(
    journal: &Journal,
    rule_set: &RuleSet,
    generation: u64,
    watchdog: &mut Watchdog,
    log: &Logger,
) -> Result<Option<Engine>, JournalError> {
    let files = journal.rule_files(generation)?;
    if files.is_empty() {
        return Ok(None);
    }
    let loaded = watchdog.watch(|| rule_set.load_stored(&files));
    Ok(loaded
        .inspect_err(|error| {
            log.warning(format_args!("rules generation {generation} of the journal cannot be used: {error}"));
        })
        .ok())
}

/// Return the checklist file of a configuration.
pub(super) fn checklist_file(config: &Config) -> ChecklistFile {
    // The note stays in the journal's folder. It names the file, which a reload may change.
    ChecklistFile::new(config.checklist_file.clone(), config.journal.folder.join(CHECKLIST_NOTE))
}

/// Recover the state from the journal.
fn recover(journal: &Journal, config: &Config, options: &Options) -> Result<State, JournalError> {
    let mut state = journal.load()?.state(Arc::new(config.policy()));
    state.exit_when_idle = options.exit_when_idle;
    // The previous manager may have refused rules, so the first loaded ones are recorded in any case.
    state.rules_refused = true;
    Ok(state)
}
