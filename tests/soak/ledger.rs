//! The ledger: a file that drivers, workers and faults append lines to, each by one write. The product never reads it.
//!
//! | line | written |
//! |---|---|
//! | `sent MESSAGE SOURCE SLOT LAUNCHES` | before a message is sent; launches as `worker/token,…` |
//! | `ack MESSAGE` | after its reply |
//! | `refused MESSAGE …` | after another reply |
//! | `done MESSAGE` | by a program under `exec:`, which has no reply to see |
//! | `gone MESSAGE` | when a plain worker has waited in vain |
//! | `start WORKER TOKEN RUN` | by a worker, first of all |
//! | `excuse TOKEN WHY` | before a process of that run is killed |
//! | `broken` · `repaired` | before rules with an error are saved, and after others are |
//! | `broker` | before and after the broker is replaced |
//!
//! A token names a launch, and the message of the worker that is launched.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// What stands for the launches of a message that has none.
pub const NO_LAUNCHES: &str = "-";

/// Why a run is excused if the operator stopped it: then it is not retried.
pub const BY_OPERATOR: &str = "operator";

pub struct Ledger {
    path: PathBuf,
    file: File,
    tail: Mutex<Tail>,
}

/// What was counted so far.
struct Tail {
    file: File,
    incomplete: Vec<u8>,
    counts: Counts,
}

/// How many lines of a kind there are.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub acks: u64,
    pub starts: u64,
}

impl Ledger {
    pub fn open(path: &Path) -> Self {
        let file = File::options().append(true).open(path).expect("the ledger");
        let tail = File::open(path).expect("the ledger");
        let tail = Tail { file: tail, incomplete: Vec::new(), counts: Counts::default() };
        Self { path: path.to_owned(), file, tail: Mutex::new(tail) }
    }

    pub fn append(&self, line: &str) {
        (&self.file).write_all(format!("{line}\n").as_bytes()).expect("a line in the ledger");
    }

    /// Return the current counts.
    pub fn counts(&self) -> Counts {
        self.tail.lock().expect("no thread panics with it").read()
    }

    pub fn entries(&self) -> Entries {
        Entries::of(&fs::read_to_string(&self.path).expect("the ledger"))
    }
}

impl Tail {
    fn read(&mut self) -> Counts {
        let mut bytes = std::mem::take(&mut self.incomplete);
        self.file.read_to_end(&mut bytes).expect("the ledger");
        let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.incomplete = bytes.split_off(complete);
        for line in bytes.split(|byte| *byte == b'\n') {
            self.counts.acks += u64::from(line.starts_with(b"ack ") || line.starts_with(b"done "));
            self.counts.starts += u64::from(line.starts_with(b"start "));
        }
        self.counts
    }
}

/// A message of the ledger. Moments are the numbers of lines.
#[derive(Debug, Clone)]
pub struct SentMessage {
    pub source: String,
    pub slot: String,
    /// Worker and token of each launch.
    pub launches: Vec<(String, String)>,
    pub sent: usize,
    pub acknowledged: Option<usize>,
    pub is_done: bool,
    pub gone: Option<usize>,
}

/// The start of a worker.
#[derive(Debug, Clone)]
pub struct Start {
    pub worker: String,
    pub token: String,
    pub run: u64,
}

/// The content of the ledger.
#[derive(Debug, Default)]
pub struct Entries {
    pub messages: BTreeMap<String, SentMessage>,
    pub starts: Vec<Start>,
    /// Why the runs of a token are excused.
    pub excuses: BTreeMap<String, Vec<String>>,
    /// From when to when a rule was broken.
    pub broken: Vec<(usize, usize)>,
    pub broker: Vec<usize>,
    /// What no line may say.
    pub problems: Vec<String>,
}

impl Entries {
    pub fn of(text: &str) -> Self {
        let mut entries = Self::default();
        for (moment, line) in text.lines().enumerate() {
            if entries.add(moment, line).is_none() {
                entries.problems.push(format!("line {moment} of the ledger: {line}"));
            }
        }
        entries
    }

    /// Add a line; `None` if it is not one that should be there.
    fn add(&mut self, moment: usize, line: &str) -> Option<()> {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["sent", message, source, slot, launches] => {
                let launch = |launch: &str| {
                    launch.split_once('/').map(|(worker, token)| (worker.to_owned(), token.to_owned()))
                };
                let sent = SentMessage {
                    source: source.to_owned(),
                    slot: slot.to_owned(),
                    launches: launches
                        .split(',')
                        .filter(|text| *text != NO_LAUNCHES)
                        .map(launch)
                        .collect::<Option<_>>()?,
                    sent: moment,
                    acknowledged: None,
                    is_done: false,
                    gone: None,
                };
                self.messages.insert(message.to_owned(), sent);
            }
            ["ack", message] => self.messages.get_mut(message)?.acknowledged = Some(moment),
            ["done", message] => self.messages.get_mut(message)?.is_done = true,
            ["gone", message] => self.messages.get_mut(message)?.gone = Some(moment),
            ["start", worker, token, run] => {
                let (worker, token) = (worker.to_owned(), token.to_owned());
                self.starts.push(Start { worker, token, run: run.parse().ok()? });
            }
            ["excuse", token, why] => self.excuses.entry(token.to_owned()).or_default().push(why.to_owned()),
            ["broken"] => self.broken.push((moment, usize::MAX)),
            ["repaired"] => self.broken.last_mut()?.1 = moment,
            ["broker"] => self.broker.push(moment),
            // A refusal is a problem, too.
            _ => return None,
        }
        Some(())
    }
}
