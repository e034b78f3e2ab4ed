//! [`PoisonGuard`]: notes in the poison file what the manager does with a message. A message that makes the manager exit, by its rule
//! or before, does so only a few times.
//!
//! It never decides what happens to such a message.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::SIGABRT;
use signal_hook::{flag, low_level};

use crate::failpoint;
use crate::store::{PoisonFile, Step};
use nowcast_core::Ticket;
use nowcast_core::message::Message;
use pylogging::Logger;

/// The name of the poison file in the journal's folder.
const POISON: &str = "poison";

/// The names of a message in the poison file.
#[derive(Debug, Clone, Default)]
pub struct PoisonKeys {
    /// Its name before it is decoded: that of its ticket. Without a ticket, its broker does not send it again.
    decoding: Option<String>,
    /// Its name while it is decided.
    deciding: Option<String>,
}

impl PoisonKeys {
    /// Return the names of a worker's message, as far as they are known.
    pub fn new(ticket: Option<Ticket>, message: Option<&Message>) -> Self {
        let decoding = ticket.map(|ticket| format!("{}.{}", ticket.epoch, ticket.number));
        // The worker's `id` stays the same when another broker forwards the message.
        let id = message.and_then(|message| message.id.clone());
        Self { deciding: id.or_else(|| decoding.clone()), decoding }
    }
}

/// The poison file, and the message that is being decided.
#[derive(Debug)]
pub struct PoisonGuard {
    poison: RefCell<PoisonFile>,
    /// The name of the message that is being decided, if it has one.
    deciding: RefCell<Option<String>>,
    log: Logger,
}

impl PoisonGuard {
    /// Open the poison file; `folder` is the journal's.
    ///
    /// # Errors
    /// The poison file cannot be opened.
    pub fn new(folder: &Path, log: Logger) -> io::Result<Self> {
        let path = folder.join(POISON);
        let poison = open(&path).map_err(|error| {
            let text = format!(
                "the file {} cannot be opened: {error}; see that it is a file that the manager can write, or remove it",
                path.display()
            );
            io::Error::new(error.kind(), text)
        })?;
        Ok(Self { poison: RefCell::new(poison), deciding: RefCell::new(None), log })
    }

    /// Note that a message is decoded next.
    pub fn begin_decoding(&self, keys: &PoisonKeys) {
        if let Some(key) = &keys.decoding {
            self.begin(Step::Decoding, key);
        }
    }

    /// Note that a batch is decoded, and its first message is decided next. Other work may come in between, and kills during that
    /// work must not count as kills during the decoding. (Noting that no message is in hand would cost one more write.)
    pub fn begin_deciding_batch(&self, first: &PoisonKeys) {
        match &first.deciding {
            Some(key) => self.begin(Step::Deciding, key),
            None => self.note_no_message(),
        }
    }

    /// Note that an event is decided next. Events other than workers' messages have no name: they do not come again.
    pub fn begin_deciding(&self, keys: &PoisonKeys) {
        match &keys.deciding {
            Some(key) => {
                self.begin(Step::Deciding, key);
                failpoint::pass("manager: deciding");
            }
            None => self.note_no_message(),
        }
        self.deciding.replace(keys.deciding.clone());
    }

    /// Note that an event was decided.
    pub fn end_deciding(&self, keys: &PoisonKeys) {
        let mut poison = self.poison.borrow_mut();
        for (step, key) in [(Step::Decoding, &keys.decoding), (Step::Deciding, &keys.deciding)] {
            if let Some(key) = key {
                self.log_failure(poison.acquit(step, key));
            }
        }
    }

    /// Note that no message is decoded or decided.
    pub fn note_no_message(&self) {
        self.log_failure(self.poison.borrow_mut().clear());
    }

    /// Return why a message is not decoded again automatically, if it is poison.
    pub fn why_not_decoded(&self, keys: &PoisonKeys) -> Option<String> {
        let is_poison = self.poison.borrow().is_poison(Step::Decoding, keys.decoding.as_ref()?);
        is_poison.then(|| {
            "the manager exited twice while it decoded this message, so it is not decoded again automatically"
                .to_owned()
        })
    }

    /// Return why a message is not decided again automatically, if it is poison even without its rule.
    pub fn why_not_decided(&self, keys: &PoisonKeys) -> Option<String> {
        let is_worse = self.poison.borrow().is_worse(Step::Deciding, keys.deciding.as_ref()?);
        is_worse.then(|| {
            "the manager exited while it decided this message, even without calling its rule, so it is not decided again \
             automatically"
                .to_owned()
        })
    }

    /// Call the rule for a message. If the message is poison, the rule is not called, and the error says why.
    pub fn call_rule<T>(&self, message: &Message, call: impl FnOnce() -> T) -> Result<T, String> {
        let event_key = self.deciding.borrow().clone();
        // The message that the manager makes for a run is not an event. Names are unique, or the wrong message could be parked. An
        // operator's message has none: it does not come again by itself.
        let run_key = message.run.as_ref().filter(|_| event_key.is_none()).map(|run| format!("run {run}"));
        if let Some(key) = event_key.as_ref().or(run_key.as_ref())
            && self.poison.borrow().is_poison(Step::Deciding, key)
        {
            return Err(
                "the manager exited several times while it decided this message, so its rule is not called again automatically"
                    .to_owned(),
            );
        }
        if let Some(key) = &run_key {
            self.begin(Step::Deciding, key);
        }
        let result = call();
        if run_key.is_some() {
            self.end_deciding(&PoisonKeys { decoding: None, deciding: run_key });
            self.note_no_message();
        }
        Ok(result)
    }

    fn begin(&self, step: Step, key: &str) {
        self.log_failure(self.poison.borrow_mut().begin(step, key));
    }

    fn log_failure(&self, result: io::Result<()>) {
        if let Err(error) = result {
            self.log.error(format_args!("the file {POISON} cannot be written: {error}"));
        }
    }
}

/// Open the poison file, and mark it when this process aborts: then its own code is the reason. It aborts when it has no memory
/// left or no room on its stack, when a library finds its own state invalid, and when the watchdog tells it to.
fn open(path: &Path) -> io::Result<PoisonFile> {
    let poison = PoisonFile::open(path)?;
    low_level::pipe::register(SIGABRT, PoisonFile::mark_handle(path)?)?;
    // A handler replaces the default action, which is to exit.
    flag::register_conditional_default(SIGABRT, Arc::new(AtomicBool::new(true)))?;
    Ok(poison)
}
