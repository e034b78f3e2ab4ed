//! [`DecisionTime`]: the time of a decision, by the wall clock and by the machine's boot-time clock.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use serde::{Deserialize, Serialize};

/// The time of a decision by both clocks of the machine. The core has no other clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionTime {
    /// The wall clock in the manager's time zone: the rules' `now()`.
    pub wall: ZonedDateTime,
    /// The boot-time clock; `None` where it is not known, as in a recorded day. Then the wall clock counts for everything.
    pub boot_time: Option<BootTime>,
}

impl DecisionTime {
    /// Return the wall clock as a timestamp.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        self.wall.timestamp()
    }
}

impl From<ZonedDateTime> for DecisionTime {
    fn from(wall: ZonedDateTime) -> Self {
        Self { wall, boot_time: None }
    }
}

/// The time of something that another process noted when it happened, by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotedTime {
    /// The wall clock.
    pub wall: Timestamp,
    /// The boot-time clock, if it is known.
    pub boot_time: Option<BootTime>,
}

/// The identity of one boot of the machine: `/proc/sys/kernel/random/boot_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BootId(pub u128);

impl FromStr for BootId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(&text.trim().replace('-', ""), 16).map(Self)
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", self.0)
    }
}

impl TryFrom<String> for BootId {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<BootId> for String {
    fn from(boot: BootId) -> Self {
        boot.to_string()
    }
}

/// The machine's boot-time clock: it cannot be set, and goes on while the machine is suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootTime {
    /// The boot.
    pub boot: BootId,
    /// The time since the boot.
    pub uptime: SignedDuration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_is_named_as_the_kernel_names_it() {
        let boot: BootId = "6bc5119d-2b3f-4faf-8bca-b09a644b54d1\n".parse().unwrap();
        assert_eq!(boot.to_string(), "6bc5119d2b3f4faf8bcab09a644b54d1");
        assert_eq!(boot.to_string().parse(), Ok(boot));
        assert!("no boot".parse::<BootId>().is_err());
    }
}
