//! [`UnendedMessages`]: bounds what messages that are begun and not ended take. `libzmq` keeps a message until its last frame has come, outside
//! of all limits, and does not tell of it.
//!
//! So the operating system is asked how much each connection has received. What a connection has received since its latest message came out
//! belongs to one that is not ended. That is asked only while this process has more memory than its requests explain; at other times
//! this module costs nothing but a look at that memory. It never ends a connection for what its complete messages take.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use crate::net::disconnect::disconnect;
use crate::net::rare_line::RareLine;
use crate::net::received_bytes::{Inode, received_bytes};
use pylogging::{Level, Logger};

/// The interval between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// The looks at memory.
pub(super) struct UnendedMessages {
    port: u16,
    looked: Instant,
    /// While there is too much memory: what each connection had received when its latest message came out.
    watched: Option<HashMap<Inode, u64>>,
    /// The descriptors of the connections from which a message came out since the last look.
    delivered: HashSet<i32>,
    ended: RareLine,
    log: Logger,
    is_unknown_logged: bool,
}

impl UnendedMessages {
    pub(super) fn new(port: u16, log: Logger) -> Self {
        Self {
            port,
            looked: Instant::now(),
            watched: None,
            delivered: HashSet::new(),
            ended: RareLine::new(Level::ERROR, log.clone()),
            log,
            is_unknown_logged: false,
        }
    }

    /// Return when the next look is due.
    pub(super) fn due(&self) -> Instant {
        self.looked + INTERVAL
    }

    /// Whether [`Self::note_message`] is to be called for each message.
    pub(super) fn is_watching(&self) -> bool {
        self.watched.is_some()
    }

    /// Note that a message came from the connection with this descriptor.
    pub(super) fn note_message(&mut self, descriptor: i32) {
        self.delivered.insert(descriptor);
    }

    /// Look. `explained` is the memory of complete requests in bytes; unended messages may take `limit` bytes in all. The
    /// connections with the largest ones are ended until they do.
    pub(super) fn look(&mut self, explained: usize, limit: usize) {
        self.looked = Instant::now();
        if resident_bytes().is_none_or(|resident| resident < explained.saturating_add(limit / 2)) {
            (self.watched, self.delivered) = (None, HashSet::new());
            return;
        }
        let received = match received_bytes(self.port) {
            Ok(received) => received,
            Err(error) => {
                if !std::mem::replace(&mut self.is_unknown_logged, true) {
                    self.log.warning(format_args!(
                        "messages without an end cannot be noticed, so they could take all memory: {error}"
                    ));
                }
                return;
            }
        };
        let delivered: HashSet<Inode> =
            self.delivered.drain().filter_map(|descriptor| inode_of(&descriptor.to_string())).collect();
        let Some(watched) = &mut self.watched else {
            // What came before belongs to messages that came out, or takes no more than was noticed now.
            self.watched = Some(received);
            return;
        };
        watched.retain(|inode, _| received.contains_key(inode));
        let mut unended: Vec<(u64, Inode)> = Vec::new();
        for (inode, received) in received {
            let known = watched.entry(inode).or_default();
            if delivered.contains(&inode) {
                *known = received;
            }
            unended.push((received.saturating_sub(*known), inode));
        }
        self.end_largest(unended, limit as u64);
    }

    fn end_largest(&mut self, unended: Vec<(u64, Inode)>, limit: u64) {
        let mut to_end = HashSet::new();
        for (size, inode) in largest_above(unended, limit) {
            to_end.insert(inode);
            self.ended.note(&format!(
                "a connection was ended that had sent {size} bytes of a message without its end: such messages may have the bytes of \
                 `security: limits: waiting size:` in all"
            ));
        }
        if to_end.is_empty() {
            return;
        }
        for entry in fs::read_dir("/proc/self/fd").into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if inode_of(&name).is_some_and(|inode| to_end.contains(&inode))
                && let Ok(descriptor) = name.parse()
            {
                disconnect(descriptor, self.port);
            }
        }
    }
}

/// Return the largest messages, as few as possible, without which the others have at most `limit` bytes.
fn largest_above(mut unended: Vec<(u64, Inode)>, limit: u64) -> Vec<(u64, Inode)> {
    unended.sort_unstable();
    let mut sum: u64 = unended.iter().map(|(size, _)| size).sum();
    let mut largest = Vec::new();
    while sum > limit
        && let Some(message) = unended.pop()
    {
        sum -= message.0;
        largest.push(message);
    }
    largest
}

/// Return the inode of a descriptor of this process.
fn inode_of(descriptor: &str) -> Option<Inode> {
    fs::metadata(format!("/proc/self/fd/{descriptor}")).ok()?.ino().try_into().ok()
}

/// Return the memory of this process in bytes.
fn resident_bytes() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: usize = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes.saturating_mul(1_024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_messages_are_ended_until_the_others_are_within_the_limit() {
        let unended = vec![(5, 1), (9, 2), (3, 3)];
        let ended = |limit| largest_above(unended.clone(), limit);
        assert_eq!(ended(17), []);
        assert_eq!(ended(16), [(9, 2)]);
        assert_eq!(ended(8), [(9, 2)]);
        assert_eq!(ended(7), [(9, 2), (5, 1)]);
        assert_eq!(ended(0), [(9, 2), (5, 1), (3, 3)]);
    }
}
