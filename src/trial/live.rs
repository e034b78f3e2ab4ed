//! Reads the checklist and the cycles of the running system for trials. This module never changes them.

use std::fs;
use std::io;

use crate::config::Config;
use crate::store::{History, JournalError};
use nowcast_core::Cycles;
use pyyaml::{Map, Value};

/// The reason why the checklist cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The journal cannot be read.
    #[error("the checklist cannot be read from the journal: {0}")]
    Journal(#[from] JournalError),
    /// NEMO_Nowcast's checklist file cannot be read.
    #[error("the checklist file {} cannot be read: {why}", file.display())]
    File {
        /// The file.
        file: std::path::PathBuf,
        /// The reason.
        why: String,
    },
}

/// Return the current checklist: that of the journal, that of the checklist file if there is no journal yet, or an
/// empty one if there is neither.
///
/// # Errors
/// When the journal or the file exists and cannot be read.
pub fn checklist(config: &Config) -> Result<Value, LiveError> {
    Ok(checklist_if_any(config)?.unwrap_or_else(|| Map::new().into()))
}

/// Return the current checklist as [`checklist`] does, or `None` if there is neither journal nor checklist file.
///
/// # Errors
/// When the journal or the file exists and cannot be read.
pub fn checklist_if_any(config: &Config) -> Result<Option<Value>, LiveError> {
    match History::open(&config.journal.folder) {
        Ok(history) => Ok(Some(history.checklist_now()?.into())),
        Err(JournalError::None { .. }) => of_file(config),
        Err(error) => Err(error.into()),
    }
}

/// Return the current cycles and notes of messages, or `None` if there is no journal.
///
/// # Errors
/// When the journal exists and cannot be read.
pub fn cycles(config: &Config) -> Result<Option<Cycles>, JournalError> {
    match History::open(&config.journal.folder) {
        Ok(history) => history.cycles_now().map(Some),
        Err(JournalError::None { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn of_file(config: &Config) -> Result<Option<Value>, LiveError> {
    let file = &config.checklist_file;
    let unreadable = |why: String| LiveError::File { file: file.clone(), why };
    let bytes = match fs::read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| unreadable(error.to_string()))?,
    };
    match pyyaml::read_own(&bytes).map_err(|error| unreadable(error.to_string()))? {
        Value::Null => Ok(Some(Map::new().into())),
        checklist @ Value::Map(_) => Ok(Some(checklist)),
        _ => Err(unreadable("it is not a mapping".to_owned())),
    }
}
