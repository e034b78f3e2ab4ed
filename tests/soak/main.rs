//! The soak: mixed load and random faults. A ledger that the test keeps outside of the product says what had to happen once.
//!
//! CONTRIBUTING.md says how to run it for longer, and with which faults. In reading order:
//!
//! 1. `settings`: duration, seed and faults, from the environment
//! 2. `scene`: the system: configuration, rules, workers
//! 3. `soak`: what the threads share, and the run from start to end
//! 4. `ledger`: the lines that drivers, workers and faults write
//! 5. `order`: a random message and the launches that follow it
//! 6. `drivers`, `operators`, `victims`, `faults`: load, commands, kills of runs, faults of daemons
//! 7. `meter`, `figures`: memory, descriptors and latencies, and the table of them
//! 8. `rest`: everything comes to rest
//! 9. `verdict`: the ledger against what happened

#[path = "../support/mod.rs"]
mod support;

mod drivers;
mod faults;
mod figures;
mod ledger;
mod meter;
mod operators;
mod order;
mod pace;
mod rest;
mod scene;
mod settings;
mod soak;
mod verdict;
mod victims;

#[test]
fn mixed_load_and_faults_lose_and_double_nothing() {
    soak::Soak::start(settings::Settings::from_env()).run();
}
