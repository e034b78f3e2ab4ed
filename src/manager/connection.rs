//! The connection to the message broker: requests in, replies out.
//!
//! It decodes requests, and decides nothing about them.

use std::collections::HashMap;

use zmq::{Context, PollItem, Socket, SocketType};

use crate::config::Zmq;
use crate::failpoint;
use crate::net::{Envelope, envelope, socket};
use nowcast_core::message::{DecodeError, Message};
use nowcast_core::{RequestId, Ticket};
use pylogging::Logger;

/// Milliseconds that the last replies get to leave the process.
const LINGER: i32 = 1_000;

/// Milliseconds until the connection to the broker is tried again; doubled each time up to a second.
const RECONNECT: i32 = 20;

/// Milliseconds after which the time between attempts to connect no longer grows.
const MAX_RECONNECT: i32 = 1_000;

/// A request with all that is known of it before it is decided.
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

    /// The names by which a message that comes twice is recognised.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        let ticket = self.ticket.map(|ticket| format!("ticket {}.{}", ticket.epoch, ticket.number));
        ticket.into_iter().chain(self.source_and_id().map(|(source, id)| format!("{source} {id}")))
    }

    /// The sender and its own name for the message, if it gave one.
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
    /// A request that is received again by the next call.
    deferred: Option<IncomingRequest>,
    log: Logger,
}

impl BrokerConnection {
    /// A socket that is not connected yet.
    pub(super) fn new(log: Logger) -> zmq::Result<Self> {
        let context = Context::new();
        let socket = context.socket(SocketType::ROUTER)?;
        // A ROUTER drops messages over its limit in silence, so there is no limit; and it reports when the broker
        // that a reply is for is gone.
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

    /// The socket, to wait for requests.
    pub(super) fn poll_item(&self) -> PollItem<'_> {
        self.socket.as_poll_item(zmq::POLLIN)
    }

    /// The next request, if one has come.
    pub(super) fn receive(&mut self) -> zmq::Result<Option<IncomingRequest>> {
        if let Some(deferred) = self.deferred.take() {
            return Ok(Some(deferred));
        }
        while let Some(frames) = socket::receive(&self.socket)? {
            match envelope::open(frames) {
                Some((envelope, body)) => return Ok(Some(IncomingRequest::new(envelope, body))),
                None => {
                    self.log
                        .error("something that is not built like a request was dropped; no reply will come");
                }
            }
        }
        Ok(None)
    }

    /// Hold a request back: the next [`BrokerConnection::receive`] returns it again.
    pub(super) fn defer(&mut self, incoming: IncomingRequest) {
        self.deferred = Some(incoming);
    }

    /// Whether a request was deferred.
    pub(super) fn has_deferred(&self) -> bool {
        self.deferred.is_some()
    }

    /// Keep the way back to the worker until the reply is sent.
    pub(super) fn accept(&mut self, envelope: Envelope) -> RequestId {
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
                    "a reply did not go out: the message broker that waited for it is gone; it is kept for when the \
                     message comes again",
                );
            }
            Err(error) => self.log.error(format_args!("a reply did not go out: ZMQError: {error}")),
        }
        failpoint::pass("manager: one replied");
    }
}
