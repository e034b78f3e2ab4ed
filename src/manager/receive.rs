//! What comes in: workers' messages and operators' requests, each made an event.

use std::collections::HashSet;

use super::{Manager, ManagerError};
use crate::net::{Envelope, envelope, socket};
use crate::store::JournalError;
use nowcast_core::message::{DecodeError, Message};
use nowcast_core::{Answer, Command, Event, Number, Request, RequestId, Ticket};
use pyyaml::Value;

/// Requests decided in one batch. More would let the first one wait too long for its reply.
pub(super) const BATCH: usize = 1_000;

/// A message that came while one of the same name was in the batch: it waits until that is kept.
#[derive(Debug, Default)]
pub(super) struct Held(Option<Incoming>);

impl Held {
    /// Whether there is one.
    pub(super) fn is_waiting(&self) -> bool {
        self.0.is_some()
    }
}

/// A request with all that can be said of it before it is decided.
#[derive(Debug)]
struct Incoming {
    envelope: Envelope,
    body: Vec<u8>,
    ticket: Option<Ticket>,
    message: Result<Message, DecodeError>,
}

impl Incoming {
    fn new(envelope: Envelope, body: Vec<u8>) -> Self {
        // The first frame is ZeroMQ's name for the broker; ours puts the ticket behind it.
        let ticket = envelope.get(1).and_then(|frame| Ticket::from_frame(frame));
        let message = Message::decode(&body);
        Self { envelope, body, ticket, message }
    }

    /// The names by which a message that comes twice is known.
    fn names(&self) -> impl Iterator<Item = String> {
        let ticket = self.ticket.map(|ticket| format!("ticket {}.{}", ticket.epoch, ticket.number));
        ticket.into_iter().chain(self.source_and_id().map(|(source, id)| format!("{source} {id}")))
    }

    fn source_and_id(&self) -> Option<(&str, &str)> {
        let message = self.message.as_ref().ok()?;
        Some((&message.source, message.id.as_deref()?))
    }
}

/// What an event is called in the poison file; `None` if it has no name of its own.
pub(super) fn name_of(event: &Event) -> Option<String> {
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
            && let Some(incoming) = self.next_incoming()?
        {
            if incoming.names().any(|name| names.contains(&name)) {
                self.held = Held(Some(incoming));
                break;
            }
            names.extend(incoming.names());
            events.push(self.event(incoming)?);
        }
        Ok(events)
    }

    fn next_incoming(&mut self) -> zmq::Result<Option<Incoming>> {
        if let Some(held) = self.held.0.take() {
            return Ok(Some(held));
        }
        while let Some(frames) = socket::receive(&self.performer.socket)? {
            match envelope::open(frames) {
                Some((envelope, body)) => return Ok(Some(Incoming::new(envelope, body))),
                None => {
                    self.log
                        .error("something that is not built like a request was dropped; no reply will come");
                }
            }
        }
        Ok(None)
    }

    fn event(&mut self, incoming: Incoming) -> Result<Event, JournalError> {
        let recorded = self.performer.journal.recorded(incoming.ticket, incoming.source_and_id())?;
        let Incoming { envelope, body, ticket, message } = incoming;
        self.last_request += 1;
        let request = RequestId(self.last_request);
        self.performer.envelopes.insert(request, envelope);
        Ok(match recorded {
            Some(recorded) => Event::Repeat { request, recorded },
            None => Event::Request(Request { request, ticket, body, message }),
        })
    }

    /// The operators' requests that have come. One for which the journal lacks what it needs is answered at once.
    pub(super) fn receive_calls(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for (id, call) in self.performer.control.receive() {
            let Some(command) = call.command else {
                let answer = Answer::done("the manager works", Vec::new());
                self.performer.control.answer(id, &answer);
                continue;
            };
            match self.checklist_then(&command) {
                Ok(checklist_then) => {
                    events.push(Event::Command { call: Some(id), user: call.user, command, checklist_then });
                }
                Err(error) => {
                    let answer = Answer::refused(error.to_string());
                    self.performer.control.answer(id, &answer);
                }
            }
        }
        events
    }

    /// Sees that operators can get in.
    pub(super) fn tidy_control(&mut self) {
        match self.performer.control.tidy() {
            None => {}
            Some(Ok(())) => self.log.warning("the control socket was gone and is there again"),
            Some(Err(error)) => self.trouble(format!(
                "the control socket is gone and cannot be made, so no operator gets in; it is tried again every second: \
                 {error}"
            )),
        }
    }

    /// For a retry that asks for it, the checklist that the message's rule saw: its own payload is in it.
    fn checklist_then(&self, command: &Command) -> Result<Option<Value>, JournalError> {
        let Command::Retry { message: Some(number), checklist_then: true } = command else { return Ok(None) };
        self.performer
            .journal
            .checklist_before(Number(number.0.saturating_add(1)))
            .map(|entries| Some(entries.into()))
    }
}
