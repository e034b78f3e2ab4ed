//! Everything comes to rest: what was set aside is decided, what is open ends, and the system is healthy. Then it is stopped.

use std::collections::BTreeSet;
use std::fs;

use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::Value;

use crate::faults::clock;
use crate::operators::release_parked;
use crate::order::Order;
use crate::pace::pace;
use crate::soak::{LONGEST_WAIT, Soak, wait_long};
use crate::support::processes::processes_of_runs;
use crate::support::wait::wait_within;

/// The workers whose messages joins wait for.
const AWAITED: [&str; 3] = ["client", "feeder", "told"];

/// Return when the scheduler was stopped.
pub fn come_to_rest(soak: &Soak) -> jiff::Timestamp {
    clock::reset(soak);
    release_holds(soak);
    let mut round = 0;
    let ask = || {
        round += 1;
        is_at_rest(soak, round).then_some(())
    };
    wait_within(LONGEST_WAIT, "all runs, joins and parked items to be closed", ask, || {
        status(soak).to_string()
    });
    expect_healthy(soak);
    let scheduled_until = stop(soak);
    check_journal(soak);
    scheduled_until
}

fn status(soak: &Soak) -> Value {
    serde_json::from_str(&soak.command(&["status", "--json"]).1).unwrap_or_default()
}

fn release_holds(soak: &Soak) {
    let status = status(soak);
    for hold in status["holds"].as_array().into_iter().flatten() {
        soak.command(&["release", &hold["number"].to_string()]);
    }
}

/// Do what is left to an operator; whether there was nothing to do.
fn is_at_rest(soak: &Soak, round: u64) -> bool {
    let open = soak.history().and_then(|history| history.open_now().ok());
    let Some(open) = open else { return false };
    let awaited: BTreeSet<&str> =
        open.joins.iter().flat_map(|join| &join.requires).map(|required| required.worker.as_str()).collect();
    for source in AWAITED.iter().filter(|source| awaited.contains(*source)) {
        complete_joins(soak, source, round);
    }
    if !open.parked.is_empty() {
        soak.command(&["retry", "--all"]);
        release_parked(soak);
    }
    pace(100);
    // What the schedule launches goes on.
    let is_scheduled = |name: &str| ["tock", "rotate_logs"].contains(&name);
    open.joins.is_empty()
        && open.parked.is_empty()
        && open.runs.iter().all(|run| is_scheduled(run.worker.name()))
}

/// Send one more message of a worker that a join still waits for.
fn complete_joins(soak: &Soak, source: &str, round: u64) {
    let order = Order::tick(format!("last-{source}-{round}"));
    let slot = format!("last-{source}");
    soak.ledger.append(&order.sent(source, &slot));
    let system = soak.system.read().expect("no thread panics with it");
    if system.send(source, "success", &order.payload(&slot)) == "ack" {
        soak.ledger.append(&format!("ack {}", order.id));
    }
}

/// After the failures are acknowledged, nothing needs attention.
fn expect_healthy(soak: &Soak) {
    soak.command(&["ack", "--all"]);
    let mut last = Value::Null;
    let ask = || {
        last = status(soak);
        (last["state"] == "HEALTHY").then_some(())
    };
    wait_within(LONGEST_WAIT, "a healthy system", ask, || status(soak).to_string());
}

/// Stop the daemons; return when the scheduler was. Nothing of the system is left.
fn stop(soak: &Soak) -> jiff::Timestamp {
    let mut scheduled_until = jiff::Timestamp::now();
    for name in ["scheduler", "broker", "manager"] {
        if name == "broker" {
            wait_long("the end of what the schedule launched", || {
                let open = soak.history()?.open_now().ok()?;
                open.runs.is_empty().then_some(())
            });
        }
        soak.signal(name, Signal::TERM);
        let status = soak.end_of(name);
        if name == "scheduler" {
            scheduled_until = jiff::Timestamp::now();
        }
        if !status.success() {
            soak.problem(&format!("{name} ended with {status}"));
        }
    }
    let left = || {
        let of_runs = processes_of_runs(&soak.folder).into_iter();
        let mut left: Vec<String> =
            of_runs.map(|process| format!("{} {}", process.number, process.arguments.join(" "))).collect();
        left.extend(processes_in(soak));
        left
    };
    let ask = || left().is_empty().then_some(());
    wait_within(LONGEST_WAIT, "the end of every process of the system", ask, || left().join("\n"));
    scheduled_until
}

/// Return the processes that work in the system's folder, with their command lines.
fn processes_in(soak: &Soak) -> Vec<String> {
    let folders = fs::read_dir("/proc").into_iter().flatten().flatten();
    let works_there = |process: &fs::DirEntry| {
        fs::read_link(process.path().join("cwd")).is_ok_and(|folder| folder.starts_with(&soak.folder))
    };
    let shown = |process: fs::DirEntry| {
        let line = fs::read_to_string(process.path().join("cmdline")).unwrap_or_default();
        format!("{} {}", process.file_name().display(), line.replace('\0', " "))
    };
    folders.filter(works_there).map(shown).collect()
}

fn check_journal(soak: &Soak) {
    let journal = Connection::open(soak.folder.join("disk/journal/journal.sqlite")).expect("the database");
    let found: String =
        journal.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("it can be checked");
    if found != "ok" {
        soak.problem(&format!("the journal is damaged: {found}"));
    }
}
