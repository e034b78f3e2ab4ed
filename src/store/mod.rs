//! The files that the manager keeps on disk.

pub mod checklist_file;
mod checklist_note;
pub mod forecast_file;
pub mod journal;
pub mod poison_file;
pub mod presence;
pub mod renamed_journal;
pub mod seal;

pub use checklist_file::{ChecklistFile, LoadError};
pub use checklist_note::CHECKLIST_NOTE;
pub use journal::{History, Journal, JournalError};
pub use poison_file::{PoisonFile, Step};
pub use presence::Presence;
pub use renamed_journal::RenamedJournal;
pub use seal::Seal;
