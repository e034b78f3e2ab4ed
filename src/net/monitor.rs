//! The connection events of a socket, from `libzmq`'s socket monitor. This module never changes a connection.

use zmq::{Context, PollItem, Socket, SocketEvent, SocketType};

use super::socket;

/// The connection events of one socket, in order.
///
/// Must be dropped after the watched socket: while that socket lives, `libzmq`'s own thread waits until the events are
/// received.
pub struct Monitor {
    events: Socket,
}

impl Monitor {
    /// Start watching a socket for the `wanted` events. `name` must be unique among the monitors of the context.
    ///
    /// # Errors
    /// When ZeroMQ has no sockets left.
    pub fn start(
        context: &Context,
        watched: &Socket,
        name: &str,
        wanted: &[SocketEvent],
    ) -> zmq::Result<Self> {
        let endpoint = format!("inproc://monitor-{name}");
        let mask = wanted.iter().fold(0, |mask, event| mask | i32::from(event.to_raw()));
        watched.monitor(&endpoint, mask)?;
        let events = context.socket(SocketType::PAIR)?;
        // With a limit, `libzmq`'s thread, which moves every message, would wait until events are received here.
        events.set_rcvhwm(0)?;
        events.connect(&endpoint)?;
        Ok(Self { events })
    }

    /// Receive the next event, if there is one.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn next(&self) -> zmq::Result<Option<SocketEvent>> {
        // Two frames: the event's number and a value as 16 and 32 bits, then the address.
        let frames = socket::receive(&self.events)?;
        let number = frames.as_ref().and_then(|frames| frames.first()?.first_chunk().copied());
        Ok(number.map(|number| SocketEvent::from_raw(u16::from_ne_bytes(number))))
    }

    /// Return the poll item with which a loop waits for the next event.
    #[must_use]
    pub fn as_poll_item(&self) -> PollItem<'_> {
        self.events.as_poll_item(zmq::POLLIN)
    }
}
