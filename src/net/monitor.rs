//! The connection events of a socket, from `libzmq`'s socket monitor. This module never changes a connection.

use zmq::{Context, PollItem, Socket, SocketEvent, SocketType};

use super::socket::{self, Frames};

/// The most events that `libzmq` queues for a bounded monitor: its own limit (`ZMQ_SNDHWM`), which cannot be set, and ours,
/// which is not 0 and as small as possible.
pub(super) const MONITOR_QUEUE: usize = 1_001;

/// The connection events of one socket, in order.
///
/// Must be dropped after the watched socket: while that socket lives, `libzmq`'s own thread waits until the events are
/// received.
pub struct Monitor {
    events: Socket,
}

/// An event, and the value that `libzmq` documents for it: a descriptor or an error.
pub type EventValue = (SocketEvent, u32);

impl Monitor {
    /// Start watching a socket for the `selected` events. `name` must be unique among the monitors of the context.
    ///
    /// # Errors
    /// When ZeroMQ has no sockets left.
    pub fn start(
        context: &Context,
        watched: &Socket,
        name: &str,
        selected: &[SocketEvent],
    ) -> zmq::Result<Self> {
        // At a limit, `libzmq`'s thread, which moves every message, would wait until events are received here.
        Self::start_with(context, watched, name, selected, 0)
    }

    /// Start to watch a socket, and let `libzmq`'s thread wait while [`MONITOR_QUEUE`] events have not been received.
    pub(super) fn start_bounded(
        context: &Context,
        watched: &Socket,
        name: &str,
        selected: &[SocketEvent],
    ) -> zmq::Result<Self> {
        Self::start_with(context, watched, name, selected, 1)
    }

    fn start_with(
        context: &Context,
        watched: &Socket,
        name: &str,
        selected: &[SocketEvent],
        limit: i32,
    ) -> zmq::Result<Self> {
        let endpoint = format!("inproc://monitor-{name}");
        let mask = selected.iter().fold(0, |mask, event| mask | i32::from(event.to_raw()));
        watched.monitor(&endpoint, mask)?;
        let events = context.socket(SocketType::PAIR)?;
        events.set_rcvhwm(limit)?;
        events.connect(&endpoint)?;
        Ok(Self { events })
    }

    /// Receive the next event, if there is one.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn next(&self) -> zmq::Result<Option<SocketEvent>> {
        Ok(self.next_with_value()?.map(|(event, _)| event))
    }

    /// Receive the next event with its value, if there is one.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn next_with_value(&self) -> zmq::Result<Option<EventValue>> {
        // Two frames: the event's number and a value as 16 and 32 bits, then the address.
        let frames = socket::receive(&self.events)?;
        let parse = |frame: &Vec<u8>| {
            let (number, rest) = frame.split_first_chunk()?;
            let value = rest.first_chunk().copied().map_or(0, u32::from_ne_bytes);
            Some((SocketEvent::from_raw(u16::from_ne_bytes(*number)), value))
        };
        Ok(frames.as_ref().and_then(|frames| parse(frames.first()?)))
    }

    /// Receive the next event with the address of the connection's other end, or of the socket if that was bound.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn next_with_address(&self) -> zmq::Result<Option<(SocketEvent, String)>> {
        let frames = socket::receive(&self.events)?;
        let parse = |frames: &Frames| {
            let number = frames.first()?.first_chunk().copied()?;
            let address = String::from_utf8_lossy(frames.get(1)?).into_owned();
            Some((SocketEvent::from_raw(u16::from_ne_bytes(number)), address))
        };
        Ok(frames.as_ref().and_then(parse))
    }

    /// Wait until there is an event.
    pub(super) fn wait(&self) -> zmq::Result<()> {
        socket::poll(&mut [self.as_poll_item()], -1).map(|_| ())
    }

    /// Return the poll item with which a loop waits for the next event.
    #[must_use]
    pub fn as_poll_item(&self) -> PollItem<'_> {
        self.events.as_poll_item(zmq::POLLIN)
    }
}
