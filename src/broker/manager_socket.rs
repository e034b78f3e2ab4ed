//! The broker's socket to the manager, and whether a manager is connected.
//!
//! It never keeps a message: what was sent to a manager that then dies is lost, and the broker must send it again.
//!
//! Found by experiments with `libzmq` 4.3.4, whose own thread runs the connections:
//! - A DEALER gives a message to a connection as soon as that accepts one, which may be before the event of its handshake
//!   is read here. A request that was sent just then is sent a second time because of that event. Our manager sends the
//!   recorded reply to a repeated ticket; other managers decide the request twice.
//! - The event of a lost connection comes *before* the DEALER stops sending messages to it, and those are lost without
//!   another event. So before the event is reported, [`ManagerSocket::settle`] waits until the connection is gone.
//! - A manager that speaks ZMTP 2 (ZeroMQ 3, of 2013) makes no handshake event, hence [`EVENT_WAIT`].

use zmq::{Context, POLLIN, POLLOUT, PollItem, Socket, SocketEvent, SocketType};

use crate::net::Monitor;
use crate::net::socket::{self, Frames};

/// The time in milliseconds to wait for the event of a connection that is already writable. It follows within
/// microseconds.
const EVENT_WAIT: i64 = 20;

/// The time in milliseconds to wait for `libzmq`'s thread. It responds within microseconds.
const THREAD_WAIT: i64 = 200;

/// The most waits of that length.
const THREAD_WAITS: u32 = 25;

/// The time in milliseconds to wait instead if that thread cannot be asked.
const FALLBACK_WAIT: i64 = 50;

/// A DEALER to which the manager connects.
pub(super) struct ManagerSocket {
    socket: Socket,
    // Declared after the socket that it watches, so that it is dropped after it.
    monitor: Monitor,
    /// An abstract address that no other program uses.
    scratch: String,
    /// A connection was lost that has not been reported.
    lost: bool,
    /// No manager was connected at the last check.
    disconnected: bool,
}

impl ManagerSocket {
    /// Make a socket that is not bound yet. `name` is one that no other process has.
    pub(super) fn new(context: &Context, name: u64, linger: i32) -> zmq::Result<Self> {
        let socket = context.socket(SocketType::DEALER)?;
        socket.set_sndhwm(0)?;
        socket.set_rcvhwm(0)?;
        socket.set_linger(linger)?;
        let events = [SocketEvent::HANDSHAKE_SUCCEEDED, SocketEvent::DISCONNECTED, SocketEvent::CLOSED];
        let monitor = Monitor::start(context, &socket, "manager", &events)?;
        Ok(Self {
            socket,
            monitor,
            scratch: format!("ipc://@nowcast-{name:016x}"),
            lost: false,
            disconnected: true,
        })
    }

    /// The items with which a loop waits for a reply, for a manager if a request is to be sent (`send`), and for a
    /// connection made or lost.
    pub(super) fn as_poll_items(&self, send: bool) -> [PollItem<'_>; 2] {
        // Without a manager a DEALER is never writable, so the loop does not spin.
        let events = if send { POLLIN | POLLOUT } else { POLLIN };
        [self.socket.as_poll_item(events), self.monitor.as_poll_item()]
    }

    /// Bind an address.
    pub(super) fn bind(&self, endpoint: &str) -> zmq::Result<()> {
        self.socket.bind(endpoint)
    }

    /// Receive the next reply, if one has come.
    pub(super) fn receive(&self) -> zmq::Result<Option<Frames>> {
        socket::receive(&self.socket)
    }

    /// Send a request if a manager is connected; return whether it was sent.
    pub(super) fn send(&mut self, frames: &Frames) -> zmq::Result<bool> {
        let sent = socket::send(&self.socket, frames)?;
        self.disconnected = !sent && !self.is_connected()?;
        Ok(sent)
    }

    /// Whether requests may be sent. After a manager has connected, its event is awaited first: otherwise requests
    /// that waited would be sent twice.
    pub(super) fn is_ready(&mut self) -> zmq::Result<bool> {
        if !self.disconnected {
            return Ok(true);
        }
        if self.is_connected()? {
            socket::poll(&mut [self.monitor.as_poll_item()], EVENT_WAIT)?;
            self.disconnected = false;
        }
        // The event, if it came, is handled first.
        Ok(false)
    }

    /// Whether [`Self::has_changed`] has a loss to report though no event wakes the loop.
    pub(super) fn has_unreported_loss(&self) -> bool {
        self.lost
    }

    /// Whether a connection was made or lost since the last call. Later requests go to no connection that was lost
    /// before.
    pub(super) fn has_changed(&mut self) -> zmq::Result<bool> {
        let mut lost = std::mem::take(&mut self.lost);
        let mut made = false;
        while let Some(event) = self.monitor.next()? {
            made |= event == SocketEvent::HANDSHAKE_SUCCEEDED;
            lost |= event == SocketEvent::DISCONNECTED;
        }
        if lost {
            made |= self.settle()?;
        }
        if made || lost {
            // After a loss, a manager that is connected may have connected just now.
            self.disconnected = !made || !self.is_connected()?;
        }
        Ok(made || lost)
    }

    /// Wait until the connections whose loss was reported are gone from the socket. Return whether one was made
    /// meanwhile.
    ///
    /// The end of a connection asks `libzmq`'s thread for the end of its session, which asks for the end of the session's
    /// pipe, which this thread then notes. Each step is a command in the thread's queue, executed in order; so a command
    /// is put behind each of them, three times, and awaited. The command closes an address, which only that thread
    /// does, and which makes an event. A context has one such thread by default. (With two rounds, 20 of 320 runs of
    /// the tests with a stranger and a second manager lost a request permanently; with three, none of 480.)
    fn settle(&mut self) -> zmq::Result<bool> {
        let mut made = false;
        for _ in 0..3 {
            let asked = socket::retry(|| self.socket.bind(&self.scratch))
                .and_then(|()| socket::retry(|| self.socket.unbind(&self.scratch)));
            if asked.is_err() {
                // There may be no descriptor left.
                socket::poll(&mut [], FALLBACK_WAIT)?;
                continue;
            }
            // Counted waits, not a deadline: after a process was stopped, a deadline is over before the thread has run.
            let mut waits = 0;
            while waits < THREAD_WAITS {
                if socket::poll(&mut [self.monitor.as_poll_item()], THREAD_WAIT)? == 0 {
                    waits += 1;
                    continue;
                }
                match self.monitor.next()? {
                    Some(SocketEvent::CLOSED) => break,
                    Some(SocketEvent::DISCONNECTED) => self.lost = true,
                    Some(_) => made = true,
                    None => {}
                }
            }
        }
        self.is_connected()?;
        Ok(made)
    }

    /// Whether a manager is connected. The check makes the socket execute the commands of `libzmq`'s thread.
    pub(super) fn is_connected(&self) -> zmq::Result<bool> {
        Ok(socket::retry(|| self.socket.get_events())?.contains(zmq::PollEvents::POLLOUT))
    }
}
