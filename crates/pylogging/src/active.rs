//! The configuration in force: one for the process, swapped as a whole.

use std::sync::{Arc, Once, PoisonError, RwLock};

use log::Log;

use super::attribute;
use super::gather::gathering;
use super::level::Level;
use super::record::{LogRecord, dotted};
use super::setup::Setup;
use super::tree::Tree;

static ACTIVE: RwLock<Option<Arc<Tree>>> = RwLock::new(None);

/// Puts a configuration in force, in place of the one before: for the next line of every thread. A line
/// that is being written goes where the old one sends it, whole.
///
/// The first call makes this the logger of the `log` crate; a program may not set another one.
pub fn install(setup: Setup) {
    static FIRST: Once = Once::new();
    attribute::start_clock();
    let tree = setup.into_tree();
    let most_verbose = tree.lowest_level().facade().to_level_filter();
    *ACTIVE.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(tree));
    FIRST.call_once(|| {
        // An error means that the program broke the rule above; then its logger gets the lines.
        let _ = log::set_logger(&Facade);
    });
    log::set_max_level(most_verbose);
}

/// What a program does last: it waits until the lines that it publishes and mails have left. Lines of a program that
/// has just begun wait up to a second for somebody who listens, mails up to 5 s; without either it is nothing.
pub fn finish() {
    if let Some(tree) = tree() {
        tree.finish();
    }
}

/// Calls something that logs, and writes its lines when it is done, in order at each place. Nothing that
/// may wait belongs in it: what is held back is lost with the process.
pub fn gather(log: impl FnOnce()) {
    gathering(log);
    if let Some(tree) = tree() {
        tree.write_held();
    }
}

/// The levels of the handlers that the configuration in force gives to that logger itself, not to its
/// ancestors. The peer writes its checklist to the logger `checklist` once for each, at that level.
#[must_use]
pub fn handlers_of(logger: &str) -> Vec<Level> {
    let tree = tree();
    let node = tree.as_ref().and_then(|tree| tree.node(logger));
    node.map(|node| node.handlers.iter().map(|handler| handler.level).collect()).unwrap_or_default()
}

/// The configuration in force.
pub(super) fn tree() -> Option<Arc<Tree>> {
    ACTIVE.read().unwrap_or_else(PoisonError::into_inner).clone()
}

pub(super) fn installed() -> bool {
    ACTIVE.read().unwrap_or_else(PoisonError::into_inner).is_some()
}

/// Whether a line is to be made at all. Costs an atomic load where no logger is that verbose.
pub(super) fn enabled(name: &str, level: Level) -> bool {
    let most_verbose = log::max_level();
    if most_verbose != log::LevelFilter::Off && level.facade() > most_verbose {
        return false;
    }
    match &*ACTIVE.read().unwrap_or_else(PoisonError::into_inner) {
        Some(tree) => tree.enabled(name, level),
        None => level >= Level::WARNING,
    }
}

/// What libraries may say: a root at DEBUG, as most configurations have it, means the system's own programs.
const OF_LIBRARIES: log::Level = log::Level::Warn;

/// What the `log` crate calls.
struct Facade;

impl Log for Facade {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        enabled(&dotted(metadata.target()), metadata.level().into())
    }

    fn log(&self, record: &log::Record<'_>) {
        // A library's macros say where they stand, our loggers do not.
        if record.module_path().is_some() && record.level() > OF_LIBRARIES {
            return;
        }
        let record = LogRecord::from_facade(record);
        if let Some(tree) = tree().filter(|tree| tree.enabled(&record.name, record.level)) {
            tree.handle(&record);
        }
    }

    fn flush(&self) {}
}
