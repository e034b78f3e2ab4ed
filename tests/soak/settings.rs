//! Duration, seed and faults of a soak, from the environment.

use std::time::Duration;

use crate::support::random::Random;

/// The duration without `NOWCAST_SOAK`: what every change has to pass.
const SHORT: Duration = Duration::from_secs(60);

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// `kill -9` and SIGTERM of daemons.
    Kill,
    /// SIGSTOP and SIGCONT of daemons.
    Stop,
    /// Many SIGHUP.
    Hangup,
    /// Edits of the rules, good and bad.
    Rules,
    /// Many connections to the workers' port, and messages that are invalid.
    Storm,
    /// `kill -9`, SIGSTOP and SIGCONT of runners and workers.
    Runs,
    /// A full disk. It is mounted, so it needs root and the feature `system-tests`.
    Disk,
    /// Steps of the clock by libfaketime, from the Debian package `faketime`.
    Clock,
}

/// The names of all faults, as `NOWCAST_SOAK_FAULTS` lists them.
const NAMES: [(&str, Fault); 8] = [
    ("kill", Fault::Kill),
    ("stop", Fault::Stop),
    ("hangup", Fault::Hangup),
    ("rules", Fault::Rules),
    ("storm", Fault::Storm),
    ("runs", Fault::Runs),
    ("disk", Fault::Disk),
    ("clock", Fault::Clock),
];

pub struct Settings {
    pub duration: Duration,
    pub seed: u64,
    pub faults: Vec<Fault>,
}

impl Settings {
    /// Read `NOWCAST_SOAK` (a duration such as `30m`), `SEED`, and `NOWCAST_SOAK_FAULTS` (names, or `all`).
    pub fn from_env() -> Self {
        let duration = std::env::var("NOWCAST_SOAK").map_or(SHORT, |text| {
            let span: jiff::SignedDuration = text.parse().expect("NOWCAST_SOAK is a duration such as 30m");
            span.unsigned_abs()
        });
        let faults = match std::env::var("NOWCAST_SOAK_FAULTS") {
            Ok(names) => named(&names),
            Err(_) => default(),
        };
        Self { duration, seed: Random::seed(), faults }
    }

    pub fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }
}

fn named(names: &str) -> Vec<Fault> {
    if names == "all" {
        return NAMES.map(|(_, fault)| fault).to_vec();
    }
    let known = |name: &str| NAMES.iter().find(|(known, _)| *known == name).map(|(_, fault)| *fault);
    let one = |name: &str| known(name).unwrap_or_else(|| panic!("{name:?} is not a fault; known: {NAMES:?}"));
    names.split(',').map(|name| one(name.trim())).collect()
}

/// Return all faults that need no preparation of the machine.
fn default() -> Vec<Fault> {
    let needs_root = |fault: Fault| fault == Fault::Disk && !cfg!(feature = "system-tests");
    let faults = NAMES.map(|(_, fault)| fault);
    faults.into_iter().filter(|fault| *fault != Fault::Clock && !needs_root(*fault)).collect()
}
