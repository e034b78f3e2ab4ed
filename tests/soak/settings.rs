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
        let seed = Random::seed();
        let faults = match std::env::var("NOWCAST_SOAK_FAULTS") {
            Ok(names) => named(&names),
            Err(_) => default(seed),
        };
        Self { duration, seed, faults }
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

/// Return all faults; those that need a prepared machine with `system-tests` only, and steps of the clock with every second seed: where
/// the clock is set, launches of the schedule cannot be compared.
fn default(seed: u64) -> Vec<Fault> {
    let is_prepared = cfg!(feature = "system-tests");
    let faults = NAMES.map(|(_, fault)| fault).into_iter();
    faults
        .filter(|fault| match fault {
            Fault::Disk => is_prepared,
            Fault::Clock => is_prepared && seed % 2 == 1,
            _ => true,
        })
        .collect()
}
