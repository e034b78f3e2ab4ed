//! Whether the terminal that this process was started from still exists.

use std::fs::{self, File};
use std::io;

use rustix::io::Errno;

/// SIGHUP in the hexadecimal signal masks of `/proc/self/status`.
const HANGUP: u64 = 1;

/// The terminal of this process at its start.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    ends_with_it: bool,
}

impl Terminal {
    /// Look at the start, before signals are taken over: `nohup` says by an ignored SIGHUP that the process is to stay.
    #[must_use]
    pub fn at_start() -> Self {
        Self { ends_with_it: open().is_ok() && !is_hangup_ignored() }
    }

    /// Return whether there was a terminal that has been closed since. The kernel takes it from its processes before it
    /// sends SIGHUP.
    #[must_use]
    pub fn is_gone(self) -> bool {
        self.ends_with_it && open().is_err_and(|error| Errno::from_io_error(&error) == Some(Errno::NXIO))
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
