//! [`WatchedProcesses`]: starts processes and reports their exits, also those of processes that another process started.
//!
//! It decides nothing about them, and never signals a process number that may have been reused.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::hash::Hash;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::event::epoll;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::orphans;
use crate::process::ending;
use nowcast_core::Ending;
use nowcast_core::message::CYCLE;

/// Environment variables that a child gets in addition to its parent's.
pub type Environment = Vec<(String, OsString)>;

/// Processes by key. The descriptor is readable when a process has exited, so that one `poll` waits for exits and
/// sockets.
#[derive(Debug)]
pub struct WatchedProcesses<Key> {
    epoll: OwnedFd,
    watched: HashMap<u64, Watched<Key>>,
    last: u64,
    withheld: Vec<String>,
}

/// Why a program was not started.
#[derive(Debug, thiserror::Error)]
#[error("{program}: {error}")]
struct SpawnError {
    program: String,
    #[source]
    error: io::Error,
}

#[derive(Debug)]
struct Watched<Key> {
    key: Key,
    /// `None` for a process that another process started: only the parent learns the exit status.
    child: Option<Child>,
    /// How the child exited, if it was reaped together with orphans.
    reaped: Option<Ending>,
    pidfd: OwnedFd,
}

impl<Key: Clone + Eq + Hash> WatchedProcesses<Key> {
    /// Return a set without processes.
    ///
    /// # Errors
    /// When the operating system has no descriptors left.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, watched: HashMap::new(), last: 0, withheld: Vec::new() })
    }

    /// Withhold environment variables of this process from those that are started from now on; also its own cycle, if a worker started it, and
    /// the variables by which it reports to systemd.
    pub fn withhold(&mut self, variables: &[String]) {
        let own = [CYCLE, "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"].map(str::to_owned);
        self.withheld = variables.iter().cloned().chain(own).collect();
    }

    /// Start a process with these additional environment variables, in its own process group, so that Ctrl-C in
    /// the terminal does not reach it. It inherits standard output and standard error; its standard input is empty. Return its
    /// process number.
    ///
    /// # Errors
    /// When the program cannot be started; the text names it.
    pub fn start(
        &mut self,
        key: Key,
        argv: &[impl AsRef<OsStr>],
        environment: &[(String, OsString)],
    ) -> io::Result<Pid> {
        self.start_in(None, key, argv, environment, (Stdio::inherit(), Stdio::inherit()))
    }

    /// Start a process in this working folder, with its own standard output and standard error; return its process number.
    ///
    /// # Errors
    /// When the program cannot be started; the text names it.
    pub fn start_in(
        &mut self,
        folder: Option<&str>,
        key: Key,
        argv: &[impl AsRef<OsStr>],
        environment: &[(String, OsString)],
        (output, errors): (Stdio, Stdio),
    ) -> io::Result<Pid> {
        let (program, args) = argv
            .split_first()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "an empty command"))?;
        let program = program.as_ref();
        // Reserve a descriptor for the pidfd that watches it.
        let spare = self.epoll.try_clone()?;
        let mut command = Command::new(program);
        self.withheld.iter().for_each(|name| _ = command.env_remove(name));
        if let Some(folder) = folder {
            command.current_dir(folder);
        }
        let mut child = command
            .args(args)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(|error| {
                let program = program.to_string_lossy().into_owned();
                io::Error::new(error.kind(), SpawnError { program, error })
            })?;
        drop(spare);
        match pid(&child).and_then(|pid| Ok((pid, self.add(pid)?))) {
            Ok((pid, pidfd)) => {
                self.watched.insert(self.last, Watched { key, child: Some(child), reaped: None, pidfd });
                Ok(pid)
            }
            Err(error) => {
                // A process whose exit cannot be seen must not continue.
                child.kill()?;
                child.wait()?;
                // Its program has begun, so this must not look like a start that can be repeated.
                Err(io::Error::other(format!(
                    "its process was killed, since its exit cannot be seen: {error}"
                )))
            }
        }
    }

    /// Watch a process that this one did not start; it will end as [`Ending::Unknown`]. `is_right` checks that
    /// the number still belongs to the intended process; it is called when the number can no longer be reused.
    /// Return whether the process is watched.
    ///
    /// # Errors
    /// When the operating system has no descriptors left, or that of `is_right`.
    pub fn watch(
        &mut self,
        key: Key,
        pid: Pid,
        is_right: impl FnOnce() -> io::Result<bool>,
    ) -> io::Result<bool> {
        let pidfd = match self.add(pid) {
            // Exited and reaped.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {
                return Ok(false);
            }
            result => result?,
        };
        let is_right = is_right();
        if matches!(is_right, Ok(true)) {
            self.watched.insert(self.last, Watched { key, child: None, reaped: None, pidfd });
        } else {
            epoll::delete(&self.epoll, &pidfd)?;
        }
        is_right
    }

    /// Open a descriptor for a process and add it to epoll under a new number, `self.last`.
    fn add(&mut self, pid: Pid) -> io::Result<OwnedFd> {
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        let number = epoll::EventData::new_u64(self.last + 1);
        epoll::add(&self.epoll, &pidfd, number, epoll::EventFlags::IN)?;
        self.last += 1;
        Ok(pidfd)
    }

    /// Reap the processes that have exited; return how each ended. Orphans that this process has inherited are reaped, too, so
    /// a process has one such set at most.
    ///
    /// # Errors
    /// When the operating system cannot report the exits.
    pub fn reap(&mut self) -> io::Result<Vec<(Key, Ending)>> {
        orphans::reap(|pid, status| self.note_exit(pid, status));
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
                let Some(Watched { key, child, reaped, pidfd }) = self.watched.remove(&event.data.u64())
                else {
                    continue;
                };
                // Removed before it is closed, since the number of a closed descriptor may be reused. An error
                // means that it is removed already.
                let _ = epoll::delete(&self.epoll, &pidfd);
                // Another part of this process may have reaped it: then only the exit status is unknown.
                let exit = || child.and_then(|mut child| child.wait().ok()).map(ending);
                ended.push((key, reaped.or_else(exit).unwrap_or(Ending::Unknown)));
            }
        }
    }

    /// Note how a child exited that was reaped together with orphans.
    fn note_exit(&mut self, pid: Pid, status: ExitStatus) {
        // The number of a child that was reaped before may belong to a new one.
        let is_it = |watched: &&mut Watched<Key>| {
            watched.reaped.is_none()
                && watched.child.as_ref().is_some_and(|child| Pid::from_child(child) == pid)
        };
        if let Some(watched) = self.watched.values_mut().find(is_it) {
            watched.reaped = Some(ending(status));
        }
    }

    /// Send a signal to a process. A process that has exited already is not an error.
    pub fn signal(&self, key: &Key, signal: Signal) {
        for watched in self.watched.values().filter(|watched| watched.key == *key) {
            let _ = pidfd_send_signal(&watched.pidfd, signal);
        }
    }

    /// Whether a process with that key is running.
    #[must_use]
    pub fn contains(&self, key: &Key) -> bool {
        self.watched.values().any(|watched| watched.key == *key)
    }
}

impl<Key> AsFd for WatchedProcesses<Key> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

impl<Key> AsRawFd for WatchedProcesses<Key> {
    fn as_raw_fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }
}

fn pid(child: &Child) -> io::Result<Pid> {
    i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::Error::other("the operating system returned an invalid process number"))
}
