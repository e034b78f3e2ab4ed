//! What the manager keeps on disk.

pub mod checklist_file;

pub use checklist_file::{ChecklistFile, LoadError};
