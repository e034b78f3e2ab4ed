//! The model's own idea of what operators do with cycles, and of limits on them.

use std::collections::BTreeSet;

use crate::model::plan::{CONFIGS, DONE, Launch, MAX_ACTIVE, SaidCycle, Scope};
use crate::model::reference::{End, Mark, Model, Outcome, Wish};

/// What a rewind forgets and repeats, as it is found in the history.
#[derive(Debug, Default)]
pub struct RewindPlan {
    pub messages: BTreeSet<usize>,
    /// The first runs of the chains that sent them.
    pub chains: BTreeSet<usize>,
    /// The runs that are repeated.
    pub repeated: Vec<usize>,
}

impl Model {
    pub fn is_cancelled(&self, cycle: usize) -> bool {
        self.marks[cycle] == Some(Mark::Cancelled)
    }

    /// Whether anything of a cycle ever happened.
    pub fn is_known(&self, cycle: usize) -> bool {
        let is_of = |of: Option<usize>| of == Some(cycle);
        let is_kept = |message: &usize| {
            self.is_noted(*message) || self.messages[*message].outcome == Outcome::Undecided
        };
        let mut messages = (0..self.messages.len()).filter(is_kept);
        let was_parked = |join: &usize| self.joins[*join].was_parked;
        let of_joins = (0..self.joins.len()).filter(was_parked).flat_map(|join| self.launches_of(join));
        let alone = self.parked_launches.iter().map(|parked| parked.wish.clone());
        (0..self.runs.len()).any(|run| is_of(self.cycle_of_run(run)))
            || messages.any(|message| is_of(self.cycle_of_message(message)))
            || (0..self.joins.len()).any(|join| is_of(self.cycle_of_join(join)))
            || of_joins.chain(alone).any(|wish| is_of(self.cycle_of_wish(&wish)))
    }

    /// Marks a cycle as done if the message has come that the configuration names.
    pub fn mark_if_done(&mut self, cycle: usize) {
        let Some((worker, r#type)) = DONE[self.config] else { return };
        let counting = self.counting(Some(Scope::Cycle(cycle)), worker);
        let has_come = counting.iter().any(|message| self.messages[*message].r#type == r#type);
        if has_come && !matches!(self.marks[cycle], Some(Mark::Done | Mark::Cancelled)) {
            self.marks[cycle] = Some(Mark::Done);
        }
    }

    /// Stops and discards what is open of a cycle.
    pub fn cancel(&mut self, cycle: usize) -> bool {
        if self.is_cancelled(cycle) || !self.is_known(cycle) {
            return false;
        }
        self.marks[cycle] = Some(Mark::Cancelled);
        for run in 0..self.runs.len() {
            if self.cycle_of_run(run) != Some(cycle) {
                continue;
            }
            if self.runs[run].is_running() {
                self.kill(run);
            } else if self.runs[run].is_waiting() {
                self.runs[run].is_discarded = true;
                self.discarded += 1;
            }
        }
        for join in 0..self.joins.len() {
            let launches = self.launches_of(join);
            let is_by_it = self.joins[join].asked.scope == Some(Scope::Cycle(cycle));
            let are_all_of_it = launches.iter().all(|wish| self.cycle_of_wish(wish) == Some(cycle));
            let is_of_it = self.cycle_of_join(join) == Some(cycle) && (is_by_it || are_all_of_it);
            if self.joins[join].is_open() && is_of_it {
                self.joins[join].end = Some(End::Cancelled);
                self.discarded += launches.len();
            }
        }
        true
    }

    pub fn skip(&mut self, cycle: usize) -> bool {
        let is_done = self.marks[cycle].is_none() && self.is_known(cycle);
        if is_done {
            self.marks[cycle] = Some(Mark::Skipped);
        }
        is_done
    }

    /// Launches what was parked since a cycle was cancelled, and opens its identified joins again.
    pub fn resume(&mut self, cycle: usize) -> bool {
        if !matches!(self.marks[cycle], Some(Mark::Cancelled | Mark::Skipped)) {
            return false;
        }
        self.marks[cycle] = None;
        self.mark_if_done(cycle);
        for parked in 0..self.parked_launches.len() {
            let wish = self.parked_launches[parked].wish.clone();
            if !self.parked_launches[parked].is_over && self.cycle_of_wish(&wish) == Some(cycle) {
                self.parked_launches[parked].is_over = true;
                self.want_all(vec![wish]);
            }
        }
        let is_cancelled = |join: &usize| {
            let is_identified = self.joins[*join].is_identified();
            let end = self.joins[*join].end;
            is_identified && end == Some(End::Cancelled) && self.cycle_of_join(*join) == Some(cycle)
        };
        let cancelled: Vec<usize> = (0..self.joins.len()).filter(is_cancelled).collect();
        let released: Vec<Wish> = cancelled.into_iter().flat_map(|join| self.reopen(join)).collect();
        self.want_all(released);
        true
    }

    /// Whether a run would be in one cycle too many, of its worker or of the system.
    pub fn is_limited(&self, run: usize) -> bool {
        let Some(cycle) = self.cycle_of_run(run) else { return false };
        let worker = self.runs[run].launch.worker;
        let is_full = |limit: Option<u32>, worker: Option<usize>| {
            let launched = self.runs.iter().enumerate().filter(|(_, run)| run.launched.is_some());
            let launched =
                launched.filter(|(_, run)| worker.is_none_or(|worker| run.launch.worker == worker));
            let active: BTreeSet<usize> = launched
                .filter_map(|(run, _)| self.cycle_of_run(run))
                .filter(|cycle| self.marks[*cycle].is_none())
                .collect();
            limit.is_some_and(|limit| active.len() >= limit as usize && !active.contains(&cycle))
        };
        self.marks[cycle].is_none()
            && (is_full(CONFIGS[self.config][worker].4, Some(worker))
                || is_full(MAX_ACTIVE[self.config], None))
    }

    /// What follows in a cycle from a worker: its messages, the runs that these or their joins launched, and so on.
    pub fn rewind_plan(&self, cycle: usize, from: usize) -> RewindPlan {
        let mut plan = RewindPlan::default();
        loop {
            let before = (plan.messages.len(), plan.chains.len());
            for message in 0..self.messages.len() {
                let chain = self.messages[message].run.map(|run| self.first_attempt(run));
                let chain = chain.or(self.messages[message].chain.filter(|_| self.is_noted(message)));
                let follows = self.messages[message].worker == from
                    || chain.is_some_and(|chain| plan.chains.contains(&chain));
                if self.cycle_of_message(message) == Some(cycle) && follows {
                    plan.messages.insert(message);
                }
            }
            for run in self.runs_in(cycle) {
                if self.runs[run].launch.worker == from || self.follows(&plan, cycle, run) {
                    plan.chains.insert(self.first_attempt(run));
                }
            }
            if (plan.messages.len(), plan.chains.len()) == before {
                break;
            }
        }
        for chain in &plan.chains {
            let of_chain = |run: &usize| self.first_attempt(*run) == *chain && !self.runs[*run].is_discarded;
            let last = self.runs_in(cycle).rev().find(of_chain);
            let last = last.filter(|run| self.runs[*run].launch.worker == from);
            plan.repeated.extend(last.filter(|_| !self.follows(&plan, cycle, *chain)));
        }
        plan
    }

    fn runs_in(&self, cycle: usize) -> impl DoubleEndedIterator<Item = usize> {
        (0..self.runs.len()).filter(move |run| self.cycle_of_run(*run) == Some(cycle))
    }

    fn follows(&self, plan: &RewindPlan, cycle: usize, run: usize) -> bool {
        let join = self.runs[run].join.filter(|join| self.cycle_of_join(*join) == Some(cycle));
        self.follows_a_message(plan, run) || join.is_some_and(|join| self.has_counted_one_of(join, plan))
    }

    fn has_counted_one_of(&self, join: usize, plan: &RewindPlan) -> bool {
        self.joins[join].counted.iter().any(|message| plan.messages.contains(message))
    }

    /// Forgets what a plan says, counts again in joins, and repeats the runs.
    pub fn rewind(&mut self, cycle: usize, plan: &RewindPlan) -> bool {
        if self.refuses_rewind(cycle, plan) {
            return false;
        }
        let count = self.messages.len();
        for message in &plan.messages {
            self.messages[*message].forgotten.get_or_insert(count);
        }
        if self.marks[cycle] == Some(Mark::Done) {
            self.marks[cycle] = None;
            self.mark_if_done(cycle);
        }
        let concerned =
            |join: &usize| self.joins[*join].is_identified() && self.has_counted_one_of(*join, plan);
        let is_ended = |join: &usize| {
            let is_complete = matches!(self.joins[*join].end, Some(End::Completed | End::Released));
            is_complete && self.cycle_of_join(*join) == Some(cycle)
        };
        let concerned: Vec<usize> = (0..self.joins.len()).filter(concerned).collect();
        let ended: Vec<usize> = concerned.iter().copied().filter(is_ended).collect();
        let open: Vec<usize> = concerned.into_iter().filter(|join| self.joins[*join].is_open()).collect();
        let mut released: Vec<Wish> = ended.into_iter().flat_map(|join| self.reopen(join)).collect();
        released.extend(open.into_iter().flat_map(|join| self.evaluate(join)));
        for run in &plan.repeated {
            let cycle = SaidCycle::Cycle(cycle);
            let launch = Launch { delay: None, at: None, cycle, ..self.runs[*run].launch.clone() };
            let chain = self.first_attempt(*run);
            let again = self.want(launch, None);
            self.runs[again].repeats = Some(chain);
        }
        self.want_all(released);
        true
    }

    pub fn refuses_rewind(&self, cycle: usize, plan: &RewindPlan) -> bool {
        !self.is_known(cycle)
            || self.is_cancelled(cycle)
            || plan.repeated.is_empty()
            || self.is_open(cycle, plan)
    }

    /// Whether something is open that a rewind would forget.
    fn is_open(&self, cycle: usize, plan: &RewindPlan) -> bool {
        let mut runs = self.runs_in(cycle).filter(|run| !self.runs[*run].is_closed());
        let in_plan = |wish: &Wish| plan.messages.contains(&wish.after);
        let of_cycle = |wish: &Wish| self.cycle_of_wish(wish) == Some(cycle);
        let mut joins = (0..self.joins.len()).filter(|join| self.joins[*join].is_parked);
        let mut alone = self.parked_launches.iter().filter(|parked| !parked.is_over);
        runs.any(|run| plan.chains.contains(&self.first_attempt(run)) || self.follows_a_message(plan, run))
            || self.parked.iter().any(|message| plan.messages.contains(message))
            || joins.any(|join| {
                let launches = self.launches_of(join);
                launches.iter().any(of_cycle) && launches.iter().any(in_plan)
            })
            || alone.any(|parked| of_cycle(&parked.wish) && in_plan(&parked.wish))
    }

    fn follows_a_message(&self, plan: &RewindPlan, run: usize) -> bool {
        self.runs[run].after.is_some_and(|message| plan.messages.contains(&message))
    }
}
