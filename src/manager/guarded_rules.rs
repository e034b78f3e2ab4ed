//! [`GuardedRules`]: the rules in force, called within their limits and never for a message that has made managers exit.
//!
//! It never decides what a result means.

use std::cell::RefCell;

use super::poison_guard::PoisonGuard;
use super::watchdog::Watchdog;
use crate::failpoint;
use crate::rules::{Reload, Reloader, RuleSet};
use nowcast_core::{RuleCallResult, RuleError, RuleInput, Rules};

/// The rules, with each call and each load watched by the watchdog, and each message noted in the poison file.
#[derive(Debug)]
pub struct GuardedRules {
    reloader: Reloader,
    watchdog: RefCell<Watchdog>,
    pub(super) poison_guard: PoisonGuard,
}

impl GuardedRules {
    /// Guard the rules.
    pub fn new(reloader: Reloader, watchdog: Watchdog, poison_guard: PoisonGuard) -> Self {
        Self { reloader, watchdog: RefCell::new(watchdog), poison_guard }
    }

    /// Return the rules in force and their files.
    pub fn reloader(&self) -> &Reloader {
        &self.reloader
    }

    /// Load the rules again if a file has changed.
    pub fn reload_if_changed(&mut self) -> Reload {
        self.watchdog.get_mut().watch(|| self.reloader.reload_if_changed())
    }

    /// Load the rules that a newly read configuration names.
    pub fn follow(&mut self, rule_set: RuleSet) -> Reload {
        self.watchdog.get_mut().watch(|| self.reloader.follow(rule_set))
    }
}

impl Rules for GuardedRules {
    fn call_after(&self, input: &RuleInput<'_>) -> RuleCallResult {
        let called = self.poison_guard.call_rule(input.message, || {
            self.watchdog.borrow_mut().watch(|| {
                failpoint::pass("manager: in a rule");
                // The engine in force gets the call as it is.
                self.reloader.call_after(input)
            })
        });
        called.unwrap_or_else(|reason| RuleCallResult::new(Err(RuleError::Failed(reason))))
    }
}
