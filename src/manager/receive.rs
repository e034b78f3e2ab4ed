//! What comes in: workers' messages and operators' requests, each made an event.

use std::collections::HashSet;

use super::connection::IncomingRequest;
use super::{Manager, ManagerError};
use crate::store::JournalError;
use nowcast_core::{Answer, Command, Event, Number, Request};
use pyyaml::Value;

/// Requests decided in one batch. More would let the first one wait too long for its reply.
pub(super) const BATCH: usize = 1_000;

/// What an event is called in the poison file; `None` if it has no name of its own.
pub(super) fn poison_key(event: &Event) -> Option<String> {
    let Event::Request(request) = event else { return None };
    // A worker's own name for its message stays the same when another broker brings it.
    let id = request.message.as_ref().ok().and_then(|message| message.id.clone());
    id.or_else(|| request.ticket.map(|ticket| format!("{}.{}", ticket.epoch, ticket.number)))
}

impl Manager {
    /// The workers' messages that have come. One that was decided already gets the reply that was kept.
    pub(super) fn receive(&mut self) -> Result<Vec<Event>, ManagerError> {
        let mut events = Vec::new();
        let mut names: HashSet<String> = HashSet::new();
        while events.len() < BATCH
            && let Some(incoming) = self.broker.receive()?
        {
            // It can only be recognised as a repetition once the first one is kept.
            if incoming.names().any(|name| names.contains(&name)) {
                self.broker.defer(incoming);
                break;
            }
            names.extend(incoming.names());
            events.push(self.event(incoming)?);
        }
        Ok(events)
    }

    fn event(&mut self, incoming: IncomingRequest) -> Result<Event, JournalError> {
        let recorded = self.journal.recorded(incoming.ticket, incoming.source_and_id())?;
        let IncomingRequest { envelope, body, ticket, message } = incoming;
        let request = self.broker.accept(envelope);
        Ok(match recorded {
            Some(recorded) => Event::Repeat { request, recorded },
            None => Event::Request(Request { request, ticket, body, message }),
        })
    }

    /// The operators' requests that have come. One for which the journal lacks what it needs is answered at once.
    pub(super) fn receive_calls(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for (id, call) in self.control.receive() {
            let Some(command) = call.command else {
                let answer = Answer::done("the manager works", Vec::new());
                self.control.answer(id, &answer);
                continue;
            };
            match self.historical_checklist(&command) {
                Ok(historical_checklist) => {
                    events.push(Event::Command {
                        call: Some(id),
                        user: call.user,
                        command,
                        historical_checklist,
                    });
                }
                Err(error) => {
                    let answer = Answer::refused(error.to_string());
                    self.control.answer(id, &answer);
                }
            }
        }
        events
    }

    /// Sees that operators can get in.
    pub(super) fn tidy_control(&mut self) {
        match self.control.tidy() {
            None => {}
            Some(Ok(())) => self.log.warning("the control socket was gone and is there again"),
            Some(Err(error)) => self.report_failure(format!(
                "the control socket is gone and cannot be made, so no operator gets in; it is tried again every second: \
                 {error}"
            )),
        }
    }

    /// For a retry that asks for it, the checklist that the message's rule saw: its own payload is in it.
    fn historical_checklist(&self, command: &Command) -> Result<Option<Value>, JournalError> {
        let Command::Retry { message: Some(number), historical_checklist: true } = command else {
            return Ok(None);
        };
        self.journal.checklist_before(Number(number.0.saturating_add(1))).map(|entries| Some(entries.into()))
    }
}
