//! The connection to the message broker: requests in, replies out.
//!
//! It never looks into a message.

use std::collections::HashMap;

use jiff::SignedDuration;
use zmq::{Context, PollItem, SocketEvent, SocketType};

use super::ManagerError;
use super::endpoints::Endpoints;
use super::inbox::{ArrivedRequest, Inbox};
use super::refusal::Refusal;
use crate::clock;
use crate::config::{CurveSettings, Zmq};
use crate::failpoint;
use crate::net::broker_state::QUESTION;
use crate::net::curve::{self, CurveServer, KeyError};
use crate::net::manager_identity::HEARTBEAT_TIMEOUT;
use crate::net::{Envelope, ManagerIdentity, MonitoredSocket, envelope, socket};
use nowcast_core::message::Message;
use nowcast_core::{RequestId, Ticket};
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
    socket: MonitoredSocket,
    /// How many sockets there have been.
    sockets: u32,
    /// How the socket introduces this manager.
    routing_id: String,
    refusal: Refusal,
    context: Context,
    zmq: Zmq,
    endpoints: Endpoints,
    /// `broker: redeliver`
    is_redelivered: bool,
    /// When the loop had its last turn, on the boot-time clock.
    last_turn: SignedDuration,
    /// The process was stopped for so long that another manager may have what is still to come from the socket.
    is_outdated: bool,
    /// The envelopes of the requests that wait for a reply.
    envelopes: HashMap<RequestId, Envelope>,
    last_request: u64,
    log: Logger,
}

/// Make a socket that is not connected yet. `number` is one that no other socket of the context had.
fn open(
    context: &Context,
    routing_id: &str,
    number: u32,
    curve: Option<&CurveSettings>,
) -> Result<MonitoredSocket, KeyError> {
    let socket = context.socket(SocketType::ROUTER)?;
    curve::secure_client(&socket, curve, CurveServer::Broker)?;
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
    socket.set_identity(routing_id.as_bytes())?;
    socket.set_probe_router(true)?;
    socket.set_immediate(true)?;
    let events = [
        SocketEvent::CONNECTED,
        SocketEvent::HANDSHAKE_SUCCEEDED,
        SocketEvent::HANDSHAKE_FAILED_AUTH,
        SocketEvent::DISCONNECTED,
    ];
    Ok(MonitoredSocket::start(context, socket, &format!("broker-{number}"), &events)?)
}

impl BrokerConnection {
    /// Make a socket that is not connected yet. `identity` is how it introduces this manager to a broker of ours.
    pub(super) fn new(identity: ManagerIdentity, zmq: &Zmq, log: Logger) -> Result<Self, KeyError> {
        let context = Context::new();
        let routing_id = identity.to_routing_id();
        let socket = open(&context, &routing_id, 1, zmq.curve.as_ref())?;
        Ok(Self {
            socket,
            sockets: 1,
            routing_id,
            refusal: Refusal::new(identity, log.clone()),
            context,
            zmq: zmq.clone(),
            endpoints: Endpoints::default(),
            is_redelivered: true,
            last_turn: clock::uptime(),
            is_outdated: false,
            envelopes: HashMap::new(),
            last_request: 0,
            log,
        })
    }

    /// Connect to the broker that the configuration names. Connections that the configuration no longer names are kept until the
    /// manager ends, or the broker says that they are to the same one: replies may still go there.
    pub(super) fn connect(&mut self, zmq: &Zmq, is_redelivered: bool) -> Result<(), KeyError> {
        let endpoint = format!("tcp://{}:{}", zmq.host, zmq.manager_port);
        if !self.endpoints.contains(&endpoint) {
            self.socket.connect(&endpoint)?;
        }
        self.endpoints.set_current(endpoint);
        self.log.info(format_args!("connected to {} port {}", zmq.host, zmq.manager_port));
        self.is_redelivered = is_redelivered;
        self.is_outdated &= is_redelivered;
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
    /// When the broker rejects this manager, or has refused it for too long, or ZeroMQ fails.
    pub(super) fn maintain(&mut self, inbox: &mut Inbox) -> Result<(), ManagerError> {
        let now = clock::uptime();
        if self.is_redelivered && (now - self.last_turn).unsigned_abs() >= HEARTBEAT_TIMEOUT {
            self.is_outdated = true;
            if inbox.forget_tickets() > 0 {
                self.renew()?;
            }
        }
        self.last_turn = now;
        let mut is_refused = false;
        while let Some((event, address)) = self.socket.next_event_with_address()? {
            if event == SocketEvent::HANDSHAKE_FAILED_AUTH {
                return Err(ManagerError::Rejected { address });
            }
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

    /// Replace the socket after a time in which the broker may have taken this manager for dead, and have sent its requests to
    /// another one. The requests that still wait in the socket, or arrive there, are forgotten: the broker sends them again if they
    /// are still open. Ending the connection would not be enough, since the socket keeps what its thread has read.
    fn renew(&mut self) -> Result<(), KeyError> {
        self.log.warning(format_args!(
            "no turn of the loop for {} s; the message broker is asked to send its requests again",
            HEARTBEAT_TIMEOUT.as_secs()
        ));
        self.sockets += 1;
        let socket = open(&self.context, &self.routing_id, self.sockets, self.zmq.curve.as_ref())?;
        let previous = std::mem::replace(&mut self.socket, socket);
        previous.set_linger(0)?;
        drop(previous);
        self.is_outdated = false;
        self.endpoints.forget_connections();
        self.endpoints.all().iter().try_for_each(|endpoint| self.socket.connect(endpoint))?;
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
    pub(super) fn receive(&mut self) -> Result<Option<ArrivedRequest>, KeyError> {
        while let Some(frames) = socket::receive(&self.socket)? {
            // Of a manager, through NEMO_Nowcast's broker.
            if frames.last().is_some_and(|frame| frame == QUESTION) {
                continue;
            }
            match envelope::open(frames) {
                Some((envelope, body)) => {
                    // The first frame is ZeroMQ's name for the broker; our broker puts the ticket behind it.
                    let ticket = envelope.get(1).and_then(|frame| Ticket::from_frame(frame));
                    let request = ArrivedRequest { envelope, body, ticket };
                    // Only a broker of ours has another manager, and sends again.
                    if self.is_outdated && request.ticket.is_some() {
                        self.renew()?;
                        return Ok(None);
                    }
                    return Ok(Some(request));
                }
                None => {
                    self.log.error("a message without an envelope was discarded; no reply will come");
                }
            }
        }
        Ok(None)
    }

    /// Keep the way back to the worker until the reply is sent; return a new id by which to reply.
    pub(super) fn register_request(&mut self, envelope: Envelope) -> RequestId {
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

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use zmq::Socket;

    use super::*;
    use crate::net::socket::Received;

    /// A message broker that the test controls.
    struct TestBroker(Socket);

    impl TestBroker {
        fn send(&self, ticket: Option<u64>) {
            let ticket = ticket.map(|number| Ticket { epoch: 1, number }.to_frame());
            let rest = [b"worker".to_vec(), Vec::new(), b"body".to_vec()];
            let frames: Vec<_> = ticket.into_iter().chain(rest).collect();
            self.0.send_multipart(frames, 0).unwrap();
        }

        /// Whether a manager has introduced itself on another connection.
        fn has_introduction(&self) -> bool {
            matches!(socket::receive_or_probe(&self.0).unwrap(), Some(Received::Probe { .. }))
        }
    }

    fn connected() -> (TestBroker, BrokerConnection) {
        let broker = Context::new().socket(SocketType::DEALER).unwrap();
        broker.set_linger(0).unwrap();
        broker.bind("tcp://127.0.0.1:*").unwrap();
        let endpoint = broker.get_last_endpoint().unwrap().unwrap();
        let port = endpoint.rsplit(':').next().unwrap().parse().unwrap();
        let zmq = Zmq {
            host: "127.0.0.1".into(),
            bind: None,
            manager_port: port,
            workers_port: 1,
            curve: None,
            message_size: 64_000_000,
        };
        let identity = ManagerIdentity {
            session: "1".to_owned(),
            process: 1,
            host: "test".to_owned(),
            journal: "/test".to_owned(),
        };
        let mut manager = BrokerConnection::new(identity, &zmq, Logger::new("test")).unwrap();
        manager.connect(&zmq, true).unwrap();
        let broker = TestBroker(broker);
        wait_for("the introduction", || {
            assert!(manager.receive().unwrap().is_none());
            broker.has_introduction().then_some(())
        });
        (broker, manager)
    }

    fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            assert!(Instant::now() < end, "timeout while waiting for {what}");
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    /// The process was stopped, and only then its loop has a turn.
    fn wakes_up(manager: &mut BrokerConnection) {
        manager.last_turn -= SignedDuration::try_from(HEARTBEAT_TIMEOUT).unwrap();
        manager.maintain(&mut Inbox::default()).unwrap();
    }

    #[test]
    fn a_manager_that_was_stopped_takes_no_request_of_its_previous_connection() {
        let (broker, mut manager) = connected();
        wakes_up(&mut manager);
        // As requests that were still in the buffers of the operating system when it woke up.
        broker.send(Some(1));
        broker.send(Some(2));
        wait_for("another connection", || {
            assert!(manager.receive().unwrap().is_none(), "another manager may have it");
            broker.has_introduction().then_some(())
        });
        // The broker may send the first ones to the previous connection.
        let request = wait_for("a request", || {
            broker.send(Some(3));
            manager.receive().unwrap()
        });
        assert_eq!(request.ticket, Some(Ticket { epoch: 1, number: 3 }));
    }

    #[test]
    fn a_manager_that_was_stopped_takes_every_request_of_a_broker_without_tickets() {
        let (broker, mut manager) = connected();
        wakes_up(&mut manager);
        for _ in 0..2 {
            broker.send(None);
            let request = wait_for("a request", || manager.receive().unwrap());
            assert_eq!(request.ticket, None);
        }
        assert!(!broker.has_introduction(), "on the same connection");
    }
}
