//! `awaken`: does nothing. An example of a worker that is launched when another worker succeeds.

use super::{Context, Worker, WorkerError};
use pylogging::Logger;
use pyyaml::Value;

/// The worker's name in the message registry.
pub const NAME: &str = "awaken";

/// Reports that it awoke.
#[derive(Debug, Clone, clap::Args)]
pub struct Awaken {}

impl Worker for Awaken {
    fn name(&self) -> &str {
        NAME
    }

    fn work(&self, _context: &mut Context) -> Result<Value, WorkerError> {
        Ok([("awoke", true)].into_iter().collect())
    }

    fn success(&self, log: &Logger) -> String {
        log.info("awoke");
        "success".to_owned()
    }

    fn failure(&self, log: &Logger) -> String {
        log.critical("failed to awaken");
        "failure".to_owned()
    }
}
