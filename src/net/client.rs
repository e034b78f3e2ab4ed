//! The worker's side of the wire: a request to the manager and the wait for its reply.

use std::time::Duration;

use zmq::{Context, POLLIN, SocketType};

use super::socket;
use crate::config::Zmq;
use crate::message::{DecodeError, Message};

/// Seconds of silence after which TCP probes a worker's connection: the peer's number, so that a
/// firewall does not forget a connection whose worker waits.
const KEEPALIVE_IDLE: i32 = 900;

/// A connection to the manager by way of the broker.
pub struct Client {
    socket: zmq::Socket,
    // Declared after the socket, so that it is dropped after it.
    _context: Context,
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
        let socket = context.socket(SocketType::REQ)?;
        socket.set_tcp_keepalive(1)?;
        socket.set_tcp_keepalive_idle(KEEPALIVE_IDLE)?;
        socket.connect(&format!("tcp://{}:{}", zmq.host, zmq.workers_port))?;
        Ok(Self { socket, _context: context })
    }

    /// Sends a message. It waits in this process until the broker can be reached.
    ///
    /// # Errors
    /// When ZeroMQ fails.
    pub fn send(&self, message: &Message) -> Result<(), ClientError> {
        let text = message.encode();
        Ok(socket::retry(|| self.socket.send(text.as_bytes(), 0))?)
    }

    /// Waits for the reply without limit. After each `patience` without one, `still_waiting` is
    /// told how many of them have passed.
    ///
    /// # Errors
    /// When ZeroMQ fails or the reply is not a message.
    pub fn receive(
        &self,
        patience: Duration,
        still_waiting: &mut dyn FnMut(u32),
    ) -> Result<Message, ClientError> {
        let timeout = i64::try_from(patience.as_millis()).unwrap_or(i64::MAX);
        let mut rounds = 0;
        loop {
            let mut items = [self.socket.as_poll_item(POLLIN)];
            socket::poll(&mut items, timeout)?;
            if let Some(frames) = socket::receive(&self.socket)? {
                return Ok(Message::decode(&frames.concat())?);
            }
            rounds += 1;
            still_waiting(rounds);
        }
    }
}
