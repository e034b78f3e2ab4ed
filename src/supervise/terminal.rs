//! [`ControllingTerminal`]: whether the terminal of this process still exists.

use std::fs::File;
use std::io;

use rustix::io::Errno;
use rustix::process::Signal;

use crate::signals::is_ignored;

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
        Self { stops_with_it: open().is_ok() && !is_ignored(Signal::HUP) }
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
