//! Cycles and notes in decisions: a message is noted before its rule is called; cycles begin, and are forgotten.

use crate::clock::Steady;
use crate::cycle::Cycle;
use crate::cycles::{CycleMark, KeptCycle, MOST_CYCLES, NoteScope};
use crate::decide::Decision;
use crate::level::Level;
use crate::message::Message;
use crate::notes::Note;
use crate::policy::CycleMessage;
use crate::record::Change;
use crate::run::{Number, Run, RunId};
use crate::state::State;
use jiff::Timestamp;

/// The most cycles that are forgotten at once, so that nothing else is delayed.
const MOST_FORGOTTEN_AT_ONCE: usize = 100;

impl Decision<'_> {
    /// Keep a message for joins by cycle, joins since a moment and `last(…)`, and mark its cycle if that is done with it. `run` is known while it is open.
    pub(super) fn note_message(
        &mut self,
        message: &Message,
        id: Option<RunId>,
        run: Option<&Run>,
        at: Timestamp,
    ) {
        let (run, origin) = match id {
            Some(id) => (Some(id), run.and_then(|run| run.origin)),
            None => self.chain_of_closed_run(message).unzip(),
        };
        let without_payload = message.cycle.as_ref().is_some_and(|cycle| {
            // It is no longer idle, so others are forgotten.
            self.see_cycle(cycle);
            !self.make_room_for_a_note(cycle)
        });
        let note = Note {
            message: self.number,
            worker: message.source.clone(),
            r#type: message.r#type.clone(),
            at,
            // Of a message that was parked undecided, only the wall clock of that moment is known.
            steady: Some(self.now.steady).filter(|_| at == self.now.wall),
            run,
            origin: origin.filter(|origin| Some(*origin) != run),
            cycle: message.cycle.clone(),
            without_payload,
        };
        self.has_noted = true;
        self.change_with(Change::Noted(note), &message.payload);
        if let Some(cycle) = &message.cycle {
            self.mark_if_done(cycle);
        }
    }

    /// Return the run that a message names, and its chain, if the run is closed and was the sender's. A late report counts in its chain, so
    /// that the run does not count twice.
    fn chain_of_closed_run(&self, message: &Message) -> Option<(RunId, RunId)> {
        let named = Number(message.run.as_ref()?.parse().ok()?);
        if self.state.runs.contains_key(&named) {
            return None;
        }
        let worker = &message.source;
        // A chain without a run has the number of its message, which a sender may take for that of a run.
        let mut chains = self.state.cycles.chains(worker).filter(|(_, chain)| chain.run.is_some());
        let noted = chains.find(|(number, chain)| *number == named || chain.run == Some(named));
        // A failed attempt that is retried is not noted.
        let retry = || {
            self.state.runs.values().find(|run| run.retry_of == Some(named) && run.worker.name() == worker)
        };
        let chain = noted.map(|(number, _)| number).or_else(|| retry().map(Run::chain))?;
        Some((named, chain))
    }

    /// Mark the cycles that are done by a configuration that was not in force when their messages came.
    pub(super) fn mark_done_cycles(&mut self) {
        if self.state.done_compared_with == self.state.policy.cycles.done {
            return;
        }
        self.state.done_compared_with.clone_from(&self.state.policy.cycles.done);
        let unmarked = self.state.cycles.kept().filter(|(_, kept)| kept.mark.is_none());
        let unmarked: Vec<Cycle> = unmarked.map(|(cycle, _)| cycle.clone()).collect();
        for cycle in unmarked {
            self.mark_if_done(&cycle);
        }
    }

    /// Mark a cycle that has all messages of `cycles: done:`.
    pub(super) fn mark_if_done(&mut self, cycle: &Cycle) {
        let policy = self.state.policy.clone();
        let is_marked = |kept: &KeptCycle| {
            matches!(kept.mark, Some(CycleMark::Done { .. } | CycleMark::Cancelled { .. }))
        };
        if policy.cycles.done.is_empty() || self.state.cycles.get(cycle).is_none_or(is_marked) {
            return;
        }
        let scope = NoteScope::Cycle(cycle.clone());
        let has_come = |message: &CycleMessage| {
            !self.state.cycles.counting(&scope, &message.worker, Some(&message.r#type), self.now).is_empty()
        };
        if policy.cycles.done.iter().all(has_come) {
            self.log(Level::Info, format!("cycle {cycle} is done"));
            let mark = CycleMark::Done { message: self.number, at: self.now.wall };
            self.change(Change::CycleMarked { cycle: cycle.clone(), mark: Some(mark) });
        }
    }

    /// Record that a worker is launched in a cycle, if it was not before.
    pub(super) fn note_launch(&mut self, cycle: &Cycle, worker: &str) {
        let kept = self.state.cycles.get(cycle);
        if kept.is_some_and(|kept| !kept.launched.contains(worker)) {
            self.change(Change::CycleLaunched { cycle: cycle.clone(), worker: worker.to_owned() });
        }
    }

    /// Record that a cycle has an event, once for each record. One that is not kept begins.
    pub(super) fn see_cycle(&mut self, cycle: &Cycle) {
        if !self.seen_cycles.insert(cycle.clone()) {
            return;
        }
        let cycles = &self.state.cycles;
        if cycles.get(cycle).is_none() {
            if cycles.is_forgotten(cycle) {
                let text = format!(
                    "cycle {cycle} begins again: what it had before was forgotten (`cycles: keep:`, or too many cycles or messages)"
                );
                self.log(Level::Warning, text);
            }
            self.make_room_for_a_cycle();
        }
        self.change(Change::CycleSeen { cycle: cycle.clone(), number: self.number, at: self.now.time });
    }

    /// Forget a cycle that has nothing open, if there are as many as may be kept.
    fn make_room_for_a_cycle(&mut self) {
        let is_full = self.state.cycles.kept().len() >= MOST_CYCLES;
        let Some((_, cycle)) = self.state.activity.longest_idle().filter(|_| is_full) else { return };
        let cycle = cycle.clone();
        let text = format!(
            "there are {MOST_CYCLES} cycles, so the one that was idle for longest is forgotten: {cycle}"
        );
        self.log(Level::Warning, text);
        self.forget_cycle(cycle);
    }

    /// Forget cycles that have nothing open, the longest idle first, while the notes of all take too much memory. Return whether there is
    /// room then for a payload of `cycle`, which is not forgotten.
    fn make_room_for_a_note(&mut self, cycle: &Cycle) -> bool {
        let most = self.state.policy.cycles.most_note_bytes;
        for _ in 0..MOST_FORGOTTEN_AT_ONCE {
            if self.state.cycles.bytes() < most {
                return true;
            }
            if self.state.notes_full_since.is_none() {
                self.state.notes_full_since = Some(self.number);
                let text = format!(
                    "the messages noted for joins and last() take {} MiB, so the cycles that were idle for longest are forgotten; without an \
                     idle cycle, payloads are not noted. A smaller `cycles: keep:` forgets cycles earlier",
                    most / 1024 / 1024
                );
                self.log(Level::Warning, text);
            }
            let Some((_, idle)) = self.state.activity.longest_idle().filter(|(_, idle)| *idle != cycle)
            else {
                return false;
            };
            let idle = idle.clone();
            self.log(
                Level::Debug,
                format!("cycle {idle} is forgotten: the notes of messages take too much memory"),
            );
            self.forget_cycle(idle);
        }
        self.state.cycles.bytes() < most
    }

    /// Forget the cycles that have had nothing open for as long as `cycles: keep:` says.
    pub(super) fn forget_old_cycles(&mut self) {
        for _ in 0..MOST_FORGOTTEN_AT_ONCE {
            let Some((end, cycle)) = self.state.next_forgotten() else { return };
            if end > self.now.steady {
                return;
            }
            let cycle = cycle.clone();
            self.log(
                Level::Debug,
                format!("cycle {cycle} is forgotten: it had no event for `cycles: keep:`"),
            );
            self.forget_cycle(cycle);
        }
    }

    /// Forget a cycle of which nothing but parked items is open, if there are too many cycles: what is parked would keep it.
    pub(super) fn forget_parked_cycle(&mut self, cycle: &Cycle) {
        let is_parked = |item| self.state.parked.contains_key(&item);
        let is_too_many = self.state.cycles.kept().len() > MOST_CYCLES;
        if is_too_many && self.state.activity.open_in(cycle).all(is_parked) {
            self.log(
                Level::Warning,
                format!(
                    "there are {MOST_CYCLES} cycles, so cycle {cycle} is forgotten: its launches are parked"
                ),
            );
            self.forget_cycle(cycle.clone());
        }
    }

    fn forget_cycle(&mut self, cycle: Cycle) {
        for join in self.state.joins.ended_of(&cycle) {
            self.change(Change::JoinForgotten(join));
        }
        self.change(Change::CycleForgotten(cycle));
    }
}

impl State {
    /// Return the cycles of which a change is an event.
    pub(super) fn cycles_of(&self, change: &Change) -> Vec<Cycle> {
        match change {
            Change::Noted(note) => note.cycle.iter().cloned().collect(),
            Change::CycleRewound { cycle, .. } => vec![cycle.clone()],
            Change::Run(run) => run.cycle.iter().cloned().collect(),
            Change::Join(join) => join.cycle.iter().cloned().collect(),
            Change::Parked(parked) => parked.cycles().cloned().collect(),
            Change::JoinClosed(id) | Change::ParkedClosed(id) => {
                self.activity.cycles_of(*id).cloned().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Return which cycle is forgotten next, and when.
    pub(super) fn next_forgotten(&self) -> Option<(Steady, &Cycle)> {
        let (last, cycle) = self.activity.longest_idle()?;
        // Beyond the end of the calendar it never comes.
        Some((last.checked_after(self.policy.cycles.keep)?, cycle))
    }
}
