//! Faults of the whole system, drawn at random one after the other, each with a quiet time after it.

pub mod clock;
mod daemons;
#[cfg(feature = "system-tests")]
pub mod disk;
mod rules;
mod storm;

use crate::operators::pick;
use crate::pace::pace;
use crate::settings::Fault;
use crate::soak::Soak;
use crate::support::random::Random;

/// The part of the duration after which broker and manager are killed. Until then they live, so that their memory can
/// be compared.
const KILLS_BEGIN: f64 = 0.5;

/// When they may be, one fault in so many is a kill whatever is drawn.
const KILLS: u64 = 3;

/// Longest quiet time after a fault, in milliseconds.
const QUIET: u64 = 2_500;

pub fn run(soak: &Soak) {
    let mut random = soak.random(500);
    // Kills of runs are in a thread of their own.
    let faults: Vec<Fault> =
        soak.settings.faults.iter().copied().filter(|fault| *fault != Fault::Runs).collect();
    soak.wait_for_acks(20);
    while soak.goes_on() && soak.progress() < 1.0 {
        if !faults.is_empty() {
            let is_kill = may_kill(soak) && random.below(KILLS) == 0;
            let drawn = faults[pick(&mut random, faults.len())];
            let fault = if is_kill { Fault::Kill } else { drawn };
            strike(soak, fault, &mut random);
            daemons::all_live(soak);
            soak.wait_for_acks(5);
        }
        soak.meter.quiet_begins();
        pace(500 + random.below(QUIET));
        soak.meter.quiet_ends();
    }
}

/// Whether broker and manager may be killed at this moment.
fn may_kill(soak: &Soak) -> bool {
    soak.progress() >= KILLS_BEGIN && soak.settings.has(Fault::Kill)
}

fn strike(soak: &Soak, fault: Fault, random: &mut Random) {
    *soak.done.faults.lock().expect("no thread panics with it").entry(fault).or_default() += 1;
    let may_kill = may_kill(soak);
    match fault {
        Fault::Kill if may_kill => daemons::replace_some(soak, random),
        Fault::Kill => daemons::replace(soak, &["scheduler"], random),
        Fault::Stop => daemons::stop_some(soak, may_kill, random),
        Fault::Hangup => daemons::hangups(soak, random),
        Fault::Rules => rules::edit(soak, may_kill, random),
        Fault::Storm => storm::strike(soak, random),
        Fault::Clock => clock::step(soak, random),
        #[cfg(feature = "system-tests")]
        Fault::Disk => disk::fill(soak, may_kill, random),
        #[cfg(not(feature = "system-tests"))]
        Fault::Disk => panic!("a full disk needs the feature system-tests"),
        Fault::Runs => {}
    }
}
