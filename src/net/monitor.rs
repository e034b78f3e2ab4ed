//! The connection events of a socket, from `libzmq`'s socket monitor. This module never changes a connection.

use std::ops::Deref;

use zmq::{Context, PollItem, Socket, SocketEvent, SocketType};

use super::socket::{self, Frames};

/// The most events that `libzmq` queues for a bounded monitor: its own limit (`ZMQ_SNDHWM`), which cannot be set, and ours,
/// which is not 0 and as small as possible.
pub(super) const MONITOR_QUEUE: usize = 1_001;

/// The connection events of one socket, in order.
///
/// While that socket lives, `libzmq`'s own thread waits until the events are received. So a monitor without a
/// [`MonitoredSocket`] must be read until [`SocketEvent::MONITOR_STOPPED`], and not be dropped before.
pub(super) struct Monitor {
    events: Socket,
}

/// A socket and its connection events. It can be dropped at any time.
///
/// A closed socket lives on in `libzmq` for a moment. If its monitor were dropped before, `libzmq`'s thread would wait forever
/// at the next event, and with it each socket of the context. So the events end first.
pub struct MonitoredSocket {
    // Declared before the events, so that it is dropped before them.
    socket: Socket,
    events: Monitor,
    name: String,
}

/// An event, and the value that `libzmq` documents for it: a descriptor or an error.
pub(super) type EventValue = (SocketEvent, u32);

impl MonitoredSocket {
    /// Start watching a socket for the `selected` events. `name` must be unique among the monitors of the context.
    ///
    /// # Errors
    /// When ZeroMQ has no sockets left.
    pub fn start(
        context: &Context,
        socket: Socket,
        name: &str,
        selected: &[SocketEvent],
    ) -> zmq::Result<Self> {
        // At a limit, `libzmq`'s thread, which moves every message, would wait until events are received here.
        let events = Monitor::start_with(context, &socket, name, selected, 0)?;
        Ok(Self { socket, events, name: name.to_owned() })
    }

    /// Receive the next event, if there is one.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn next_event(&self) -> zmq::Result<Option<SocketEvent>> {
        Ok(self.events.next_with_value()?.map(|(event, _)| event))
    }

    /// Receive the next event with the address of the connection's other end, or of the socket if that was bound.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn next_event_with_address(&self) -> zmq::Result<Option<(SocketEvent, String)>> {
        self.events.next_with_address()
    }

    /// Return the poll item with which a loop waits for the next event.
    #[must_use]
    pub fn event_poll_item(&self) -> PollItem<'_> {
        self.events.events.as_poll_item(zmq::POLLIN)
    }
}

impl Deref for MonitoredSocket {
    type Target = Socket;

    fn deref(&self) -> &Socket {
        &self.socket
    }
}

impl Drop for MonitoredSocket {
    fn drop(&mut self) {
        // A monitor without events replaces this one. If that fails, this one has ended before.
        let _ = self.socket.monitor(&format!("inproc://no-monitor-{}", self.name), 0);
    }
}

impl Monitor {
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

    /// Receive the next event with its value, if there is one.
    ///
    /// # Errors
    /// When the socket is broken.
    pub(super) fn next_with_value(&self) -> zmq::Result<Option<EventValue>> {
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
    fn next_with_address(&self) -> zmq::Result<Option<(SocketEvent, String)>> {
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
        socket::poll(&mut [self.events.as_poll_item(zmq::POLLIN)], -1).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_is_closed_during_a_handshake_does_not_stop_the_others() {
        let (server, client) = (Context::new(), Context::new());
        let bound = server.socket(SocketType::ROUTER).expect("a socket");
        bound.bind("tcp://127.0.0.1:*").expect("a port");
        let endpoint = bound.get_last_endpoint().expect("an endpoint").expect("text");
        let connect = |number: u32| {
            let socket = client.socket(SocketType::DEALER).expect("a socket");
            let events =
                [SocketEvent::CONNECTED, SocketEvent::HANDSHAKE_SUCCEEDED, SocketEvent::DISCONNECTED];
            let socket =
                MonitoredSocket::start(&client, socket, &number.to_string(), &events).expect("a monitor");
            socket.connect(&endpoint).expect("a connection");
            socket
        };
        bound.set_rcvtimeo(30_000).expect("an option");
        // How far a handshake comes is not certain, so there are many. A context has 1,023 sockets, and each of these takes four until libzmq closes
        // it, so all of them fit.
        for round in 0..4 {
            (1..50).for_each(|number| drop(connect(50 * round + number)));
            let last = connect(50 * round);
            last.send("message", 0).expect("sent");
            let arrived = bound.recv_multipart(0);
            if arrived.is_err() {
                // A thread that waits forever would keep the context, and so this test, from ending.
                std::mem::forget((last, client));
                panic!("the message has not arrived: {arrived:?}");
            }
        }
    }
}
