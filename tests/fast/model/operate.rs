//! Operators' commands, for core and model.

use jiff::SignedDuration;
use nowcast_core::record::RecordedEvent;
use nowcast_core::rewind::{RepeatedRun, Rewind};
use nowcast_core::{CallId, Command, Event, Number};

use crate::model::plan::{CYCLES, Launch, Step, TYPES, WORKERS, Which};
use crate::model::reference::{End, Hold, Outcome, Run, Said};
use crate::model::translate::{cycle, moment, next_worker, said_cycle, target};
use crate::model::world::{World, pick};

impl World {
    /// Everything that an operator could name.
    fn things(&self) -> Vec<Number> {
        let model = &self.model;
        let runs =
            (0..model.runs.len()).filter(|run| !model.runs[*run].is_closed()).map(|run| self.runs[run]);
        let joins = (0..model.joins.len())
            .filter(|join| model.joins[*join].is_open() || model.joins[*join].is_parked)
            .map(|join| self.joins[join]);
        let holds =
            (0..model.holds.len()).filter(|hold| !model.holds[*hold].is_over).map(|hold| self.holds[hold]);
        runs.chain(joins)
            .chain(holds)
            .chain(model.parked.iter().map(|message| self.messages[*message].0))
            .chain(self.parked_launches.iter().copied())
            .collect()
    }

    pub fn command(&mut self, step: &Step) {
        let (command, is_done) = match step {
            Step::Launch(launch) => {
                let cycle = launch.cycle.or_else(|| None);
                let is_done = !cycle.is_some_and(|cycle| self.model.is_cancelled(cycle));
                if is_done {
                    self.commanded += 1;
                    self.model.want(launch.clone(), None);
                }
                (Command::Launch { worker: next_worker(launch), rerun_of: None, origin: None }, is_done)
            }
            Step::Cancel { cycle: place } => {
                let command = Command::CancelCycle { cycle: cycle(*place), reason: None };
                (command, self.model.cancel(*place))
            }
            Step::Skip { cycle: place } => {
                (Command::SkipCycle { cycle: cycle(*place), reason: None }, self.model.skip(*place))
            }
            Step::Resume { cycle: place } => {
                (Command::ResumeCycle { cycle: cycle(*place) }, self.model.resume(*place))
            }
            Step::Rewind { which, is_stale } => self.rewind(which, *is_stale),
            Step::Kill(which) => {
                let what = number(which, &self.things());
                let run = self.runs.iter().position(|run| *run == what);
                let run = run.filter(|run| self.model.runs[*run].is_running());
                if let Some(run) = run {
                    self.model.kill(run);
                }
                (Command::Kill { run: what }, run.is_some())
            }
            Step::Hold { held, seconds, is_duration } => {
                let now = self.model.now;
                let duration = seconds.filter(|_| *is_duration);
                let ends = duration.map(|seconds| now.passed + seconds);
                let until = seconds.filter(|_| !is_duration).map(|seconds| now.wall + seconds);
                self.model.holds.push(Hold { held: *held, until, ends, is_over: false });
                let (target, until) = (target(*held), until.map(moment));
                let duration = duration.map(SignedDuration::from_secs);
                (Command::Hold { target, until, duration, reason: None }, true)
            }
            Step::Release(which) => {
                let number = number(which, &self.things());
                (Command::Release { number }, self.release(number))
            }
            Step::Discard(which) => {
                let number = number(which, &self.things());
                (Command::Discard { number }, self.discard(number))
            }
            Step::Retry(which) => return self.retry(which.as_ref()),
            Step::Send { worker, r#type, value, cycle } => {
                self.model.message(*worker, *r#type, *value, Said { run: None, cycle: *cycle });
                let (source, r#type) = (WORKERS[*worker].into(), TYPES[*r#type].into());
                let payload = value.map_or("null".into(), |value| value.to_string());
                let outcome = self.model.messages.last().expect("a message").outcome;
                let is_done = matches!(outcome, Outcome::Ruled | Outcome::Retried(_));
                (Command::Send { source, r#type, payload, cycle: said_cycle(*cycle) }, is_done)
            }
            Step::Set { worker, value } => {
                self.model.set(*worker, *value);
                let path = format!("[{}]", WORKERS[*worker]);
                (Command::ChecklistSet { path, value: value.to_string() }, true)
            }
            Step::Clear { force } => {
                let is_done = *force || self.model.runs.iter().all(crate::model::reference::Run::is_closed);
                if is_done {
                    self.model.checklist.clear();
                }
                (Command::ChecklistClear { force: *force }, is_done)
            }
            other => panic!("{other:?} is not a command"),
        };
        self.model.admit();
        self.ask(&command, is_done);
    }

    fn ask(&mut self, command: &Command, is_done: bool) {
        let user = "ana".to_owned();
        let call = Some(CallId(1));
        let event =
            Event::Command { call, user: user.clone(), command: command.clone(), historical_checklist: None };
        let done = self.decide(event);
        assert_eq!(done.answers, [is_done], "{command:?}");
        let kept = &done.records.last().expect("a record").event;
        assert!(
            matches!(kept, RecordedEvent::Command { user: who, command: what, .. } if *who == user && what == command),
            "{kept:?}"
        );
        self.compare(&done);
    }

    fn release(&mut self, what: Number) -> bool {
        let model = &mut self.model;
        if let Some(hold) = self.holds.iter().position(|hold| *hold == what) {
            return !std::mem::replace(&mut model.holds[hold].is_over, true);
        }
        if let Some(join) = self.joins.iter().position(|join| *join == what) {
            let launches = model.launches_of(join);
            let mut cycles = launches.iter().filter_map(|wish| model.cycle_of_wish(wish));
            let is_refused = model.joins[join].is_parked && cycles.any(|cycle| model.is_cancelled(cycle));
            let is_done = !is_refused && model.end_join(join, End::Released);
            if is_done {
                model.want_all(launches);
            }
            return is_done;
        }
        if let Some(parked) = self.parked_launches.iter().position(|parked| *parked == what) {
            let wish = model.parked_launches[parked].wish.clone();
            let cycle = model.cycle_of_wish(&wish);
            let is_refused = cycle.is_some_and(|cycle| model.is_cancelled(cycle));
            let is_done = !is_refused && !std::mem::replace(&mut model.parked_launches[parked].is_over, true);
            if is_done {
                model.want_all(vec![wish]);
            }
            return is_done;
        }
        let run = self.runs.iter().position(|run| *run == what).filter(|run| model.runs[*run].is_waiting());
        if let Some(run) = run {
            (model.runs[run].due, model.runs[run].at) = (model.now.passed, None);
        }
        run.is_some()
    }

    fn discard(&mut self, what: Number) -> bool {
        let model = &mut self.model;
        if let Some(message) = self.messages.iter().position(|(number, _)| *number == what) {
            let before = model.parked.len();
            model.parked.retain(|parked| *parked != message);
            return model.parked.len() < before;
        }
        if let Some(join) = self.joins.iter().position(|join| *join == what) {
            let is_done = model.end_join(join, End::Discarded);
            if is_done {
                model.discarded += model.launches_of(join).len();
            }
            return is_done;
        }
        if let Some(parked) = self.parked_launches.iter().position(|parked| *parked == what) {
            let is_done = !std::mem::replace(&mut model.parked_launches[parked].is_over, true);
            model.discarded += usize::from(is_done);
            return is_done;
        }
        let run = self.runs.iter().position(|run| *run == what).filter(|run| model.runs[*run].is_waiting());
        if let Some(run) = run {
            model.runs[run].is_discarded = true;
        }
        model.discarded += usize::from(run.is_some());
        run.is_some()
    }

    fn rewind(&mut self, which: &Which, is_stale: bool) -> (Command, bool) {
        let pairs: Vec<(usize, usize)> =
            (0..CYCLES.len()).flat_map(|cycle| (0..WORKERS.len()).map(move |from| (cycle, from))).collect();
        let any = |number: u64| pairs[usize::try_from(number).unwrap_or_default() % pairs.len()];
        let is_possible = |(cycle, from): &(usize, usize)| {
            !self.model.refuses_rewind(*cycle, &self.model.rewind_plan(*cycle, *from))
        };
        let (place, from) = match which {
            Which::Any(number) => any(*number),
            Which::OfThese(nth) => {
                let possible: Vec<_> = pairs.iter().copied().filter(is_possible).collect();
                pick(&possible, *nth).unwrap_or_else(|| any(*nth as u64))
            }
        };
        let plan = self.model.rewind_plan(place, from);
        let cycle = cycle(place);
        let last = self.state.cycles.get(&cycle).map_or(0, |kept| kept.last.0);
        let repeated = |run: &usize| {
            let Run { launch, .. } = self.model.runs[*run].clone();
            let worker = next_worker(&Launch { delay: None, at: None, ..launch });
            let origin = self.runs[self.model.first_attempt(*run)];
            RepeatedRun { worker, rerun_of: self.runs[*run], origin }
        };
        let rewind = Rewind {
            cycle,
            from: WORKERS[from].into(),
            seen: Number(last - u64::from(is_stale && last > 0)),
            messages: plan.messages.iter().map(|message| self.messages[*message].0).collect(),
            chains: plan.chains.iter().map(|run| self.runs[*run]).collect(),
            launches: plan.repeated.iter().map(repeated).collect(),
        };
        let is_done = !is_stale && self.model.rewind(place, &plan);
        if is_done {
            self.commanded += plan.repeated.len();
        }
        (Command::Rewind(rewind), is_done)
    }

    fn retry(&mut self, which: Option<&Which>) {
        let parked: Vec<Number> = self.model.parked.iter().map(|message| self.messages[*message].0).collect();
        let message = which.map(|which| number(which, &parked));
        let mut chosen: Vec<usize> = self
            .model
            .parked
            .iter()
            .copied()
            .filter(|parked| message.is_none_or(|message| self.messages[*parked].0 == message))
            .collect();
        chosen.sort_unstable();
        let is_wrong = chosen.is_empty() && message.is_some();
        let before = self.model.messages.len();
        for message in chosen {
            self.model.retry(message);
            self.model.admit();
        }
        let is_decided = |outcome| matches!(outcome, Outcome::Ruled | Outcome::Retried(_));
        let all_ruled = self.model.messages[before..].iter().all(|retried| is_decided(retried.outcome));
        self.model.admit();
        self.ask(&Command::Retry { message, historical_checklist: false }, all_ruled && !is_wrong);
    }
}

fn number(which: &Which, these: &[Number]) -> Number {
    match which {
        Which::Any(number) => Number(*number),
        Which::OfThese(nth) => pick(these, *nth).unwrap_or_default(),
    }
}
