//! Samples of memory and descriptors of broker and manager, and latencies of replies in quiet times.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::pace::pace;
use crate::soak::Soak;

/// Milliseconds between two samples.
const INTERVAL: u64 = 250;

/// What is counted from the start on.
pub const COUNTED: [&str; 5] = ["messages", "launches", "kills", "reloads", "commands"];

/// The daemons whose memory and descriptors are sampled.
pub const MEASURED: [&str; 2] = ["broker", "manager"];

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
    pub counts: [u64; COUNTED.len()],
    /// `None` for a daemon that is being replaced.
    pub usages: [Option<Usage>; MEASURED.len()],
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
            let lines = soak.ledger.counts();
            let done = [&soak.done.kills, &soak.done.reloads, &soak.done.commands];
            let [kills, reloads, commands] = done.map(|count| count.load(Ordering::Relaxed));
            let sample = Sample {
                at: soak.begin.elapsed(),
                counts: [lines.acks, lines.starts, kills, reloads, commands],
                usages: MEASURED.map(|name| Usage::of(soak.number_of(name))),
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
