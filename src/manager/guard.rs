//! [`GuardedRules`]: calls of rules that can end the manager at most twice. It never decides what a result means.

use std::cell::RefCell;
use std::io;
use std::path::Path;

use jiff::ZonedDateTime;

use super::watchdog::Watchdog;
use crate::failpoint;
use crate::rules::Reloader;
use crate::store::PoisonFile;
use nowcast_core::message::Message;
use nowcast_core::{RuleCallResult, RuleError, Rules};
use pylogging::Logger;
use pyyaml::Value;

/// The name of the poison file in the journal's folder.
const POISON: &str = "poison";

/// The rules, with each call noted in the poison file and watched by the watchdog.
#[derive(Debug)]
pub struct GuardedRules {
    /// The rules in force.
    pub reloader: Reloader,
    poison: RefCell<PoisonFile>,
    watchdog: RefCell<Watchdog>,
    /// The key of the event that is being decided, if it has one.
    key: RefCell<Option<String>>,
    log: Logger,
}

impl GuardedRules {
    /// Guard the rules; `folder` is the journal's.
    ///
    /// # Errors
    /// The poison file cannot be opened or the operating system gives no thread.
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

    /// Set the key of the event that is decided next.
    pub fn set_poison_key(&self, key: Option<String>) {
        self.key.replace(key);
    }

    /// Return the key of a call: that of the request, or else the run that the message is made for. Keys are unique, or
    /// the wrong message could be parked. An operator's message has none: it does not come again by itself.
    fn key_of(&self, message: &Message) -> Option<String> {
        let key = self.key.borrow().clone();
        key.or_else(|| message.run.as_ref().map(|run| format!("run {run}")))
    }

    fn log_failure(&self, result: io::Result<()>) {
        if let Err(error) = result {
            self.log.error(format_args!("the file {POISON} cannot be written: {error}"));
        }
    }
}

impl Rules for GuardedRules {
    fn call_after(
        &self,
        message: &Message,
        config: &Value,
        checklist: &Value,
        now: &ZonedDateTime,
    ) -> RuleCallResult {
        let key = self.key_of(message);
        if key.as_ref().is_some_and(|key| self.poison.borrow().is_poison(key)) {
            // It stays in the poison file: the journal does not have the parked message yet.
            let text =
                "the manager ended twice while this rule was called, so it is not called again automatically";
            return RuleCallResult::new(Err(RuleError::Failed(text.to_owned())));
        }
        if let Some(key) = &key {
            self.log_failure(self.poison.borrow().begin(key));
        }
        self.watchdog.borrow_mut().begin();
        failpoint::pass("manager: in a rule");
        let call = self.reloader.call_after(message, config, checklist, now);
        self.watchdog.borrow().end();
        if let Some(key) = &key {
            self.log_failure(self.poison.borrow_mut().end(key));
        }
        call
    }
}
