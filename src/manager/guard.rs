//! [`GuardedRules`]: the rules, with the poison file that notes what the manager does with a message. A message that makes the
//! manager exit, by its rule or before, does so only a few times.
//!
//! It never decides what a result means.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::SIGABRT;
use signal_hook::{flag, low_level};

use super::watchdog::Watchdog;
use crate::failpoint;
use crate::rules::{Reload, Reloader, RuleSet};
use crate::store::{PoisonFile, Step};

use nowcast_core::message::Message;
use nowcast_core::{RuleCallResult, RuleError, RuleInput, Rules, Ticket};
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

/// The rules, with each call and each load watched by the watchdog, and each message noted in the poison file.
#[derive(Debug)]
pub struct GuardedRules {
    reloader: Reloader,
    poison: RefCell<PoisonFile>,
    watchdog: RefCell<Watchdog>,
    /// The name of the message that is being decided, if it has one.
    deciding: RefCell<Option<String>>,
    log: Logger,
}

impl GuardedRules {
    /// Guard the rules; `folder` is the journal's.
    ///
    /// # Errors
    /// The poison file cannot be opened.
    pub fn new(reloader: Reloader, watchdog: Watchdog, folder: &Path, log: Logger) -> io::Result<Self> {
        let path = folder.join(POISON);
        let poison = open(&path).map_err(|error| {
            let text = format!(
                "the file {} cannot be opened: {error}; see that it is a file that the manager can write, or remove it",
                path.display()
            );
            io::Error::new(error.kind(), text)
        })?;
        let (watchdog, poison) = (RefCell::new(watchdog), RefCell::new(poison));
        Ok(Self { reloader, poison, watchdog, deciding: RefCell::new(None), log })
    }

    /// Return the rules in force and their files.
    pub fn reloader(&self) -> &Reloader {
        &self.reloader
    }

    /// Load the rules again if a file has changed.
    pub fn check_now(&mut self) -> Reload {
        self.watchdog.get_mut().watch(|| self.reloader.check_now())
    }

    /// Load the rules that a newly read configuration names.
    pub fn follow(&mut self, rule_set: RuleSet) -> Reload {
        self.watchdog.get_mut().watch(|| self.reloader.follow(rule_set))
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

impl Rules for GuardedRules {
    fn call_after(&self, input: &RuleInput<'_>) -> RuleCallResult {
        let event_key = self.deciding.borrow().clone();
        // The message that the manager makes for a run is not an event. Names are unique, or the wrong message could be parked. An
        // operator's message has none: it does not come again by itself.
        let run_key =
            input.message.run.as_ref().filter(|_| event_key.is_none()).map(|run| format!("run {run}"));
        if let Some(key) = event_key.as_ref().or(run_key.as_ref())
            && self.poison.borrow().is_poison(Step::Deciding, key)
        {
            let text = "the manager exited several times while it decided this message, so its rule is not called again automatically";
            return RuleCallResult::new(Err(RuleError::Failed(text.to_owned())));
        }
        if let Some(key) = &run_key {
            self.begin(Step::Deciding, key);
        }
        let call = self.watchdog.borrow_mut().watch(|| {
            failpoint::pass("manager: in a rule");
            // The engine in force gets the call as it is.
            self.reloader.call_after(input)
        });
        if run_key.is_some() {
            self.end_deciding(&PoisonKeys { decoding: None, deciding: run_key });
            self.note_no_message();
        }
        call
    }
}
