//! Joins from race sets: launches that wait for several workers.

use crate::support::system::{System, system};

const WORKERS: [&str; 5] = ["weather", "rivers", "ssh", "tides", "upload"];

fn start(rules: &str) -> System {
    let mut builder = system();
    for worker in WORKERS {
        builder = builder.worker(&format!("{worker}: {{success: yes, failure: no, crash: crashed}}"));
    }
    let default = WORKERS.map(|worker| format!("function after_{worker}() return {{}} end\n")).concat();
    // Launched workers end at once and say nothing, so that only the test speaks.
    let commands = WORKERS.map(|worker| format!("{worker}: {{command: ['true']}}")).join(", ");
    builder.section(&format!("workers: {{{commands}}}")).rules(&(default + rules)).start()
}

fn launched(system: &System, worker: &str) -> usize {
    system.log("manager").matches(&format!("launching NextWorker(module='{worker}'")).count()
}

/// Sends a message that changes nothing, so that everything before it has been performed.
fn settle(system: &System) {
    system.works();
    let count = system.log("manager").matches("received message from keyless").count();
    system.wait_for_log_count("manager", "received message from keyless", count);
}

#[test]
fn launches_wait_for_every_worker_of_the_set() {
    let system = start(
        "function after_weather() return { NextWorker('tides') }, { 'rivers', 'ssh' } end
         function after_rivers() return { NextWorker('upload', { 'rivers' }) } end
         function after_ssh() return { NextWorker('upload', { 'ssh' }) } end",
    );
    system.send("weather", "success", "null");
    system.wait_for_log(
        "manager",
        "race condition management activated: {'must finish': {'rivers', 'ssh'}, 'then launch': []}",
    );
    system.wait_for_log("manager", "launching NextWorker(module='tides'");
    system.send("ssh", "failure", "null");
    settle(&system);
    assert_eq!(launched(&system, "upload"), 0, "{}", system.describe());
    system.send("rivers", "crash", "null");
    system.wait_for_log("manager", "launching NextWorker(module='upload', args=['ssh'], host='localhost')");
    system
        .wait_for_log("manager", "launching NextWorker(module='upload', args=['rivers'], host='localhost')");
    system.wait_for_log("manager", "race condition management ended; next workers released: [NextWorker(module='upload', args=['ssh'], host='localhost'), NextWorker(module='upload', args=['rivers'], host='localhost')]");
}

#[test]
fn a_second_join_does_not_discard_the_launches_of_the_first() {
    let system = start(
        "function after_weather() return {}, { 'rivers', 'ssh' } end
         function after_tides() return {}, { 'ssh', 'upload' } end
         function after_rivers() return { NextWorker('weather') } end",
    );
    system.send("weather", "success", "null");
    system.send("rivers", "success", "null");
    system.send("tides", "success", "null");
    settle(&system);
    assert_eq!(launched(&system, "weather"), 0, "{}", system.describe());
    system.send("ssh", "success", "null");
    system.wait_for_log("manager", "launching NextWorker(module='weather'");
}

#[test]
fn a_reopened_join_parks_its_launches() {
    let system = start(
        "function after_weather() return {}, { 'rivers', 'ssh' } end
         function after_rivers() return { NextWorker('upload') } end",
    );
    system.send("weather", "success", "null");
    system.send("rivers", "success", "null");
    system.send("weather", "success", "null");
    system.wait_for_log("manager", "CRITICAL [manager] join weather was reopened before it received ssh; parked, not launched: [NextWorker(module='upload'");
    system.send("ssh", "success", "null");
    settle(&system);
    assert_eq!(launched(&system, "upload"), 0);
    system.send("rivers", "success", "null");
    system.wait_for_log("manager", "launching NextWorker(module='upload'");
    assert_eq!(launched(&system, "upload"), 1);
}
