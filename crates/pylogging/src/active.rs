//! The configuration in force: one for the process, replaced as a whole. This module never changes a handler.

use std::sync::{Arc, Once, PoisonError, RwLock};

use log::Log;

use super::attribute;
use super::gather::gathering;
use super::level::Level;
use super::record::{LogRecord, dotted};
use super::setup::Setup;
use super::tree::Tree;

static ACTIVE: RwLock<Option<Arc<Tree>>> = RwLock::new(None);

/// Put a configuration in force in place of the previous one, from the next line of every thread on. A line that is
/// being written goes to the previous configuration only.
///
/// The first call makes this the logger of the `log` crate; a program must not set another one.
pub fn install(setup: Setup) {
    static FIRST: Once = Once::new();
    attribute::start_clock();
    let tree = setup.into_tree();
    let most_verbose = tree.lowest_level().facade().to_level_filter();
    *ACTIVE.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(tree));
    FIRST.call_once(|| {
        // An error means that the program set another logger; then that one gets the lines.
        let _ = log::set_logger(&Facade);
    });
    log::set_max_level(most_verbose);
}

/// Wait until mails and published lines are sent, within the limits of the mailer (5 s) and of the publisher. This is
/// the last call of a program.
pub fn finish() {
    if let Some(tree) = tree() {
        tree.finish();
    }
}

/// Call `log`, hold back the lines that it logs, and write them when it returns, in order at each handler. It must not
/// block: lines that are held back are lost with the process.
pub fn gather(log: impl FnOnce()) {
    gathering(log);
    if let Some(tree) = tree() {
        tree.write_held();
    }
}

/// Return the levels of the handlers that the configuration in force gives to a logger itself, not to its ancestors.
/// (NEMO_Nowcast writes its checklist to the logger `checklist` once for each, at that level.)
#[must_use]
pub fn handlers_of(logger: &str) -> Vec<Level> {
    let tree = tree();
    let node = tree.as_ref().and_then(|tree| tree.node(logger));
    node.map(|node| node.handlers.iter().map(|handler| handler.level).collect()).unwrap_or_default()
}

/// Return the configuration in force.
pub(super) fn tree() -> Option<Arc<Tree>> {
    ACTIVE.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Pass a line to the handlers that it reaches. Return whether there is a configuration in force.
pub(super) fn handle(record: &LogRecord<'_>) -> bool {
    let Some(tree) = tree() else { return false };
    if tree.enabled(&record.name, record.level) {
        tree.handle(record);
    }
    true
}

/// Return whether a logger accepts a line of that level. This costs one atomic load if no logger is that verbose.
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

/// The most verbose level of libraries. A root logger at DEBUG, as in most configurations, means the program's own
/// lines.
const OF_LIBRARIES: log::Level = log::Level::Warn;

/// The logger of the `log` crate.
struct Facade;

impl Log for Facade {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        enabled(&dotted(metadata.target()), metadata.level().into())
    }

    fn log(&self, record: &log::Record<'_>) {
        // Macros of the `log` crate set a module path; a `Logger` does not.
        if record.module_path().is_some() && record.level() > OF_LIBRARIES {
            return;
        }
        handle(&LogRecord::from_facade(record));
    }

    fn flush(&self) {}
}
