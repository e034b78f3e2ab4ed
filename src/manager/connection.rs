//! The connection to the message broker: requests in, replies out.
//!
//! It decodes requests and never decides them.

use std::collections::HashMap;

use zmq::{Context, PollItem, Socket, SocketType};

use crate::config::Zmq;
use crate::failpoint;
use crate::net::{Envelope, envelope, socket};
use nowcast_core::message::{DecodeError, Message};
use nowcast_core::{RequestId, Ticket};
use pylogging::Logger;

/// The time in milliseconds for the last replies to leave the process.
const LINGER: i32 = 1_000;

/// The time in milliseconds until the connection to the broker is tried again; doubled each time up to [`MAX_RECONNECT`].
const RECONNECT: i32 = 20;

/// The longest time in milliseconds between attempts to connect.
const MAX_RECONNECT: i32 = 1_000;

/// A request that is decoded and not yet decided.
#[derive(Debug)]
pub(super) struct IncomingRequest {
    pub(super) envelope: Envelope,
    pub(super) body: Vec<u8>,
    pub(super) ticket: Option<Ticket>,
    pub(super) message: Result<Message, DecodeError>,
}

impl IncomingRequest {
    fn new(envelope: Envelope, body: Vec<u8>) -> Self {
        // The first frame is ZeroMQ's name for the broker; our broker puts the ticket behind it.
        let ticket = envelope.get(1).and_then(|frame| Ticket::from_frame(frame));
        let message = Message::decode(&body);
        Self { envelope, body, ticket, message }
    }

    /// Return the keys by which a message that comes twice is recognised.
    pub(super) fn keys(&self) -> impl Iterator<Item = String> {
        let ticket = self.ticket.map(|ticket| format!("ticket {}.{}", ticket.epoch, ticket.number));
        ticket.into_iter().chain(self.source_and_id().map(|(source, id)| format!("{source} {id}")))
    }

    /// Return the sender and its `id` for the message, if it sent one.
    pub(super) fn source_and_id(&self) -> Option<(&str, &str)> {
        let message = self.message.as_ref().ok()?;
        Some((&message.source, message.id.as_deref()?))
    }
}

/// The connection to the broker, and the requests that wait for a reply.
pub(super) struct BrokerConnection {
    // Declared before the context, so that it is dropped before it.
    socket: Socket,
    _context: Context,
    endpoints: Vec<String>,
    /// The envelopes of the requests that wait for a reply.
    envelopes: HashMap<RequestId, Envelope>,
    last_request: u64,
    /// A deferred request, which the next [`BrokerConnection::receive`] returns.
    deferred: Option<IncomingRequest>,
    log: Logger,
}

impl BrokerConnection {
    /// Make a socket that is not connected yet.
    pub(super) fn new(log: Logger) -> zmq::Result<Self> {
        let context = Context::new();
        let socket = context.socket(SocketType::ROUTER)?;
        // A ROUTER silently discards messages over its limit, so there is no limit; with MANDATORY it reports that the
        // broker of a reply is gone.
        socket.set_sndhwm(0)?;
        socket.set_rcvhwm(0)?;
        socket.set_router_mandatory(true)?;
        socket.set_linger(LINGER)?;
        socket.set_reconnect_ivl(RECONNECT)?;
        socket.set_reconnect_ivl_max(MAX_RECONNECT)?;
        Ok(Self {
            socket,
            _context: context,
            endpoints: Vec::new(),
            envelopes: HashMap::new(),
            last_request: 0,
            deferred: None,
            log,
        })
    }

    /// Connect to the broker that the configuration names. Connections that it no longer names are kept until the
    /// manager ends: replies may still go there.
    pub(super) fn connect(&mut self, zmq: &Zmq) -> zmq::Result<()> {
        let endpoint = format!("tcp://{}:{}", zmq.host, zmq.manager_port);
        if !self.endpoints.contains(&endpoint) {
            self.socket.connect(&endpoint)?;
            self.endpoints.push(endpoint);
        }
        self.log.info(format_args!("connected to {} port {}", zmq.host, zmq.manager_port));
        Ok(())
    }

    /// Return the item with which a loop waits for requests.
    pub(super) fn poll_item(&self) -> PollItem<'_> {
        self.socket.as_poll_item(zmq::POLLIN)
    }

    /// Receive the next request, if one has come.
    pub(super) fn receive(&mut self) -> zmq::Result<Option<IncomingRequest>> {
        if let Some(deferred) = self.deferred.take() {
            return Ok(Some(deferred));
        }
        while let Some(frames) = socket::receive(&self.socket)? {
            match envelope::open(frames) {
                Some((envelope, body)) => return Ok(Some(IncomingRequest::new(envelope, body))),
                None => {
                    self.log.error("a message without an envelope was discarded; no reply will come");
                }
            }
        }
        Ok(None)
    }

    /// Defer a request: the next [`BrokerConnection::receive`] returns it again.
    pub(super) fn defer(&mut self, incoming: IncomingRequest) {
        self.deferred = Some(incoming);
    }

    /// Whether a request was deferred.
    pub(super) fn has_deferred(&self) -> bool {
        self.deferred.is_some()
    }

    /// Keep the way back to the worker until the reply is sent; return the id by which to reply.
    pub(super) fn keep_envelope(&mut self, envelope: Envelope) -> RequestId {
        self.last_request += 1;
        let request = RequestId(self.last_request);
        self.envelopes.insert(request, envelope);
        request
    }

    /// Send a reply to the worker that waits for it.
    pub(super) fn reply(&mut self, request: RequestId, message: &Message) {
        let Some(mut frames) = self.envelopes.remove(&request) else { return };
        frames.push(message.encode().into_bytes());
        match socket::send(&self.socket, &frames) {
            Ok(true) => {}
            // The broker that brought the request is gone, and with it the way to the worker.
            Ok(false) | Err(zmq::Error::EHOSTUNREACH) => {
                self.log.warning(
                    "a reply was not sent: the message broker that waited for it is gone; the journal has the reply, for when \
                     the message comes again",
                );
            }
            Err(error) => self.log.error(format_args!("a reply was not sent: ZMQError: {error}")),
        }
        failpoint::pass("manager: one replied");
    }
}
