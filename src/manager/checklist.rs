//! The checklist file against the journal: which of them is right, at the start and on SIGHUP.

use std::time::Instant;

use super::Manager;
use crate::store::checklist_file::ChecklistFileContent;
use crate::store::{JournalError, LoadError, Seal};
use nowcast_core::{Event, Number};
use pyyaml::{Map, Value, python};

/// On which occasion the file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadOccasion {
    /// The manager starts.
    Start,
    /// It runs and got a SIGHUP.
    Hangup,
}

impl Manager {
    /// Reads the checklist file. What is to take the place of the checklist in memory, if anything is.
    pub(super) fn read_checklist(&mut self, occasion: ReadOccasion) -> Result<Option<Event>, JournalError> {
        if self.options.ignore_checklist {
            let why = "the checklist left by a manager that ran before is ignored".to_owned();
            return Ok(Some(Event::ChecklistRead { checklist: Map::new(), why }));
        }
        let known = self.state.checklist_event;
        match self.checklist_file.load() {
            Ok(ChecklistFileContent { entries, seal }) => {
                self.log.info(format_args!("checklist read from {}", self.checklist_file.path().display()));
                let (checklist, why) = self.compare(entries, seal)?;
                let shown = python::pformat(&Value::from(checklist.clone()));
                self.log.info(format_args!("checklist:\n{shown}"));
                if seal.is_none_or(|seal| seal.event != known || !seal.is_whole) {
                    self.checklist_file.changed(Instant::now());
                }
                Ok(Some(Event::ChecklistRead { checklist, why }))
            }
            Err(error) => {
                self.log.warning(format_args!("checklist load failed:\n{error}"));
                Ok(self.checklist_without_file(&error, occasion))
            }
        }
    }

    /// The checklist that file and journal make together, and why.
    fn compare(&mut self, entries: Map, seal: Option<Seal>) -> Result<(Map, String), JournalError> {
        let file = self.checklist_file.path().display().to_string();
        let current = &self.state.checklist;
        Ok(match seal {
            None => (
                entries,
                format!("{file} was not written by this system's manager, and is taken over as it is"),
            ),
            Some(seal) if seal.event > self.state.checklist_event => {
                let why = format!(
                    "{file} knows of event {}, which the journal does not have, and is taken over as it is",
                    seal.event
                );
                (entries, why)
            }
            // The file is as it was written, if older perhaps: the journal knows more.
            Some(seal) if seal.is_whole => (current.entries().clone(), String::new()),
            Some(seal) => {
                let merged = match self.journal.checklist_before(Number(seal.event.0 + 1)) {
                    Ok(base) => current.with_edit(&base, &entries),
                    // What it was edited from is too old to be known.
                    Err(JournalError::Pruned(_)) => entries,
                    Err(error) => return Err(error),
                };
                (
                    merged,
                    format!(
                        "{file} was edited by hand after event {}: the changes are taken over",
                        seal.event
                    ),
                )
            }
        })
    }

    /// There is no checklist to be had from the file.
    fn checklist_without_file(&mut self, error: &LoadError, occasion: ReadOccasion) -> Option<Event> {
        let is_known = !self.state.checklist.is_empty();
        // Whoever removes the file of a manager that runs has not emptied its checklist; the peer's keeps it, too.
        if occasion == ReadOccasion::Start && is_known && matches!(error, LoadError::Missing(_)) {
            self.log.warning("running with empty checklist");
            let why = format!(
                "the checklist file is gone, so the checklist is empty; the one of before is kept: nowcast checklist \
                 at {} > {}, and SIGHUP to the manager, bring it back",
                self.state.last_number,
                self.checklist_file.path().display()
            );
            return Some(Event::ChecklistRead { checklist: Map::new(), why });
        }
        if is_known {
            let whose = if occasion == ReadOccasion::Start { "of the journal" } else { "in memory" };
            self.log.warning(format_args!("running with the checklist {whose}, and writing it"));
            self.checklist_file.changed(Instant::now());
        } else {
            self.log.warning("running with empty checklist");
        }
        None
    }
}
