//! [`Descriptors`]: the limit of open files, of which a reserve is kept for the manager.
//!
//! Each waiting worker holds a descriptor. Workers get the descriptors below the soft limit of the process, which is lower than the
//! hard limit. When the manager cannot connect, the soft limit is raised by one until it has connected. A worker may take that
//! descriptor first: then the limit is raised once more, and while workers have half of the reserve, none is admitted.
//! This module never closes a connection.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::error::BrokerError;
use crate::net::broker_state::Shortage;
use pylogging::Logger;

/// The number of descriptors that workers do not get. They are for managers that connect, and for files.
const RESERVE: u64 = 16;

/// The descriptors of the broker's own sockets and threads.
const OWN: u64 = 32;

/// With fewer descriptors for workers, the broker does not start.
const FEW_WORKERS: u64 = 4;

/// The reserve is at most a quarter of the hard limit.
const PART: u64 = 4;

/// The longest time for which the reserve is lent. A connection that waits is accepted within microseconds.
const LENT_TIME: Duration = Duration::from_millis(500);

/// The shortest time between two descriptors that are lent to the manager. Reports of earlier failures arrive in this time.
const LEND_INTERVAL: Duration = Duration::from_millis(20);

/// A shortage is over when no connection has failed for this long. While it lasts, connections fail all the time.
const CALM_TIME: Duration = Duration::from_secs(1);

/// The shortest time between two warnings.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// The limit of open files, and whether it is reached.
pub(super) struct Descriptors {
    /// The limits for all and for workers; `None` is unlimited.
    hard: Option<u64>,
    soft: Option<u64>,
    lent_at: Option<Instant>,
    current: Option<CurrentShortage>,
    warned: Option<Instant>,
    log: Logger,
}

struct CurrentShortage {
    shortage: Shortage,
    last: Instant,
    is_logged: bool,
}

impl Descriptors {
    /// Raise the limit of open files to the hard limit, without the reserve. The usual soft limit of 1,024 protects programs that
    /// use `select`. If raising it fails, fewer workers can wait.
    pub(super) fn raise_limit(log: Logger) -> Self {
        let limit = getrlimit(Resource::Nofile);
        let soft = limit.maximum.map(|hard| hard - RESERVE.min(hard / PART));
        let mut descriptors =
            Self { hard: limit.maximum, soft, lent_at: None, current: None, warned: None, log };
        if let Err(error) = set(soft) {
            descriptors.log.warning(format_args!("the limit of open files cannot be raised: {error}"));
            (descriptors.hard, descriptors.soft) = (limit.current, limit.current);
        }
        if let (Some(hard), Some(soft)) = (descriptors.hard, descriptors.soft) {
            let reserve = hard - soft;
            descriptors
                .log
                .info(format_args!("limit of open files: {hard}, {reserve} reserved for the manager"));
        }
        descriptors
    }

    /// Check before the ports are bound that there are enough descriptors for them and for some workers.
    pub(super) fn check(&self) -> Result<(), BrokerError> {
        let (Some(limit), Some(soft)) = (self.hard, self.soft) else { return Ok(()) };
        // Reading the folder takes one.
        let open = fs::read_dir("/proc/self/fd").map_or(soft, |open| (open.count() as u64).saturating_sub(1));
        let needed = open + OWN + FEW_WORKERS;
        if soft < needed {
            return Err(BrokerError::FewFiles { limit, needed: needed + RESERVE });
        }
        Ok(())
    }

    /// Whether another worker may keep its descriptor: not if workers have half of the reserve.
    pub(super) fn has_room(&self) -> bool {
        let (Some(hard), Some(soft)) = (self.hard, self.soft) else { return true };
        if self.current.is_none() {
            return true;
        }
        let used = (soft..hard).filter(|number| is_open(*number)).count();
        u64::try_from(used).is_ok_and(|used| used <= (hard - soft) / 2)
    }

    /// Lend some of the reserve for a while, if there is a shortage.
    pub(super) fn lend(&mut self, count: u64) {
        let (Some(hard), Some(soft), Some(_)) = (self.hard, self.soft, &self.current) else { return };
        // The operating system gives the lowest free number below the limit.
        let free = (soft..hard).find(|number| !is_open(*number)).unwrap_or(hard);
        if set(Some(free.saturating_add(count).min(hard))).is_ok() {
            self.lent_at = Some(Instant::now());
        }
    }

    /// Lend one descriptor to the manager, which could not connect. Return false if one was lent a moment ago.
    pub(super) fn lend_to_manager(&mut self) -> bool {
        if self.lent_at.is_some_and(|lent| lent.elapsed() < LEND_INTERVAL) {
            return false;
        }
        self.lend(1);
        true
    }

    /// Take the reserve back.
    pub(super) fn take_back(&mut self) {
        if self.lent_at.take().is_some() {
            let _ = set(self.soft);
        }
    }

    /// Note that a connection could not be accepted, with so many workers connected.
    pub(super) fn note_shortage(&mut self, error: i32, workers: usize) {
        let now = Instant::now();
        if let Some(current) = &mut self.current {
            current.last = now;
            return;
        }
        let is_limit = error == Errno::MFILE.raw_os_error();
        let what = match self.hard.filter(|_| is_limit) {
            Some(hard) => format!("the limit of {hard} open files is reached"),
            None => {
                format!("the system has no room for a connection ({})", io::Error::from_raw_os_error(error))
            }
        };
        let reason = format!(
            "{what} with {workers} workers connected; other workers wait until some of these have their replies"
        );
        let is_logged = self.warned.is_none_or(|warned| now.duration_since(warned) >= WARNING_INTERVAL);
        if is_logged {
            self.warned = Some(now);
            let help = if is_limit {
                ". The manager can connect. If it works, raise the broker's hard limit: LimitNOFILE= of systemd, minfds= of \
                 Supervisor, ulimit -Hn"
            } else {
                ""
            };
            self.log.warning(format_args!("{reason}{help}"));
        }
        let shortage = Shortage { since: Timestamp::now(), reason };
        self.current = Some(CurrentShortage { shortage, last: now, is_logged });
    }

    /// End what lasts for a limited time.
    pub(super) fn expire(&mut self) {
        let now = Instant::now();
        if self.lent_at.is_some_and(|lent| lent + LENT_TIME <= now) {
            self.take_back();
        }
        if let Some(current) = self.current.take_if(|current| current.last + CALM_TIME <= now)
            && current.is_logged
        {
            self.log.warning("connections of workers are accepted again");
        }
    }

    /// Return when [`Self::expire`] has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        let over = self.current.as_ref().map(|current| current.last + CALM_TIME);
        self.lent_at.map(|lent| lent + LENT_TIME).into_iter().chain(over).min()
    }

    /// Return the current shortage.
    pub(super) fn shortage(&self) -> Option<&Shortage> {
        self.current.as_ref().map(|current| &current.shortage)
    }
}

/// Whether a descriptor is open. Looking at its link takes none.
fn is_open(number: u64) -> bool {
    fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok()
}

fn set(current: Option<u64>) -> io::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current, maximum })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_gets_one_descriptor_in_each_interval() {
        let log = Logger::new("broker");
        let mut descriptors =
            Descriptors { hard: None, soft: None, lent_at: None, current: None, warned: None, log };
        assert!(descriptors.lend_to_manager());
        // In the future, so that it is within the interval however long this test is interrupted.
        descriptors.lent_at = Some(Instant::now() + LEND_INTERVAL);
        assert!(!descriptors.lend_to_manager());
        descriptors.lent_at = Instant::now().checked_sub(LEND_INTERVAL);
        assert!(descriptors.lend_to_manager());
    }
}
