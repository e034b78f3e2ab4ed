//! Makes events of workers' messages and operators' requests. It never decides them.

use std::collections::HashSet;

use super::inbox::ArrivedRequest;
use super::poison_guard::PoisonKeys;
use super::{Manager, ManagerError};
use crate::control::call::WORKS;
use crate::failpoint;
use crate::store::JournalError;
use nowcast_core::message::{DecodeError, Message};
use nowcast_core::{Answer, Command, Event, Number, PoisonRequest, Request};
use pyyaml::Value;

/// The most requests in one batch. With more, the first one would wait too long for its reply.
const BATCH: usize = 1_000;

/// The bytes of memory after which a batch takes no more requests. Large messages take long to decode, and the first one would
/// wait for its reply; and a batch is in memory several times until it is committed.
const BATCH_MEMORY: usize = 16 << 20;

/// The most requests that are moved from the socket to the inbox in one turn of the loop.
const TURN: usize = 100_000;

/// A request that is decoded and not yet decided.
struct DecodedRequest {
    arrived: ArrivedRequest,
    poison_keys: PoisonKeys,
    content: RequestContent,
}

/// The content of a request.
enum RequestContent {
    Message(Message),
    Invalid(DecodeError),
    /// It is not decided, for this reason. Without a message, it is not decoded either.
    Poison(Option<Message>, String),
}

impl DecodedRequest {
    fn message(&self) -> Option<&Message> {
        match &self.content {
            RequestContent::Message(message) | RequestContent::Poison(Some(message), _) => Some(message),
            RequestContent::Invalid(_) | RequestContent::Poison(None, _) => None,
        }
    }

    /// Return the keys by which a message that comes twice is recognised.
    fn keys(&self) -> impl Iterator<Item = String> {
        let ticket = self.arrived.ticket.map(|ticket| format!("ticket {}.{}", ticket.epoch, ticket.number));
        ticket.into_iter().chain(self.source_and_id().map(|(source, id)| format!("{source} {id}")))
    }

    /// Return the sender and its `id` for the message, if it sent one.
    fn source_and_id(&self) -> Option<(&str, &str)> {
        let message = self.message()?;
        Some((&message.source, message.id.as_deref()?))
    }

    /// Return the bytes of memory that it takes, approximately.
    fn memory_size(&self) -> usize {
        let payload = self.message().map_or(0, |message| message.payload.memory_size());
        self.arrived.body.len() + payload
    }
}

/// Return the names of an event in the poison file.
pub(super) fn poison_keys(event: &Event) -> PoisonKeys {
    let Event::Request(request) = event else { return PoisonKeys::default() };
    PoisonKeys::new(request.ticket, request.message.as_ref().ok())
}

impl Manager {
    /// Move the requests that have arrived to the inbox.
    pub(super) fn receive(&mut self) -> Result<(), ManagerError> {
        for _ in 0..TURN {
            let Some(request) = self.broker.receive()? else { break };
            self.inbox.add(request);
        }
        Ok(())
    }

    /// Return the next batch of workers' messages. A repeated message gets the recorded reply.
    pub(super) fn next_batch(&mut self) -> Result<Vec<Event>, ManagerError> {
        let requests = self.decode_batch();
        if let Some(first) = requests.first() {
            self.rules.poison_guard.begin_deciding_batch(&first.poison_keys);
        }
        requests.into_iter().map(|request| Ok(self.event(request)?)).collect()
    }

    /// Decode the requests of the next batch, and do nothing else: a manager that exits meanwhile does so because of one of them.
    fn decode_batch(&mut self) -> Vec<DecodedRequest> {
        let mut requests = Vec::new();
        let mut keys: HashSet<String> = HashSet::new();
        let mut memory = 0;
        while requests.len() < BATCH
            && memory < BATCH_MEMORY
            && let Some(arrived) = self.inbox.take()
        {
            let request = self.decode(arrived);
            // The journal cannot recognise a repetition within a batch before the batch is committed.
            if request.keys().any(|key| keys.contains(&key)) {
                self.inbox.put_back(request.arrived);
                break;
            }
            keys.extend(request.keys());
            memory += request.memory_size();
            requests.push(request);
        }
        requests
    }

    /// Decode a request, unless that has made managers exit.
    fn decode(&self, arrived: ArrivedRequest) -> DecodedRequest {
        let mut poison_keys = PoisonKeys::new(arrived.ticket, None);
        if let Some(reason) = self.rules.poison_guard.why_not_decoded(&poison_keys) {
            return DecodedRequest { arrived, poison_keys, content: RequestContent::Poison(None, reason) };
        }
        self.rules.poison_guard.begin_decoding(&poison_keys);
        failpoint::pass("manager: decoding");
        let content = match Message::decode(&arrived.body) {
            Ok(message) => {
                poison_keys = PoisonKeys::new(arrived.ticket, Some(&message));
                match self.rules.poison_guard.why_not_decided(&poison_keys) {
                    None => RequestContent::Message(message),
                    Some(reason) => RequestContent::Poison(Some(message), reason),
                }
            }
            Err(error) => RequestContent::Invalid(error),
        };
        DecodedRequest { arrived, poison_keys, content }
    }

    fn event(&mut self, decoded: DecodedRequest) -> Result<Event, JournalError> {
        let previous_reply =
            self.journal.find_previous_reply(decoded.arrived.ticket, decoded.source_and_id())?;
        let DecodedRequest { arrived: ArrivedRequest { envelope, body, ticket }, content, .. } = decoded;
        let id = self.broker.register_request(envelope);
        if let Some(previous_reply) = previous_reply {
            return Ok(Event::Repeat { request: id, previous_reply });
        }
        let message = match content {
            RequestContent::Message(message) => Ok(message),
            RequestContent::Invalid(error) => Err(error),
            RequestContent::Poison(_, reason) => match String::from_utf8(body) {
                Ok(body) => return Ok(Event::PoisonRequest(PoisonRequest { id, ticket, body, reason })),
                // It is refused at once: a message is text.
                Err(error) => {
                    let body = error.into_bytes();
                    let message = Message::decode(&body);
                    return Ok(Event::Request(Request { id, ticket, body, message }));
                }
            },
        };
        Ok(Event::Request(Request { id, ticket, body, message }))
    }

    /// Return the operators' requests that have come. Requests that the journal cannot serve are refused at once.
    pub(super) fn receive_operator_requests(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for (id, call) in self.control.receive() {
            let Some(command) = call.command else {
                let text = self.broker.refusal().unwrap_or_else(|| WORKS.to_owned());
                let answer = Answer::done(text, Vec::new());
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
