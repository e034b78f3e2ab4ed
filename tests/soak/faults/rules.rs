//! Edits of the rules while messages come: good ones, ones that are refused, and ones with an error.

use std::fs;
use std::sync::atomic::Ordering;

use rustix::process::Signal;

use super::daemons::replace_by;
use crate::operators::pick;
use crate::scene::RULES;
use crate::soak::Soak;
use crate::support::random::Random;

/// The line of the rules that is replaced by an error.
const MARK: &str = "-- BROKEN\n";

/// The workers whose messages fail by the broken rules.
const FAILING: [&str; 4] = ["client", "feeder", "shell", "plain"];

/// Save an edit, and later rules that are good.
pub fn edit(soak: &Soak, may_kill: bool, random: &mut Random) {
    match random.below(6) {
        0 => save(soak, &good(random)),
        1 => refused(soak, &format!("{}\nfunction after_tick(", good(random)), may_kill, random),
        2 => refused(
            soak,
            &good(random).replace("function after_never()", "function never()"),
            may_kill,
            random,
        ),
        3 => refused(soak, &format!("{}\nerror('no rules today')", good(random)), may_kill, random),
        4 => half_written(soak, random),
        _ => broken(soak, may_kill, random),
    }
}

/// Rules that decide as all others, and are not the same file.
pub fn good(random: &mut Random) -> String {
    format!("{RULES}\n-- edit {}\n", random.below(u64::MAX >> 32))
}

fn save(soak: &Soak, rules: &str) {
    soak.system.read().expect("no thread panics with it").write_rules(rules);
    soak.done.reloads.fetch_add(1, Ordering::Relaxed);
}

/// Messages come while the edit is there; the manager is killed meanwhile more often than not.
fn endure(soak: &Soak, may_kill: bool, random: &mut Random) {
    soak.wait_for_acks(1 + random.below(10));
    if may_kill && random.below(4) > 0 {
        replace_by(soak, "manager", Signal::KILL);
        soak.wait_for_acks(1 + random.below(10));
    }
}

/// Rules that cannot be loaded: the last good ones stay in force.
fn refused(soak: &Soak, rules: &str, may_kill: bool, random: &mut Random) {
    save(soak, rules);
    endure(soak, may_kill, random);
    save(soak, &good(random));
}

/// A save that takes a while, as by an editor that does not rename.
fn half_written(soak: &Soak, random: &mut Random) {
    let rules = good(random);
    let file = soak.folder.join("rules/next_workers.lua");
    fs::write(&file, &rules[..pick(random, rules.len())]).expect("written");
    soak.wait_for_acks(random.below(5));
    fs::write(&file, &rules).expect("written");
    soak.done.reloads.fetch_add(2, Ordering::Relaxed);
}

/// Rules that fail for the messages of a worker: those are parked.
fn broken(soak: &Soak, may_kill: bool, random: &mut Random) {
    let source = FAILING[pick(random, FAILING.len())];
    let error = format!("if msg.source == '{source}' then error('broken on purpose') end\n");
    soak.ledger.append("broken");
    save(soak, &good(random).replace(MARK, &error));
    endure(soak, may_kill, random);
    save(soak, &good(random));
    soak.ledger.append("repaired");
}
