//! The events of a socket's connections, from `libzmq`'s socket monitor. It never changes a connection.

use zmq::{Context, PollItem, Socket, SocketEvent, SocketType};

use super::socket;

/// The events of one socket's connections, in order.
///
/// It must be dropped after the socket that it watches: while that one lives, `libzmq`'s own thread waits until the
/// events are received.
pub struct Monitor {
    events: Socket,
}

impl Monitor {
    /// Start to watch a socket for some events. `name` is one that no other monitor of the context has.
    ///
    /// # Errors
    /// ZeroMQ has no more sockets.
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
        // At a limit, `libzmq`'s thread, which moves every message, would wait until events are received here.
        events.set_rcvhwm(0)?;
        events.connect(&endpoint)?;
        Ok(Self { events })
    }

    /// Receive the next event, if there is one.
    ///
    /// # Errors
    /// The socket is broken.
    pub fn next(&self) -> zmq::Result<Option<SocketEvent>> {
        // Two frames: the event's number and a value as 16 and 32 bits, then the address.
        let frames = socket::receive(&self.events)?;
        let number = frames.as_ref().and_then(|frames| frames.first()?.first_chunk().copied());
        Ok(number.map(|number| SocketEvent::from_raw(u16::from_ne_bytes(number))))
    }

    /// The item with which a loop waits for the next event.
    #[must_use]
    pub fn as_poll_item(&self) -> PollItem<'_> {
        self.events.as_poll_item(zmq::POLLIN)
    }
}
