//! [`OutputCopy`]: copies a run's `output.log` to the standard output of its runner, so that `nowcast up` shows it. Best
//! effort: the file is complete.
//!
//! Only whole lines are copied, since the manager and other workers write to the same output.
//!
//! It never delays the runner: a reader that blocks stops only the thread of the copy.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;

/// The timeout of the last copy while no byte is written.
const STALL_TIMEOUT: Duration = Duration::from_secs(2);

/// The interval of checks of the file when the operating system has no inotify instance left.
const CHECK_INTERVAL: Timespec = Timespec { tv_sec: 0, tv_nsec: 250_000_000 };

/// A copy that is running.
#[derive(Debug)]
pub struct OutputCopy {
    file: Arc<File>,
    copied: Arc<AtomicU64>,
    /// The copy stops at this byte.
    limit: Arc<AtomicU64>,
    /// Closed to wake the thread when the limit is set.
    wake: PipeWriter,
    /// Closed when the thread has ended.
    ended: Receiver<()>,
}

impl OutputCopy {
    /// Start to copy the file at `path` to `to`, from this byte on.
    ///
    /// # Errors
    /// When the file cannot be read or the operating system has no descriptors left.
    pub fn start(path: &Path, begin: u64, to: OwnedFd) -> io::Result<Self> {
        let file = Arc::new(File::open(path)?);
        let (woken, wake) = io::pipe()?;
        let (sender, ended) = mpsc::channel();
        let copied = Arc::new(AtomicU64::new(begin));
        let limit = Arc::new(AtomicU64::new(u64::MAX));
        let mut thread = Copier {
            file: Arc::clone(&file),
            to: File::from(to),
            copied: Arc::clone(&copied),
            limit: Arc::clone(&limit),
            woken,
            changes: watch(path).ok(),
        };
        thread::Builder::new().name("output".to_owned()).spawn(move || {
            // The copy ends without its reader; the worker goes on.
            let _ = thread.run();
            drop(sender);
        })?;
        Ok(Self { file, copied, limit, wake, ended })
    }

    /// Copy the current content of the file and stop. Stop earlier if the reader blocks.
    pub fn finish(self) {
        let end = self.file.metadata().map_or(0, |metadata| metadata.len());
        self.limit.store(end, Ordering::SeqCst);
        drop(self.wake);
        let mut before = self.copied.load(Ordering::SeqCst);
        while self.ended.recv_timeout(STALL_TIMEOUT) == Err(RecvTimeoutError::Timeout) {
            let now = self.copied.load(Ordering::SeqCst);
            if now == before {
                return;
            }
            before = now;
        }
    }
}

fn watch(path: &Path) -> rustix::io::Result<OwnedFd> {
    let changes = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    inotify::add_watch(&changes, path, inotify::WatchFlags::MODIFY)?;
    Ok(changes)
}

struct Copier {
    file: Arc<File>,
    to: File,
    copied: Arc<AtomicU64>,
    limit: Arc<AtomicU64>,
    woken: PipeReader,
    changes: Option<OwnedFd>,
}

/// The longest line, in bytes, that is copied in one piece.
const LONGEST_LINE: usize = 16 * 1024;

/// Return how many bytes are copied now: up to the end of the last whole line. Copy all if nothing follows, or if the
/// line is too long to wait for its end.
fn ready(bytes: &[u8], is_last: bool) -> usize {
    match memchr::memrchr(b'\n', bytes) {
        _ if is_last => bytes.len(),
        Some(end) => end + 1,
        None if bytes.len() == LONGEST_LINE => bytes.len(),
        None => 0,
    }
}

impl Copier {
    fn run(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; LONGEST_LINE];
        let mut is_in_line = false;
        loop {
            // Read before the file, so that nothing written before the limit was set is missed.
            let limit = self.limit.load(Ordering::SeqCst);
            let at = self.copied.load(Ordering::SeqCst);
            let most = usize::try_from(limit.saturating_sub(at)).unwrap_or(usize::MAX).min(buffer.len());
            let count = self.file.read_at(&mut buffer[..most], at)?;
            let count = ready(&buffer[..count], limit < u64::MAX);
            if count > 0 {
                self.to.write_all(&buffer[..count])?;
                self.copied.fetch_add(count as u64, Ordering::SeqCst);
                is_in_line = buffer[count - 1] != b'\n';
            } else if limit < u64::MAX {
                // The next line of another writer must start on a new line.
                return if is_in_line { self.to.write_all(b"\n") } else { Ok(()) };
            } else {
                self.wait()?;
            }
        }
    }

    fn wait(&mut self) -> io::Result<()> {
        let mut waiting = vec![PollFd::new(&self.woken, PollFlags::IN)];
        waiting.extend(self.changes.as_ref().map(|changes| PollFd::new(changes, PollFlags::IN)));
        let timeout = if self.changes.is_some() { None } else { Some(&CHECK_INTERVAL) };
        match poll(&mut waiting, timeout) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(changes) = &self.changes {
            // The events need not be examined, only removed.
            let _ = rustix::io::read(changes.as_fd(), &mut [0; 4096]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_waits_for_its_end() {
        assert_eq!(ready(b"half", false), 0);
        assert_eq!(ready(b"one\ntwo\nhalf", false), 8);
        assert_eq!(ready(b"one\n", false), 4);
        assert_eq!(ready(b"", false), 0);
    }

    #[test]
    fn a_line_does_not_wait_when_nothing_follows_or_it_is_too_long() {
        assert_eq!(ready(b"one\nhalf", true), 8);
        assert_eq!(ready(&[b'x'; LONGEST_LINE], false), LONGEST_LINE);
    }
}
