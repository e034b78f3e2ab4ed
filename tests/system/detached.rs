//! `nowcast up --detach`, and `restart`, `reload` and `shutdown` of what it has started.

use std::collections::BTreeMap;
use std::fs;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::Command;

use rustix::process::{Signal, getsid, kill_process, test_kill_process};
use serde_json::Value;

use crate::support::builder::Builder;
use crate::support::system::{NOWCAST, System, pid, system};

/// A system whose `nowcast up` is killed with it; its daemons then end by themselves.
pub struct Detached(System);

impl Deref for Detached {
    type Target = System;
    fn deref(&self) -> &System {
        &self.0
    }
}

impl DerefMut for Detached {
    fn deref_mut(&mut self) -> &mut System {
        &mut self.0
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        for process in processes_of(&self.path("")) {
            let _ = kill_process(pid(process), Signal::KILL);
        }
    }
}

/// Each `nowcast up` of a system that runs in the background.
fn processes_of(folder: &Path) -> Vec<u32> {
    let folder = folder.canonicalize().expect("a folder");
    let is_ours = |process: &u32| {
        let words = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        let is_detached = words.split(|byte| *byte == 0).any(|word| word == b"--detached");
        is_detached && fs::read_link(format!("/proc/{process}/cwd")).is_ok_and(|cwd| cwd == folder)
    };
    let names = fs::read_dir("/proc").expect("processes").flatten();
    names.filter_map(|name| name.file_name().to_str()?.parse().ok()).filter(is_ours).collect()
}

fn has_ended(process: u32) -> bool {
    test_kill_process(pid(process)).is_err()
}

pub fn prepared(builder: Builder) -> Detached {
    Detached(builder.prepare())
}

fn started(builder: Builder) -> Detached {
    let system = prepared(builder);
    system.operate(&["up", "--detach"]);
    system
}

impl Detached {
    fn up(&self) -> u32 {
        let text = fs::read_to_string(self.path("checklist.journal/up")).expect("the file of up");
        let noted: Value = serde_json::from_str(&text).expect("JSON");
        u32::try_from(noted["process"].as_u64().expect("its process")).expect("a small number")
    }

    /// Kill it, and wait for its end.
    fn kill_up(&self, process: u32) {
        let _ = kill_process(pid(process), Signal::KILL);
        self.wait_for("the end of up", || test_kill_process(pid(process)).is_err().then_some(()));
    }

    /// The processes of the daemons, as the log has them.
    fn daemons(&self) -> BTreeMap<&'static str, String> {
        let log = fs::read_to_string(self.path("nowcast.log")).unwrap_or_default();
        let last = |name: &str| {
            let words = format!("[{name}] running in process ");
            let (_, after) = log.rsplit_once(&words)?;
            after.lines().next().map(str::to_owned)
        };
        ["message_broker", "manager"].into_iter().filter_map(|name| Some((name, last(name)?))).collect()
    }

    fn running(&self) -> Vec<u64> {
        let list: Value = serde_json::from_str(&self.operate(&["runs", "--open", "--json"])).expect("JSON");
        let list = list.as_array().expect("a list").iter();
        list.filter(|run| run["state"] == "running")
            .map(|run| run["number"].as_u64().expect("a number"))
            .collect()
    }

    /// Launch a worker that sleeps for long, and wait until it runs; its process.
    fn launch_sleeper(&self) -> i32 {
        self.operate(&["launch", "sleep", "--sleep-time", "600"]);
        self.wait_for("the run", || {
            let runs = crate::support::processes::processes_of_runs(&self.path(""));
            let worker = runs.iter().find(|run| !run.is_runner)?;
            i32::try_from(worker.number).ok()
        })
    }
}

#[test]
fn a_detached_system_is_ready_when_the_command_returns() {
    let mut system = prepared(system());
    let text = system.operate(&["up", "--detach"]);
    system.works();
    let up = system.up();
    for part in [
        format!("the system runs in process {up} (broker {}, manager ", system.daemons()["message_broker"]),
        format!("workers {}, manager {}", system.workers_port, system.manager_port),
        system.path("logs/up.out").display().to_string(),
        "nowcast shutdown".to_owned(),
    ] {
        assert!(text.contains(&part), "{part}: {text}");
    }
    assert_eq!(getsid(Some(pid(up))), Ok(pid(up)), "it leads a session, so no terminal ends it");

    for command in [&["up", "--detach"][..], &["up"]] {
        let (status, text) = system.run_to_end(command);
        assert_eq!(status, Some(3), "{text}");
        assert!(text.contains(&format!("\"nowcast up\" (process {up}) runs this system already")), "{text}");
    }
    system.works();

    assert!(system.operate(&["shutdown"]).starts_with("stopped: broker, manager\n"));
    system.wait_for("the end of up", || has_ended(up).then_some(()));
    for daemon in system.daemons().values() {
        assert!(has_ended(daemon.parse().expect("a number")), "{daemon}");
    }
    let status = system.operation(&["status"]).1;
    assert_eq!(status.matches("→ nowcast up --detach").count(), 2, "{status}");
    let (status, text) = system.operation(&["shutdown"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("no \"nowcast up\" runs for the journal") && text.contains("nowcast up"), "{text}");
}

#[test]
fn a_system_that_cannot_start_tells_why() {
    let mut system = prepared(system());
    let _taken = std::net::TcpListener::bind(("127.0.0.1", system.workers_port)).expect("a listener");
    fs::create_dir(system.path("logs")).expect("a folder");
    fs::write(system.path("logs/up.out"), "a line of an earlier start\n").expect("written");
    let (status, text) = system.run_to_end(&["up", "--detach"]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("the system could not be started (exit status: 2). The last lines of "), "{text}");
    assert!(text.contains("  ") && text.contains("CRITICAL [message_broker] cannot bind "), "{text}");
    assert!(!text.contains("a line of an earlier start"), "{text}");

    fs::write(system.config(), "zmq: [").expect("written");
    let (status, text) = system.run_to_end(&["up", "--detach"]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.ends_with("nowcast.yaml, line 1: not valid YAML: expected a value, but found the end of the text, column 7\n"), "{text}");
}

#[test]
fn a_detached_system_outlives_the_terminal_of_its_command() {
    const TERMINAL: &str = "import os, pty, sys; pty.spawn(sys.argv[1:])";
    let mut system = prepared(system());
    let ours = system.command(&[]);
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", TERMINAL, NOWCAST, "up", "--detach"]);
    command.current_dir(ours.get_current_dir().expect("a folder")).env_remove("NOWCAST_YAML");
    system.spawn("terminal", command);
    assert_eq!(system.wait_for_end("terminal").code(), Some(0), "{}", system.describe());
    // The terminal is closed.
    system.works();
    kill_process(pid(system.up()), Signal::HUP).expect("it takes the signal");
    system.wait_for("the reload", || {
        let log = fs::read_to_string(system.path("nowcast.log")).unwrap_or_default();
        (log.matches("read config from").count() >= 4).then_some(())
    });
    system.works();
}

#[test]
fn after_a_kill_at_any_moment_of_its_start_it_starts_again() {
    for moment in ["up", "up-control", "up-broker", "broker", "control"] {
        let mut system = prepared(system());
        let command = system.command(&["up", "--detach"]);
        system.spawn("first", command);
        let file = system.path("checklist.journal").join(moment);
        system.wait_for(moment, || file.exists().then_some(()));
        let first = system.wait_for("up", || processes_of(&system.path("")).first().copied());
        system.kill_up(first);
        system.wait_for_end("first");
        let (status, text) = system.run_to_end(&["up", "--detach"]);
        assert_eq!(status, Some(0), "killed after {moment}: {text}\n{}", system.describe());
        system.works();
    }
}

#[test]
fn a_restart_of_the_manager_leaves_workers_and_the_broker_alone() {
    let system = started(system());
    let worker = system.launch_sleeper();
    let before = system.daemons();
    let text = system.operate(&["restart", "manager"]);
    assert_eq!(text, "manager: restarted\n");
    // The manager is ready: no wait for it here.
    system.works();
    let after = system.daemons();
    assert_eq!(before["message_broker"], after["message_broker"]);
    assert_ne!(before["manager"], after["manager"]);
    assert_eq!(system.running().len(), 1);
    test_kill_process(pid(u32::try_from(worker).expect("a number"))).expect("the worker runs");

    assert_eq!(system.operate(&["restart"]), "broker, manager: restarted\n");
    system.works();
    let all = system.daemons();
    assert!(all["message_broker"] != after["message_broker"] && all["manager"] != after["manager"]);
    let (status, text) = system.operation(&["restart", "scheduler"]);
    assert_eq!(status, Some(1), "{text}");
    assert_eq!(text, "this system has no daemon \"scheduler\", but: broker, manager\n");
}

#[test]
fn after_a_kill_in_the_middle_of_a_restart_the_system_starts_again() {
    let mut system = started(system());
    let manager = pid(system.daemons()["manager"].parse().expect("a number"));
    kill_process(manager, Signal::STOP).expect("stopped, so that it does not end");
    let restart = system.command(&["restart", "manager"]);
    system.spawn("restart", restart);
    system.wait_for("the request", || {
        let log = fs::read_to_string(system.path("nowcast.log")).unwrap_or_default();
        log.contains("restart requested by ").then_some(())
    });
    system.kill_up(system.up());
    assert_eq!(system.wait_for_end("restart").code(), Some(1));
    assert!(system.log("restart").contains("\"nowcast up\" did not answer"), "{}", system.log("restart"));
    // The kernel lets a stopped process go on that is left in an orphaned process group.
    system.operate(&["up", "--detach"]);
    system.works();
}

#[test]
fn a_daemon_that_cannot_start_again_is_reported() {
    let system = started(system());
    // The manager finds another journal's version.
    let database =
        rusqlite::Connection::open(system.path("checklist.journal/journal.sqlite")).expect("a journal");
    database.execute_batch("PRAGMA user_version = 4000").expect("a version");
    drop(database);
    let (status, text) = system.operation(&["restart", "manager"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.starts_with("manager: exited with status 2 before it was ready"), "{text}");
}

#[test]
fn a_reload_prints_what_each_daemon_accepts_or_refuses() {
    let system = started(system().section("scheduled workers:\n  - sleep: {every: day, at: '05:15'}"));
    let text = system.operate(&["reload"]);
    assert_eq!(
        text,
        "broker, scheduler: configuration accepted\nmanager: configuration accepted; rules generation 1 in force\n"
    );

    system.write_rules("function after_sleep() return {} end\nfunction after_keyless( end\n");
    let (status, text) = system.operation(&["reload"]);
    assert_eq!(status, Some(1), "{text}");
    let (refused, accepted) = (
        text.find("manager: ").expect("the manager"),
        text.find("broker, scheduler: configuration accepted"),
    );
    assert!(text[refused..].contains("next_workers.lua:2"), "{text}");
    assert!(text.contains("Rules generation 1 stays in force") && accepted.is_some(), "{text}");
    let json: Value = serde_json::from_str(&system.operation(&["reload", "--json"]).1).expect("JSON");
    let done: Vec<_> =
        json["daemons"].as_array().expect("a list").iter().map(|daemon| &daemon["done"]).collect();
    assert_eq!(done, [true, false, true]);

    // A daemon refuses what the command does not know: the folder of its log file.
    let text = fs::read_to_string(system.config()).expect("a configuration");
    let moved = text.replace("/nowcast.log", "/nowhere/nowcast.log");
    fs::write(system.config(), moved).expect("written");
    let (status, text) = system.operation(&["reload"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("the new configuration is refused, the old one stays:"), "{text}");
    assert!(text.contains("logging: handlers: nowcast_log: filename"), "{text}");

    fs::write(system.config(), "zmq: [").expect("written");
    let (status, text) = system.operation(&["reload"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("nothing was reloaded") && text.contains("line "), "{text}");
    system.works();
}

#[test]
fn a_shutdown_leaves_workers_and_names_them() {
    let system = started(system());
    let worker = system.launch_sleeper();
    let text = system.operate(&["shutdown"]);
    assert!(text.starts_with("stopped: broker, manager\nthese workers continue"), "{text}");
    assert!(text.contains(&format!("sleep --sleep-time 600, process {worker}, since ")), "{text}");
    test_kill_process(pid(u32::try_from(worker).expect("a number"))).expect("the worker runs");

    system.operate(&["up", "--detach"]);
    assert_eq!(system.running().len(), 1, "the next manager adopts it");
    let json: Value =
        serde_json::from_str(&system.operate(&["shutdown", "--workers", "--json"])).expect("JSON");
    assert_eq!((&json["done"], &json["workers"]), (&true.into(), &Value::Array(Vec::new())));
    let process = pid(u32::try_from(worker).expect("a number"));
    assert!(test_kill_process(process).is_err(), "the worker was stopped");
}

#[test]
fn a_shutdown_with_workers_that_do_not_end_in_time_stops_nothing() {
    let system = started(
        system()
            .file("stuck.sh", "#!/bin/sh\ntrap '' TERM\n: > trapped\nwhile :; do /bin/sleep 1; done\n")
            .rules("function after_stuck() return {} end")
            .worker("stuck: {success: ok, crash: crashed}")
            .section("workers:\n  stuck: {command: [sh, stuck.sh]}"),
    );
    system.operate(&["launch", "stuck"]);
    // Before, SIGTERM would end it.
    system.wait_for("the trap", || system.path("trapped").exists().then_some(()));
    let (status, text) = system.operation(&["shutdown", "--workers", "--timeout", "1s"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("these workers have not ended in time") && text.contains("stuck"), "{text}");
    system.works();
    assert!(!system.operate(&["status"]).contains("HOLD"), "{}", system.operate(&["status"]));
}

#[test]
fn without_up_the_process_of_the_manager_is_named() {
    let manual = system().start();
    let (status, text) = manual.operation(&["restart", "manager"]);
    assert_eq!(status, Some(1), "{text}");
    let process = manual.id("manager");
    assert!(
        text.contains(&format!(
            "its manager (process {process}) was started by hand: use kill -TERM {process}"
        )),
        "{text}"
    );
}

#[test]
fn without_up_a_shutdown_with_workers_stops_no_worker_and_holds_nothing() {
    let system = system().section("workers: {sleep: {command: [sleep, '1000']}}").start();
    system.operate(&["launch", "--cycle", "none", "sleep"]);
    let state = || system.operate(&["runs", "--json"]);
    system.wait_for("the worker", || state().contains(r#""state": "running""#).then_some(()));
    let (status, text) = system.operation(&["shutdown", "--workers"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(state().contains(r#""state": "running""#), "{text}");
    assert!(!system.operation(&["status"]).1.contains("HOLD"), "{text}");
}
