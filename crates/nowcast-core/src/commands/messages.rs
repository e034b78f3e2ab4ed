//! Commands about messages and the checklist: send, retry, set and clear.

use super::{NAMED, Outcomes};
use crate::cycle::CycleOption;
use crate::decide::Decision;
use crate::message::Message;
use crate::messages::IncomingMessage;
use crate::parked::{Parked, ParkedItem};
use crate::record::{Change, Outcome, Speaker};
use crate::run::Number;
use pyyaml::Value;
use pyyaml::limits::MAX_GIVEN_DEPTH;

impl Decision<'_> {
    pub(super) fn set_checklist(&mut self, path: &str, value: &str) -> Outcomes {
        let path = pyyaml::read(path).map_err(|error| format!("the keys are not valid YAML: {error}"))?;
        let value = pyyaml::read(value).map_err(|error| format!("the value is not valid YAML: {error}"))?;
        let keys = path.as_list().filter(|keys| !keys.is_empty()).ok_or("a checklist key is missing")?;
        // The checklist is a mapping, and so is what each key but the last leads to.
        let deepest_key = keys.iter().zip(1..).map(|(key, level)| level + key.depth()).max();
        check_depth("this checklist entry", deepest_key.unwrap_or_default().max(keys.len() + value.depth()))?;
        let shown = pyyaml::python::repr_value(&path);
        self.change(Change::ChecklistSet { path, value });
        Ok((format!("checklist set at {shown}"), Vec::new()))
    }

    /// Clear the checklist. Half of all rule errors come from a checklist that was cleared while workers were running, so
    /// open runs forbid it unless it is forced.
    pub(super) fn clear_on_request(&mut self, force: bool) -> Outcomes {
        let count = self.state.runs.len();
        if !force && count > 0 {
            let named = self.state.runs.values().take(NAMED);
            let named: Vec<String> = named.map(|run| format!("{} {}", run.worker.name(), run.id)).collect();
            let more = count - named.len();
            return Err(format!(
                "{} still open and may need the checklist: {}{}; --force clears it in any case",
                if count == 1 { "a run is" } else { "runs are" },
                named.join(", "),
                if more > 0 { format!(" and {more} more") } else { String::new() },
            ));
        }
        self.clear_checklist();
        Ok(("checklist cleared".to_owned(), Vec::new()))
    }

    pub(super) fn send(
        &mut self,
        source: &str,
        r#type: &str,
        payload: &str,
        cycle: Option<CycleOption>,
    ) -> Outcomes {
        let payload =
            pyyaml::read(payload).map_err(|error| format!("the payload is not valid YAML: {error}"))?;
        check_depth("the payload", payload.depth())?;
        let is_of_no_cycle = cycle == Some(CycleOption::None);
        let cycle = cycle.and_then(CycleOption::into_label);
        let message = Message { cycle, ..Message::new(source, r#type, payload) };
        let incoming = IncomingMessage::internal(message, Speaker::Operator, None);
        let reply = self.handle_message(IncomingMessage { is_of_no_cycle, ..incoming });
        outcome_of(self.number, &reply.outcome)
    }

    pub(super) fn retry_messages(
        &mut self,
        which: Option<Number>,
        historical_checklist: Option<&Value>,
    ) -> Outcomes {
        let is_message = |parked: &&Parked| matches!(parked.item, ParkedItem::Message { .. });
        let parked: Vec<Parked> = match which {
            None => self.state.parked.values().filter(is_message).cloned().collect(),
            Some(number) => match self.state.parked.get(&number).filter(is_message) {
                Some(parked) => vec![parked.clone()],
                None => {
                    return Err(format!(
                        "{number} is not a parked message; nowcast status shows parked messages"
                    ));
                }
            },
        };
        if parked.is_empty() {
            return Ok(("no message is parked".to_owned(), Vec::new()));
        }
        let mut failed = Vec::new();
        let mut numbers = Vec::new();
        for parked in &parked {
            let outcome = self.retry_message(parked, historical_checklist);
            match outcome.and_then(|outcome| outcome_of(parked.id, &outcome)) {
                Ok(_) => numbers.push(self.number),
                Err(text) => failed.push(text),
            }
        }
        match (failed.as_slice(), parked.len()) {
            ([], 1) => Ok((format!("message {} is decided", parked[0].id), numbers)),
            ([], count) => Ok((format!("{count} messages are decided"), numbers)),
            (failed, _) => Err(failed.join("\n")),
        }
    }

    /// Decide a parked message again; one that was parked undecided is decided for the first time.
    fn retry_message(
        &mut self,
        parked: &Parked,
        historical_checklist: Option<&Value>,
    ) -> Result<Outcome, String> {
        let ParkedItem::Message { source, r#type, payload, run, cycle, undecided, .. } = &parked.item else {
            return Err(format!("{} is not a message", parked.id));
        };
        if let Some(body) = undecided {
            if historical_checklist.is_some() {
                return Err(format!(
                    "message {} has not been decided yet, so no checklist belongs to it; retry it without \"--checklist then\"",
                    parked.id
                ));
            }
            let message = Message::decode(body.as_bytes())
                .map_err(|error| format!("message {} cannot be decided: {error}", parked.id))?;
            // Its run and its cycle were found when it was parked.
            let message = Message { run: None, cycle: cycle.clone(), ..message };
            return Ok(self.decide_parked(parked, *run, message).outcome);
        }
        let payload = pyyaml::read_own(payload.as_bytes()).map_err(|error| error.to_string())?;
        let message = Message { cycle: cycle.clone(), ..Message::new(source, r#type, payload) };
        let checklist = historical_checklist.cloned().unwrap_or_else(|| self.state.checklist.to_value());
        Ok(self.redecide(parked, message, &checklist).outcome)
    }
}

/// Refuse a value that could be stored but not be read again.
fn check_depth(what: &str, depth: usize) -> Result<(), String> {
    if depth <= MAX_GIVEN_DEPTH {
        return Ok(());
    }
    Err(format!("{what} is nested {depth} deep, and the limit is {MAX_GIVEN_DEPTH}; nothing was changed"))
}

fn outcome_of(number: Number, outcome: &Outcome) -> Outcomes {
    match outcome {
        Outcome::RuleFailed(why) => Err(format!("message {number} is parked, since its rule failed:\n{why}")),
        Outcome::NoFunction(why) | Outcome::Refused(why) | Outcome::Undecided(why) => {
            Err(format!("message {number}: {why}"))
        }
        _ => Ok((format!("message {number} is decided"), vec![number])),
    }
}
