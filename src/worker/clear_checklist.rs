//! `clear_checklist`: asks the manager to forget the day. Run at the end of a forecast cycle.

use super::{Context, Worker, WorkerError};
use crate::logging::Logger;
use crate::yaml::Value;

/// The worker's name in the message registry.
pub const NAME: &str = "clear_checklist";

/// Has the manager write the checklist to its log and clear it.
#[derive(Debug, Clone, clap::Args)]
pub struct ClearChecklist {}

impl Worker for ClearChecklist {
    fn name(&self) -> &'static str {
        NAME
    }

    fn work(&self, context: &mut Context) -> Result<Value, WorkerError> {
        context.log().info("requesting that manager clear system state checklist");
        context.tell_manager("clear checklist", Value::Null)?;
        // No payload: it would be the first entry of the checklist that was just cleared.
        Ok(Value::Null)
    }

    fn success(&self, log: &Logger) -> &'static str {
        log.info("nowcast system checklist cleared");
        "success"
    }

    fn failure(&self, log: &Logger) -> &'static str {
        log.critical("failed to clear nowcast system checklist");
        "failure"
    }
}
