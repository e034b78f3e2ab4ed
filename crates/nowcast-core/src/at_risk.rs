//! Expected messages that will probably be late: forecasts become alarms ahead of the deadline, once for each deadline.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::alarm::Alarm;
use crate::cycle::Cycle;
use crate::decide::Decision;
use crate::level::Level;
use crate::message::Message;
use crate::policy::Expectation;
use crate::record::{Change, RecordedEvent};

/// How many percentage points a forecast must be below `warn at` before a message is no longer at risk. Forecasts near the limit
/// would otherwise change their mind every minute.
const HYSTERESIS: u8 = 20;

/// A forecast of one expected message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedForecast {
    /// The worker.
    pub worker: String,
    /// The message type.
    pub r#type: String,
    /// The deadline that the forecast is for.
    pub deadline: Timestamp,
    /// When the message is expected, if that is known.
    pub time: Option<TimeForecast>,
    /// The probability that it is late, in percent.
    pub late: u8,
}

/// When something is expected to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeForecast {
    /// It comes before that with a probability of 10 %.
    pub p10: Timestamp,
    /// It is as probably earlier as later.
    pub median: Timestamp,
    /// It comes before that with a probability of 90 %.
    pub p90: Timestamp,
}

/// A warning that a message will probably be late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtRisk {
    /// The deadline.
    pub deadline: Timestamp,
    /// The beginning of its window.
    pub since: Timestamp,
    /// The cycle of the message that meets it, if it must be of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycle: Option<Cycle>,
    /// When the warning was given.
    pub warned: Timestamp,
    /// Whether later forecasts were better, so that it is no longer at risk.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_over: bool,
}

impl AtRisk {
    /// Return whether a message that comes now meets the deadline.
    pub(super) fn is_met_by(&self, message: &Message, now: Timestamp) -> bool {
        match &self.cycle {
            Some(cycle) => message.cycle.as_ref() == Some(cycle),
            None => self.since <= now,
        }
    }
}

impl Decision<'_> {
    /// Warn of messages that will probably be late. A forecast of a deadline that is no longer open is out of date, and ignored.
    pub(super) fn handle_forecast(&mut self, forecasts: &[ExpectedForecast]) {
        self.begin_record();
        for forecast in forecasts {
            self.judge_forecast(forecast);
        }
        self.launch_ready_runs();
        self.finish_record_if_changed(RecordedEvent::Forecast);
    }

    fn judge_forecast(&mut self, forecast: &ExpectedForecast) {
        let policy = self.state.policy.clone();
        let is_of_kind = |one: &&Expectation| one.worker == forecast.worker && one.r#type == forecast.r#type;
        for expectation in policy.expectations.iter().filter(is_of_kind) {
            if let Some(warn_at) = expectation.warn_at {
                self.judge_expectation(expectation, forecast, warn_at);
            }
        }
    }

    fn judge_expectation(&mut self, expectation: &Expectation, forecast: &ExpectedForecast, warn_at: u8) {
        let key = (forecast.worker.clone(), forecast.r#type.clone());
        let Some(mut expected) = self.state.expected.get(&key).cloned() else { return };
        let Some(deadline) = expected.open_deadline(expectation, forecast.deadline, self.now) else { return };
        let is_abandoned = deadline.cycle.as_ref().is_some_and(|cycle| self.state.cycles.is_abandoned(cycle));
        if is_abandoned || expected.is_met(&deadline, self.now, &self.state.cycles) {
            return;
        }
        let ExpectedForecast { worker, r#type, late, .. } = forecast;
        let of_cycle = deadline.cycle.as_ref().map(|cycle| format!(" of cycle {cycle}")).unwrap_or_default();
        let subject = format!("{worker}: ({type}){of_cycle}");
        let chance =
            format!("late at {} with a probability of {late} %", deadline.at.strftime("%Y-%m-%d %H:%M %Z"));
        let known = expected.at_risk.iter_mut().find(|known| known.deadline == forecast.deadline);
        match known {
            None if *late >= warn_at => {
                let text =
                    format!("{subject} is at risk: {chance}; {}", forecast.when(deadline.at.time_zone()));
                self.log(Level::Warning, text.clone());
                self.notify(Some(Alarm::AtRisk), worker, None, text);
                expected.at_risk.push(AtRisk {
                    deadline: forecast.deadline,
                    since: deadline.since,
                    cycle: deadline.cycle,
                    warned: self.now.wall,
                    is_over: false,
                });
            }
            Some(known) if known.is_over && *late >= warn_at => {
                known.is_over = false;
                self.log(Level::Info, format!("{subject} is at risk again: {chance}"));
            }
            Some(known) if !known.is_over && *late <= warn_at.saturating_sub(HYSTERESIS) => {
                known.is_over = true;
                self.log(Level::Info, format!("{subject} is no longer at risk: {chance}"));
            }
            _ => return,
        }
        self.change(Change::Expected(expected));
    }
}

impl ExpectedForecast {
    /// Return when the message is expected, as text.
    fn when(&self, zone: &TimeZone) -> String {
        let Some(time) = self.time else { return "it is not known when it comes".to_owned() };
        let clock = |time: Timestamp| time.to_zoned_datetime(zone.clone()).strftime("%H:%M");
        format!("expected at {} ({} to {})", clock(time.median), clock(time.p10), clock(time.p90))
    }
}
