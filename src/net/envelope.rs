//! What stands in front of a message on the wire.

use super::socket::Frames;
use crate::core::Ticket;

/// The frames in front of a message's body, up to and with the empty one: the way back to whoever
/// sent it. A REP socket returns them untouched, and so do we.
pub type Envelope = Frames;

/// Parts a request into its envelope and its body; `None` if it is not built like one. A body of
/// several frames, which no worker sends, is read as one.
#[must_use]
pub fn open(mut frames: Frames) -> Option<(Envelope, Vec<u8>)> {
    let delimiter = frames.iter().position(Vec::is_empty)?;
    let body = frames.split_off(delimiter + 1).concat();
    Some((frames, body))
}

// The frame that our broker puts in front of a request's envelope. The reply brings it back, and the
// broker knows which request it answers. ZeroMQ numbers its peers from a start that is the same after
// every restart, so a late reply could reach the wrong worker; the epoch, drawn anew by each broker,
// keeps that from happening.

/// How the frame begins.
const MAGIC: &[u8; 4] = b"NCB1";

impl Ticket {
    /// The frame.
    #[must_use]
    pub fn to_frame(self) -> Vec<u8> {
        [MAGIC.as_slice(), &self.epoch.to_be_bytes(), &self.number.to_be_bytes()].concat()
    }

    /// Reads the frame; `None` if it is none of ours.
    #[must_use]
    pub fn from_frame(frame: &[u8]) -> Option<Self> {
        let numbers: &[u8; 16] = frame.strip_prefix(MAGIC)?.try_into().ok()?;
        let number = u128::from_be_bytes(*numbers);
        // The two halves of 128 bits, so nothing is cut off.
        #[allow(clippy::cast_possible_truncation)]
        Some(Self { epoch: (number >> 64) as u64, number: number as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_ends_at_the_first_empty_frame() {
        let frames = vec![b"broker".to_vec(), b"worker".to_vec(), Vec::new(), b"body".to_vec()];
        let (envelope, body) = open(frames).expect("a request");
        assert_eq!(envelope, [b"broker".to_vec(), b"worker".to_vec(), Vec::new()]);
        assert_eq!(body, b"body");
    }

    #[test]
    fn a_body_may_be_empty_or_missing() {
        let request = || vec![b"worker".to_vec(), Vec::new(), Vec::new()];
        assert_eq!(open(request()).map(|(_, body)| body), Some(Vec::new()));
        assert_eq!(open(request()[..2].to_vec()).map(|(_, body)| body), Some(Vec::new()));
    }

    #[test]
    fn without_an_empty_frame_there_is_no_way_back() {
        assert_eq!(open(vec![b"worker".to_vec(), b"body".to_vec()]), None);
    }

    #[test]
    fn a_ticket_survives_the_way_there_and_back() {
        let ticket = Ticket { epoch: u64::MAX - 1, number: 7 };
        assert_eq!(Ticket::from_frame(&ticket.to_frame()), Some(ticket));
        assert_eq!(Ticket::from_frame(b"NCB1"), None);
        assert_eq!(Ticket::from_frame(b""), None);
    }
}
