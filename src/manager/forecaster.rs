//! Keeps a forecast of the expected messages, if the configuration asks for warnings ahead: starts a process that makes it, and reads the
//! file that it writes. It never waits for that process, and never computes anything itself.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Manager;
use crate::store::forecast_file::StoredForecast;
use nowcast_core::Event;

/// The interval between forecasts.
const INTERVAL: Duration = Duration::from_secs(60);

/// How long a forecast may take. The process also limits its own processor time and memory.
const LIMIT: Duration = Duration::from_secs(45);

/// The process that makes the forecasts.
#[derive(Debug, Default)]
pub(super) struct Forecaster {
    process: Option<Child>,
    /// When the last one was started.
    started: Option<Instant>,
    /// The same by the wall clock.
    started_at: Timestamp,
    /// Whether it took too long and is killed.
    is_late: bool,
    /// Whether the last forecast failed, which is logged once.
    has_failed: bool,
}

/// What became of a process.
#[derive(Debug, PartialEq, Eq)]
enum ProcessResult {
    Done,
    Failed(String),
}

impl Forecaster {
    /// Return what became of the process, if it has ended now. One that takes too long is ended.
    fn collect(&mut self, now: Instant) -> Option<ProcessResult> {
        let process = self.process.as_mut()?;
        let outcome = match process.try_wait() {
            Ok(Some(_)) if std::mem::take(&mut self.is_late) => {
                ProcessResult::Failed(format!("it took longer than {} s", LIMIT.as_secs()))
            }
            Ok(Some(status)) if status.success() => ProcessResult::Done,
            Ok(Some(status)) => ProcessResult::Failed(status.to_string()),
            Ok(None) if self.started.is_none_or(|started| now.duration_since(started) < LIMIT) => {
                return None;
            }
            Ok(None) => {
                // It holds no lock, and what it has written so far was not yet renamed. It is collected when it has ended: on a disk that
                // hangs, that takes a while.
                let _ = process.kill();
                self.is_late = true;
                return None;
            }
            // Reaped as an orphan, so its status is lost; its file tells.
            Err(_) => ProcessResult::Done,
        };
        self.process = None;
        Some(outcome)
    }

    fn is_due(&self, now: Instant) -> bool {
        self.process.is_none() && self.started.is_none_or(|started| now.duration_since(started) >= INTERVAL)
    }
}

impl Drop for Forecaster {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // The system collects it when the manager has ended.
            let _ = process.kill();
        }
    }
}

impl Manager {
    /// Start a forecast if one is due. Return the event of one that is complete.
    pub(super) fn forecast_event(&mut self) -> Option<Event> {
        let now = Instant::now();
        let outcome = self.forecaster.collect(now);
        let is_requested = self.config.expect.iter().any(|expectation| expectation.warn_at.is_some());
        if is_requested && self.forecaster.is_due(now) {
            self.start_forecast(now);
        }
        let read = match outcome? {
            ProcessResult::Done => {
                let read =
                    StoredForecast::read(&self.config.journal.folder).map_err(|error| error.to_string());
                let is_new = |forecast: &StoredForecast| forecast.at >= self.forecaster.started_at;
                read.and_then(|read| {
                    Some(read).filter(is_new).ok_or_else(|| "it left no forecast".to_owned())
                })
            }
            ProcessResult::Failed(why) => Err(why),
        };
        match read {
            Ok(forecast) => {
                self.forecaster.has_failed = false;
                Some(Event::Forecast { forecasts: forecast.expected })
            }
            Err(why) => {
                self.report_failed_forecast(&why);
                None
            }
        }
    }

    fn start_forecast(&mut self, now: Instant) {
        self.forecaster.started = Some(now);
        self.forecaster.started_at = Timestamp::now();
        let started = Command::new(&self.nowcast_binary)
            .args(["forecaster", "--end-with", &std::process::id().to_string(), "--config"])
            .arg(&self.config.file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match started {
            Ok(process) => self.forecaster.process = Some(process),
            Err(error) => self.report_failed_forecast(&error.to_string()),
        }
    }

    fn report_failed_forecast(&mut self, why: &str) {
        if !std::mem::replace(&mut self.forecaster.has_failed, true) {
            self.log.warning(format_args!(
                "expected messages cannot be forecast, so nothing is warned of ahead (`warn at`): {why}; \
                 `nowcast forecast` shows the reason"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_takes_too_long_is_ended() {
        let begin = Instant::now();
        let process = Command::new("sleep").arg("600").spawn().expect("it starts");
        let mut forecaster =
            Forecaster { process: Some(process), started: Some(begin), ..Forecaster::default() };
        assert_eq!(forecaster.collect(begin), None);
        assert!(!forecaster.is_due(begin + INTERVAL), "one at a time");
        let deadline = Instant::now() + Duration::from_secs(60);
        let result = loop {
            assert!(Instant::now() < deadline, "it was killed");
            match forecaster.collect(begin + LIMIT) {
                Some(result) => break result,
                None => std::thread::yield_now(),
            }
        };
        assert_eq!(result, ProcessResult::Failed("it took longer than 45 s".to_owned()));
        assert!(!forecaster.is_due(begin + LIMIT) && forecaster.is_due(begin + INTERVAL));
    }
}
