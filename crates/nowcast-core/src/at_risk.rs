//! Expected messages that will probably be late: forecasts become alarms ahead of the deadline, once for each deadline.

use crate::alarm::Alarm;
use crate::decide::Decision;
use crate::expected::AtRisk;
use crate::forecast::ExpectedForecast;
use crate::level::Level;
use crate::policy::Expectation;
use crate::record::{Change, RecordedEvent};

/// How many percentage points a forecast must be below `warn at` before a message is no longer at risk. Forecasts near the limit
/// would otherwise change their mind every minute.
const HYSTERESIS: u8 = 20;

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
        let Some(late) = late else { return };
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
