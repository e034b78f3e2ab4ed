//! stub
use crate::core::*;
use crate::yaml::*;
use jiff::Timestamp;
use std::path::Path;
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("x")]
    X,
}
#[derive(Debug)]
pub struct Journal;
pub struct Recovered {
    pub changes: Vec<Change>,
    pub checklist: Map,
    pub checklist_event: Number,
    pub last_number: u64,
}
impl Journal {
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        let _ = std::fs::create_dir_all(folder);
        Ok(Self)
    }
    pub fn load(&self) -> Result<Recovered, JournalError> {
        Ok(Recovered { changes: vec![], checklist: Map::new(), checklist_event: Number(0), last_number: 0 })
    }
    pub fn commit(&mut self, _records: &[Record]) -> Result<(), JournalError> {
        Ok(())
    }
    pub fn recorded(
        &self,
        _ticket: Option<Ticket>,
        _s: Option<(&str, &str)>,
    ) -> Result<Option<Recorded>, JournalError> {
        Ok(None)
    }
    pub fn checklist_before(&self, _n: Number) -> Result<Map, JournalError> {
        Ok(Map::new())
    }
    pub fn checklist_after(&self, _n: Number) -> Result<Map, JournalError> {
        Ok(Map::new())
    }
    pub fn tidy(&mut self, _c: &Value, _at: Number, _p: Option<Timestamp>) -> Result<bool, JournalError> {
        Ok(false)
    }
}
