//! The only pauses: they set the pace of the load and the length of a fault. Nothing relies on their length.

use std::thread;
use std::time::Duration;

/// Pause for some milliseconds.
pub fn pace(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}
