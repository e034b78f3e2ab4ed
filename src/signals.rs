//! Signals that a loop can wait for beside its sockets. It never decides what a signal means.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level::pipe};

use crate::orphans;
use nowcast_core::Signal;

/// SIGHUP, SIGINT and SIGTERM. A flag for each says which came, a pipe wakes the loop. In a process that inherits orphans,
/// SIGCHLD wakes the loop, too.
#[derive(Debug)]
pub struct Signals {
    pipe: UnixStream,
    flags: Vec<(Signal, Arc<AtomicBool>)>,
}

impl Signals {
    /// Handle the three signals in this process from now on.
    ///
    /// # Errors
    /// The operating system has no descriptors left.
    pub fn install() -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        write.set_nonblocking(true)?;
        let mut flags = Vec::new();
        let signals = [(SIGHUP, Signal::Hangup), (SIGINT, Signal::Interrupt), (SIGTERM, Signal::Terminate)];
        for (number, signal) in signals {
            let flag = Arc::new(AtomicBool::new(false));
            // The flag comes first, so that it is set when the pipe wakes the loop.
            flag::register(number, Arc::clone(&flag))?;
            pipe::register(number, write.try_clone()?)?;
            flags.push((signal, flag));
        }
        if orphans::are_inherited() {
            // Wakes the loop to reap them, the first time for those that have exited already.
            pipe::register(SIGCHLD, write.try_clone()?)?;
            (&write).write_all(&[0])?;
        }
        Ok(Self { pipe: read, flags })
    }

    /// Return the signals that came since the last call, each at most once.
    pub fn take(&mut self) -> Vec<Signal> {
        // Emptied before the flags are read: a signal in between wakes the loop once more.
        let mut bytes = [0; 64];
        while matches!(self.pipe.read(&mut bytes), Ok(count) if count == bytes.len()) {}
        self.flags
            .iter()
            .filter(|(_, flag)| flag.swap(false, Ordering::SeqCst))
            .map(|(signal, _)| *signal)
            .collect()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.pipe.as_raw_fd()
    }
}

/// Return whether this process was started with a signal ignored, as `nohup` does it.
#[must_use]
pub fn is_ignored(signal: rustix::process::Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // The lowest bit is signal 1.
    mask.is_some_and(|mask| mask >> (signal.as_raw() - 1) & 1 == 1)
}
