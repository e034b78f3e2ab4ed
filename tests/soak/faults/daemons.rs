//! Kills, stops and signals of broker, manager and scheduler.

use std::fs;
use std::process::ExitStatus;
use std::sync::atomic::Ordering;

use nowcast::process::ProcessIdentity;
use rustix::process::Signal;

use crate::operators::pick;
use crate::pace::pace;
use crate::soak::{Soak, wait_long};
use crate::support::random::Random;

const DAEMONS: [&str; 3] = ["broker", "manager", "scheduler"];

/// SIGHUP is bit 0 in the mask of signals that a process catches: proc(5).
const HANGUP: u64 = 1;

/// Replace one or two daemons.
pub fn replace_some(soak: &Soak, random: &mut Random) {
    let groups: [&[&str]; 5] =
        [&["manager"], &["broker"], &["scheduler"], &["broker", "manager"], &["manager", "scheduler"]];
    soak.in_burst(|| {
        soak.wait_for_acks(1 + random.below(50));
        random.spin();
        replace(soak, groups[pick(random, groups.len())], random);
        soak.wait_for_acks(1 + random.below(50));
    });
}

/// End daemons, by `kill -9` or SIGTERM, and start others at once; some of those are killed during their start.
pub fn replace(soak: &Soak, names: &[&str], random: &mut Random) {
    let mut signals = vec![if random.below(4) == 0 { Signal::TERM } else { Signal::KILL }];
    if random.below(4) == 0 {
        signals.push(Signal::KILL);
    }
    for signal in signals {
        for name in names {
            replace_by(soak, name, signal);
        }
        pace(random.below(50));
    }
}

/// End a daemon by a signal and start another one.
pub fn replace_by(soak: &Soak, name: &str, signal: Signal) {
    if name == "broker" {
        soak.ledger.append("broker");
    }
    soak.signal(name, signal);
    // A process that was stopped ends when it continues.
    soak.signal(name, Signal::CONT);
    soak.done.kills.fetch_add(1, Ordering::Relaxed);
    soak.end_of(name);
    let mut system = soak.system.write().expect("no thread panics with it");
    let command = system.command(&[name, "nowcast.yaml"]);
    system.spawn(name, command);
    drop(system);
    if name == "broker" {
        soak.ledger.append("broker");
    }
}

/// Stop one or two daemons for a while; perhaps kill one of them meanwhile.
pub fn stop_some(soak: &Soak, may_kill: bool, random: &mut Random) {
    let groups: [&[&str]; 4] = [&["manager"], &["broker"], &["scheduler"], &["broker", "manager"]];
    let names = groups[pick(random, groups.len())];
    for name in names {
        soak.signal(name, Signal::STOP);
    }
    pace(random.below(3_000));
    if may_kill && random.below(3) == 0 {
        replace_by(soak, "manager", Signal::KILL);
    }
    for name in names {
        soak.signal(name, Signal::CONT);
    }
}

/// Many SIGHUP to each daemon.
pub fn hangups(soak: &Soak, random: &mut Random) {
    for name in DAEMONS {
        wait_long(&format!("{name} to catch SIGHUP"), || catches_hangup(soak.number_of(name)).then_some(()));
        for _ in 0..random.below(30) {
            soak.signal(name, Signal::HUP);
            soak.done.reloads.fetch_add(1, Ordering::Relaxed);
            pace(random.below(5));
        }
    }
}

fn catches_hangup(number: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{number}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & HANGUP != 0)
}

/// Note a problem for each daemon that has ended though nothing ended it.
pub fn all_live(soak: &Soak) {
    for name in DAEMONS {
        if !is_alive(soak.number_of(name)) {
            let status = soak.end_of(name);
            soak.problem(&format!("{name} ended by itself with {status}"));
        }
    }
}

fn is_alive(number: u32) -> bool {
    i32::try_from(number)
        .ok()
        .and_then(|number| ProcessIdentity::of(number).ok())
        .is_some_and(|process| process.is_alive().expect("readable"))
}

impl Soak {
    pub fn number_of(&self, name: &str) -> u32 {
        self.system.read().expect("no thread panics with it").id(name)
    }

    pub fn signal(&self, name: &str, signal: Signal) {
        self.system.read().expect("no thread panics with it").signal(name, signal);
    }

    /// Wait until a program of the system has ended; return how.
    pub fn end_of(&self, name: &str) -> ExitStatus {
        let number = self.number_of(name);
        // Without the lock, since the broker waits for open requests before it ends.
        wait_long(&format!("the end of {name}"), || (!is_alive(number)).then_some(()));
        self.system.write().expect("no thread panics with it").wait_for_end(name)
    }

    /// Wait until the load ends.
    pub fn wait_while_it_goes_on(&self) {
        while self.goes_on() {
            pace(50);
        }
    }
}
