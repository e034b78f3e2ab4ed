//! Expected messages that will probably be late: forecasts become alarms ahead of the deadline, once for each deadline.

use crate::alarm::Alarm;
use crate::decide::Decision;
use crate::expected::{AtRisk, Expected};
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
        self.end_risks();
        for forecast in forecasts {
            self.judge_forecast(forecast);
        }
        self.launch_ready_runs();
        self.finish_record_if_changed(RecordedEvent::Forecast);
    }

    /// End the risks of deadlines that are no longer those of an expectation with `warn at`, or whose cycle is cancelled or skipped.
    pub(super) fn end_risks(&mut self) {
        let policy = self.state.policy.clone();
        let all: Vec<Expected> =
            self.state.expected.values().filter(|one| !one.at_risk.is_empty()).cloned().collect();
        for mut expected in all {
            let of_kind = policy.expectations.iter().filter(|one| {
                one.warn_at.is_some() && one.worker == expected.worker && one.r#type == expected.r#type
            });
            let of_kind: Vec<&Expectation> = of_kind.collect();
            let before = expected.clone();
            for at_risk in
                expected.at_risk.iter_mut().filter(|one| !one.is_over && self.now.wall < one.deadline)
            {
                let is_abandoned =
                    at_risk.cycle.as_ref().is_some_and(|cycle| self.state.cycles.is_abandoned(cycle));
                let is_open =
                    |one: &&Expectation| before.open_deadline(one, at_risk.deadline, self.now).is_some();
                at_risk.is_over = is_abandoned || !of_kind.iter().any(is_open);
            }
            if expected != before {
                self.change(Change::Expected(expected));
            }
        }
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
