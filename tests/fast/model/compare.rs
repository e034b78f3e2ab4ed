//! Whether core and model did the same, and know the same.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use nowcast_core::RequestedLaunch;
use nowcast_core::cycles::CycleMark;
use nowcast_core::parked::ParkedItem;
use nowcast_core::record::{MessageRecord, Outcome as Real};
use nowcast_core::run::Stage;
use nowcast_core::{Cycle, NextWorker, Number, Steady};
use pyyaml::Value;

use crate::model::plan::{CYCLES, TYPES, WORKERS};
use crate::model::reference::{Expected, Mark, Outcome, Wish};
use crate::model::translate::{cycle, moment, next_worker, requirements};
use crate::model::world::{Effects, World};

impl World {
    /// Core and model did the same and know the same.
    pub fn compare(&mut self, done: &Effects) {
        let expected = self.model.done();
        let numbers = |runs: &[usize]| runs.iter().map(|run| self.runs[*run]).collect::<Vec<_>>();
        assert_eq!(self.runs.len(), self.model.runs.len(), "as many runs are requested");
        assert_eq!(done.launched, numbers(&expected.launched), "launches");
        for (run, number) in expected.launched.iter().zip(&done.launched) {
            assert_eq!(
                self.state.runs[number].worker,
                next_worker(&self.model.runs[*run].launch),
                "{number}"
            );
        }
        assert_eq!(done.stopped, numbers(&expected.stopped), "runs whose stop is requested");
        let calls: Vec<Timestamp> = expected.called.into_iter().map(moment).collect();
        assert_eq!(self.rules.calls.take(), calls, "calls of rules");
        let late: Vec<String> = expected.late.iter().map(|(worker, _)| WORKERS[*worker].to_owned()).collect();
        assert_eq!(done.late, late, "what is late is reported once");
        let late = |one: &Expected| (WORKERS[one.worker], TYPES[one.r#type], one.late.map(moment));
        let late: Vec<_> = self.model.expected.iter().map(late).collect();
        let real: Vec<_> = self
            .state
            .expected
            .values()
            .map(|one| (&*one.worker, &*one.r#type, one.late.as_ref().map(jiff::ZonedDateTime::timestamp)))
            .collect();
        assert_eq!(real, late);
        self.compare_messages();
        self.compare_runs();
        self.compare_joins();
        self.compare_cycles();
        let holds: Vec<Number> = (0..self.holds.len())
            .filter(|hold| !self.model.holds[*hold].is_over)
            .map(|hold| self.holds[hold])
            .collect();
        assert_eq!(self.state.holds.keys().copied().collect::<Vec<_>>(), holds);
        let checklist: Vec<(Value, Value)> = self
            .model
            .checklist
            .iter()
            .map(|(worker, value)| (WORKERS[*worker].into(), (*value).into()))
            .collect();
        let real: Vec<(Value, Value)> =
            self.state.checklist.entries().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        assert_eq!(real, checklist);
        self.nothing_is_lost();
    }

    fn compare_messages(&self) {
        assert_eq!(self.messages.len(), self.model.messages.len(), "as many messages are decided");
        for ((number, real), model) in self.messages.iter().zip(&self.model.messages).rev().take(3) {
            let fits = match (&real.outcome, model.outcome) {
                (Real::Retried(run), Outcome::Retried(next)) => *run == self.runs[next],
                (Real::Ruled, Outcome::Ruled)
                | (Real::RuleFailed(_), Outcome::Failed)
                | (Real::NoFunction(_), Outcome::Missing)
                | (Real::Refused(_), Outcome::Refused)
                | (Real::Undecided(_), Outcome::Undecided)
                | (Real::Answered, Outcome::Answered)
                | (Real::Cleared, Outcome::Cleared) => true,
                _ => false,
            };
            assert!(fits, "{number}: {:?}, and not {:?}", real.outcome, model.outcome);
            assert_eq!(real.run, model.run.map(|run| self.runs[run]), "the run of {number}");
        }
        for (at, (number, real)) in self.messages.iter().enumerate().rev().take(3) {
            let real = real.message.as_ref().and_then(|message| message.cycle.clone());
            assert_eq!(real, self.model.cycle_of_message(at).map(cycle), "the cycle of {number}");
        }
        let parked: BTreeSet<Number> =
            self.model.parked.iter().map(|message| self.messages[*message].0).collect();
        let is_message = |what: &ParkedItem| matches!(what, ParkedItem::Message { .. });
        let real =
            self.state.parked.values().filter(|parked| is_message(&parked.item)).map(|parked| parked.id);
        assert_eq!(real.collect::<BTreeSet<_>>(), parked, "parked messages");
    }

    fn compare_runs(&self) {
        let mut open = 0;
        for (at, (number, model)) in self.runs.iter().zip(&self.model.runs).enumerate() {
            let real = self.state.runs.get(number);
            assert_eq!(real.is_none(), model.is_closed(), "{number} is closed");
            let Some(real) = real else { continue };
            open += 1;
            assert_eq!(real.cycle, self.model.cycle_of_run(at).map(cycle), "the cycle of {number}");
            let stage = match &real.stage {
                Stage::Pending { due, at: None } => (Some(due.0), None, None),
                Stage::Pending { at, .. } => (*at, None, None),
                Stage::Launched { at, .. } => (None, Some(at.wall), None),
                Stage::Ended { launched, at, .. } => (None, *launched, Some(at.wall)),
            };
            let due = model.is_waiting().then(|| moment(model.at.unwrap_or(model.due)));
            let [launched, ended] =
                [model.launched, model.ended].map(|when| when.map(|when| moment(when.wall)));
            assert_eq!(stage, (due, launched, ended), "{number}");
            let until = model.ended.unwrap_or(self.model.now).passed;
            let ran =
                model.launched.map(|launched| SignedDuration::from_secs((until - launched.passed).max(0)));
            assert_eq!(real.duration(self.present().steady), ran, "{number}");
            assert_eq!(real.report.is_some(), model.is_reported, "{number}");
            assert_eq!(real.stop_requested.is_some(), model.is_stopping, "{number}");
            assert_eq!(
                (real.attempt, real.retry_of),
                (model.attempt, model.retry_of.map(|run| self.runs[run]))
            );
        }
        assert_eq!(self.state.runs.len(), open);
    }

    fn compare_joins(&self) {
        assert_eq!(self.joins.len(), self.model.joins.len(), "as many joins were opened");
        let workers = |launches: &[RequestedLaunch]| {
            launches.iter().map(|launch| (launch.worker.clone(), launch.cycle.clone())).collect::<Vec<_>>()
        };
        for (at, (number, model)) in self.joins.iter().zip(&self.model.joins).enumerate() {
            let expected: Vec<(NextWorker, Option<Cycle>)> =
                self.model.launches_of(at).iter().map(|wish| self.with_cycle(wish)).collect();
            assert_eq!(self.state.joins.get(*number).is_some(), model.is_open(), "{number} is open");
            if let Some(real) = self.state.joins.get(*number) {
                assert_eq!(real.name, model.name);
                assert_eq!(real.requires, requirements(&self.model.remaining(at)), "{number}");
                assert_eq!(workers(&real.launches()), expected, "{number}");
                assert_eq!(real.deadline, model.deadline.map(moment).map(Steady));
            }
            let parked = self.state.parked.get(number);
            assert_eq!(parked.is_some(), model.is_parked, "{number} is parked");
            if let Some(ParkedItem::Launches { launches, .. }) = parked.map(|parked| &parked.item) {
                assert_eq!(workers(launches), expected, "{number}");
            }
        }
    }

    fn with_cycle(&self, wish: &Wish) -> (NextWorker, Option<Cycle>) {
        (next_worker(&wish.launch), self.model.cycle_of_wish(wish).map(cycle))
    }

    fn compare_cycles(&self) {
        for (place, label) in CYCLES.iter().enumerate() {
            let real = self.state.cycles.get(&cycle(place));
            assert_eq!(real.is_some(), self.model.is_known(place), "{label} is known");
            let mark = real.and_then(|kept| kept.mark.as_ref()).map(|mark| match mark {
                CycleMark::Cancelled { .. } => Mark::Cancelled,
                CycleMark::Skipped { .. } => Mark::Skipped,
                CycleMark::Done { .. } => Mark::Done,
            });
            assert_eq!(mark, self.model.marks[place], "{label}");
        }
        assert_eq!(self.parked_launches.len(), self.model.parked_launches.len(), "as many are parked");
        for (number, model) in self.parked_launches.iter().zip(&self.model.parked_launches) {
            let parked = self.state.parked.get(number);
            assert_eq!(parked.is_none(), model.is_over, "{number} is parked no longer");
            if let Some(ParkedItem::Launches { launches, .. }) = parked.map(|parked| &parked.item) {
                let [launch] = launches.as_slice() else { panic!("{number} is one launch") };
                assert_eq!((launch.worker.clone(), launch.cycle.clone()), self.with_cycle(&model.wish));
            }
        }
    }

    /// Each launch that was requested is somewhere, and in one place.
    fn nothing_is_lost(&self) {
        let is_retried = |record: &&(Number, MessageRecord)| matches!(record.1.outcome, Real::Retried(_));
        let retried = self.messages.iter().filter(is_retried).count();
        let identified = self.model.joins.iter().filter(|join| join.is_identified());
        let of_joins: usize = identified.map(|join| join.asked.launch.len() * join.times).sum();
        let requested = *self.rules.requested.borrow() + of_joins + self.commanded + retried;
        let waiting =
            self.state.runs.values().filter(|run| matches!(run.stage, Stage::Pending { .. })).count();
        let in_joins: usize = self.state.joins.open().map(|join| join.launches().len()).sum();
        let parked: usize = self
            .state
            .parked
            .values()
            .map(|parked| match &parked.item {
                ParkedItem::Launches { launches, .. } => launches.len(),
                ParkedItem::Message { .. } => 0,
            })
            .sum();
        assert_eq!(self.launched.len() + waiting + in_joins + parked + self.model.discarded, requested);
    }
}
