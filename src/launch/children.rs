//! Processes that were started here: each is reaped as soon as it ends.

use std::collections::HashMap;
use std::ffi::OsString;
use std::hash::Hash;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::event::epoll;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::core::Ending;

/// Environment variables that a child gets beside its parent's.
pub type Environment = Vec<(String, OsString)>;

/// The children of this process, by whatever names them. Its descriptor is readable when one has
/// ended, so that a loop can wait for that beside its sockets.
#[derive(Debug)]
pub struct Children<Key> {
    epoll: OwnedFd,
    children: HashMap<u64, (Key, Child, OwnedFd)>,
    last: u64,
}

impl<Key: Clone + Eq + Hash> Children<Key> {
    /// No children yet.
    ///
    /// # Errors
    /// When the operating system has no descriptors left.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, children: HashMap::new(), last: 0 })
    }

    /// Starts a process with these environment variables beside our own, in a process group of its own, so
    /// that a Ctrl-C in the terminal does not reach it. It writes to where this process writes, and reads
    /// nothing.
    ///
    /// # Errors
    /// When the program cannot be started; the text names it.
    pub fn start(&mut self, key: Key, argv: &[String], environment: &[(String, OsString)]) -> io::Result<()> {
        let (program, args) = argv
            .split_first()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "an empty command"))?;
        let child = Command::new(program)
            .args(args)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
        self.watch(key, child)
    }

    fn watch(&mut self, key: Key, mut child: Child) -> io::Result<()> {
        let watched = pid(&child)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).map_err(io::Error::from))
            .and_then(|pidfd| {
                let number = epoll::EventData::new_u64(self.last + 1);
                epoll::add(&self.epoll, &pidfd, number, epoll::EventFlags::IN)?;
                Ok(pidfd)
            });
        match watched {
            Ok(pidfd) => {
                self.last += 1;
                self.children.insert(self.last, (key, child, pidfd));
                Ok(())
            }
            Err(error) => {
                // A process whose end nobody would see must not go on.
                child.kill()?;
                child.wait()?;
                Err(error)
            }
        }
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
                let Some((key, mut child, pidfd)) = self.children.remove(&event.data.u64()) else { continue };
                // Taken out before it is closed: a closed descriptor's number may be given away. One that
                // is out already is as well.
                let _ = epoll::delete(&self.epoll, &pidfd);
                // Somebody else may have reaped it: the end is known, if not how.
                ended.push((key, child.wait().map_or(Ending::Unknown, ending)));
            }
        }
    }

    /// Sends a signal to a child; one that has ended already is no error.
    pub fn signal(&self, key: &Key, signal: Signal) {
        for (_, child, _) in self.children.values().filter(|(name, _, _)| name == key) {
            if let Ok(pid) = pid(child) {
                // Not reaped yet, so the number is still that child's.
                let _ = kill_process(pid, signal);
            }
        }
    }

    /// Whether a child of that name runs.
    #[must_use]
    pub fn contains(&self, key: &Key) -> bool {
        self.children.values().any(|(name, _, _)| name == key)
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

fn ending(status: ExitStatus) -> Ending {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ending::Status(code),
        (None, signal) => Ending::Killed(signal.unwrap_or_default()),
    }
}
