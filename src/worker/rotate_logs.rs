//! `rotate_logs`: starts new log files. Runs at the end of a forecast cycle.

use super::{Context, Worker, WorkerError};
use pylogging::{Logger, Role, RotationStep, Setup};
use pyyaml::Value;

/// The worker's name in the message registry.
pub const NAME: &str = "rotate_logs";

/// Rolls every `RotatingFileHandler` of the root logger and of the logger `checklist` over; where log messages are
/// published, the root logger is the log aggregator's.
#[derive(Debug, Clone, clap::Args)]
pub struct RotateLogs {}

impl Worker for RotateLogs {
    fn name(&self) -> &str {
        NAME
    }

    fn work(&self, context: &mut Context) -> Result<Value, WorkerError> {
        let log = context.log();
        log.info("rotating log files");
        let config = context.config();
        let aggregator = config
            .aggregates_logs()
            .then(|| Setup::from_value(&config.logging, Role::Rotator))
            .transpose()
            .map_err(|error| WorkerError::new(error.to_string()))?
            .map(|(setup, _)| setup);
        let files = pylogging::rotate(aggregator.as_ref(), |step| match step {
            RotationStep::Rotated(file) => log.info(format_args!("log file rotated: {file}")),
            RotationStep::PermissionsSet(file) => {
                log.debug(format_args!("new {file} log file permissions set to rw-rw-r--"));
            }
        })
        .map_err(|error| WorkerError::new(error.to_string()))?;
        let files: Vec<Value> = files.into_iter().map(Value::from).collect();
        Ok([("log files", Value::from(files))].into_iter().collect())
    }

    fn success(&self, log: &Logger) -> String {
        log.info("log files rotated");
        "success".to_owned()
    }

    fn failure(&self, log: &Logger) -> String {
        log.critical("failed to rotate log files");
        "failure".to_owned()
    }
}
