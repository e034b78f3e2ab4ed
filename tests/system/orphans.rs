//! Daemons that inherit orphans, as process 1 of a container does: they reap them, and lose no exit of their own children.

use std::fs;
use std::process::Command;

use rustix::process::{Signal, kill_process};

use crate::support::system::{NOWCAST, System, pid, system};

/// Executes a program as a child subreaper, to which the kernel gives orphans. A child of it exits at once, and a child of
/// that one when a file appears.
const SUBREAPER: &str = "
import ctypes, os, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
if os.fork() == 0:
    os.execlp('sh', 'sh', '-c', 'sh background.sh & exit 0')
os.execv(sys.argv[1], sys.argv[1:])
";

/// A process that a worker leaves running in the background, and that exits when a file appears.
const BACKGROUND: &str = "while [ ! -e go ]; do sleep 0.02; done\n";

fn prepared() -> System {
    system()
        .worker("plot: {success: it went well, crash: it crashed}")
        .rules("function after_plot(msg) log.info('the rule heard ' .. msg.type) return {} end")
        .section("workers: {plot: {command: [sh, -c, 'sh background.sh & exit 3']}}")
        .file("background.sh", BACKGROUND)
        .prepare()
}

fn start(system: &mut System, name: &str, words: &[&str]) {
    let ours = system.command(&[]);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).arg(NOWCAST).args([name, "nowcast.yaml"]);
    command.current_dir(ours.get_current_dir().expect("a folder")).stdin(std::process::Stdio::null());
    for (variable, value) in ours.get_envs() {
        match value {
            Some(value) => command.env(variable, value),
            None => command.env_remove(variable),
        };
    }
    system.spawn(name, command);
}

/// The children of a process: their numbers, and their command lines, which are empty for a zombie.
fn children(parent: u32) -> Vec<(u32, String)> {
    let processes = fs::read_dir("/proc").expect("a folder").flatten();
    let numbers = processes.filter_map(|process| process.file_name().to_str()?.parse().ok());
    numbers
        .filter_map(|number: u32| {
            let stat = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
            let words = fs::read_to_string(format!("/proc/{number}/cmdline")).ok()?.replace('\0', " ");
            let (_, fields) = stat.rsplit_once(") ")?;
            (fields.split(' ').nth(1)? == parent.to_string()).then_some((number, words))
        })
        .collect()
}

/// Wait until a process has inherited the background processes; return their numbers.
fn wait_for_orphans(system: &System, heir: u32, count: usize) -> Vec<u32> {
    system.wait_for(&format!("{count} orphans"), || {
        let orphans = children(heir).into_iter().filter(|(_, words)| words == "sh background.sh ");
        let orphans: Vec<u32> = orphans.map(|(number, _)| number).collect();
        (orphans.len() == count).then_some(orphans)
    })
}

/// Let the background processes exit, and wait until they are reaped.
fn end_orphans(system: &System, orphans: &[u32]) {
    fs::write(system.path("go"), "").expect("the word to go on");
    let is_gone = |orphan: &u32| !std::path::Path::new(&format!("/proc/{orphan}")).exists();
    system.wait_for("the orphans to be reaped", || orphans.iter().all(is_gone).then_some(()));
}

fn launch(system: &System) {
    system.wait_for("the launch", || {
        let (status, _) = system.operation(&["launch", "plot"]);
        (status == Some(0)).then_some(())
    });
    system
        .wait_for("its end", || system.operation(&["runs"]).1.contains("exited with status 3").then_some(()));
}

#[test]
fn up_reaps_orphans_and_sees_the_exits_of_its_daemons() {
    let mut system = prepared();
    start(&mut system, "up", &["/usr/bin/python3", "-c", SUBREAPER]);
    let up = system.id("up");
    launch(&system);
    let orphans = wait_for_orphans(&system, up, 2);
    end_orphans(&system, &orphans);
    let manager = children(up).into_iter().find(|(_, words)| words.contains(" manager ")).expect("a manager");
    kill_process(pid(manager.0), Signal::KILL).expect("it is killed");
    system.wait_for_log("up", "manager was killed by signal 9; started again");
    assert!(children(up).iter().all(|(_, words)| words.contains("nowcast")), "{:?}", children(up));
}

#[test]
fn a_manager_reaps_orphans_and_sees_the_exits_of_its_runners() {
    let mut system = prepared();
    system.start_broker();
    start(&mut system, "manager", &["/usr/bin/python3", "-c", SUBREAPER]);
    launch(&system);
    let orphans = wait_for_orphans(&system, system.id("manager"), 2);
    end_orphans(&system, &orphans);
    launch(&system);
    let manager = system.id("manager");
    system.wait_for("no children", || children(manager).is_empty().then_some(()));
}

#[test]
fn a_broker_reaps_orphans() {
    let mut system = prepared();
    start(&mut system, "broker", &["/usr/bin/python3", "-c", SUBREAPER]);
    let broker = system.id("broker");
    let orphans = wait_for_orphans(&system, broker, 1);
    end_orphans(&system, &orphans);
    system.wait_for("no children", || children(broker).is_empty().then_some(()));
}

/// The first process of a namespace needs no other mark.
#[test]
#[cfg(feature = "system-tests")]
fn up_reaps_orphans_as_process_1() {
    let mut system = prepared();
    start(&mut system, "up", &["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]);
    let unshare = system.id("up");
    let up = system.wait_for("up", || children(unshare).pop()).0;
    launch(&system);
    let orphans = wait_for_orphans(&system, up, 1);
    end_orphans(&system, &orphans);
}
