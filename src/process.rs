//! [`ProcessIdentity`]: identifies a process permanently, since process numbers are reused. [`ending`]: how a process exited.
//!
//! It reads `/proc` and changes nothing.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use rustix::io::Errno;
use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use nowcast_core::Ending;
use nowcast_core::message::RUN_ID;

/// The environment variable with the folder of a worker's run. Two systems on one machine may have runs of the same
/// number.
pub const RUN_FOLDER: &str = "NOWCAST_RUN_FOLDER";

/// The identity of a process. A number is reused only after the process has exited, with a later start time; start
/// times begin at zero after each boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The process number.
    pub pid: i32,
    /// The start time, in clock ticks since the boot: field 22 of `/proc/PID/stat`, see proc(5).
    pub start_time: u64,
    /// The boot: `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
}

impl ProcessIdentity {
    /// Return the identity of a process, which may be a zombie.
    ///
    /// # Errors
    /// When the process does not exist, or `/proc` cannot be read.
    pub fn of(pid: i32) -> io::Result<Self> {
        Ok(Self { pid, start_time: Stat::of(pid)?.start_time, boot_id: boot_id()? })
    }

    /// Return the identity of this process.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn of_self() -> io::Result<Self> {
        Self::of(rustix::process::getpid().as_raw_nonzero().get())
    }

    /// Whether the process is running. A zombie is not.
    ///
    /// # Errors
    /// When `/proc` cannot be read, so that it is not known: the system may have no descriptor left.
    pub fn is_alive(&self) -> io::Result<bool> {
        let same = |stat: Stat| stat.is_running && stat.start_time == self.start_time;
        Ok(existing(Stat::of(self.pid))?.is_some_and(same) && self.is_of_this_boot()?)
    }

    /// Whether the process was started since the machine booted.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn is_of_this_boot(&self) -> io::Result<bool> {
        Ok(boot_id()? == self.boot_id)
    }

    /// Return the process number for system calls.
    #[must_use]
    pub fn raw(&self) -> Option<Pid> {
        // A negative number would stand for a process group.
        if self.pid > 0 { Pid::from_raw(self.pid) } else { None }
    }
}

/// Return this machine's name.
#[must_use]
pub fn machine() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

/// Search for the worker of a run whose runner was killed before it recorded the process. It is the oldest process since
/// `not_before` (a start time) that leads a process group, leads no session, and has the run and its folder in its
/// environment. A background process of a worker leads a session or no group, unless its shell does job control; then it
/// is younger.
///
/// A worker of another user cannot be found, nor one that has not executed its program yet.
///
/// # Errors
/// When `/proc` cannot be read, so that there may be such a process.
pub fn find_worker(run: &str, folder: &Path, not_before: u64) -> io::Result<Option<ProcessIdentity>> {
    let boot_id = boot_id()?;
    let mut found: Option<(u64, i32)> = None;
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Some(stat) = existing(Stat::of(pid))? else { continue };
        let may_be =
            stat.is_running && stat.group == pid && stat.session != pid && stat.start_time >= not_before;
        if may_be && has_run(pid, run, folder)? {
            let other = (stat.start_time, pid);
            found = Some(found.map_or(other, |found| found.min(other)));
        }
    }
    Ok(found.map(|(start_time, pid)| ProcessIdentity { pid, start_time, boot_id }))
}

/// Return what was read of a process, or `None` if the process does not exist. Any other error does not say so.
fn existing<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => Ok(None),
        Err(error) => Err(error),
    }
}

fn has_run(pid: i32, run: &str, folder: &Path) -> io::Result<bool> {
    let environment = match existing(fs::read(format!("/proc/{pid}/environ"))) {
        // Of another user.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return Ok(false),
        environment => environment?.unwrap_or_default(),
    };
    let value = |name: &str| {
        let value = |line: &[u8]| Some(line.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?.to_vec());
        environment.split(|byte| *byte == 0).find_map(value)
    };
    let file = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    let is_folder = |path: Vec<u8>| {
        let other = file(Path::new(std::ffi::OsStr::from_bytes(&path)));
        other.is_some() && other == file(folder)
    };
    Ok(value(RUN_ID).is_some_and(|value| value == run.as_bytes()) && value(RUN_FOLDER).is_some_and(is_folder))
}

/// Return the parent of a process; 0 for a parent outside of this PID namespace.
#[must_use]
pub fn parent_of(pid: i32) -> Option<i32> {
    Stat::of(pid).ok().map(|stat| stat.parent)
}

/// Return how a process exited.
#[must_use]
pub fn ending(status: ExitStatus) -> Ending {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ending::Status(code),
        (None, signal) => Ending::Killed(signal.unwrap_or_default()),
    }
}

/// Return the identity of this boot of the machine.
///
/// # Errors
/// When `/proc` cannot be read.
pub(crate) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// The fields of `/proc/PID/stat`.
struct Stat {
    is_running: bool,
    parent: i32,
    group: i32,
    session: i32,
    start_time: u64,
}

impl Stat {
    fn of(pid: i32) -> io::Result<Self> {
        // Bytes, since the name of a program may not be UTF-8.
        let bytes = fs::read(format!("/proc/{pid}/stat"))?;
        let text = String::from_utf8_lossy(&bytes);
        Self::parse(&text).ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat has an unknown format")))
    }

    fn parse(text: &str) -> Option<Self> {
        // The program's name is in parentheses and may contain parentheses.
        let (_, after_name) = text.rsplit_once(')')?;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        // proc(5) counts from 1, and two fields come before these.
        let field = |number: usize| fields.get(number - 3).copied();
        let is_dead = matches!(field(3)?, "Z" | "X" | "x");
        // A main thread that exited before the others is shown as a zombie.
        let threads: i64 = field(20)?.parse().ok()?;
        Some(Self {
            is_running: !is_dead || threads > 1,
            parent: field(4)?.parse().ok()?,
            group: field(5)?.parse().ok()?,
            session: field(6)?.parse().ok()?,
            start_time: field(22)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, state: &str, threads: u32) -> String {
        format!("77 ({name}) {state} 1 77 5 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 {threads} 0 4242 0 0")
    }

    #[test]
    fn a_program_name_may_look_like_the_fields_after_it() {
        let stat = Stat::parse(&line("a) Z 9 9 (b", "S", 1)).unwrap();
        assert!(stat.is_running);
        assert_eq!((stat.group, stat.session, stat.start_time), (77, 5, 4242));
    }

    #[test]
    fn a_zombie_is_running_only_with_other_threads() {
        assert!(!Stat::parse(&line("a", "Z", 1)).unwrap().is_running);
        assert!(Stat::parse(&line("a", "Z", 2)).unwrap().is_running);
        assert!(Stat::parse("77 (a) Z").is_none());
    }

    #[test]
    fn a_boot_and_a_start_time_identify_a_process() {
        let me = ProcessIdentity::of_self().unwrap();
        assert!(me.is_alive().unwrap());
        assert!(!ProcessIdentity { boot_id: "another".to_owned(), ..me.clone() }.is_alive().unwrap());
        assert!(!ProcessIdentity { start_time: me.start_time + 1, ..me.clone() }.is_alive().unwrap());
        assert!(!ProcessIdentity { pid: i32::MAX, ..me.clone() }.is_alive().unwrap());
        assert!(ProcessIdentity { pid: -1, ..me }.raw().is_none());
    }

    #[test]
    fn only_a_process_that_does_not_exist_counts_as_dead() {
        let read = |error: Errno| existing::<()>(Err(error.into())).map_err(|error| error.raw_os_error());
        for gone in [Errno::NOENT, Errno::SRCH] {
            assert_eq!(read(gone), Ok(None));
        }
        for unknown in [Errno::MFILE, Errno::NFILE, Errno::IO, Errno::NOMEM] {
            assert_eq!(read(unknown), Err(Some(unknown.raw_os_error())));
        }
    }
}
