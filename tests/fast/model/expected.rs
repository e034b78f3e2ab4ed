//! The model's own idea of what must come in time.

use crate::model::plan::EXPECTED;
use crate::model::reference::{Expected, Model, Outcome};

impl Model {
    fn know(&mut self, worker: usize, r#type: usize) -> usize {
        let place = self.expected.iter().position(|one| (one.worker, one.r#type) == (worker, r#type));
        place.unwrap_or_else(|| {
            let (since, judged, first_message) = (self.now, self.now.wall, self.messages.len());
            self.expected.push(Expected { worker, r#type, since, first_message, judged, late: None });
            self.expected.len() - 1
        })
    }

    /// A message is there, and late no more.
    pub fn notice(&mut self, worker: usize, r#type: usize) {
        if EXPECTED[self.config].iter().any(|one| (one.0, one.1) == (worker, r#type)) {
            let place = self.know(worker, r#type);
            self.expected[place].late = None;
        }
    }

    /// What is expected by now and has not come is late. Of several times that the configuration brings up at once it is
    /// the last.
    pub fn judge(&mut self) {
        let all = EXPECTED[self.config];
        self.expected.retain(|known| all.iter().any(|one| (one.0, one.1) == (known.worker, known.r#type)));
        for one in all {
            self.know(one.0, one.1);
        }
        self.expected.sort_by_key(|known| (known.worker, known.r#type));
        for place in 0..self.expected.len() {
            let known = self.expected[place];
            let is_due = |one: &&(usize, usize, i64, i64)| {
                (one.0, one.1) == (known.worker, known.r#type)
                    && one.2 > self.shown(known.since)
                    && one.3 > known.judged
                    && one.3 <= self.now.wall
            };
            let Some((_, _, since, by)) = all.iter().filter(is_due).max_by_key(|one| one.3) else { continue };
            let last = self.messages[known.first_message..].iter().rfind(|message| {
                (message.worker, message.r#type) == (known.worker, known.r#type)
                    && message.retries.is_none()
                    && !matches!(message.outcome, Outcome::Refused | Outcome::Answered | Outcome::Cleared)
            });
            let has_come = last.is_some_and(|message| self.shown(message.at) >= *since);
            self.expected[place].judged = *by;
            if !has_come {
                self.expected[place].late = Some(*by);
                self.done.late.push((known.worker, *by));
            }
        }
    }
}
