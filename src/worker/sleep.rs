//! `sleep`: waits for a number of seconds. An example for trying out a new system.

use std::time::Duration;

use super::{Context, Worker, WorkerError};
use pylogging::Logger;
use pyyaml::Value;

/// The worker's name in the message registry.
pub const NAME: &str = "sleep";

/// Sleeps for a number of seconds.
#[derive(Debug, Clone, clap::Args)]
pub struct Sleep {
    /// Number of seconds to sleep
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub sleep_time: u32,
}

impl Worker for Sleep {
    fn name(&self) -> &str {
        NAME
    }

    fn work(&self, _context: &mut Context) -> Result<Value, WorkerError> {
        std::thread::sleep(Duration::from_secs(self.sleep_time.into()));
        Ok([("sleep time", i64::from(self.sleep_time))].into_iter().collect())
    }

    fn success(&self, log: &Logger) -> String {
        log.info(format_args!("slept for {} seconds", self.sleep_time));
        "success".to_owned()
    }

    fn failure(&self, log: &Logger) -> String {
        log.critical(format_args!("failed to sleep for {} seconds", self.sleep_time));
        "failure".to_owned()
    }
}
