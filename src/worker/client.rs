//! [`Client`]: sends a worker's message to the manager and waits for the reply.

use std::time::{Duration, Instant};

use uuid::Uuid;
use zmq::{Context, POLLIN, SocketEvent, SocketType};

use crate::config::Zmq;
use crate::net::curve::{self, CurveServer, KeyError};
use crate::net::{MonitoredSocket, socket};
use nowcast_core::Cycle;
use nowcast_core::message::{CYCLE, DecodeError, Message, RUN_ID};

/// Idle seconds after which TCP probes a worker's connection, as in NEMO_Nowcast, so that a firewall does not drop the
/// connection of a waiting worker.
const KEEPALIVE_IDLE: i32 = 900;

/// Milliseconds until connecting to the broker is retried; doubled each time up to a second.
const RECONNECT_INTERVAL: i32 = 50;

/// The pause before a message is sent again whose connection was lost soon after it had been sent again; doubled each time.
const RESEND_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause of that kind. None follows a connection that lasted longer.
const MAX_RESEND_PAUSE: Duration = Duration::from_secs(30);

/// A connection to the manager through the broker, for one message at a time.
///
/// A message whose reply has not come is sent again if the connection to the broker is lost, and for no other
/// reason: a slow manager has received it. The first copy may have been handled, so the message keeps its `id`, by
/// which the manager recognises the second copy.
pub struct Client {
    connection: WorkerConnection,
    zmq: Zmq,
    connections: u32,
    run: Option<String>,
    /// `NOWCAST_CYCLE`, for messages that a worker without an open run sends.
    cycle: Option<Cycle>,
    /// The message that awaits its reply.
    open: Option<String>,
    resending: Resending,
    /// Reads the settings again, if there is anything to read.
    read_settings: Option<Box<dyn Fn() -> Option<Zmq> + Send>>,
    // Declared after the sockets, so that it is dropped after them.
    context: Context,
}

/// When the message is sent again. A broker that ends each connection must not get it without a pause.
#[derive(Debug, Default)]
struct Resending {
    due: Option<Instant>,
    pause: Duration,
    last: Option<Instant>,
}

/// A REQ socket. It reconnects by itself, but does not repeat what it sent.
struct WorkerConnection {
    socket: MonitoredSocket,
    address: String,
    is_up: bool,
}

/// The reason why a reply is delayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyDelay {
    /// No reply arrived for this many timeouts.
    NoReply(u32),
    /// The connection to the broker was lost, or the broker has moved, and the message is sent again.
    SentAgain,
}

/// The reason why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// ZeroMQ failed.
    #[error("ZMQError: {0}")]
    Zmq(#[from] zmq::Error),
    /// The broker does not let this program connect.
    #[error(
        "the message broker at {address} rejects this program: `security:` in the broker's configuration does not allow its address or \
         key; the broker's log says which"
    )]
    Rejected {
        /// The broker's address.
        address: String,
    },
    /// The key files cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The broker would discard the message.
    #[error(
        "the message has {size} bytes, and may have {limit}; put large data into a file and its path into the payload, or raise \
         `security: limits: message size:`, also in the broker's configuration"
    )]
    TooLarge {
        /// The bytes of the message.
        size: usize,
        /// The most bytes of a message.
        limit: u32,
    },
    /// The reply is not a message.
    #[error("the manager's reply cannot be read: {0}")]
    Reply(#[from] DecodeError),
}

impl Client {
    /// Connect to the broker's port for workers. The broker need not run yet.
    ///
    /// # Errors
    /// When ZeroMQ rejects the address, or a key file cannot be used.
    pub fn connect(zmq: &Zmq) -> Result<Self, ClientError> {
        let context = Context::new();
        let connection = WorkerConnection::new(&context, zmq, 0)?;
        let run = std::env::var(RUN_ID).ok().filter(|run| !run.is_empty());
        let cycle = std::env::var(CYCLE).ok().and_then(|cycle| Cycle::parse(&cycle).ok());
        Ok(Self {
            connection,
            zmq: zmq.clone(),
            connections: 0,
            run,
            cycle,
            open: None,
            resending: Resending::default(),
            read_settings: None,
            context,
        })
    }

    /// Read the settings again with this function while a reply is missing and the connection is down: the broker may have moved
    /// since this process started, or the configuration was wrong then.
    #[must_use]
    pub fn following(self, read_settings: impl Fn() -> Option<Zmq> + Send + 'static) -> Self {
        Self { read_settings: Some(Box::new(read_settings)), ..self }
    }

    /// Send a message, adding an `id`, and the `run` and the `cycle` of this process, if it has none. The message waits in this process
    /// until the broker can be reached.
    ///
    /// # Errors
    /// When the message is too large, or ZeroMQ fails.
    pub fn send(&mut self, mut message: Message) -> Result<(), ClientError> {
        message.id.get_or_insert_with(|| Uuid::now_v7().to_string());
        message.run = message.run.or_else(|| self.run.clone());
        message.cycle = message.cycle.or_else(|| self.cycle.clone());
        let text = message.encode();
        let (size, limit) = (text.len(), self.zmq.message_size);
        if u32::try_from(size).map_or(true, |size| size > limit) {
            return Err(ClientError::TooLarge { size, limit });
        }
        // Earlier losses of the connection did not affect this message.
        self.connection.take_loss()?;
        self.resending = Resending::default();
        self.connection.send(&text)?;
        self.open = Some(text);
        Ok(())
    }

    /// Wait for the reply without limit. `on_delay` is called after each `timeout` without a reply, and each time that
    /// the message is sent again.
    ///
    /// # Errors
    /// When ZeroMQ fails or the reply is not a message.
    pub fn receive(
        &mut self,
        timeout: Duration,
        on_delay: &mut dyn FnMut(ReplyDelay),
    ) -> Result<Message, ClientError> {
        let start = Instant::now();
        let mut rounds = 0;
        loop {
            let left = (timeout * (rounds + 1)).saturating_sub(start.elapsed());
            self.connection.wait(self.resending.wait().map_or(left, |pause| pause.min(left)))?;
            // Checked before receiving: a reply that arrived before the loss is used, and nothing is sent again.
            let is_lost = self.connection.take_loss()?;
            if let Some(frames) = socket::receive(&self.connection.socket)? {
                self.open = None;
                return Ok(Message::decode(&frames.concat())?);
            }
            if is_lost {
                self.resending.schedule();
            }
            if self.resending.wait().is_some_and(|pause| pause.is_zero()) {
                self.send_again()?;
                on_delay(ReplyDelay::SentAgain);
            }
            if start.elapsed() >= timeout * (rounds + 1) {
                rounds += 1;
                on_delay(ReplyDelay::NoReply(rounds));
                if self.follow_new_settings() {
                    on_delay(ReplyDelay::SentAgain);
                }
            }
        }
    }

    /// Send the message by the settings that are in force now, if the connection is down and they have changed. Return whether it was sent.
    /// Settings that cannot be used, such as those of keys that are still to be copied, are tried again later.
    fn follow_new_settings(&mut self) -> bool {
        let read = self.read_settings.as_ref().filter(|_| !self.connection.is_up);
        let Some(zmq) = read.and_then(|read| read()).filter(|zmq| *zmq != self.zmq) else { return false };
        let before = std::mem::replace(&mut self.zmq, zmq);
        let is_sent = self.send_again().is_ok();
        if !is_sent {
            self.zmq = before;
        }
        is_sent
    }

    /// Send the message on a new socket: the old one would send what it still holds when it reconnects.
    fn send_again(&mut self) -> Result<(), ClientError> {
        let Some(text) = &self.open else { return Ok(()) };
        self.resending.note_sent();
        self.connections += 1;
        self.connection.socket.set_linger(0)?;
        self.connection = WorkerConnection::new(&self.context, &self.zmq, self.connections)?;
        self.connection.send(text)?;
        Ok(())
    }
}

impl Resending {
    /// Note that the connection was lost.
    fn schedule(&mut self) {
        if self.due.is_some() {
            return;
        }
        let now = Instant::now();
        let is_repeated = self.last.is_some_and(|last| now.duration_since(last) <= MAX_RESEND_PAUSE);
        self.pause =
            if is_repeated { (self.pause * 2).clamp(RESEND_PAUSE, MAX_RESEND_PAUSE) } else { Duration::ZERO };
        self.due = Some(now + self.pause);
    }

    /// Return the rest of the pause, if the message is to be sent again.
    fn wait(&self) -> Option<Duration> {
        self.due.map(|due| due.saturating_duration_since(Instant::now()))
    }

    fn note_sent(&mut self) {
        (self.due, self.last) = (None, Some(Instant::now()));
    }
}

impl WorkerConnection {
    fn new(context: &Context, zmq: &Zmq, number: u32) -> Result<Self, ClientError> {
        let address = format!("tcp://{}:{}", zmq.host, zmq.workers_port);
        let socket = context.socket(SocketType::REQ)?;
        curve::secure_client(&socket, zmq.curve.as_ref(), CurveServer::Broker)?;
        socket.set_tcp_keepalive(1)?;
        socket.set_tcp_keepalive_idle(KEEPALIVE_IDLE)?;
        socket.set_reconnect_ivl(RECONNECT_INTERVAL)?;
        socket.set_reconnect_ivl_max(1_000)?;
        let events =
            [SocketEvent::HANDSHAKE_SUCCEEDED, SocketEvent::HANDSHAKE_FAILED_AUTH, SocketEvent::DISCONNECTED];
        let socket = MonitoredSocket::start(context, socket, &number.to_string(), &events)?;
        socket.connect(&address)?;
        Ok(Self { socket, address, is_up: false })
    }

    fn send(&self, text: &str) -> zmq::Result<()> {
        socket::retry(|| self.socket.send(text.as_bytes(), 0))
    }

    fn wait(&self, timeout: Duration) -> zmq::Result<()> {
        let mut items = [self.socket.as_poll_item(POLLIN), self.socket.event_poll_item()];
        socket::poll(&mut items, socket::milliseconds(timeout)).map(|_| ())
    }

    /// Return whether an established connection was lost since the last call. A connection that was never established
    /// has carried nothing, and its message still waits.
    fn take_loss(&mut self) -> Result<bool, ClientError> {
        let mut is_lost = false;
        while let Some(event) = self.socket.next_event()? {
            if event == SocketEvent::HANDSHAKE_FAILED_AUTH {
                // No connection will take the message, and the end of this process must not wait for one.
                self.socket.set_linger(0)?;
                return Err(ClientError::Rejected { address: self.address.clone() });
            }
            let is_up = event == SocketEvent::HANDSHAKE_SUCCEEDED;
            is_lost |= self.is_up && !is_up;
            self.is_up = is_up;
        }
        Ok(is_lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pyyaml::Value;

    #[test]
    fn a_message_goes_to_a_broker_that_has_moved() {
        let context = Context::new();
        let bound = |kind| {
            let socket = context.socket(kind).expect("a socket");
            socket.bind("tcp://127.0.0.1:*").expect("a port");
            let endpoint = socket.get_last_endpoint().expect("an endpoint").expect("text");
            let port: u16 = endpoint.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
            (socket, port)
        };
        let (manager, port) = bound(SocketType::REP);
        let (closed, old_port) = bound(SocketType::REP);
        drop(closed);
        let settings = |workers_port| Zmq {
            host: "127.0.0.1".to_owned(),
            bind: None,
            manager_port: 0,
            workers_port,
            curve: None,
            message_size: 64_000_000,
        };
        let new = settings(port);
        let client = Client::connect(&settings(old_port)).expect("a client");
        let mut client = client.following(move || Some(new.clone()));
        client.send(Message::new("sleep", "success", Value::Null)).expect("sent");
        let answering = std::thread::spawn(move || {
            let request = manager.recv_bytes(0).expect("a request");
            manager.send(request, 0).expect("answered");
        });
        let reply = client.receive(Duration::from_millis(20), &mut |_| {}).expect("a reply");
        assert_eq!(reply.source, "sleep");
        answering.join().expect("it has ended");
    }

    #[test]
    fn each_timeout_without_a_reply_is_reported_until_the_reply_comes() {
        let context = Context::new();
        let manager = context.socket(SocketType::ROUTER).expect("a socket");
        manager.bind("tcp://127.0.0.1:*").expect("a port");
        let endpoint = manager.get_last_endpoint().expect("an endpoint").expect("text");
        let port = endpoint.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let zmq = Zmq {
            host: "127.0.0.1".to_owned(),
            bind: None,
            manager_port: 0,
            workers_port: port,
            curve: None,
            message_size: 64_000_000,
        };
        let mut client = Client::connect(&zmq).expect("a client");
        let start = Instant::now();
        client.send(Message::new("sleep", "success", Value::Null)).expect("sent");
        let timeout = Duration::from_millis(20);
        let mut delays = Vec::new();
        let reply = client.receive(timeout, &mut |delay| {
            delays.push(delay);
            if delays.len() == 3 {
                let mut frames = manager.recv_multipart(0).expect("the request");
                let reply = Message::new("manager", "ack", Value::Null).encode();
                *frames.last_mut().expect("a frame") = reply.into_bytes();
                manager.send_multipart(frames, 0).expect("replied");
            }
        });
        assert_eq!(reply.expect("a reply").r#type, "ack");
        assert_eq!(delays[..3], [1, 2, 3].map(ReplyDelay::NoReply));
        assert!(start.elapsed() >= timeout * 3, "{:?}", start.elapsed());
    }

    #[test]
    fn a_message_over_the_limit_is_refused_with_both_sizes() {
        let zmq = Zmq {
            host: "127.0.0.1".to_owned(),
            bind: None,
            manager_port: 0,
            workers_port: 1,
            curve: None,
            message_size: 100,
        };
        let mut client = Client::connect(&zmq).expect("a client");
        let message = |size| Message::new("sleep", "success", Value::from("x".repeat(size)));
        let error = client.send(message(1_000)).expect_err("refused").to_string();
        assert!(
            error.starts_with("the message has 1") && error.contains(" bytes, and may have 100;"),
            "{error}"
        );
    }

    #[test]
    fn a_message_whose_connections_are_ended_at_once_is_sent_again_after_longer_and_longer_pauses() {
        let context = Context::new();
        let refusing = context.socket(SocketType::ROUTER).expect("a socket");
        refusing.set_maxmsgsize(10).expect("an option");
        refusing.bind("tcp://127.0.0.1:*").expect("a port");
        let endpoint = refusing.get_last_endpoint().expect("an endpoint").expect("text");
        let port = endpoint.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let zmq = Zmq {
            host: "127.0.0.1".to_owned(),
            bind: None,
            manager_port: 0,
            workers_port: port,
            curve: None,
            message_size: 64_000_000,
        };
        let mut client = Client::connect(&zmq).expect("a client");
        client.send(Message::new("sleep", "success", Value::Null)).expect("sent");
        let (mut refusing, mut answering, mut sent) = (Some(refusing), None, Vec::new());
        let reply = client.receive(Duration::from_secs(3_600), &mut |_| {
            sent.push(Instant::now());
            if sent.len() == 4 {
                drop(refusing.take());
                let (context, endpoint) = (context.clone(), endpoint.clone());
                answering = Some(std::thread::spawn(move || {
                    let manager = context.socket(SocketType::REP).expect("a socket");
                    while manager.bind(&endpoint).is_err() {
                        std::thread::yield_now();
                    }
                    let request = manager.recv_bytes(0).expect("a request");
                    manager.send(request, 0).expect("answered");
                }));
            }
        });
        assert_eq!(reply.expect("a reply").source, "sleep");
        answering.expect("it was sent again").join().expect("it has ended");
        for (number, two) in sent.windows(2).take(3).enumerate() {
            assert!(two[1] - two[0] >= RESEND_PAUSE * (1 << number), "{number}: {sent:?}");
        }
    }
}
