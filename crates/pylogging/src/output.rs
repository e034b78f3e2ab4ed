//! Writes lines whole to a descriptor, and reports on stderr if that fails. This module never fails itself.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};

/// The name before lines on stderr until the program sets its own.
const DEFAULT_NAME: &str = "pylogging";

/// Write all bytes, in a single `write` unless the kernel accepts less; wait if the descriptor is non-blocking, each time up to
/// `timeout`. If that fails, return the error and whether a part was written before it.
pub(super) fn write_whole(
    to: impl AsFd,
    mut bytes: &[u8],
    timeout: Option<Duration>,
) -> Result<(), Unwritten> {
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    let whole = bytes.len();
    while !bytes.is_empty() {
        match retry_on_intr(|| rustix::io::write(&to, bytes)) {
            Ok(0) => {
                return Err(Unwritten { error: io::ErrorKind::WriteZero.into(), torn: bytes.len() < whole });
            }
            Ok(taken) => bytes = bytes.get(taken..).unwrap_or_default(),
            Err(Errno::AGAIN) => {
                let mut wait = [PollFd::new(&to, PollFlags::OUT)];
                // An error of `poll` is also reported by the next `write`.
                if retry_on_intr(|| poll(&mut wait, timeout.as_ref())) == Ok(0) {
                    let error = io::Error::new(io::ErrorKind::TimedOut, "nothing reads it");
                    return Err(Unwritten { error, torn: bytes.len() < whole });
                }
            }
            Err(error) => return Err(Unwritten { error: error.into(), torn: bytes.len() < whole }),
        }
    }
    Ok(())
}

/// Lines that are held back.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub text: Vec<u8>,
    pub lines: u64,
}

impl Held {
    pub fn hold(&mut self, line: &[u8]) {
        self.text.extend_from_slice(line);
        self.lines += 1;
    }
}

/// A line that could not be written.
#[derive(Debug)]
pub(super) struct Unwritten {
    pub error: io::Error,
    /// Whether a part of it was written.
    pub torn: bool,
}

/// A counter of the lines that one sink has lost. It reports the first loss and the recovery on stderr, because logging
/// must never stop a program.
#[derive(Debug)]
pub(super) struct Complaint {
    place: String,
    lost: u64,
}

impl Complaint {
    pub fn new(place: String) -> Self {
        Self { place, lost: 0 }
    }

    /// Return the number of lines that were lost since the last one was written.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Count lost lines, and report the first loss.
    pub fn failed(&mut self, error: &io::Error, lines: u64) {
        self.lost += lines;
        if self.lost == lines {
            let remedy = match error.kind() {
                io::ErrorKind::StorageFull => "free some space",
                io::ErrorKind::NotFound => "create its folder",
                io::ErrorKind::PermissionDenied => "correct its permissions",
                _ => "logging goes on elsewhere",
            };
            say(&format!(
                "cannot log to {}: {error}; lines are lost until it works again; {remedy}",
                self.place
            ));
        }
    }

    /// Report the recovery after a loss.
    pub fn worked(&mut self) {
        if self.lost > 0 {
            say(&format!("logging to {} works again; {} lines were lost", self.place, self.lost));
            self.lost = 0;
        }
    }
}

/// The name of the program, once it is known.
static PROGRAM: OnceLock<&'static str> = OnceLock::new();

/// Set the name before the lines of [`say`]: `NAME: cannot log to …`. Only the first call counts; without one, the name
/// is that of this crate.
pub fn name_program(name: &'static str) {
    // Later names are ignored, as documented.
    let _ = PROGRAM.set(name);
}

/// Write a line to stderr after the program's name: for problems of logging itself, which the log cannot show.
pub fn say(text: &str) {
    let program = PROGRAM.get().copied().unwrap_or(DEFAULT_NAME);
    // If stderr is closed, there is no other place to report to.
    let _ = writeln!(io::stderr(), "{program}: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_descriptor_that_does_not_block_still_gets_the_whole_line() {
        let (mut near, far) = UnixStream::pair().unwrap();
        far.set_nonblocking(true).unwrap();
        let line = "x".repeat(4_000_000);
        let sent = line.clone();
        let writer = std::thread::spawn(move || write_whole(&far, sent.as_bytes(), None).is_ok());
        let mut got = String::new();
        near.read_to_string(&mut got).unwrap();
        assert!(writer.join().unwrap());
        assert_eq!(got.len(), line.len());
    }

    #[test]
    fn a_full_disk_is_an_error_with_its_reason() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let failed = write_whole(&full, b"line\n", None).unwrap_err();
        assert_eq!(failed.error.kind(), io::ErrorKind::StorageFull);
        assert!(!failed.torn);
    }
}
