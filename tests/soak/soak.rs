//! [`Soak`]: what the threads share, and the run from start to end.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use nowcast::config::Zmq;
use nowcast::store::History;
use nowcast::worker::client::Client;

use crate::faults::{self, clock};
use crate::figures::Figures;
use crate::ledger::Ledger;
use crate::meter::Meter;
use crate::settings::{Fault, Settings};
use crate::support::random::Random;
use crate::support::system::System;
use crate::support::wait::wait_within;
use crate::{drivers, operators, rest, scene, verdict, victims};

/// The deadline of each wait. Nothing may wait longer, whatever was stopped or full before.
pub const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// The most letters of a problem that are printed.
const LONGEST_PROBLEM: usize = 5_000;

/// How many threads give operators' commands.
const OPERATORS: u64 = 3;

/// What was done to the system.
#[derive(Debug, Default)]
pub struct Done {
    pub kills: AtomicU64,
    pub reloads: AtomicU64,
    pub commands: AtomicU64,
    /// How many faults of each kind.
    pub faults: Mutex<BTreeMap<Fault, u64>>,
}

pub struct Soak {
    pub settings: Settings,
    pub system: RwLock<System>,
    /// Declared after the system, so that it is unmounted after the daemons have ended.
    #[cfg(feature = "system-tests")]
    pub disk: Option<crate::support::disk::Disk>,
    pub folder: PathBuf,
    pub ledger: Ledger,
    pub zmq: Zmq,
    pub clients: Mutex<Vec<Client>>,
    pub begin: Instant,
    pub meter: Meter,
    pub done: Done,
    /// When the scheduler was started.
    pub scheduled_since: jiff::Timestamp,
    stop: AtomicBool,
    burst: AtomicBool,
    problems: Mutex<Vec<String>>,
}

impl Soak {
    /// Start the system: broker, manager, scheduler.
    pub fn start(settings: Settings) -> Self {
        println!("{:?}, faults {:?}", settings.duration, settings.faults);
        let mut system = scene::prepare();
        #[cfg(feature = "system-tests")]
        let disk = faults::disk::mount(&settings, &system);
        std::fs::create_dir_all(system.path("disk")).expect("a folder");
        clock::prepare(&settings, &mut system);
        let zmq = Zmq {
            host: "localhost".to_owned(),
            workers_port: system.workers_port,
            curve: None,
            message_size: 64_000_000,
            manager_port: system.manager_port,
            bind: None,
        };
        let clients = drivers::connect(&zmq);
        // As each client, the system's own context has descriptors that the daemons inherit.
        drop(system.connect());
        system.start_broker();
        system.start_manager(&[]);
        let scheduled_since = jiff::Timestamp::now();
        system.start_scheduler(&[]);
        Self {
            settings,
            folder: system.path("").canonicalize().expect("the folder"),
            ledger: Ledger::open(&system.path("ledger")),
            system: RwLock::new(system),
            #[cfg(feature = "system-tests")]
            disk,
            zmq,
            clients: Mutex::new(clients),
            begin: Instant::now(),
            meter: Meter::default(),
            done: Done::default(),
            scheduled_since,
            stop: AtomicBool::new(false),
            burst: AtomicBool::new(false),
            problems: Mutex::default(),
        }
    }

    /// Load and faults for the whole duration, then rest, then the verdict.
    pub fn run(self) {
        self.load();
        let figures = Figures::of(&self);
        println!("{figures}{:?}", self.done.faults.lock().expect("no thread panics with it"));
        let mut scheduled_until = jiff::Timestamp::now();
        self.guard("the rest", || scheduled_until = rest::come_to_rest(&self));
        clock::remove_leftovers();
        for problem in verdict::problems(&self, scheduled_until).into_iter().chain(figures.problems()) {
            self.problem(&problem);
        }
        self.report();
    }

    /// Run all threads until the duration is over, or a problem is found.
    fn load(&self) {
        thread::scope(|scope| {
            scope.spawn(|| self.guard("the meter", || self.meter.run(self)));
            for operator in 0..OPERATORS {
                scope.spawn(move || self.guard("an operator", || operators::run(self, operator)));
            }
            drivers::start(self, scope);
            scope.spawn(|| self.guard("the killer of runs", || victims::run(self)));
            self.guard("the faults", || faults::run(self));
            self.stop();
        });
    }

    pub fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        std::fs::write(self.folder.join("stop"), "").expect("written");
    }

    /// Whether the clients send without a pause.
    pub fn is_burst(&self) -> bool {
        self.burst.load(Ordering::Relaxed) && self.goes_on()
    }

    /// Do something while the clients send without a pause: what is killed then has work in progress.
    pub fn in_burst(&self, work: impl FnOnce()) {
        self.burst.store(true, Ordering::Relaxed);
        work();
        self.burst.store(false, Ordering::Relaxed);
    }

    /// How much of the duration is over, from 0 to 1.
    pub fn progress(&self) -> f64 {
        self.begin.elapsed().as_secs_f64() / self.settings.duration.as_secs_f64()
    }

    /// Return random numbers for a thread.
    pub fn random(&self, thread: u64) -> Random {
        Random::of(self.settings.seed, thread)
    }

    /// Note a violation. The soak ends.
    pub fn problem(&self, text: &str) {
        let text = text.chars().take(LONGEST_PROBLEM).collect();
        self.problems.lock().expect("no thread panics with it").push(text);
        self.stop();
    }

    /// Call a function; a panic of it is a problem.
    pub fn guard(&self, who: &str, work: impl FnOnce()) {
        if let Err(cause) = catch_unwind(AssertUnwindSafe(work)) {
            self.problem(&format!("{who}: {}", text_of(cause.as_ref())));
        }
    }

    /// Wait until some more messages are acknowledged.
    pub fn wait_for_acks(&self, count: u64) {
        let enough = self.ledger.counts().acks + count;
        wait_long("replies", || (self.ledger.counts().acks >= enough || !self.goes_on()).then_some(()));
    }

    pub fn history(&self) -> Option<History> {
        History::open(&self.folder.join("disk/journal")).ok()
    }

    /// Panic if there is a problem: with the seed, what differs from the ledger, and what the daemons wrote. The whole folder
    /// is kept beside other files of the tests.
    fn report(&self) {
        let problems = self.problems.lock().expect("no thread panics with it");
        if problems.is_empty() {
            return;
        }
        let seed = self.settings.seed;
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("soak-{seed}"));
        let _ = Command::new("cp").arg("-a").arg(&self.folder).arg(&kept).status();
        let description = self.system.read().map_or_else(|_| String::new(), |system| system.describe());
        let (count, problems) = (problems.len(), problems.join("\n"));
        panic!(
            "{description}\n{count} problems with SEED={seed}; the folder is kept as {}:\n{problems}",
            kept.display()
        );
    }
}

/// Wait for a condition for as long as anything may take.
pub fn wait_long<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    wait_within(LONGEST_WAIT, what, ask, String::new)
}

fn text_of(cause: &(dyn Any + Send)) -> String {
    let text = cause.downcast_ref::<String>().cloned();
    text.or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
