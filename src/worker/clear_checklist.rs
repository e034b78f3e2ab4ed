//! `clear_checklist`: asks the manager to clear the checklist. Runs at the end of a forecast cycle.

use super::{Context, Worker, WorkerError};
use pylogging::Logger;
use pyyaml::Value;

/// The worker's name in the message registry.
pub const NAME: &str = "clear_checklist";

/// Has the manager write the checklist to its log and clear it.
#[derive(Debug, Clone, clap::Args)]
pub struct ClearChecklist {}

impl Worker for ClearChecklist {
    fn name(&self) -> &str {
        NAME
    }

    fn work(&self, context: &mut Context) -> Result<Value, WorkerError> {
        context.log().info("requesting that manager clear system state checklist");
        context.tell_manager("clear checklist", Value::Null)?;
        // A payload would be the first entry of the cleared checklist.
        Ok(Value::Null)
    }

    fn success(&self, log: &Logger) -> String {
        log.info("nowcast system checklist cleared");
        "success".to_owned()
    }

    fn failure(&self, log: &Logger) -> String {
        log.critical("failed to clear nowcast system checklist");
        "failure".to_owned()
    }
}
