//! [`Reports`]: what a daemon reports of itself, on a socket of its own as systemd has it (`NOTIFY_SOCKET`).
//!
//! It never waits, and what is not a report is ignored.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use crate::service_manager::{RELOAD_RESULT, ReloadResult};

/// The size limit of a report in bytes.
const MAX_REPORT: usize = 100_000;

/// A report of a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DaemonReport {
    /// It serves requests.
    Ready,
    /// It has reloaded its configuration, or refused to.
    Reloaded(ReloadResult),
}

/// The socket of one daemon's reports.
#[derive(Debug)]
pub(super) struct Reports {
    socket: UnixDatagram,
    /// The folder of the socket, open: its path may be too long for a socket's address.
    folder: File,
    name: String,
}

impl Reports {
    /// Make the socket in the journal's folder. That of an earlier `nowcast up` is replaced.
    pub(super) fn bind(folder: &Path, daemon: &str) -> io::Result<Self> {
        let name = format!("up-{daemon}");
        match fs::remove_file(folder.join(&name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let folder = File::open(folder)?;
        let path = path(&folder, &name);
        let socket = UnixDatagram::bind(&path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, folder, name })
    }

    /// Return the environment variable by which the daemon finds the socket, as long as this process runs.
    pub(super) fn variable(&self) -> (String, OsString) {
        ("NOTIFY_SOCKET".to_owned(), path(&self.folder, &self.name).into())
    }

    /// Return the reports that have come.
    pub(super) fn receive(&self) -> Vec<DaemonReport> {
        let mut reports = Vec::new();
        let mut bytes = vec![0; MAX_REPORT];
        while let Ok(length) = self.socket.recv(&mut bytes) {
            reports.extend(read(&String::from_utf8_lossy(&bytes[..length])));
        }
        reports
    }
}

impl AsRawFd for Reports {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// A path that is also right in other processes of this user.
fn path(folder: &File, name: &str) -> String {
    format!("/proc/{}/fd/{}/{name}", std::process::id(), folder.as_raw_fd())
}

/// Read a notification: a line for each variable.
fn read(text: &str) -> Vec<DaemonReport> {
    let report = |line: &str| match line.split_once('=')? {
        ("READY", "1") => Some(DaemonReport::Ready),
        (RELOAD_RESULT, json) => serde_json::from_str(json).ok().map(DaemonReport::Reloaded),
        _ => None,
    };
    text.lines().filter_map(report).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_variables_and_damaged_ones_are_ignored() {
        let text = "RELOADING=1\nSTATUS=x\n\nREADY=0\nX_NOWCAST_RELOAD={\"done\":\nno variable";
        assert_eq!(read(text), []);
        let result = ReloadResult { done: false, text: "line 3:\nno".to_owned() };
        let text = "READY=1\nX_NOWCAST_RELOAD={\"done\":false,\"text\":\"line 3:\\nno\"}\n";
        assert_eq!(read(text), [DaemonReport::Ready, DaemonReport::Reloaded(result)]);
    }
}
