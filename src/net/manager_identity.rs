//! [`ManagerIdentity`]: how a manager of ours introduces itself to a broker, and how logs name it.
//!
//! It is the routing id of the manager's socket, which ZeroMQ sends in each handshake and NEMO_Nowcast's broker ignores. It is
//! not a proof: any program can send one.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The time without an answer after which a broker takes its manager for dead: the process is stopped, or its host is gone. A
/// manager that does not hear of the broker for that long connects again.
pub const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(15);

/// The first word of a routing id.
const MARK: &str = "NCM1";

/// The most bytes that ZeroMQ takes.
const MOST: usize = 255;

/// A manager of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagerIdentity {
    /// A random number, different for each start of a manager.
    pub session: String,
    /// Its process number.
    pub process: u32,
    /// The host on which it runs.
    pub host: String,
    /// The folder of its journal.
    pub journal: String,
}

impl ManagerIdentity {
    /// Return the routing id. Text that is too long is cut at its end.
    #[must_use]
    pub fn to_routing_id(&self) -> String {
        let host = self.host.replace(char::is_whitespace, "-");
        let text = format!("{MARK} {} {} {host} {}", self.session, self.process, self.journal);
        let mut text: String =
            text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect();
        while text.len() > MOST {
            text.pop();
        }
        text
    }

    /// Return whether a routing id is that of a manager of ours.
    #[must_use]
    pub fn is_of_manager(routing_id: &[u8]) -> bool {
        std::str::from_utf8(routing_id).is_ok_and(|text| Self::from_routing_id(text).is_some())
    }

    /// Read a routing id; `None` if no manager of ours has sent it.
    #[must_use]
    pub fn from_routing_id(text: &str) -> Option<Self> {
        let mut words = text.splitn(5, ' ');
        let mut word = || words.next().filter(|word| !word.is_empty());
        if word()? != MARK || text.chars().any(char::is_control) {
            return None;
        }
        Some(Self {
            session: word()?.to_owned(),
            process: word()?.parse().ok()?,
            host: word()?.to_owned(),
            journal: word()?.to_owned(),
        })
    }
}

impl fmt::Display for ManagerIdentity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "process {} on {}, journal {}", self.process, self.host, self.journal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(journal: &str) -> ManagerIdentity {
        ManagerIdentity {
            session: "0123456789abcdef".to_owned(),
            process: 17,
            host: "orca".to_owned(),
            journal: journal.to_owned(),
        }
    }

    #[test]
    fn a_routing_id_is_read_as_it_was_written() {
        let identity = identity("/data/my nowcast/größe.journal");
        let id = identity.to_routing_id();
        assert_eq!(id, "NCM1 0123456789abcdef 17 orca /data/my nowcast/größe.journal");
        assert_eq!(ManagerIdentity::from_routing_id(&id), Some(identity));
    }

    #[test]
    fn a_long_path_is_cut_between_letters_and_control_characters_are_replaced() {
        let long = identity(&"ü".repeat(200)).to_routing_id();
        assert!(long.len() == 254 || long.len() == 255, "{}", long.len());
        assert!(long.ends_with('ü'));
        let odd = identity("/a\u{1b}[31m\n").to_routing_id();
        assert!(odd.ends_with("/a?[31m?"), "{odd}");
    }

    #[test]
    fn other_routing_ids_are_not_read() {
        for other in
            ["", "NCM1", "NCM1 a 17 orca", "NCM2 a 17 orca /x", "NCM1 a b orca /x", "NCM1 a 1 orca /\u{1b}"]
        {
            assert_eq!(ManagerIdentity::from_routing_id(other), None, "{other}");
        }
    }
}
