//! The connection to the message broker: requests in, replies out.
//!
//! It never looks into a message.

use std::collections::HashMap;

use zmq::{Context, PollItem, Socket, SocketType};

use crate::config::Zmq;
use crate::failpoint;
use crate::net::{Envelope, envelope, socket};
use nowcast_core::message::Message;
use nowcast_core::{RequestId, Ticket};
use pylogging::Logger;

/// The time in milliseconds for the last replies to leave the process.
const LINGER: i32 = 1_000;

/// The time in milliseconds until the connection to the broker is tried again; doubled each time up to [`MAX_RECONNECT`].
const RECONNECT: i32 = 20;

/// The longest time in milliseconds between attempts to connect.
const MAX_RECONNECT: i32 = 1_000;

/// A request that has arrived and is not yet decoded.
#[derive(Debug)]
pub(super) struct ArrivedRequest {
    pub(super) envelope: Envelope,
    pub(super) body: Vec<u8>,
    pub(super) ticket: Option<Ticket>,
}

impl ArrivedRequest {
    fn new(envelope: Envelope, body: Vec<u8>) -> Self {
        // The first frame is ZeroMQ's name for the broker; our broker puts the ticket behind it.
        let ticket = envelope.get(1).and_then(|frame| Ticket::from_frame(frame));
        Self { envelope, body, ticket }
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
    pub(super) fn receive(&mut self) -> zmq::Result<Option<ArrivedRequest>> {
        while let Some(frames) = socket::receive(&self.socket)? {
            match envelope::open(frames) {
                Some((envelope, body)) => return Ok(Some(ArrivedRequest::new(envelope, body))),
                None => {
                    self.log.error("a message without an envelope was discarded; no reply will come");
                }
            }
        }
        Ok(None)
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
