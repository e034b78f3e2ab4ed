//! The broker's socket to the manager, and which manager is connected.
//!
//! This module never keeps a message: what was sent to a manager that then dies is lost, and the broker must send it again.
//!
//! Found by experiments with `libzmq` 4.3.5, whose own thread runs the connections:
//! - The event of a lost connection comes *before* the DEALER stops sending messages to it, and those are lost without
//!   another event. So the next manager gets requests only when the lost connection is known to be gone.
//! - A manager of ours introduces itself: the first message of its connection is empty. That message has passed through
//!   `libzmq`'s thread after the manager was admitted, so that thread has ended the connection before it. What is left is to
//!   execute the commands that it has sent to this thread.
//! - A manager that does not introduce itself, like NEMO_Nowcast's, gives no such proof. Then [`ManagerSocket::settle`] waits until
//!   the connection is gone.
//! - Events do not tell to whom a connection belongs; a descriptor's number is known only for an introduced manager. For any
//!   other, `settle` and a look at the socket tell whether the connection that ended was the manager's.

use std::thread;
use std::time::{Duration, Instant};

use zmq::{Context, POLLIN, PollEvents, PollItem, Socket, SocketType};

use super::error::BrokerError;
use super::{access, admission};
use crate::config::CurveSettings;
use crate::net::curve::{self, CurveServer};
use crate::net::manager_identity::HEARTBEAT_TIMEOUT;
use crate::net::socket::{self, Frames, Received};
use crate::net::watch::{Connections, WakeOn};
use crate::net::{ConnectionWatch, ManagerIdentity};

/// The I/O thread of the socket, as ZeroMQ's bit mask. It serves nothing else, so that a crowd of workers cannot delay the manager.
const IO_THREAD: u64 = 1 << 1;

/// The interval at which `libzmq` asks whether the manager's process is still there.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(3);

/// The time for a manager to introduce itself. Ours does it as soon as its loop looks at the connection.
const INTRODUCTION_TIMEOUT: Duration = Duration::from_millis(200);

/// The time to wait for `libzmq`'s thread. It responds within microseconds.
const THREAD_WAIT: Duration = Duration::from_millis(200);

/// The most waits of that length.
const THREAD_WAITS: u32 = 25;

/// The time to wait instead if that thread cannot be asked.
const FALLBACK_WAIT: Duration = Duration::from_millis(50);

/// A DEALER to which the manager connects.
pub(super) struct ManagerSocket {
    socket: Socket,
    // Declared after the socket that it watches, so that it is dropped after it.
    watch: ConnectionWatch,
    /// An abstract address that no other program uses.
    scratch: String,
    /// Several managers may be connected.
    is_shared: bool,
    /// Since when a manager has been connected.
    connected: Option<Instant>,
    /// The manager that has introduced itself, and its descriptor.
    introduced: Option<(ManagerIdentity, u32)>,
    /// The socket may still send to a connection that was lost.
    is_unsettled: bool,
    /// No connection took the last request, so the end of the manager's connection will be reported.
    is_blocked: bool,
}

impl ManagerSocket {
    /// Make a socket that is not bound yet. `name` is one that no other process has.
    pub(super) fn new(
        context: &Context,
        name: u64,
        linger: i32,
        curve: Option<&CurveSettings>,
    ) -> Result<Self, BrokerError> {
        let socket = context.socket(SocketType::DEALER)?;
        curve::secure_server(&socket, curve, CurveServer::Broker)?;
        socket.set_sndhwm(0)?;
        socket.set_rcvhwm(0)?;
        socket.set_linger(linger)?;
        socket.set_affinity(IO_THREAD)?;
        socket.set_zap_domain(access::MANAGERS)?;
        socket.set_handshake_ivl(milliseconds(admission::HANDSHAKE_TIMEOUT))?;
        socket.set_heartbeat_ivl(milliseconds(HEARTBEAT_INTERVAL))?;
        socket.set_heartbeat_timeout(milliseconds(HEARTBEAT_TIMEOUT))?;
        socket.set_heartbeat_ttl(milliseconds(HEARTBEAT_TIMEOUT))?;
        let watch = ConnectionWatch::start(context, &socket, "managers", WakeOn::Changes)?;
        Ok(Self {
            socket,
            watch,
            scratch: format!("ipc://@nowcast-{name:016x}"),
            is_shared: false,
            connected: None,
            introduced: None,
            is_unsettled: false,
            is_blocked: false,
        })
    }

    /// The items with which a loop waits for a reply, and for a change of the connections.
    pub(super) fn as_poll_items(&self) -> [PollItem<'_>; 2] {
        [self.socket.as_poll_item(POLLIN), self.watch.as_poll_item()]
    }

    /// The connections of the socket.
    pub(super) fn watch(&self) -> &ConnectionWatch {
        &self.watch
    }

    /// Accept the manager's connection at once: there is a descriptor.
    pub(super) fn accept(&self) {
        self.watch.resume();
    }

    /// Bind an address.
    pub(super) fn bind(&self, endpoint: &str) -> zmq::Result<()> {
        self.socket.bind(endpoint)
    }

    /// Let several managers be connected, or one. Those that are connected stay.
    pub(super) fn share(&mut self, is_shared: bool) {
        // While several may be connected, each loss may concern any of them.
        self.is_shared = is_shared || (self.is_shared && self.is_connected());
        if self.is_shared {
            // It may be one of several from now on.
            self.introduced = None;
        }
    }

    /// Whether a manager is connected.
    pub(super) fn is_connected(&self) -> bool {
        self.connected.is_some()
    }

    /// Return the manager, if it is connected and has introduced itself.
    pub(super) fn introduced(&self) -> Option<&ManagerIdentity> {
        self.introduced.as_ref().filter(|_| self.is_connected()).map(|(identity, _)| identity)
    }

    /// Receive the next reply, if one has come.
    pub(super) fn receive(&mut self) -> zmq::Result<Option<Frames>> {
        loop {
            match socket::receive_or_probe(&self.socket)? {
                None => return Ok(None),
                Some(Received::Message(frames)) => return Ok(Some(frames)),
                Some(Received::Probe { routing_id, descriptor }) => {
                    self.introduce(&routing_id, descriptor)?;
                }
            }
        }
    }

    /// Note which manager introduced itself. A connection's first message may be read before its event.
    fn introduce(&mut self, routing_id: &str, descriptor: u32) -> zmq::Result<()> {
        if self.is_shared {
            return Ok(());
        }
        self.introduced = ManagerIdentity::from_routing_id(routing_id).map(|identity| (identity, descriptor));
        self.execute_commands()?;
        self.is_unsettled &= self.introduced.is_none();
        Ok(())
    }

    /// Send a request if a manager is connected; return whether it was sent.
    pub(super) fn send(&mut self, frames: &Frames) -> zmq::Result<bool> {
        let is_sent = socket::send(&self.socket, frames)?;
        self.is_blocked = !is_sent;
        Ok(is_sent)
    }

    /// Return whether requests may be sent. If a lost connection may still get them, wait until it is gone.
    pub(super) fn settle_if_ready(&mut self) -> zmq::Result<bool> {
        let Some(since) = self.connected.filter(|_| !self.is_blocked) else { return Ok(false) };
        if self.is_unsettled {
            if since.elapsed() < INTRODUCTION_TIMEOUT {
                return Ok(false);
            }
            self.settle()?;
        }
        Ok(true)
    }

    /// Return when requests that wait may be sent though nothing wakes the loop.
    pub(super) fn due(&self) -> Option<Instant> {
        let since = self.connected.filter(|_| !self.is_blocked)?;
        Some(if self.is_unsettled { since + INTRODUCTION_TIMEOUT } else { since })
    }

    /// Take note of connections that were made or lost since the last call.
    pub(super) fn update(&mut self) -> zmq::Result<ManagerChange> {
        let connections = self.watch.take();
        let is_made = connections.established > 0;
        if is_made {
            self.connected = Some(Instant::now());
        }
        let is_lost = connections.is_one_lost && self.note_loss(&connections)?;
        if is_lost && !self.is_shared {
            self.connected = None;
        }
        if is_made || is_lost {
            self.is_blocked = false;
        }
        Ok(ManagerChange {
            is_made,
            is_lost,
            is_accepted: connections.accepted > 0,
            shortage: connections.shortage,
        })
    }

    /// Note that a connection ended. Return whether it was the manager's, not that of a program which was not admitted.
    fn note_loss(&mut self, connections: &Connections) -> zmq::Result<bool> {
        if self.connected.is_none() {
            return Ok(false);
        }
        if let Some((_, descriptor)) = self.introduced.as_ref().filter(|_| !self.is_shared) {
            let is_lost = connections.lost.contains(descriptor);
            self.is_unsettled |= is_lost;
            return Ok(is_lost);
        }
        self.settle()?;
        let is_writable = self.has_connection()?;
        if self.is_shared && !is_writable {
            self.connected = None;
        }
        Ok(self.is_shared || !is_writable)
    }

    /// Forget a manager that was lost. All that it sent has been received.
    pub(super) fn forget_lost(&mut self) {
        if self.connected.is_none() {
            self.introduced = None;
        }
    }

    /// Wait until the connections whose loss was reported are gone from the socket.
    ///
    /// The end of a connection asks `libzmq`'s thread for the end of its session, which asks for the end of the session's
    /// pipe, which this thread then notes. Each step is a command in the thread's queue, executed in order; so a command
    /// is put behind each of them, three times, and awaited. The command closes an address, which only that thread
    /// does, and which makes an event. The socket has one such thread. (With two rounds, 20 of 320 runs of
    /// the tests with a stranger and a second manager lost a request permanently; with three, none of 480.)
    fn settle(&mut self) -> zmq::Result<()> {
        for _ in 0..3 {
            let closed = self.watch.closed_addresses();
            let asked = socket::retry(|| self.socket.bind(&self.scratch))
                .and_then(|()| socket::retry(|| self.socket.unbind(&self.scratch)));
            if asked.is_err() {
                // There may be no descriptor left.
                thread::sleep(FALLBACK_WAIT);
                continue;
            }
            // Counted waits, not a deadline: after a process was stopped, a deadline is over before the thread has run.
            for _ in 0..THREAD_WAITS {
                if self.watch.wait_for_closed_address(closed, THREAD_WAIT) {
                    break;
                }
            }
        }
        self.execute_commands()?;
        self.is_unsettled = false;
        Ok(())
    }

    /// Whether the socket has a connection to send to.
    pub(super) fn has_connection(&self) -> zmq::Result<bool> {
        Ok(self.execute_commands()?.contains(PollEvents::POLLOUT))
    }

    /// Execute the commands that `libzmq`'s thread has sent to the socket. Return what the socket can do then.
    fn execute_commands(&self) -> zmq::Result<PollEvents> {
        socket::retry(|| self.socket.get_events())
    }
}

/// A change at the manager's port.
#[derive(Debug, Clone, Copy)]
pub(super) struct ManagerChange {
    /// A manager has connected.
    pub(super) is_made: bool,
    /// A manager's connection was lost. Later requests go to no connection that was lost before.
    pub(super) is_lost: bool,
    /// A connection was accepted, which is not admitted yet.
    pub(super) is_accepted: bool,
    /// The error of the operating system if it had no descriptor or memory for a connection.
    pub(super) shortage: Option<i32>,
}

/// A time as ZeroMQ's options have it.
fn milliseconds(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
}
