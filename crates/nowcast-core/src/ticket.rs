//! [`Ticket`]: our broker's id for a request, and the frame that carries it.

use serde::{Deserialize, Serialize};

/// Our broker's id for a request. A redelivered request has the same ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ticket {
    /// A random number that each start of the broker draws.
    pub epoch: u64,
    /// The number of the request since then.
    pub number: u64,
}

// The frame stands in front of a request's envelope and returns with the reply, so the broker knows the request that is answered.
// ZeroMQ numbers connections from the same start after every restart, so without the epoch a late reply could reach the
// wrong worker.

/// The beginning of the frame.
const MAGIC: &[u8; 4] = b"NCB1";

impl Ticket {
    /// Encode the frame.
    #[must_use]
    pub fn to_frame(self) -> Vec<u8> {
        [MAGIC.as_slice(), &self.epoch.to_be_bytes(), &self.number.to_be_bytes()].concat()
    }

    /// Decode the frame; `None` if it is not a ticket.
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
    fn a_ticket_is_decoded_as_it_was_encoded() {
        let ticket = Ticket { epoch: u64::MAX - 1, number: 7 };
        assert_eq!(Ticket::from_frame(&ticket.to_frame()), Some(ticket));
        assert_eq!(Ticket::from_frame(b"NCB1"), None);
        assert_eq!(Ticket::from_frame(b""), None);
    }
}
