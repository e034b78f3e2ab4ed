//! The worker's side of the wire: a request to the manager and the wait for its reply.

use std::time::{Duration, Instant};

use uuid::Uuid;
use zmq::{Context, POLLIN, SocketEvent, SocketType};

use crate::config::Zmq;
use crate::net::{Monitor, socket};
use nowcast_core::message::{DecodeError, Message, RUN_ID};

/// Seconds of silence after which TCP probes a worker's connection: the peer's number, so that a
/// firewall does not forget a connection whose worker waits.
const KEEPALIVE_IDLE: i32 = 900;

/// Milliseconds until the connection to the broker is tried again; doubled each time up to a second.
const RECONNECT: i32 = 50;

/// The way to the manager through the broker, for one message at a time.
///
/// A message whose reply has not come is sent again if the connection to the broker is lost, and for no other
/// reason: a slow manager has it. It may have been handled the first time, so it keeps its `id`, by which our
/// manager knows it again.
pub struct Client {
    connection: Connection,
    address: String,
    connections: u32,
    run: Option<String>,
    /// The message that waits for its reply.
    open: Option<String>,
    // Declared after the sockets, so that it is dropped after them.
    context: Context,
}

/// A REQ socket. It connects again by itself, but it forgets what it sent.
struct Connection {
    socket: zmq::Socket,
    // Declared after the socket that it watches, so that it is dropped after it.
    monitor: Monitor,
    up: bool,
}

/// Why a reply is late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delay {
    /// None came for so many times the caller's patience.
    NoReply(u32),
    /// The connection to the broker was lost, and the message is sent again.
    SentAgain,
}

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// ZeroMQ failed.
    #[error("ZMQError: {0}")]
    Zmq(#[from] zmq::Error),
    /// The reply cannot be understood.
    #[error("the manager's reply cannot be read: {0}")]
    Reply(#[from] DecodeError),
}

impl Client {
    /// Connects to the broker's port for workers. The broker need not be there yet.
    ///
    /// # Errors
    /// When ZeroMQ refuses the address.
    pub fn connect(zmq: &Zmq) -> Result<Self, ClientError> {
        let context = Context::new();
        let address = format!("tcp://{}:{}", zmq.host, zmq.workers_port);
        let connection = Connection::new(&context, &address, 0)?;
        let run = std::env::var(RUN_ID).ok().filter(|run| !run.is_empty());
        Ok(Self { connection, address, connections: 0, run, open: None, context })
    }

    /// Sends a message, with an `id` and the `run` of this process if it has none. It waits in this process until
    /// the broker can be reached.
    ///
    /// # Errors
    /// When ZeroMQ fails.
    pub fn send(&mut self, mut message: Message) -> Result<(), ClientError> {
        message.id.get_or_insert_with(|| Uuid::now_v7().to_string());
        message.run = message.run.or_else(|| self.run.clone());
        // A connection that was lost before has lost nothing of this message.
        self.connection.was_lost()?;
        let text = message.encode();
        self.connection.send(&text)?;
        self.open = Some(text);
        Ok(())
    }

    /// Waits for the reply without limit. Whatever delays it is told to `late`: each `patience` that
    /// passes without one, and each time the message is sent again.
    ///
    /// # Errors
    /// When ZeroMQ fails or the reply is not a message.
    pub fn receive(
        &mut self,
        patience: Duration,
        late: &mut dyn FnMut(Delay),
    ) -> Result<Message, ClientError> {
        let start = Instant::now();
        let mut rounds = 0;
        loop {
            let left = (patience * (rounds + 1)).saturating_sub(start.elapsed());
            self.connection.wait(left)?;
            // In this order: a reply that came before the loss is there by now.
            let lost = self.connection.was_lost()?;
            if let Some(frames) = socket::receive(&self.connection.socket)? {
                self.open = None;
                return Ok(Message::decode(&frames.concat())?);
            }
            if lost {
                self.send_again()?;
                late(Delay::SentAgain);
            }
            if start.elapsed() >= patience * (rounds + 1) {
                rounds += 1;
                late(Delay::NoReply(rounds));
            }
        }
    }

    /// The old socket would send what it still has as soon as it is connected again, so a new one takes
    /// its place.
    fn send_again(&mut self) -> Result<(), ClientError> {
        let Some(text) = &self.open else { return Ok(()) };
        self.connections += 1;
        self.connection.socket.set_linger(0)?;
        self.connection = Connection::new(&self.context, &self.address, self.connections)?;
        self.connection.send(text)?;
        Ok(())
    }
}

impl Connection {
    fn new(context: &Context, address: &str, number: u32) -> zmq::Result<Self> {
        let socket = context.socket(SocketType::REQ)?;
        socket.set_tcp_keepalive(1)?;
        socket.set_tcp_keepalive_idle(KEEPALIVE_IDLE)?;
        socket.set_reconnect_ivl(RECONNECT)?;
        socket.set_reconnect_ivl_max(1_000)?;
        let events = [SocketEvent::HANDSHAKE_SUCCEEDED, SocketEvent::DISCONNECTED];
        let monitor = Monitor::start(context, &socket, &number.to_string(), &events)?;
        socket.connect(address)?;
        Ok(Self { socket, monitor, up: false })
    }

    fn send(&self, text: &str) -> zmq::Result<()> {
        socket::retry(|| self.socket.send(text.as_bytes(), 0))
    }

    fn wait(&self, most: Duration) -> zmq::Result<()> {
        let mut items = [self.socket.as_poll_item(POLLIN), self.monitor.as_poll_item()];
        socket::poll(&mut items, socket::milliseconds(most)).map(|_| ())
    }

    /// Whether a connection that stood was lost since the last call. One that never came to stand has
    /// carried nothing, and what waits for it still waits.
    fn was_lost(&mut self) -> zmq::Result<bool> {
        let mut lost = false;
        while let Some(event) = self.monitor.next()? {
            let up = event == SocketEvent::HANDSHAKE_SUCCEEDED;
            lost |= self.up && !up;
            self.up = up;
        }
        Ok(lost)
    }
}
