//! Whole messages in and out of ZeroMQ sockets. A signal never makes a call fail.

use std::time::Duration;

use zmq::{DONTWAIT, PollItem, SNDMORE, Socket};

/// The frames of one message.
pub type Frames = Vec<Vec<u8>>;

/// Receives the next message if one has arrived.
///
/// # Errors
/// When the socket is broken; never for a signal or an empty queue.
pub fn receive(socket: &Socket) -> zmq::Result<Option<Frames>> {
    let first = match retry(|| socket.recv_bytes(DONTWAIT)) {
        Ok(frame) => frame,
        Err(zmq::Error::EAGAIN) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut frames = vec![first];
    while socket.get_rcvmore()? {
        // The frames of a message arrive together, so this does not wait.
        frames.push(retry(|| socket.recv_bytes(0))?);
    }
    Ok(Some(frames))
}

/// Sends a message if the socket takes it now; `false` if it does not.
///
/// # Errors
/// When the socket is broken, or (`EHOSTUNREACH`, of a ROUTER that must know its peer) when the peer
/// is not connected.
pub fn send<F: AsRef<[u8]>>(socket: &Socket, frames: &[F]) -> zmq::Result<bool> {
    let send = |number: usize| {
        let more = if number + 1 < frames.len() { SNDMORE } else { 0 };
        retry(|| socket.send(frames[number].as_ref(), DONTWAIT | more))
    };
    for number in 0..frames.len() {
        match send(number) {
            Err(zmq::Error::EAGAIN) => {
                if number > 0 {
                    // The peer went away in the middle. ZeroMQ has taken the earlier frames back, and drops what it
                    // is given up to the next last frame: that must be this message's, or the next message is lost.
                    (number + 1..frames.len()).try_for_each(send)?;
                }
                return Ok(false);
            }
            result => result?,
        }
    }
    Ok(true)
}

/// Waits until one of the items is ready, at most so many milliseconds; -1 for ever.
///
/// # Errors
/// When a socket is broken.
pub fn poll(items: &mut [PollItem], timeout: i64) -> zmq::Result<i32> {
    retry(|| zmq::poll(items, timeout))
}

/// A span for [`poll`], rounded up, so that its end is not awaited in a busy loop.
#[must_use]
pub fn milliseconds(most: Duration) -> i64 {
    i64::try_from(most.as_micros().div_ceil(1_000)).unwrap_or(i64::MAX)
}

/// Calls again what a signal interrupted. The signal itself is found in [`crate::signals::Signals`].
///
/// # Errors
/// Those of the call but for the interruption.
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
    use crate::net::Monitor;

    /// A frame that does something when it is sent.
    struct Frame<'a>(&'a str, Option<&'a dyn Fn()>);

    impl AsRef<[u8]> for Frame<'_> {
        fn as_ref(&self) -> &[u8] {
            if let Some(act) = self.1 {
                act();
            }
            self.0.as_bytes()
        }
    }

    fn wait_until(what: &str, is_so: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(30);
        while !is_so() {
            assert!(Instant::now() < end, "waited in vain for {what}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_peer_that_goes_away_in_the_middle_of_a_message_costs_only_that_message() {
        let context = Context::new();
        let socket = context.socket(SocketType::DEALER).expect("a socket");
        let monitor =
            Monitor::start(&context, &socket, "test", &[SocketEvent::DISCONNECTED]).expect("a monitor");
        socket.bind("tcp://127.0.0.1:*").expect("a port");
        let endpoint = socket.get_last_endpoint().expect("an address").expect("text");
        let can = |what| socket.get_events().expect("events").contains(what);
        let comes = || {
            let peer = context.socket(SocketType::DEALER).expect("a socket");
            peer.connect(&endpoint).expect("a connection");
            wait_until("a peer", || can(PollEvents::POLLOUT));
            peer
        };

        // Whether the message is refused, or taken and dropped, is a matter of luck.
        loop {
            let first = Cell::new(Some(comes()));
            let goes = || {
                let Some(peer) = first.take() else { return };
                // What has not been read yet keeps the connection's end from being noticed at once.
                peer.send("unread", 0).expect("sent");
                wait_until("a message", || can(PollEvents::POLLIN));
                drop(peer);
                wait_until("its end", || monitor.next().expect("an event").is_some());
            };
            // At one of these the socket notices.
            let looks = || _ = can(PollEvents::POLLIN);
            let rest = (0..1_000).map(|_| Frame("rest", Some(&looks)));
            let frames: Vec<_> =
                [Frame("first", None), Frame("second", Some(&goes))].into_iter().chain(rest).collect();
            let is_sent = send(&socket, &frames).expect("no error");
            assert!(receive(&socket).expect("no error").is_some());
            wait_until("nobody", || !can(PollEvents::POLLOUT));
            if !is_sent {
                break;
            }
        }

        let second = comes();
        assert_eq!(send(&socket, &["next", "message"]), Ok(true));
        second.set_rcvtimeo(30_000).expect("a time-out");
        assert_eq!(second.recv_multipart(0), Ok(vec![b"next".to_vec(), b"message".to_vec()]));
    }
}
