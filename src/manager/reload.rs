//! Reload on SIGHUP: configuration, rules, checklist file, connection. It never reconnects a connection that is still
//! right.

use std::sync::Arc;

use super::Manager;
use super::checklist::ReadOccasion;
use super::perform::log_line;
use super::start::checklist_file;
use crate::config::{Config, ReloadConfig};
use crate::launch::merged_config;
use crate::rules::{Engine, Reload, RuleSet};
use crate::store::RenamedJournal;
use crate::trial::check::{self, RuleProblem};
use nowcast_core::Event;

impl Manager {
    /// Reload everything, and keep the connection to the broker. An invalid configuration is refused, and the old one
    /// stays.
    pub(super) fn reload(&mut self, reload_config: ReloadConfig) -> Vec<Event> {
        let mut config = match reload_config() {
            Ok(config) => config,
            Err(reason) => {
                let text = "the new configuration is refused, the old one stays; the log says why";
                self.notify_failure(text.to_owned());
                self.reload_result = Some(Err(reason));
                return Vec::new();
            }
        };
        // A changed file is not overwritten: changes that are due are merged with its content.
        let is_changed = self.checklist_file.is_changed();
        let written = if is_changed { Ok(()) } else { self.flush_checklist() };
        self.renamed_journal = None;
        if config.journal.folder != self.config.journal.folder {
            let (process, folder) = (std::process::id(), self.config.journal.folder.clone());
            self.renamed_journal = Some(RenamedJournal { process, folder }.write(&config.journal.folder));
            self.log.warning(format_args!(
                "the journal stays in {}; {} takes a restart",
                self.config.journal.folder.display(),
                config.journal.folder.display()
            ));
            config.journal = self.config.journal.clone();
        }
        let config = Arc::new(config);
        if config.checklist_file != self.checklist_file.path() {
            self.checklist_file = checklist_file(&config);
        }
        self.runners.withhold(&config.notifications.secret_variables);
        let loaded = self.rules.follow(RuleSet::of(&config));
        let mut events = self.report_reload(loaded, &config);
        // Also if they were refused before, and are the same.
        let refused = self.rules.reloader().refused();
        self.reload_result = Some(refused.map_or(Ok(()), |error| Err(error.to_string())));
        if let Err(error) = self.broker.connect(&config.zmq, config.redeliver) {
            let host = &config.zmq.host;
            self.report_failure(format!("cannot connect to {host}: {error}; the previous connection stays"));
        }
        match written {
            Ok(()) => match self.read_checklist(ReadOccasion::Hangup) {
                Ok(event) => events.extend(event),
                Err(error) => self.report_failure(format!("the checklist file is not read: {error}")),
            },
            // The file is older than the state.
            Err(error) => {
                self.report_failure(format!(
                    "the checklist file is not read, since it cannot be written: {error}"
                ));
            }
        }
        if let Err(error) = self.journal.set_configuration(&config.text) {
            self.report_failure(format!("the journal does not keep the new configuration: {error}"));
        }
        if let Err(error) = merged_config::write(&config) {
            self.report_failure(format!("Python workers get the previous configuration: {error}"));
        }
        self.log.debug("listening...");
        self.notifier.configure(&config.notifications);
        events.push(Event::Reloaded { policy: Arc::new(config.policy()) });
        self.config = config;
        events
    }

    /// Notify of the result of a reload, once its events are decided.
    pub(super) fn report_reloaded(&mut self) {
        if let Some(result) = self.reload_result.take() {
            let generation = self.state.rules.0;
            let accepted = |()| format!("configuration accepted; rules generation {generation} in force");
            let refused = |reason| format!("{reason}\nRules generation {generation} stays in force");
            self.service_manager.reloaded(&result.map(accepted).map_err(refused));
        }
    }

    fn log_problems(&self, problems: &[RuleProblem]) {
        /// The most lines that are worth reading.
        const MOST: usize = 20;
        for problem in problems.iter().take(MOST) {
            self.log.warning(problem.to_line());
        }
        if problems.len() > MOST {
            let more = problems.len() - MOST;
            self.log
                .warning(format_args!("{more} more problems in the rules: nowcast rules check shows them"));
        }
    }

    /// Log the result of a reload of the rules, and return its events.
    pub(super) fn report_reload(&self, reload: Reload, config: &Config) -> Vec<Event> {
        match reload {
            Reload::Unchanged => Vec::new(),
            Reload::Loaded => {
                let engine = self.rules.reloader().engine();
                for line in engine.into_iter().flat_map(Engine::log) {
                    log_line(&self.log, line);
                }
                let module = &self.rules.reloader().rule_set().module;
                self.log.info(format_args!("next workers module loaded from {module}"));
                // Rules in force can be wrong in parts that no message has reached. That is not a reason to refuse them.
                if let Some(engine) = engine {
                    self.log_problems(&check::at_a_glance(config, engine));
                }
                engine
                    .map(|engine| Event::RulesLoaded {
                        hash: engine.hash().to_owned(),
                        files: engine.files(),
                    })
                    .into_iter()
                    .collect()
            }
            Reload::Refused(error) => {
                let kept = if self.rules.reloader().engine().is_some() {
                    "the previous rules stay in force"
                } else {
                    "no rules are in force, so the rule of every message fails until this is repaired"
                };
                self.log.critical(format_args!("the rules cannot be used, {kept}:\n{error}"));
                vec![Event::RulesRefused { reason: error.to_string() }]
            }
        }
    }
}
