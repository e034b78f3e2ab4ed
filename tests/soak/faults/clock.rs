//! Steps of the wall clock of the whole system, by libfaketime.

use std::fs;

use crate::operators::pick;
use crate::settings::{Fault, Settings};
use crate::soak::Soak;
use crate::support::clock::library;
pub use crate::support::clock::remove_leftovers;
use crate::support::packages;
use crate::support::random::Random;
use crate::support::system::System;

/// Offsets from the real time, as libfaketime reads them.
const OFFSETS: [&str; 6] = ["+0", "+2h", "-2h", "+30s", "-30s", "+1d"];

/// Let all programs of the system read their wall clock from a file.
pub fn prepare(settings: &Settings, system: &mut System) {
    if !settings.has(Fault::Clock) {
        return;
    }
    packages::install("/usr/bin/faketime", &["faketime"]);
    let file = system.path("clock");
    fs::write(&file, OFFSETS[0]).expect("written");
    system.set_env("LD_PRELOAD", &library().display().to_string());
    system.set_env("FAKETIME_TIMESTAMP_FILE", &file.display().to_string());
    system.set_env("FAKETIME_NO_CACHE", "1");
    system.set_env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
}

pub fn step(soak: &Soak, random: &mut Random) {
    set(soak, OFFSETS[pick(random, OFFSETS.len())]);
    remove_leftovers();
}

/// Set the clock right.
pub fn reset(soak: &Soak) {
    if soak.settings.has(Fault::Clock) {
        set(soak, OFFSETS[0]);
    }
}

fn set(soak: &Soak, offset: &str) {
    let (new, file) = (soak.folder.join("clock.new"), soak.folder.join("clock"));
    fs::write(&new, offset).expect("written");
    fs::rename(&new, &file).expect("in place");
}
