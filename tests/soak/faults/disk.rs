//! A disk that is full for a while.

use rustix::process::Signal;

use super::daemons::replace_by;
use crate::pace::pace;
use crate::settings::{Fault, Settings};
use crate::soak::{Soak, wait_long};
use crate::support::disk::Disk;
use crate::support::random::Random;
use crate::support::system::System;

/// The size of the disk, in bytes of memory. It takes only what is written, and each run writes several small files.
const SIZE: u64 = 4 << 30;

/// Mount the disk for the journal, if there are to be such faults.
pub fn mount(settings: &Settings, system: &System) -> Option<Disk> {
    settings.has(Fault::Disk).then(|| Disk::mount(&system.path("disk"), &format!("size={SIZE}")))
}

/// Fill the disk, perhaps kill the manager meanwhile, and make room again.
pub fn fill(soak: &Soak, may_kill: bool, random: &mut Random) {
    let disk = soak.disk.as_ref().expect("it is mounted");
    let free = random.below(64 << 10);
    // As much may be written meanwhile that the new size is refused.
    wait_long("a full disk", || disk.resize(disk.used() + free).then_some(()));
    pace(random.below(3_000));
    if may_kill && random.below(3) == 0 {
        replace_by(soak, "manager", Signal::KILL);
        pace(random.below(1_000));
    }
    assert!(disk.resize(SIZE), "room again");
}
