//! What the manager keeps on disk.

pub mod checklist_file;
pub mod journal;

pub use checklist_file::{ChecklistFile, LoadError};
pub use journal::{History, Journal, JournalError};
