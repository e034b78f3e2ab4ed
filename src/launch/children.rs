//! Processes whose ends are seen: children, each reaped as soon as it ends, and others.
//!
//! It decides nothing about them, and never signals a number that may belong to another process by now.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::hash::Hash;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::event::epoll;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use nowcast_core::Ending;

/// Environment variables that a child gets beside its parent's.
pub type Environment = Vec<(String, OsString)>;

/// Processes, by whatever names them. Its descriptor is readable when one has ended, so that a loop can
/// wait for that beside its sockets.
#[derive(Debug)]
pub struct Children<Key> {
    epoll: OwnedFd,
    watched: HashMap<u64, Watched<Key>>,
    last: u64,
}

#[derive(Debug)]
struct Watched<Key> {
    key: Key,
    /// Not there for a process that somebody else started: how it ends, only its parent is told.
    child: Option<Child>,
    pidfd: OwnedFd,
}

impl<Key: Clone + Eq + Hash> Children<Key> {
    /// No children yet.
    ///
    /// # Errors
    /// When the operating system has no descriptors left.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, watched: HashMap::new(), last: 0 })
    }

    /// Starts a process with these environment variables beside our own, in a process group of its own, so
    /// that a Ctrl-C in the terminal does not reach it. It writes to where this process writes, and reads
    /// nothing.
    ///
    /// # Errors
    /// When the program cannot be started; the text names it.
    pub fn start(
        &mut self,
        key: Key,
        argv: &[impl AsRef<OsStr>],
        environment: &[(String, OsString)],
    ) -> io::Result<()> {
        self.start_writing_to(key, argv, environment, Stdio::inherit(), Stdio::inherit()).map(|_| ())
    }

    /// The same for a process that writes elsewhere; answers its number.
    ///
    /// # Errors
    /// When the program cannot be started; the text names it.
    pub fn start_writing_to(
        &mut self,
        key: Key,
        argv: &[impl AsRef<OsStr>],
        environment: &[(String, OsString)],
        output: Stdio,
        errors: Stdio,
    ) -> io::Result<Pid> {
        let (program, args) = argv
            .split_first()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "an empty command"))?;
        let program = program.as_ref();
        // So that a descriptor is left for the one that watches it.
        let spare = self.epoll.try_clone()?;
        let mut child = Command::new(program)
            .args(args)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", program.display())))?;
        drop(spare);
        match pid(&child).and_then(|pid| Ok((pid, self.add(pid)?))) {
            Ok((pid, pidfd)) => {
                self.watched.insert(self.last, Watched { key, child: Some(child), pidfd });
                Ok(pid)
            }
            Err(error) => {
                // A process whose end nobody would see must not go on.
                child.kill()?;
                child.wait()?;
                Err(error)
            }
        }
    }

    /// Watches a process that this one did not start. Its ending will be [`Ending::Unknown`]. The caller
    /// asks `is_right` whether that number still belongs to the process it means, once it is held fast.
    /// Answers whether it is watched.
    ///
    /// # Errors
    /// When the operating system has no descriptors left.
    pub fn watch(&mut self, key: Key, pid: Pid, is_right: impl FnOnce() -> bool) -> io::Result<bool> {
        let pidfd = match self.add(pid) {
            // Ended and reaped.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {
                return Ok(false);
            }
            result => result?,
        };
        if is_right() {
            self.watched.insert(self.last, Watched { key, child: None, pidfd });
            return Ok(true);
        }
        epoll::delete(&self.epoll, &pidfd)?;
        Ok(false)
    }

    /// A descriptor for a process, in epoll under a new number, `self.last`.
    fn add(&mut self, pid: Pid) -> io::Result<OwnedFd> {
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        let number = epoll::EventData::new_u64(self.last + 1);
        epoll::add(&self.epoll, &pidfd, number, epoll::EventFlags::IN)?;
        self.last += 1;
        Ok(pidfd)
    }

    /// Reaps those that have ended and says how.
    ///
    /// # Errors
    /// When the operating system fails to say.
    pub fn reap(&mut self) -> io::Result<Vec<(Key, Ending)>> {
        let mut ended = Vec::new();
        let mut events: Vec<epoll::Event> = Vec::with_capacity(64);
        let no_wait = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        loop {
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&no_wait)) {
                Err(rustix::io::Errno::INTR) => continue,
                result => result?,
            };
            if events.is_empty() {
                return Ok(ended);
            }
            for event in &events {
                let Some(Watched { key, child, pidfd }) = self.watched.remove(&event.data.u64()) else {
                    continue;
                };
                // Taken out before it is closed: a closed descriptor's number may be given away. One that
                // is out already is as well.
                let _ = epoll::delete(&self.epoll, &pidfd);
                // Somebody else may have reaped it: the end is known, if not how.
                let status = child.and_then(|mut child| child.wait().ok());
                ended.push((key, status.map_or(Ending::Unknown, ending)));
            }
        }
    }

    /// Sends a signal to a process; one that has ended already is no error.
    pub fn signal(&self, key: &Key, signal: Signal) {
        for watched in self.watched.values().filter(|watched| watched.key == *key) {
            let _ = pidfd_send_signal(&watched.pidfd, signal);
        }
    }

    /// Whether a process of that name runs.
    #[must_use]
    pub fn contains(&self, key: &Key) -> bool {
        self.watched.values().any(|watched| watched.key == *key)
    }
}

impl<Key> AsRawFd for Children<Key> {
    fn as_raw_fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }
}

fn pid(child: &Child) -> io::Result<Pid> {
    i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::Error::other("the operating system gave a process no valid number"))
}

pub(super) fn ending(status: ExitStatus) -> Ending {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ending::Status(code),
        (None, signal) => Ending::Killed(signal.unwrap_or_default()),
    }
}
