//! The checklist file and the journal compared: which of them counts, at the start and on SIGHUP.
//!
//! It never writes the file.

use std::time::Instant;

use super::Manager;
use crate::store::checklist_file::ChecklistFileContent;
use crate::store::{JournalError, LoadError, Seal};
use nowcast_core::{Event, Number};
use pyyaml::{Map, Value, python};

/// When the file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadOccasion {
    /// The manager starts.
    Start,
    /// The manager runs and got a SIGHUP.
    Hangup,
}

impl Manager {
    /// Read the checklist file; return the event that replaces the checklist in memory, if it is to be replaced.
    pub(super) fn read_checklist(&mut self, occasion: ReadOccasion) -> Result<Option<Event>, JournalError> {
        if self.options.ignore_checklist {
            self.checklist_file.accept();
            let why = "the checklist left by a manager that ran before is ignored".to_owned();
            return Ok(Some(Event::ChecklistRead { checklist: Map::new(), why }));
        }
        let known = self.state.checklist_event;
        match self.checklist_file.load() {
            Ok(ChecklistFileContent { entries, seal, is_restored }) => {
                self.log.info(format_args!("checklist read from {}", self.checklist_file.path().display()));
                if let Some(seal) = seal.filter(|_| is_restored && entries != *self.state.checklist.entries())
                {
                    self.report_restored(seal.event);
                }
                let (checklist, why) = self.merge(entries, seal)?;
                let shown = python::pformat(&Value::from(checklist.clone()));
                self.log.log_block(pylogging::Level::INFO, format_args!("checklist:\n{shown}"));
                if seal.is_none_or(|seal| seal.event != known || !seal.is_whole) {
                    self.checklist_file.mark_changed(Instant::now());
                }
                Ok(Some(Event::ChecklistRead { checklist, why }))
            }
            Err(error) => {
                self.log.warning(format_args!("checklist load failed:\n{error}"));
                Ok(self.checklist_without_file(&error, occasion))
            }
        }
    }

    /// Return the checklist that file and journal make together, and the reason for a difference to the journal.
    fn merge(&mut self, entries: Map, seal: Option<Seal>) -> Result<(Map, String), JournalError> {
        let file = self.checklist_file.path().display().to_string();
        let current = &self.state.checklist;
        Ok(match seal {
            None => (
                entries,
                format!("{file} was not written by this system's manager and replaces the checklist"),
            ),
            Some(seal) if seal.event > self.state.checklist_event => {
                let why = format!(
                    "{file} was written after event {}, which the journal does not have, and replaces the checklist",
                    seal.event
                );
                (entries, why)
            }
            // The file was not edited. It may be older, so the journal counts.
            Some(seal) if seal.is_whole => (current.entries().clone(), String::new()),
            Some(seal) => {
                let merged = match self.journal.checklist_before(Number(seal.event.0 + 1)) {
                    Ok(base) => current.with_edit(&base, &entries),
                    // The checklist before the edit is pruned.
                    Err(JournalError::Pruned(_)) => entries,
                    Err(error) => return Err(error),
                };
                (
                    merged,
                    format!("{file} was edited by hand after event {}: the changes are applied", seal.event),
                )
            }
        })
    }

    /// Keep a file that was restored from a backup and is not used, and say how to use it. A manager that was killed leaves a
    /// file that is older than the journal, too, but not older than the one that was written last.
    fn report_restored(&self, event: Number) {
        let file = self.checklist_file.path().display();
        match self.checklist_file.copy_restored() {
            Ok(copy) => self.log.warning(format_args!(
                "{file} is a copy of the file after event {event}, and newer ones were written since; the checklist of the journal \
                 is used. To go back to the copy: sed 1d {} > {file}, then SIGHUP to the manager",
                copy.display()
            )),
            Err(error) => self.log.warning(format_args!(
                "{file} is a copy of the file after event {event}, and newer ones were written since; it cannot be kept under \
                 another name ({error}), so it is overwritten. To go back to it: nowcast checklist at {event} > {file}, then SIGHUP \
                 to the manager"
            )),
        }
    }

    /// Report a copy of a changed checklist file that a write has replaced.
    pub(super) fn report_changed_file(&mut self) {
        let Some(copy) = self.checklist_file.take_copy() else { return };
        let (file, copy) = (self.checklist_file.path().display(), copy.display());
        self.log.warning(format_args!(
            "{file} was changed by another program, and then the checklist changed; the file is written again, and the changed one \
             is kept as {copy}. To apply its changes: cp {copy} {file}, then SIGHUP to the manager at once, or use nowcast \
             checklist set"
        ));
    }

    /// Return the event for a file that has no checklist, if it changes the state.
    fn checklist_without_file(&mut self, error: &LoadError, occasion: ReadOccasion) -> Option<Event> {
        let is_known = !self.state.checklist.is_empty();
        // To remove the file while the manager runs does not clear its checklist, as with NEMO_Nowcast.
        if occasion == ReadOccasion::Start && is_known && matches!(error, LoadError::Missing(_)) {
            self.log.warning("running with empty checklist");
            let why = format!(
                "the checklist file is missing, so the checklist is empty; to restore the previous one: nowcast checklist \
                 at {} > {}, then SIGHUP to the manager",
                self.state.last_number,
                self.checklist_file.path().display()
            );
            return Some(Event::ChecklistRead { checklist: Map::new(), why });
        }
        if is_known {
            let origin = if occasion == ReadOccasion::Start { "of the journal" } else { "in memory" };
            self.log.warning(format_args!("running with the checklist {origin}, and writing it"));
            self.checklist_file.mark_changed(Instant::now());
        } else {
            self.log.warning("running with empty checklist");
        }
        None
    }
}
