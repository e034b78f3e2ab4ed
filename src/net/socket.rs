//! Send and receive whole messages over ZeroMQ sockets.
//!
//! This module never looks into a message, and a signal never makes a call fail.

use std::time::Duration;

use zmq::{DONTWAIT, Message, PollItem, SNDMORE, Socket};

/// The frames of one message.
pub type Frames = Vec<Vec<u8>>;

/// A message, or the empty one that a socket with `ZMQ_PROBE_ROUTER` sends first on each connection.
#[derive(Debug)]
pub enum Received {
    /// A message.
    Message(Frames),
    /// The empty message.
    Probe {
        /// The routing id of the other end.
        routing_id: String,
        /// The descriptor of the connection in this process.
        descriptor: u32,
    },
}

/// Receive the next message, if one has arrived.
///
/// # Errors
/// When the socket is broken. A signal or an empty queue is not an error.
pub fn receive(socket: &Socket) -> zmq::Result<Option<Frames>> {
    receive_first(socket)?.map(|first| receive_rest(socket, &first)).transpose()
}

/// Receive the next message or probe, if one has arrived.
///
/// # Errors
/// As [`receive`].
pub fn receive_or_probe(socket: &Socket) -> zmq::Result<Option<Received>> {
    let Some(mut first) = receive_first(socket)? else { return Ok(None) };
    if first.is_empty() && !first.get_more() {
        let routing_id = first.gets("Identity").unwrap_or_default().to_owned();
        // The descriptor's name is undocumented; `zmq_msg_get` with `ZMQ_SRCFD` uses it.
        if let Some(descriptor) = first.gets("__fd").and_then(|text| text.parse().ok()) {
            return Ok(Some(Received::Probe { routing_id, descriptor }));
        }
    }
    receive_rest(socket, &first).map(|frames| Some(Received::Message(frames)))
}

/// The connection that a message came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// The name that ZAP gave its user.
    pub user: String,
    /// The IP address of the other end.
    pub address: String,
    /// The descriptor of the connection in this process. It may be closed already, and be another file's.
    pub descriptor: i32,
}

/// Receive the next message, if one has arrived, and where it came from: a TCP connection, or nothing if it came from this process.
///
/// # Errors
/// As [`receive`].
pub fn receive_with_sender(socket: &Socket) -> zmq::Result<Option<(Option<Sender>, Frames)>> {
    let Some(mut first) = receive_first(socket)? else { return Ok(None) };
    let descriptor = first.gets("__fd").and_then(|text| text.parse().ok());
    let sender = descriptor.map(|descriptor| Sender {
        user: first.gets("User-Id").unwrap_or_default().to_owned(),
        address: first.gets("Peer-Address").unwrap_or_default().to_owned(),
        descriptor,
    });
    receive_rest(socket, &first).map(|frames| Some((sender, frames)))
}

fn receive_first(socket: &Socket) -> zmq::Result<Option<Message>> {
    match retry(|| socket.recv_msg(DONTWAIT)) {
        Ok(frame) => Ok(Some(frame)),
        Err(zmq::Error::EAGAIN) => Ok(None),
        Err(error) => Err(error),
    }
}

fn receive_rest(socket: &Socket, first: &Message) -> zmq::Result<Frames> {
    let mut frames = vec![first.to_vec()];
    while socket.get_rcvmore()? {
        // The frames of a message arrive together, so this does not wait.
        frames.push(retry(|| socket.recv_bytes(0))?);
    }
    Ok(frames)
}

/// Send a message if the socket accepts it now, and return whether it did.
///
/// # Errors
/// When the socket is broken, or a ROUTER with `ROUTER_MANDATORY` has no connection to the ZeroMQ peer
/// (`EHOSTUNREACH`).
pub fn send<F: AsRef<[u8]>>(socket: &Socket, frames: &[F]) -> zmq::Result<bool> {
    let send = |number: usize| {
        let more = if number + 1 < frames.len() { SNDMORE } else { 0 };
        retry(|| socket.send(frames[number].as_ref(), DONTWAIT | more))
    };
    for number in 0..frames.len() {
        match send(number) {
            Err(zmq::Error::EAGAIN) => {
                if number > 0 {
                    // The ZeroMQ peer disconnected in the middle. ZeroMQ has discarded the earlier frames and discards
                    // all frames up to the next last one, which must be this message's, or the next message is lost.
                    (number + 1..frames.len()).try_for_each(send)?;
                }
                return Ok(false);
            }
            result => result?,
        }
    }
    Ok(true)
}

/// Wait up to `timeout` milliseconds (-1: without limit) until an item is ready. Return the number of ready items.
///
/// # Errors
/// When a socket is broken.
pub fn poll(items: &mut [PollItem], timeout: i64) -> zmq::Result<i32> {
    retry(|| zmq::poll(items, timeout))
}

/// Return a timeout for [`poll`], rounded up to avoid a busy loop in the last fraction of a millisecond.
#[must_use]
pub fn milliseconds(timeout: Duration) -> i64 {
    i64::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX)
}

/// Repeat a call while signals interrupt it. The signals themselves are received by [`crate::signals::Signals`].
///
/// # Errors
/// When the call fails for a reason other than an interruption.
pub fn retry<T>(mut call: impl FnMut() -> zmq::Result<T>) -> zmq::Result<T> {
    loop {
        match call() {
            Err(zmq::Error::EINTR) => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Instant;

    use zmq::{Context, PollEvents, SocketEvent, SocketType};

    use super::*;
    use crate::net::MonitoredSocket;

    /// A frame that calls a function when it is sent.
    struct Frame<'a>(&'a str, Option<&'a dyn Fn()>);

    impl AsRef<[u8]> for Frame<'_> {
        fn as_ref(&self) -> &[u8] {
            if let Some(act) = self.1 {
                act();
            }
            self.0.as_bytes()
        }
    }

    /// Two connected sockets of one context.
    fn pair(context: &Context) -> [Socket; 2] {
        let [first, second] = [(); 2].map(|()| context.socket(SocketType::PAIR).expect("a socket"));
        first.bind("inproc://pair").expect("an address");
        second.connect("inproc://pair").expect("a connection");
        [first, second]
    }

    #[test]
    fn a_message_arrives_with_all_its_frames() {
        let context = Context::new();
        let [first, second] = pair(&context);
        let frames = [&b"envelope"[..], b"", b"body \xff"];
        assert_eq!(send(&first, &frames), Ok(true));
        assert_eq!(send(&first, &["next"]), Ok(true));
        assert_eq!(receive(&second), Ok(Some(frames.map(<[u8]>::to_vec).to_vec())));
        assert_eq!(receive(&second), Ok(Some(vec![b"next".to_vec()])));
    }

    #[test]
    fn an_empty_queue_and_a_full_one_are_not_errors() {
        let context = Context::new();
        let [first, second] = pair(&context);
        assert_eq!(receive(&second), Ok(None));
        let alone = context.socket(SocketType::DEALER).expect("a socket");
        assert_eq!(send(&alone, &["first", "second"]), Ok(false), "a DEALER without a connection");
        // ZeroMQ's own limit is 1,000 messages at each end.
        let taken = (0..3_000).take_while(|_| send(&first, &["first", "second"]).expect("no error")).count();
        assert!((1..3_000).contains(&taken), "{taken}");
        for _ in 0..taken {
            assert_eq!(receive(&second), Ok(Some(vec![b"first".to_vec(), b"second".to_vec()])));
        }
        assert_eq!(receive(&second), Ok(None), "the refused message left nothing behind");
    }

    #[test]
    fn a_router_reports_an_unknown_id_and_sends_the_next_message_whole() {
        let context = Context::new();
        let router = context.socket(SocketType::ROUTER).expect("a socket");
        router.set_router_mandatory(true).expect("an option");
        router.bind("inproc://router").expect("an address");
        let known = context.socket(SocketType::DEALER).expect("a socket");
        known.set_identity(b"known").expect("an option");
        known.connect("inproc://router").expect("a connection");
        send(&known, &["hello"]).expect("no error");
        assert_eq!(receive(&router), Ok(Some(vec![b"known".to_vec(), b"hello".to_vec()])));

        assert_eq!(send(&router, &["unknown", "", "lost"]), Err(zmq::Error::EHOSTUNREACH));
        assert_eq!(send(&router, &["known", "", "reply"]), Ok(true));
        assert_eq!(receive(&known), Ok(Some(vec![Vec::new(), b"reply".to_vec()])));
    }

    #[test]
    fn an_interrupted_call_is_repeated_and_other_errors_are_returned() {
        let calls = Cell::new(0);
        let call = || {
            calls.set(calls.get() + 1);
            if calls.get() < 3 { Err(zmq::Error::EINTR) } else { Ok("done") }
        };
        assert_eq!(retry(call), Ok("done"));
        assert_eq!(calls.get(), 3);
        calls.set(0);
        let fail = || -> zmq::Result<()> {
            calls.set(calls.get() + 1);
            Err(zmq::Error::ETERM)
        };
        assert_eq!(retry(fail), Err(zmq::Error::ETERM));
        assert_eq!(calls.get(), 1);
    }

    #[test]
    fn timeouts_are_rounded_up_to_milliseconds() {
        let beyond = u64::from(i32::MAX.unsigned_abs()) + 1;
        for (timeout, expected) in [
            (Duration::ZERO, 0),
            (Duration::from_nanos(1), 1),
            (Duration::from_nanos(999_999), 1),
            (Duration::from_millis(1), 1),
            (Duration::from_nanos(1_000_001), 2),
            (Duration::from_millis(beyond), 2_147_483_648),
            (Duration::MAX, i64::MAX),
        ] {
            assert_eq!(milliseconds(timeout), expected, "{timeout:?}");
        }
    }

    #[test]
    fn a_poll_with_a_timeout_above_32_bits_waits_for_a_message() {
        for timeout in [i64::from(i32::MAX) + 1, 1 << 32, i64::MAX] {
            let [first, second] = pair(&Context::new());
            let sending = std::thread::spawn(move || send(&first, &["late"]));
            assert_eq!(poll(&mut [second.as_poll_item(zmq::POLLIN)], timeout), Ok(1), "{timeout}");
            assert_eq!(sending.join().expect("no panic"), Ok(true));
        }
    }

    fn wait_until(what: &str, is_so: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(30);
        while !is_so() {
            assert!(Instant::now() < end, "timeout while waiting for {what}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_lost_connection_in_the_middle_of_a_message_costs_only_that_message() {
        let context = Context::new();
        let socket = context.socket(SocketType::DEALER).expect("a socket");
        let socket = MonitoredSocket::start(&context, socket, "test", &[SocketEvent::DISCONNECTED])
            .expect("a monitor");
        socket.bind("tcp://127.0.0.1:*").expect("a port");
        let endpoint = socket.get_last_endpoint().expect("an address").expect("text");
        let can = |what| socket.get_events().expect("events").contains(what);
        let connect = || {
            let other = context.socket(SocketType::DEALER).expect("a socket");
            other.connect(&endpoint).expect("a connection");
            wait_until("a connection", || can(PollEvents::POLLOUT));
            other
        };

        // ZeroMQ's thread determines whether the message is refused, or accepted and discarded.
        loop {
            let first = Cell::new(Some(connect()));
            let disconnect = || {
                let Some(other) = first.take() else { return };
                // The socket does not notice a lost connection while a message from it is unread.
                other.send("unread", 0).expect("sent");
                wait_until("a message", || can(PollEvents::POLLIN));
                drop(other);
                wait_until("its end", || socket.next_event().expect("an event").is_some());
            };
            // The socket notices the lost connection at one of these checks.
            let check = || _ = can(PollEvents::POLLIN);
            let rest = (0..1_000).map(|_| Frame("rest", Some(&check)));
            let frames: Vec<_> =
                [Frame("first", None), Frame("second", Some(&disconnect))].into_iter().chain(rest).collect();
            let is_sent = send(&socket, &frames).expect("no error");
            assert!(receive(&socket).expect("no error").is_some());
            wait_until("the end of the connection", || !can(PollEvents::POLLOUT));
            if !is_sent {
                break;
            }
        }

        let second = connect();
        assert_eq!(send(&socket, &["next", "message"]), Ok(true));
        second.set_rcvtimeo(30_000).expect("a timeout");
        assert_eq!(second.recv_multipart(0), Ok(vec![b"next".to_vec(), b"message".to_vec()]));
    }
}
