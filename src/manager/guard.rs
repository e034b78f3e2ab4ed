//! [`Guard`]: the rules as the manager calls them, so that none can end it more than twice.

use std::cell::RefCell;
use std::io;
use std::path::Path;

use jiff::ZonedDateTime;

use super::watchdog::Watchdog;
use crate::failpoint;
use crate::rules::Reloader;
use crate::store::PoisonFile;
use nowcast_core::message::Message;
use nowcast_core::{RuleCall, RuleError, Rules};
use pylogging::Logger;
use pyyaml::Value;

/// The name of the poison file in the journal's folder.
const POISON: &str = "poison";

/// The rules, with each call noted in the poison file and under the watchdog's eye.
#[derive(Debug)]
pub struct Guard {
    /// The rules in force.
    pub reloader: Reloader,
    poison: RefCell<PoisonFile>,
    watchdog: RefCell<Watchdog>,
    /// What the event being decided is called, if it has a name of its own.
    key: RefCell<Option<String>>,
    log: Logger,
}

impl Guard {
    /// Guards the rules; `folder` is the journal's.
    ///
    /// # Errors
    /// When the poison file cannot be opened or the operating system gives no thread.
    pub fn new(reloader: Reloader, folder: &Path, log: Logger) -> io::Result<Self> {
        let path = folder.join(POISON);
        let poison = PoisonFile::open(&path).map_err(|error| {
            let text = format!(
                "the file {} cannot be opened: {error}; see that it is a file that the manager can write, or remove it",
                path.display()
            );
            io::Error::new(error.kind(), text)
        })?;
        let watchdog = RefCell::new(Watchdog::start(log.clone())?);
        Ok(Self { reloader, poison: RefCell::new(poison), watchdog, key: RefCell::new(None), log })
    }

    /// Names the event that is decided next.
    pub fn expect(&self, key: Option<String>) {
        self.key.replace(key);
    }

    /// The name of a call: a request's own, or else the run that the message is made for. Two messages
    /// must not have the same, or an innocent one could be parked. What an operator sends has none: it does not
    /// come again by itself.
    fn key_of(&self, message: &Message) -> Option<String> {
        let key = self.key.borrow().clone();
        key.or_else(|| message.run.as_ref().map(|run| format!("run {run}")))
    }

    fn note(&self, result: io::Result<()>) {
        if let Err(error) = result {
            self.log.error(format_args!("the file {POISON} cannot be written: {error}"));
        }
    }
}

impl Rules for Guard {
    fn after(&self, message: &Message, config: &Value, checklist: &Value, now: &ZonedDateTime) -> RuleCall {
        let key = self.key_of(message);
        if key.as_ref().is_some_and(|key| self.poison.borrow().is_poison(key)) {
            // It stays poison: that it is parked is not kept yet.
            let text =
                "the manager ended twice while this rule was called, so it is not called again by itself";
            return RuleCall::new(Err(RuleError::Failed(text.to_owned())));
        }
        if let Some(key) = &key {
            self.note(self.poison.borrow().begin(key));
        }
        self.watchdog.borrow_mut().begin();
        failpoint::pass("manager: in a rule");
        let call = self.reloader.after(message, config, checklist, now);
        self.watchdog.borrow().end();
        if let Some(key) = &key {
            self.note(self.poison.borrow_mut().end(key));
        }
        call
    }
}
