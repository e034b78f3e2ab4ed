//! Expectations in decisions: record received messages, evaluate deadlines, and report each late message once.

use jiff::Timestamp;

use crate::alarm::Alarm;
use crate::clock::Now;
use crate::decide::Decision;
use crate::expected::{Deadline, Expected};
use crate::level::Level;
use crate::message::Message;
use crate::policy::Expectation;
use crate::record::Change;
use crate::state::State;

impl Decision<'_> {
    /// Record a message that may be expected.
    pub(super) fn note_expected_message(&mut self, message: &Message) {
        let Message { source, r#type, .. } = message;
        if !self.state.is_expected(source, r#type) {
            return;
        }
        let now = self.now;
        let key = (source.clone(), r#type.clone());
        let known = self.state.expected.get(&key).cloned();
        let mut expected = known.unwrap_or_else(|| Expected::new(source, r#type, now));
        let is_late_one = expected.late_cycle.is_none() || expected.late_cycle == message.cycle;
        if let Some(by) = expected.late.take_if(|_| is_late_one) {
            expected.late_cycle = None;
            let late = now.wall.duration_since(by.timestamp());
            let minutes = late.as_mins();
            self.log(
                Level::Info,
                format!(
                    "{source}: ({type}) was expected by {} and is received {} h {:02} min late",
                    by.strftime("%Y-%m-%d %H:%M"),
                    minutes / 60,
                    minutes % 60
                ),
            );
        }
        expected.at_risk.retain(|at_risk| !at_risk.is_met_by(message, now.wall));
        expected.receive(now);
        self.change(Change::Expected(expected));
    }

    /// Add expectations that are new in the configuration, and remove those that it no longer has.
    fn update_expectations(&mut self) {
        let now = self.now;
        let gone: Vec<_> = self
            .state
            .expected
            .keys()
            .filter(|(worker, r#type)| !self.state.is_expected(worker, r#type))
            .cloned()
            .collect();
        for (worker, r#type) in gone {
            self.change(Change::NotExpected(worker, r#type));
        }
        let kinds = self.state.kinds_expected();
        let new: Vec<_> = kinds
            .map(|(worker, r#type)| (worker.to_owned(), r#type.to_owned()))
            .filter(|kind| !self.state.expected.contains_key(kind))
            .collect();
        for (worker, r#type) in new {
            self.change(Change::Expected(Expected::new(&worker, &r#type, now)));
        }
        self.end_risks();
    }

    /// Evaluate deadlines again that are in the future again, since the wall clock was set back.
    pub(super) fn reopen_deadlines(&mut self) {
        let all: Vec<Expected> = self.state.expected.values().cloned().collect();
        for mut expected in all {
            let was_late = expected.late.is_some();
            if expected.reopen(self.now.wall) {
                let Expected { worker, r#type, .. } = &expected;
                if was_late && expected.late.is_none() {
                    let text = format!("{worker}: ({type}) is not late yet by the clock as it is set now");
                    self.log(Level::Info, text);
                }
                self.change(Change::Expected(expected));
            }
        }
    }

    /// Evaluate passed deadlines. If the manager was down for days, only the last one of each kind counts.
    pub(super) fn evaluate_deadlines(&mut self) {
        self.update_expectations();
        let now = self.now;
        let all: Vec<Expected> = self.state.expected.values().cloned().collect();
        for mut expected in all {
            let Some(deadline) = self.state.last_deadline(&expected, now) else { continue };
            expected.evaluated_until = deadline.at.timestamp();
            let evaluated_until = expected.evaluated_until;
            expected.at_risk.retain(|at_risk| at_risk.deadline > evaluated_until);
            let is_required =
                !deadline.cycle.as_ref().is_some_and(|cycle| self.state.cycles.is_abandoned(cycle));
            if !is_required || expected.is_met(&deadline, now, &self.state.cycles) {
                // What an earlier cycle lacked is over.
                if expected.late_cycle.take().is_some() {
                    expected.late = None;
                }
            } else {
                let Expected { worker, r#type, .. } = &expected;
                let last = expected.last_received(now).map_or_else(
                    || "none has been received".to_owned(),
                    |received| {
                        let received = received.to_zoned_datetime(deadline.at.time_zone().clone());
                        format!("the last one was received {}", received.strftime("%Y-%m-%d %H:%M"))
                    },
                );
                let of_cycle =
                    deadline.cycle.as_ref().map(|cycle| format!(" of cycle {cycle}")).unwrap_or_default();
                let text = format!(
                    "{worker}: ({type}){of_cycle} is late: it was expected by {}; {last}",
                    deadline.at.strftime("%Y-%m-%d %H:%M %Z")
                );
                self.alarm(Alarm::Late, &worker.clone(), text);
                (expected.late, expected.late_cycle) = (Some(deadline.at), deadline.cycle);
            }
            self.change(Change::Expected(expected));
        }
    }
}

impl State {
    /// Return the kinds of messages that the configuration expects.
    pub(super) fn kinds_expected(&self) -> impl Iterator<Item = (&str, &str)> {
        self.policy.expectations.iter().map(|one| (one.worker.as_str(), one.r#type.as_str()))
    }

    /// Return whether such a message is expected.
    pub(super) fn is_expected(&self, worker: &str, r#type: &str) -> bool {
        self.kinds_expected().any(|kind| kind == (worker, r#type))
    }

    /// Return the next deadline to evaluate; the beginning of time if the expectations of the configuration have changed.
    pub(super) fn next_expected(&self, now: Now) -> Option<Timestamp> {
        let known = |one: &Expectation| self.expected.get(&(one.worker.clone(), one.r#type.clone()));
        let of_kinds: Option<Vec<_>> =
            self.policy.expectations.iter().map(|one| Some((one, known(one)?))).collect();
        let is_gone = self.expected.keys().any(|(worker, r#type)| !self.is_expected(worker, r#type));
        let Some(of_kinds) = of_kinds.filter(|_| !is_gone) else { return Some(Timestamp::MIN) };
        of_kinds.into_iter().filter_map(|(one, expected)| expected.next(one, now)).min()
    }

    /// Return the last deadline of a kind of message to evaluate that has passed.
    pub(super) fn last_deadline(&self, expected: &Expected, now: Now) -> Option<Deadline> {
        let of_kind = |one: &&Expectation| one.worker == expected.worker && one.r#type == expected.r#type;
        let deadlines =
            self.policy.expectations.iter().filter(of_kind).filter_map(|one| expected.last(one, now));
        deadlines.max_by_key(|deadline| deadline.at.timestamp())
    }
}
