//! [`Ticket`]: the name that our broker gives a request, and the frame that carries it.

use serde::{Deserialize, Serialize};

/// The name that our broker gives a request. A request that comes twice has the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ticket {
    /// Which run of the broker.
    pub epoch: u64,
    /// Which request of that run.
    pub number: u64,
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
    fn a_ticket_survives_the_way_there_and_back() {
        let ticket = Ticket { epoch: u64::MAX - 1, number: 7 };
        assert_eq!(Ticket::from_frame(&ticket.to_frame()), Some(ticket));
        assert_eq!(Ticket::from_frame(b"NCB1"), None);
        assert_eq!(Ticket::from_frame(b""), None);
    }
}
