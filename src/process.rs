//! Which process is meant, for good: its number alone is given to others after its end.
//!
//! It reads `/proc` and changes nothing.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use nowcast_core::message::RUN_ID;

/// The environment variable that tells a worker its run's folder. Two systems on one machine may both have
/// a run of that number.
pub const RUN_FOLDER: &str = "NOWCAST_RUN_FOLDER";

/// A process that is never mistaken for another one: a number is given away again only after its end, and
/// then with a later start; starts are counted anew after each boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Its number.
    pub pid: i32,
    /// When it started, in clock ticks since the boot: field 22 of `/proc/PID/stat`, see proc(5).
    pub start_time: u64,
    /// The boot: `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
}

impl ProcessIdentity {
    /// The process of that number, running or a zombie.
    ///
    /// # Errors
    /// When there is none, or `/proc` cannot be read.
    pub fn of(pid: i32) -> io::Result<Self> {
        Ok(Self { pid, start_time: Stat::of(pid)?.start_time, boot_id: boot_id()? })
    }

    /// This process.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn of_self() -> io::Result<Self> {
        Self::of(rustix::process::getpid().as_raw_nonzero().get())
    }

    /// Whether it still runs. A zombie does not.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let same = |stat: Stat| stat.runs && stat.start_time == self.start_time;
        Stat::of(self.pid).is_ok_and(same) && boot_id().is_ok_and(|boot| boot == self.boot_id)
    }

    /// Its number as the operating system's calls take it.
    #[must_use]
    pub fn raw(&self) -> Option<Pid> {
        // A negative number would stand for a process group.
        if self.pid > 0 { Pid::from_raw(self.pid) } else { None }
    }
}

/// Looks for the worker of a run that nobody wrote down, as its runner was killed just after the start: the
/// oldest process since `not_before` (a start time) that leads a process group, leads no session, and has
/// the run and its folder in its environment. What a worker starts in the background leads a session
/// or no group, unless its shell does job control; but then it is younger.
///
/// A worker that runs as another user cannot be seen, nor one in the instant before it became its program.
#[must_use]
pub fn find_worker(run: &str, folder: &Path, not_before: u64) -> Option<ProcessIdentity> {
    let boot_id = boot_id().ok()?;
    let found = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = Stat::of(pid).ok()?;
        let may_be = stat.runs && stat.group == pid && stat.session != pid && stat.start_time >= not_before;
        (may_be && has_run(pid, run, folder)).then_some((stat.start_time, pid))
    });
    let (start_time, pid) = found.min()?;
    Some(ProcessIdentity { pid, start_time, boot_id })
}

fn has_run(pid: i32, run: &str, folder: &Path) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let value = |name: &str| {
        let value = |line: &[u8]| Some(line.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?.to_vec());
        environment.split(|byte| *byte == 0).find_map(value)
    };
    let file = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    let is_folder = |path: Vec<u8>| {
        let other = file(Path::new(std::ffi::OsStr::from_bytes(&path)));
        other.is_some() && other == file(folder)
    };
    value(RUN_ID).is_some_and(|value| value == run.as_bytes()) && value(RUN_FOLDER).is_some_and(is_folder)
}

fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// What `/proc/PID/stat` says.
struct Stat {
    runs: bool,
    group: i32,
    session: i32,
    start_time: u64,
}

impl Stat {
    fn of(pid: i32) -> io::Result<Self> {
        // Bytes: a program can give itself a name that is no text.
        let bytes = fs::read(format!("/proc/{pid}/stat"))?;
        let text = String::from_utf8_lossy(&bytes);
        Self::parse(&text).ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat is not understood")))
    }

    fn parse(text: &str) -> Option<Self> {
        // The program's name stands in parentheses and may contain some.
        let (_, behind_name) = text.rsplit_once(')')?;
        let fields: Vec<&str> = behind_name.split_whitespace().collect();
        // proc(5) counts from 1, and two fields stand before these.
        let field = |number: usize| fields.get(number - 3).copied();
        let dead = matches!(field(3)?, "Z" | "X" | "x");
        // A main thread that ended before the others is shown as a zombie.
        let threads: i64 = field(20)?.parse().ok()?;
        Some(Self {
            runs: !dead || threads > 1,
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
    fn a_name_may_look_like_the_fields_behind_it() {
        let stat = Stat::parse(&line("a) Z 9 9 (b", "S", 1)).unwrap();
        assert!(stat.runs);
        assert_eq!((stat.group, stat.session, stat.start_time), (77, 5, 4242));
    }

    #[test]
    fn a_zombie_does_not_run_unless_its_threads_do() {
        assert!(!Stat::parse(&line("a", "Z", 1)).unwrap().runs);
        assert!(Stat::parse(&line("a", "Z", 2)).unwrap().runs);
        assert!(Stat::parse("77 (a) Z").is_none());
    }

    #[test]
    fn a_process_is_another_one_after_a_boot_or_with_another_start() {
        let me = ProcessIdentity::of_self().unwrap();
        assert!(me.is_alive());
        assert!(!ProcessIdentity { boot_id: "another".to_owned(), ..me.clone() }.is_alive());
        assert!(!ProcessIdentity { start_time: me.start_time + 1, ..me.clone() }.is_alive());
        assert!(ProcessIdentity { pid: -1, ..me }.raw().is_none());
    }
}
