//! Kills and stops of runners and workers, at random moments of their lives.

use std::sync::atomic::Ordering;

use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::operators::{pick, token_of};
use crate::pace::pace;
use crate::settings::Fault;
use crate::soak::Soak;
use crate::support::processes::{process_of_run, processes_of_runs};
use crate::support::random::Random;
use crate::support::system::pid;

pub fn run(soak: &Soak) {
    let mut random = soak.random(400);
    while soak.goes_on() && soak.settings.has(Fault::Runs) {
        pace(500 + random.below(3_000));
        let processes = processes_of_runs(&soak.folder);
        if !processes.is_empty() {
            let number = processes[pick(&mut random, processes.len())].number;
            strike(soak, number, &mut random);
        }
    }
}

/// Kill or stop a process, if it still belongs to a run.
fn strike(soak: &Soak, number: u32, random: &mut Random) {
    // The descriptor stays that of this process when its number is used again.
    let Ok(process) = pidfd_open(pid(number), PidfdFlags::empty()) else { return };
    let Some(found) = process_of_run(number, &soak.folder) else { return };
    let Some(token) = token_of(found.arguments.iter().map(String::as_str)) else { return };
    if random.below(2) == 0 {
        let _ = pidfd_send_signal(&process, Signal::STOP);
        pace(random.below(1_500));
        let _ = pidfd_send_signal(&process, Signal::CONT);
        return;
    }
    let role = if found.is_runner { "runner" } else { "worker" };
    soak.ledger.append(&format!("excuse {token} {role}"));
    soak.done.kills.fetch_add(1, Ordering::Relaxed);
    let _ = pidfd_send_signal(&process, Signal::KILL);
}
