//! The model's own idea of joins by cycle and since a moment. Their messages are found again each time in the history.

use crate::model::plan::{Join, RequirementPlan, Scope};
use crate::model::reference::{End, Model, OpenJoin, STEP, Wish, name_of};

impl Model {
    /// The cycle of a join: its own, or that of the message whose rule asked for it.
    pub fn cycle_of_join(&self, join: usize) -> Option<usize> {
        let join = &self.joins[join];
        match join.asked.scope {
            Some(Scope::Cycle(cycle)) => Some(cycle),
            _ => self.cycle_of_message(join.opened_by),
        }
    }

    /// A rule asks for an identified join: if it is known, nothing changes. Answers what it launches at once.
    pub fn ask_for(&mut self, message: usize, worker: usize, asked: Join) -> Vec<Wish> {
        let name = name_of(&asked, worker);
        if self.joins.iter().any(|join| join.name == name && join.asked.scope == asked.scope) {
            return Vec::new();
        }
        self.add_join(name, asked, message);
        self.evaluate(self.joins.len() - 1)
    }

    /// Counts a message in the open identified joins that wait for its worker. Answers what they launch.
    pub fn count_in_identified(&mut self, message: usize) -> Vec<Wish> {
        if !self.is_noted(message) {
            return Vec::new();
        }
        let (worker, cycle) = (self.messages[message].worker, self.cycle_of_message(message));
        let waits_for_it = |join: &OpenJoin| match join.asked.scope {
            None => false,
            Some(Scope::Cycle(of)) if Some(of) != cycle => false,
            Some(_) => join.is_open() && join.asked.wait_for.iter().any(|entry| entry.0 == worker),
        };
        let waiting: Vec<usize> =
            (0..self.joins.len()).filter(|join| waits_for_it(&self.joins[*join])).collect();
        waiting.into_iter().flat_map(|join| self.evaluate(join)).collect()
    }

    /// An identified join is opened again, and its timeout begins again. Answers what it launches at once.
    pub fn reopen(&mut self, join: usize) -> Vec<Wish> {
        let again = &mut self.joins[join];
        (again.end, again.times) = (None, again.times + 1);
        again.deadline = again.asked.timeout.map(|timeout| self.now.passed + timeout);
        self.evaluate(join)
    }

    /// Looks what has come for an open identified join, and closes it if that is all. Answers what it launches then.
    pub fn evaluate(&mut self, join: usize) -> Vec<Wish> {
        let (missing, counted) = self.found(join);
        let is_complete = missing.is_empty();
        (self.joins[join].missing, self.joins[join].counted) = (missing, counted);
        if !is_complete {
            return Vec::new();
        }
        self.joins[join].end = Some(End::Completed);
        self.launches_of(join)
    }

    /// What an identified join lacks, and the messages that count in it. A chain counts once, rather for an entry with a type.
    fn found(&self, join: usize) -> (Vec<RequirementPlan>, Vec<usize>) {
        let asked = &self.joins[join].asked;
        let (mut used, mut counted, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        let mut entries: Vec<(usize, &RequirementPlan)> = asked.wait_for.iter().enumerate().collect();
        entries.sort_by_key(|(_, entry)| entry.1.is_none());
        for (place, (worker, r#type, count)) in entries {
            let mut left = *count;
            for message in self.counting(asked.scope, *worker) {
                let fits = r#type.is_none_or(|wanted| self.messages[message].r#type == wanted);
                if left > 0 && fits && !used.contains(&self.chain_of_message(message)) {
                    used.push(self.chain_of_message(message));
                    counted.push(message);
                    left -= 1;
                }
            }
            if left > 0 {
                missing.push((place, (*worker, *r#type, left)));
            }
        }
        missing.sort_unstable();
        (missing.into_iter().map(|(_, entry)| entry).collect(), counted)
    }

    /// The messages of a worker that count in a scope. Of a chain the latest run counts, and of its messages the last of each type.
    pub fn counting(&self, scope: Option<Scope>, worker: usize) -> Vec<usize> {
        let is_in_scope = |message: &usize| match scope {
            Some(Scope::Cycle(cycle)) => self.cycle_of_message(*message) == Some(cycle),
            _ => true,
        };
        let of_worker = |message: &usize| self.messages[*message].worker == worker && self.is_noted(*message);
        let noted: Vec<usize> = (0..self.messages.len()).filter(of_worker).filter(is_in_scope).collect();
        let replaces = |other: usize, number: usize| {
            let (later, message) = (&self.messages[other], &self.messages[number]);
            let is_later_run = later.counts_for > message.counts_for;
            // One that was forgotten before does not.
            let is_known = later.forgotten.is_none_or(|forgotten| forgotten > number);
            let is_repeated =
                other > number && (later.counts_for, later.r#type) == (message.counts_for, message.r#type);
            self.chain_of_message(other) == self.chain_of_message(number)
                && (is_repeated || is_later_run && is_known)
        };
        let counts = |message: &usize| {
            let since = |since: i64| self.received_at(*message) >= since;
            self.messages[*message].forgotten.is_none()
                && !noted.iter().any(|other| replaces(*other, *message))
                && !matches!(scope, Some(Scope::Since(moment)) if !since(moment))
        };
        noted.iter().copied().filter(counts).collect()
    }

    /// The chain of a message, by the first run; one without a run is a chain of its own.
    fn chain_of_message(&self, message: usize) -> usize {
        self.messages[message].chain.unwrap_or(usize::MAX / 2 + message)
    }

    /// When a message came, by the wall clock as it is set now if it was set by a step since. Of one that was parked undecided the time
    /// is known that the clock showed then.
    fn received_at(&self, message: usize) -> i64 {
        let message = &self.messages[message];
        let was_shown = message.retries.map_or(message.at, |first| self.messages[first].at).wall;
        if was_shown != message.at.wall {
            return was_shown;
        }
        let shown = self.shown(message.at);
        if (shown - was_shown).abs() >= STEP { shown } else { was_shown }
    }
}
