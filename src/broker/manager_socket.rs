//! The broker's socket to the manager, and whether anybody is at its other end.
//!
//! It never keeps a message: what it took for a manager that then dies is lost, and the broker must send
//! it again.
//!
//! Tried with `libzmq` 4.3.4, whose own thread runs the connections:
//! - A DEALER hands a message to a connection as soon as that can take one, which may be before the event of
//!   its handshake is read here. A request that was sent just then is sent a second time because of that
//!   event. Our manager answers a repeated ticket with the reply of the first time; any other must bear it.
//! - The event of a lost connection comes *before* the DEALER stops to deal messages to it, and those are
//!   lost without another event. So before the event is told, [`ManagerSocket::settle`] sees to it that the
//!   connection is gone.
//! - A manager that speaks ZMTP 2 (ZeroMQ 3, of 2013) makes no handshake event, hence [`EVENT_WAIT`].

use zmq::{Context, POLLIN, POLLOUT, PollItem, Socket, SocketEvent, SocketType};

use crate::net::Monitor;
use crate::net::socket::{self, Frames};

/// Milliseconds to wait for the event of a connection that can be written to already. It follows within
/// microseconds.
const EVENT_WAIT: i64 = 20;

/// Milliseconds to wait for `libzmq`'s thread. It answers within microseconds.
const THREAD_WAIT: i64 = 200;

/// How often that is waited for at most.
const THREAD_WAITS: u32 = 25;

/// Milliseconds in which that thread is taken to have done its part when it cannot be asked.
const FALLBACK_WAIT: i64 = 50;

/// A DEALER to which the manager connects.
pub(super) struct ManagerSocket {
    socket: Socket,
    // Declared after the socket that it watches, so that it is dropped after it.
    monitor: Monitor,
    /// An address in the kernel's memory that nobody else uses.
    scratch: String,
    /// A connection was lost that has not been told of.
    lost: bool,
    /// At the last look nobody was connected. The first one who comes is waited for.
    disconnected: bool,
}

impl ManagerSocket {
    /// A socket that is not bound yet. `name` is one that no other process has.
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

    /// The items with which a loop waits for a reply, for a manager if there is something to `send`, and for
    /// a connection made or lost.
    pub(super) fn as_poll_items(&self, send: bool) -> [PollItem<'_>; 2] {
        // Without a manager a DEALER is never writable, so nothing spins.
        let events = if send { POLLIN | POLLOUT } else { POLLIN };
        [self.socket.as_poll_item(events), self.monitor.as_poll_item()]
    }

    /// Binds an address.
    pub(super) fn bind(&self, endpoint: &str) -> zmq::Result<()> {
        self.socket.bind(endpoint)
    }

    /// The next reply, if one has come.
    pub(super) fn receive(&self) -> zmq::Result<Option<Frames>> {
        socket::receive(&self.socket)
    }

    /// Sends a request if a manager is there.
    pub(super) fn send(&mut self, frames: &Frames) -> zmq::Result<bool> {
        let sent = socket::send(&self.socket, frames)?;
        self.disconnected = !sent && !self.is_connected()?;
        Ok(sent)
    }

    /// Whether it may be sent to. Of one who has just come the event is waited for, so that what waited is
    /// not sent twice.
    pub(super) fn is_ready(&mut self) -> zmq::Result<bool> {
        if !self.disconnected {
            return Ok(true);
        }
        if self.is_connected()? {
            socket::poll(&mut [self.monitor.as_poll_item()], EVENT_WAIT)?;
            self.disconnected = false;
        }
        // The event, if there was one, comes first.
        Ok(false)
    }

    /// Whether [`Self::has_changed`] has something to tell though no event wakes the loop.
    pub(super) fn has_unreported_loss(&self) -> bool {
        self.lost
    }

    /// Whether a connection was made or lost since the last call. What is sent from now on goes to none that
    /// was lost before.
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
            // After a loss, whoever is there may have come this moment.
            self.disconnected = !made || !self.is_connected()?;
        }
        Ok(made || lost)
    }

    /// Waits until the connections whose loss was told are gone from the socket. Answers whether one was made
    /// meanwhile.
    ///
    /// The end of a connection asks `libzmq`'s thread for the end of its session, which asks for that of the
    /// session's pipe, which this thread then takes note of. Each step is a command in the thread's queue, taken
    /// in order; so a command is put behind each of them, three times, and waited for. It is to close an
    /// address, which only that thread does, and of which it makes an event. A context has one such thread unless it is
    /// told otherwise. (Tried: with two rounds, 20 of 320 runs of the tests of a stranger and of a second manager lost a
    /// request for good; with three, none of 480.)
    fn settle(&mut self) -> zmq::Result<bool> {
        let mut made = false;
        for _ in 0..3 {
            let asked = socket::retry(|| self.socket.bind(&self.scratch))
                .and_then(|()| socket::retry(|| self.socket.unbind(&self.scratch)));
            if asked.is_err() {
                // No descriptor is left, perhaps.
                socket::poll(&mut [], FALLBACK_WAIT)?;
                continue;
            }
            // A process that was stopped finds its time over before the thread has had any.
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

    /// Whether a manager is connected. Has the socket take the commands of `libzmq`'s thread.
    pub(super) fn is_connected(&self) -> zmq::Result<bool> {
        Ok(socket::retry(|| self.socket.get_events())?.contains(zmq::PollEvents::POLLOUT))
    }
}
