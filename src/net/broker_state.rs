//! [`BrokerState`]: what a broker of ours says of its connections: in a file, for `nowcast status`, and as the answer to
//! [`QUESTION`], for a manager that it does not admit.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ManagerIdentity;

/// A message of this one frame to the workers' port is answered with the state, as JSON. It has no empty frame before it, so
/// the managers behind another broker discard it.
pub const QUESTION: &[u8] = b"NCQ1";

/// The state of a broker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BrokerState {
    /// Whether a manager is connected, ours or another program.
    pub connected: bool,
    /// The manager, if it is the only one and has introduced itself.
    pub manager: Option<ManagerIdentity>,
    /// A second manager that was refused a moment ago.
    pub refused: Option<RefusedManager>,
    /// Why more workers cannot connect.
    pub shortage: Option<Shortage>,
}

/// A second manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedManager {
    /// Its IP address.
    pub address: String,
    /// When it was refused for the last time.
    pub at: Timestamp,
}

/// A shortage of descriptors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// Since when.
    pub since: Timestamp,
    /// The resource that is short, with the number of workers that are connected.
    pub reason: String,
}
