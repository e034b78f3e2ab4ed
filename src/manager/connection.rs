//! The connection to the message broker: requests in, replies out.
//!
//! It never looks into a message.

use std::collections::HashMap;

use jiff::SignedDuration;
use zmq::{Context, PollItem, Socket, SocketEvent, SocketType};

use super::ManagerError;
use super::endpoints::Endpoints;
use super::inbox::{ArrivedRequest, Inbox};
use super::refusal::Refusal;
use crate::clock;
use crate::config::{Config, Zmq};
use crate::failpoint;
use crate::net::broker_state::QUESTION;
use crate::net::manager_identity::HEARTBEAT_TIMEOUT;
use crate::net::{Envelope, ManagerIdentity, Monitor, envelope, socket};
use nowcast_core::RequestId;
use nowcast_core::message::Message;
use pylogging::Logger;

/// The time in milliseconds for the last replies to leave the process.
const LINGER: i32 = 1_000;

/// The time in milliseconds until the connection to the broker is tried again; doubled each time up to [`MAX_RECONNECT`].
const RECONNECT: i32 = 20;

/// The longest time in milliseconds between attempts to connect.
const MAX_RECONNECT: i32 = 1_000;

/// The connection to the broker, and the requests that wait for a reply.
pub(super) struct BrokerConnection {
    // Declared before the context, so that it is dropped before it.
    socket: Socket,
    // Declared after the socket that it watches, so that it is dropped after it.
    monitor: Monitor,
    refusal: Refusal,
    context: Context,
    zmq: Zmq,
    endpoints: Endpoints,
    /// `broker: redeliver`
    is_redelivered: bool,
    /// When the loop had its last turn, on the boot-time clock.
    last_turn: SignedDuration,
    /// The envelopes of the requests that wait for a reply.
    envelopes: HashMap<RequestId, Envelope>,
    last_request: u64,
    log: Logger,
}

impl BrokerConnection {
    /// Make a socket that is not connected yet. `identity` is how it introduces this manager to a broker of ours.
    pub(super) fn new(identity: ManagerIdentity, zmq: &Zmq, log: Logger) -> zmq::Result<Self> {
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
        // Each connection begins with an empty message, and with IMMEDIATE also one that is made again. NEMO_Nowcast's broker
        // discards it.
        socket.set_identity(identity.to_routing_id().as_bytes())?;
        socket.set_probe_router(true)?;
        socket.set_immediate(true)?;
        let events = [SocketEvent::CONNECTED, SocketEvent::HANDSHAKE_SUCCEEDED, SocketEvent::DISCONNECTED];
        let monitor = Monitor::start(&context, &socket, "broker", &events)?;
        Ok(Self {
            socket,
            monitor,
            refusal: Refusal::new(identity, log.clone()),
            context,
            zmq: zmq.clone(),
            endpoints: Endpoints::default(),
            is_redelivered: true,
            last_turn: clock::uptime(),
            envelopes: HashMap::new(),
            last_request: 0,
            log,
        })
    }

    /// Connect to the broker that the configuration names. Connections that it no longer names are kept until the
    /// manager ends, or the broker says that they are to the same one: replies may still go there.
    pub(super) fn connect(&mut self, config: &Config) -> zmq::Result<()> {
        let zmq = &config.zmq;
        let endpoint = format!("tcp://{}:{}", zmq.host, zmq.manager_port);
        if !self.endpoints.contains(&endpoint) {
            self.socket.connect(&endpoint)?;
        }
        self.endpoints.set_current(endpoint);
        self.log.info(format_args!("connected to {} port {}", zmq.host, zmq.manager_port));
        self.is_redelivered = config.redeliver;
        self.zmq = zmq.clone();
        if self.endpoints.has_previous() {
            self.refusal.ask(&self.context, &self.zmq)?;
        }
        Ok(())
    }

    /// Look after the connection: whether the broker admits this manager, and whether the process was stopped for so long
    /// that another manager may have got its requests.
    ///
    /// # Errors
    /// When the broker has refused this manager for too long, or ZeroMQ fails.
    pub(super) fn maintain(&mut self, inbox: &mut Inbox) -> Result<(), ManagerError> {
        let now = clock::uptime();
        if (now - self.last_turn).unsigned_abs() >= HEARTBEAT_TIMEOUT {
            self.renew(inbox)?;
        }
        self.last_turn = now;
        let mut is_refused = false;
        while let Some((event, address)) = self.monitor.next_with_address()? {
            is_refused |= self.endpoints.note(event, address);
        }
        if self.endpoints.is_admitted() {
            self.refusal.end();
        } else if is_refused {
            self.refusal.ask(&self.context, &self.zmq)?;
        }
        if self.refusal.receive(&self.zmq)? && self.endpoints.has_previous() {
            self.leave_previous_endpoints()?;
        }
        self.refusal.check(self.endpoints.was_admitted())
    }

    /// Leave the addresses that the configuration no longer names: the broker has them beside the new one, and admits this
    /// manager once.
    fn leave_previous_endpoints(&mut self) -> zmq::Result<()> {
        let previous = self.endpoints.remove_previous();
        previous.iter().try_for_each(|endpoint| self.socket.disconnect(endpoint))
    }

    /// Connect again after a time in which the broker may have taken this manager for dead, and have sent its requests to another
    /// one. The requests that wait in this process are forgotten: the broker sends them again if they are still open.
    fn renew(&mut self, inbox: &mut Inbox) -> zmq::Result<()> {
        if !self.is_redelivered {
            return Ok(());
        }
        while let Some(request) = self.receive()? {
            inbox.add(request);
        }
        let forgotten = inbox.forget_tickets();
        if forgotten > 0 {
            self.log.warning(format_args!(
                "no turn of the loop for {} s; the message broker is asked to send these requests again: {forgotten}",
                HEARTBEAT_TIMEOUT.as_secs()
            ));
            for endpoint in self.endpoints.all() {
                self.socket.disconnect(endpoint)?;
                self.socket.connect(endpoint)?;
            }
        }
        Ok(())
    }

    /// Return why this manager gets no messages, if the broker refuses it.
    pub(super) fn refusal(&self) -> Option<String> {
        self.refusal.reason()
    }

    /// Return the item with which a loop waits for requests.
    pub(super) fn poll_item(&self) -> PollItem<'_> {
        self.socket.as_poll_item(zmq::POLLIN)
    }

    /// Receive the next request, if one has come.
    pub(super) fn receive(&mut self) -> zmq::Result<Option<ArrivedRequest>> {
        while let Some(frames) = socket::receive(&self.socket)? {
            // Of a manager, through NEMO_Nowcast's broker.
            if frames.last().is_some_and(|frame| frame == QUESTION) {
                continue;
            }
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
