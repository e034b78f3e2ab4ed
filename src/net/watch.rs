//! [`ConnectionWatch`]: what happens to the connections of a bound socket. A thread reads the events of `libzmq`'s socket
//! monitor and adds them up, so a storm of connections costs its reader neither memory nor time.
//!
//! This module never changes a connection. It slows down one thing on purpose: a socket without a descriptor for the next
//! connection. `libzmq` 4.3.5 tries to accept that connection again and again, which takes a whole processor. It reports each attempt
//! to the monitor, and waits while the monitor's queue is full. So the thread pauses after a failed attempt, and the connection
//! waits in the operating system, at no cost, until there is a descriptor. The other connections of the same I/O thread are
//! delayed by `ACCEPT_PAUSE` at most.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use zmq::{Context, POLLIN, PollItem, Socket, SocketEvent};

use super::monitor::{MONITOR_QUEUE, Monitor};

/// The pause after a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Time for `libzmq`'s thread to end a handshake that has taken too long.
const MARGIN: Duration = Duration::from_millis(250);

/// The connections of a socket since the last look.
#[derive(Debug, Default)]
pub struct Connections {
    /// Connections that were accepted; their handshake is still to come.
    pub accepted: usize,
    /// Handshakes that succeeded.
    pub established: usize,
    /// Whether a connection ended, with or without a handshake.
    pub is_one_lost: bool,
    /// The descriptors of the connections that ended after the latest handshake succeeded. A descriptor's number may have been
    /// that of another connection before.
    pub lost: BTreeSet<u32>,
    /// The error of the operating system if it has no descriptor or memory for the next connection.
    pub shortage: Option<i32>,
}

impl Connections {
    fn add(&mut self, event: SocketEvent, value: u32) {
        match event {
            SocketEvent::ACCEPTED => {
                self.accepted += 1;
                self.shortage = None;
            }
            SocketEvent::HANDSHAKE_SUCCEEDED => {
                self.established += 1;
                self.lost.clear();
            }
            SocketEvent::DISCONNECTED => {
                self.is_one_lost = true;
                self.lost.insert(value);
            }
            SocketEvent::ACCEPT_FAILED if is_shortage(value) => self.shortage = i32::try_from(value).ok(),
            _ => {}
        }
    }
}

/// State shared by the thread and the reader.
#[derive(Debug)]
struct Shared {
    connections: Mutex<Connections>,
    open: Mutex<OpenConnections>,
    /// How many addresses are no longer bound.
    closed_addresses: Mutex<u64>,
    is_address_closed: Condvar,
    /// Whether the reader ends the pause.
    is_resumed: Mutex<bool>,
    resume: Condvar,
    /// Readable while `connections` has something that the reader waits for.
    wake: OwnedFd,
}

/// Connections that were accepted and have not ended, by their descriptors.
#[derive(Debug, Default)]
struct OpenConnections {
    all: HashMap<u32, OpenConnection>,
    /// The young ones in the order in which they were accepted. Some may have ended.
    young: VecDeque<(u32, Instant)>,
    /// The number of those that are not young.
    old: usize,
}

#[derive(Debug)]
struct OpenConnection {
    accepted: Instant,
    is_old: bool,
}

impl OpenConnections {
    fn open(&mut self, descriptor: u32, now: Instant) {
        self.all.insert(descriptor, OpenConnection { accepted: now, is_old: false });
        self.young.push_back((descriptor, now));
    }

    fn close(&mut self, descriptor: u32) {
        if self.all.remove(&descriptor).is_some_and(|connection| connection.is_old) {
            self.old -= 1;
        }
    }

    /// Let connections grow old that are open for this time.
    fn age(&mut self, now: Instant, time: Duration) {
        while let Some(&(descriptor, accepted)) = self.young.front()
            && now.duration_since(accepted) >= time
        {
            self.young.pop_front();
            // Another connection may have the descriptor by now.
            if let Some(connection) = self.all.get_mut(&descriptor).filter(|found| found.accepted == accepted)
                && !connection.is_old
            {
                connection.is_old = true;
                self.old += 1;
            }
        }
    }
}

/// Lock a value. It is whole even if a thread has panicked, as each change is a single step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Let connections that cannot be accepted wait.
    fn pause(&self) {
        let is_paused = |is_resumed: &mut bool| !*is_resumed;
        let resumed = self.resume.wait_timeout_while(lock(&self.is_resumed), ACCEPT_PAUSE, is_paused);
        if let Ok((mut is_resumed, _)) = resumed {
            *is_resumed = false;
        }
    }

    /// Wake the reader. It fails only while the reader has not read 2^64 - 2 earlier calls.
    fn wake(&self) {
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

/// The events that wake the reader of a [`ConnectionWatch`]. It can take the others at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WakeOn {
    /// Each change.
    Changes,
    /// A shortage.
    Shortages,
}

/// Watches the connections of one socket.
///
/// Must be dropped after the socket. The drop waits until the socket's last messages have left.
#[derive(Debug)]
pub struct ConnectionWatch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    handshake_time: Duration,
}

impl ConnectionWatch {
    /// Start watching a socket, whose timeout of handshakes is set. `name` must be unique among the monitors of the context.
    ///
    /// # Errors
    /// When ZeroMQ has no sockets left, or the operating system no descriptors or threads.
    pub fn start(context: &Context, watched: &Socket, name: &str, wake_on: WakeOn) -> io::Result<Self> {
        let events = [
            SocketEvent::ACCEPTED,
            SocketEvent::ACCEPT_FAILED,
            SocketEvent::HANDSHAKE_SUCCEEDED,
            SocketEvent::DISCONNECTED,
            SocketEvent::CLOSED,
            SocketEvent::MONITOR_STOPPED,
        ];
        let monitor = Monitor::start_bounded(context, watched, name, &events).map_err(io::Error::other)?;
        let handshake = watched.get_handshake_ivl().map_err(io::Error::other)?;
        let handshake_time = Duration::from_millis(handshake.unsigned_abs().into()) + MARGIN;
        let shared = Arc::new(Shared {
            connections: Mutex::default(),
            open: Mutex::default(),
            closed_addresses: Mutex::new(0),
            is_address_closed: Condvar::new(),
            is_resumed: Mutex::new(false),
            resume: Condvar::new(),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        });
        let work = {
            let shared = Arc::clone(&shared);
            move || while watch(&monitor, &shared, wake_on, handshake_time) {}
        };
        let thread = thread::Builder::new().name(format!("watch {name}")).spawn(work)?;
        Ok(Self { shared, thread: Some(thread), handshake_time })
    }

    /// Take what happened since the last call.
    #[must_use]
    pub fn take(&self) -> Connections {
        let _ = rustix::io::read(&self.shared.wake, &mut [0; 8]);
        std::mem::take(&mut *lock(&self.shared.connections))
    }

    /// End the pause after a failed attempt: there is a descriptor.
    pub fn resume(&self) {
        *lock(&self.shared.is_resumed) = true;
        self.shared.resume.notify_all();
    }

    /// Return about how many connections are open: those that were just made or lost may be missing.
    #[must_use]
    pub fn open(&self) -> usize {
        lock(&self.shared.open).all.len()
    }

    /// Return about how many connections are open for the time of a handshake, and how many are younger.
    #[must_use]
    pub fn open_by_age(&self) -> (usize, usize) {
        let mut open = lock(&self.shared.open);
        open.age(Instant::now(), self.handshake_time);
        (open.old, open.all.len() - open.old)
    }

    /// Return the time after which a connection has completed its handshake, or has ended.
    #[must_use]
    pub fn handshake_time(&self) -> Duration {
        self.handshake_time
    }

    /// Let the thread end by itself, once the socket's last messages have left.
    pub fn detach(mut self) {
        self.thread = None;
    }

    /// Return how many addresses of the socket were unbound and are closed.
    #[must_use]
    pub fn closed_addresses(&self) -> u64 {
        *lock(&self.shared.closed_addresses)
    }

    /// Wait until more than `before` addresses are closed. Return false if that takes longer than the timeout.
    #[must_use]
    pub fn wait_for_closed_address(&self, before: u64, timeout: Duration) -> bool {
        let closed = lock(&self.shared.closed_addresses);
        let is_missing = |closed: &mut u64| *closed <= before;
        let waited = self.shared.is_address_closed.wait_timeout_while(closed, timeout, is_missing);
        waited.is_ok_and(|(_, result)| !result.timed_out())
    }

    /// Return the poll item with which a loop waits for events.
    #[must_use]
    pub fn as_poll_item(&self) -> PollItem<'_> {
        PollItem::from_fd(self.shared.wake.as_raw_fd(), POLLIN)
    }
}

impl Drop for ConnectionWatch {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Wait for events and add those that are there. Return whether more can come.
fn watch(monitor: &Monitor, shared: &Shared, wake_on: WakeOn, handshake_time: Duration) -> bool {
    if monitor.wait().is_err() {
        return false;
    }
    let mut is_short = false;
    // At most a full queue, so that the pause comes.
    for _ in 0..MONITOR_QUEUE {
        let Ok(next) = monitor.next_with_value() else { return false };
        let Some((event, value)) = next else { break };
        match event {
            SocketEvent::MONITOR_STOPPED => return false,
            SocketEvent::ACCEPTED => {
                let now = Instant::now();
                let mut open = lock(&shared.open);
                open.open(value, now);
                // Also if the counts are not read for a long time.
                open.age(now, handshake_time);
            }
            SocketEvent::DISCONNECTED => lock(&shared.open).close(value),
            SocketEvent::CLOSED => {
                *lock(&shared.closed_addresses) += 1;
                shared.is_address_closed.notify_all();
            }
            SocketEvent::ACCEPT_FAILED => is_short |= is_shortage(value),
            _ => {}
        }
        lock(&shared.connections).add(event, value);
    }
    if is_short || wake_on == WakeOn::Changes {
        shared.wake();
    }
    if is_short {
        shared.pause();
    }
    true
}

/// Whether an error means that the system has no descriptor or memory for a connection. Other errors mean that its other end has
/// gone.
fn is_shortage(error: u32) -> bool {
    let error = i32::try_from(error).unwrap_or_default();
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].map(Errno::raw_os_error).contains(&error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(events: &[(SocketEvent, u32)]) -> Connections {
        let mut connections = Connections::default();
        for (event, value) in events {
            connections.add(*event, *value);
        }
        connections
    }

    #[test]
    fn a_descriptor_counts_as_lost_only_after_the_latest_handshake() {
        let (accepted, established, lost) =
            (SocketEvent::ACCEPTED, SocketEvent::HANDSHAKE_SUCCEEDED, SocketEvent::DISCONNECTED);
        let refused_before = added(&[(accepted, 7), (lost, 7), (accepted, 7), (established, 0)]);
        assert!(refused_before.is_one_lost && refused_before.lost.is_empty());
        let lost_after = added(&[(accepted, 7), (established, 0), (accepted, 8), (lost, 8), (lost, 7)]);
        assert_eq!(lost_after.lost.into_iter().collect::<Vec<_>>(), [7, 8]);
        assert_eq!((lost_after.accepted, lost_after.established), (2, 1));
    }

    #[test]
    fn connections_grow_old_and_a_descriptor_can_be_used_again() {
        let (start, time) = (Instant::now(), Duration::from_secs(5));
        let mut open = OpenConnections::default();
        let mut count = |opened: &[u32], closed: &[u32], seconds: u64| {
            let now = start + Duration::from_secs(seconds);
            for descriptor in closed {
                open.close(*descriptor);
            }
            for descriptor in opened {
                open.open(*descriptor, now);
            }
            open.age(now, time);
            (open.old, open.all.len() - open.old)
        };
        assert_eq!(count(&[7, 8, 9], &[], 0), (0, 3));
        assert_eq!(count(&[8], &[8], 3), (0, 3));
        assert_eq!(count(&[], &[], 5), (2, 1), "8 is another connection");
        assert_eq!(count(&[], &[7], 7), (1, 1));
        assert_eq!(count(&[], &[], 8), (2, 0));
        assert_eq!(count(&[], &[8, 9, 10], 9), (0, 0));
    }

    #[test]
    fn a_shortage_lasts_until_a_connection_is_accepted() {
        let full = u32::try_from(Errno::MFILE.raw_os_error()).unwrap();
        let aborted = u32::try_from(Errno::CONNABORTED.raw_os_error()).unwrap();
        let failed = SocketEvent::ACCEPT_FAILED;
        assert_eq!(added(&[(failed, full), (failed, full)]).shortage, Some(Errno::MFILE.raw_os_error()));
        assert_eq!(added(&[(failed, full), (SocketEvent::ACCEPTED, 7)]).shortage, None);
        assert_eq!(added(&[(failed, aborted)]).shortage, None);
    }
}
