//! Makes events of workers' messages and operators' requests. It never decides them.

use std::collections::HashSet;

use super::connection::IncomingRequest;
use super::{Manager, ManagerError};
use crate::store::JournalError;
use nowcast_core::{Answer, Command, Event, Number, Request};
use pyyaml::Value;

/// The most requests in one batch. With more, the first one would wait too long for its reply.
pub(super) const BATCH: usize = 1_000;

/// Return the key of an event in the poison file, if it has one.
pub(super) fn poison_key(event: &Event) -> Option<String> {
    let Event::Request(request) = event else { return None };
    // The worker's `id` stays the same when another broker forwards the message.
    let id = request.message.as_ref().ok().and_then(|message| message.id.clone());
    id.or_else(|| request.ticket.map(|ticket| format!("{}.{}", ticket.epoch, ticket.number)))
}

impl Manager {
    /// Return the workers' messages that have come. A repeated message gets the recorded reply.
    pub(super) fn receive(&mut self) -> Result<Vec<Event>, ManagerError> {
        let mut events = Vec::new();
        let mut keys: HashSet<String> = HashSet::new();
        while events.len() < BATCH
            && let Some(incoming) = self.broker.receive()?
        {
            // The journal cannot recognise a repetition within a batch before the batch is committed.
            if incoming.keys().any(|key| keys.contains(&key)) {
                self.broker.defer(incoming);
                break;
            }
            keys.extend(incoming.keys());
            events.push(self.event(incoming)?);
        }
        Ok(events)
    }

    fn event(&mut self, incoming: IncomingRequest) -> Result<Event, JournalError> {
        let recorded = self.journal.recorded(incoming.ticket, incoming.source_and_id())?;
        let IncomingRequest { envelope, body, ticket, message } = incoming;
        let request = self.broker.keep_envelope(envelope);
        Ok(match recorded {
            Some(recorded) => Event::Repeat { request, recorded },
            None => Event::Request(Request { id: request, ticket, body, message }),
        })
    }

    /// Return the operators' requests that have come. Requests that the journal cannot serve are refused at once.
    pub(super) fn receive_operator_requests(&mut self) -> Vec<Event> {
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

    /// Keep the control socket usable.
    pub(super) fn maintain_control(&mut self) {
        match self.control.maintain() {
            None => {}
            Some(Ok(())) => self.log.warning("the control socket was removed and is made again"),
            Some(Err(error)) => self.report_failure(format!(
                "the control socket was removed and cannot be made, so operators cannot connect; it is tried again every \
                 second: {error}"
            )),
        }
    }

    /// Return the checklist that the message's rule saw, its own payload included, for a retry with that option.
    fn historical_checklist(&self, command: &Command) -> Result<Option<Value>, JournalError> {
        let Command::Retry { message: Some(number), historical_checklist: true } = command else {
            return Ok(None);
        };
        self.journal.checklist_before(Number(number.0.saturating_add(1))).map(|entries| Some(entries.into()))
    }
}
