//! [`RequestedLaunch`]: a launch between the decision that requested it and its pending run.

use serde::{Deserialize, Serialize};

use crate::cycle::Cycle;
use crate::next_worker::NextWorker;
use crate::run::Number;

/// A requested launch for which there is no run yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedLaunch {
    /// The worker to launch.
    pub worker: NextWorker,
    /// The cycle of its run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycle: Option<Cycle>,
    /// The message whose rule returned it.
    pub cause: Number,
    /// The identified join whose own launch it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<Number>,
}
