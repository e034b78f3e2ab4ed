//! [`ControllingTerminal`]: whether the terminal of this process still exists.

use std::fs::{self, File};
use std::io;

use rustix::io::Errno;

/// SIGHUP in the hexadecimal signal masks of `/proc/self/status`.
const HANGUP: u64 = 1;

/// The controlling terminal of this process at its start.
#[derive(Debug, Clone, Copy)]
pub struct ControllingTerminal {
    stops_with_it: bool,
}

impl ControllingTerminal {
    /// Return the terminal at the start, before signal handlers are installed. A SIGHUP that is ignored, as `nohup` does,
    /// means that the process outlives the terminal.
    #[must_use]
    pub fn at_start() -> Self {
        Self { stops_with_it: open().is_ok() && !is_hangup_ignored() }
    }

    /// Whether the terminal was closed. The kernel detaches it from its processes before it sends SIGHUP.
    #[must_use]
    pub fn is_closed(self) -> bool {
        self.stops_with_it && open().is_err_and(|error| Errno::from_io_error(&error) == Some(Errno::NXIO))
    }
}

fn open() -> io::Result<File> {
    File::open("/dev/tty")
}

fn is_hangup_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & HANGUP != 0)
}
