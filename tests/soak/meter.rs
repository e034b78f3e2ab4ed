//! Samples of memory and descriptors of broker and manager, and latencies of replies in quiet times.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::ledger::Counts;
use crate::pace::pace;
use crate::soak::Soak;

/// Milliseconds between two samples.
const INTERVAL: u64 = 250;

#[derive(Debug, Default)]
pub struct Meter {
    samples: Mutex<Vec<Sample>>,
    /// From when to when a client waited for a reply.
    replies: Mutex<Vec<(Instant, Instant)>>,
    /// The times without a fault.
    quiet: Mutex<Vec<(Instant, Instant)>>,
    quiet_since: Mutex<Option<Instant>>,
}

/// The state at one moment.
#[derive(Debug, Clone)]
pub struct Sample {
    pub at: Duration,
    pub counts: Counts,
    pub kills: u64,
    pub reloads: u64,
    pub commands: u64,
    /// `None` while it is replaced.
    pub broker: Option<Usage>,
    pub manager: Option<Usage>,
}

/// What a process uses.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Memory of its own, without the pages of files: `RssAnon` of proc(5).
    pub kilobytes: u64,
    pub descriptors: u64,
}

impl Usage {
    fn of(process: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let memory = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
        let kilobytes = memory.trim().strip_suffix(" kB")?.parse().ok()?;
        let descriptors = fs::read_dir(format!("/proc/{process}/fd")).ok()?.count() as u64;
        Some(Self { kilobytes, descriptors })
    }
}

impl Meter {
    pub fn run(&self, soak: &Soak) {
        while soak.goes_on() {
            let sample = Sample {
                at: soak.begin.elapsed(),
                counts: soak.ledger.counts(),
                kills: soak.done.kills.load(Ordering::Relaxed),
                reloads: soak.done.reloads.load(Ordering::Relaxed),
                commands: soak.done.commands.load(Ordering::Relaxed),
                broker: Usage::of(soak.number_of("broker")),
                manager: Usage::of(soak.number_of("manager")),
            };
            self.samples.lock().expect("no thread panics with it").push(sample);
            pace(INTERVAL);
        }
    }

    /// Note that a client has got its reply.
    pub fn note_latency(&self, sent: Instant) {
        self.replies.lock().expect("no thread panics with it").push((sent, Instant::now()));
    }

    pub fn quiet_begins(&self) {
        *self.quiet_since.lock().expect("no thread panics with it") = Some(Instant::now());
    }

    pub fn quiet_ends(&self) {
        let since = self.quiet_since.lock().expect("no thread panics with it").take();
        let quiet = since.map(|since| (since, Instant::now()));
        self.quiet.lock().expect("no thread panics with it").extend(quiet);
    }

    pub fn samples(&self) -> Vec<Sample> {
        self.samples.lock().expect("no thread panics with it").clone()
    }

    /// Return when each message was sent whose reply came in the same quiet time, and how long that took.
    pub fn quiet_latencies(&self) -> Vec<(Instant, Duration)> {
        let quiet = self.quiet.lock().expect("no thread panics with it");
        let is_quiet = |(sent, replied): &(Instant, Instant)| {
            // Quiet times are in order: the last that begins before the message is sent.
            let at = quiet.partition_point(|(begin, _)| begin <= sent);
            at > 0 && quiet[at - 1].1 >= *replied
        };
        let replies = self.replies.lock().expect("no thread panics with it");
        replies.iter().copied().filter(is_quiet).map(|(sent, replied)| (sent, replied - sent)).collect()
    }
}
