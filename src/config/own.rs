//! Checks sections of `nowcast.yaml` that NEMO_Nowcast does not know: `workers:`, `journal:` and `broker:`.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use super::check::ConfigCheck;
use super::checked::{JournalSettings, Registry, WorkerSettings};
use super::problem::Severity;
use super::raw::{RawAge, RawBroker, RawJournal, RawWorker};
use error_text::did_you_mean;
use nowcast_core::Limits;
use pyyaml::Value;

impl ConfigCheck<'_> {
    /// Check `workers:`.
    pub(super) fn workers(
        &mut self,
        value: &Value,
        registry: Option<&Registry>,
    ) -> Option<IndexMap<String, WorkerSettings>> {
        let Some(section) = value.get("workers") else { return Some(IndexMap::new()) };
        let raw: IndexMap<String, RawWorker> = self.decode(section, &["workers"])?;
        let mut workers = IndexMap::new();
        for (name, raw) in raw {
            self.expect_registered(registry, &name, &["workers", &name]);
            for (key, command) in [("command", &raw.command), ("exec", &raw.exec)] {
                if command.as_ref().is_some_and(Vec::is_empty) {
                    let text = format!("must name a program: `{key}: [/path/to/program, --option]`");
                    self.report(Severity::Error, &["workers", &name, key], text);
                }
            }
            if raw.command.is_some() && raw.exec.is_some() {
                let text =
                    "has both `command:`, which reports to the manager itself, and `exec:`, which does not; \
                            write one of them"
                        .to_owned();
                self.report(Severity::Error, &["workers", &name, "exec"], text);
            }
            if raw.max_running == Some(0) {
                let text = "must be at least 1; to pause launches, use nowcast hold".to_owned();
                self.report(Severity::Error, &["workers", &name, "max running"], text);
            }
            if raw.max_cycles == Some(0) {
                let text = "must be at least 1; to pause launches, use nowcast hold".to_owned();
                self.report(Severity::Error, &["workers", &name, "max cycles"], text);
            }
            let (start, environment) = self.start_settings(&name, &raw);
            let settings = WorkerSettings {
                command: raw.command,
                exec: raw.exec,
                failure_status: raw.failure_status,
                start,
                environment,
                limits: Limits {
                    max_running: raw.max_running,
                    max_cycles: raw.max_cycles,
                    timeout: raw.timeout.map(|span| span.0),
                    retries: raw.retries,
                    retry_delay: raw.retry_delay.map(|delay| delay.0),
                },
            };
            workers.insert(name, settings);
        }
        Some(workers)
    }

    /// Warn of a worker that is missing from the message registry.
    pub(super) fn expect_registered(&mut self, registry: Option<&Registry>, name: &str, path: &[&str]) {
        let Some(registry) = registry.filter(|registry| !registry.workers.contains_key(name)) else { return };
        let text = format!(
            "no worker of that name is in the message registry{}; its messages would be refused",
            did_you_mean(name, registry.workers.keys())
        );
        self.report(Severity::Warning, path, text);
    }

    /// Check `journal:`.
    pub(super) fn journal(&mut self, value: &Value, checklist_file: &Path) -> Option<JournalSettings> {
        let raw: RawJournal = match value.get("journal") {
            None | Some(Value::Null) => RawJournal::default(),
            Some(section) => self.decode(section, &["journal"])?,
        };
        let folder = match raw.folder {
            Some(text) => PathBuf::from(self.replace_variables("journal", &text)?),
            None => checklist_file.with_extension("journal"),
        };
        let age = |raw: Option<RawAge>| raw.and_then(|age| age.0);
        Some(JournalSettings { folder, keep: age(raw.keep), keep_outputs: age(raw.keep_outputs) })
    }

    /// Check `broker:` and return it.
    pub(super) fn broker(&mut self, value: &Value) -> Option<RawBroker> {
        let Some(section) = value.get("broker") else { return Some(RawBroker::default()) };
        let raw: Option<RawBroker> = self.decode(section, &["broker"])?;
        Some(raw.unwrap_or_default())
    }
}
