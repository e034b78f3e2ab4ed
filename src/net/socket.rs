//! Whole messages in and out of ZeroMQ sockets. A signal never makes a call fail.

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
    for (number, frame) in frames.iter().enumerate() {
        let more = if number + 1 < frames.len() { SNDMORE } else { 0 };
        match retry(|| socket.send(frame.as_ref(), DONTWAIT | more)) {
            // A later frame is refused too when the peer goes away in the middle: ZeroMQ then takes
            // the earlier ones back, and nothing of the message was sent.
            Err(zmq::Error::EAGAIN) => return Ok(false),
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

/// Calls again what a signal interrupted. The signal itself is found in [`super::Signals`].
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
