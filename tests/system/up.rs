//! `nowcast up` beside what an earlier one left, and when its broker cannot start.

use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::support::system::{System, pid, system};

/// Runs a program, prints its process, and inherits what it leaves. Otherwise, the kernel would let stopped daemons go on
/// that are left in an orphaned process group.
const KEEPER: &str = "
import ctypes, signal, subprocess, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
process = subprocess.Popen(sys.argv[1:])
print('up is process', process.pid, flush=True)
process.wait()
while True:
    signal.pause()
";

/// The broker and the manager of a `nowcast up` that was killed: both are stopped, so they hold ports and journal.
struct Left(Vec<Pid>);

impl Left {
    fn go_on(&self) {
        for process in &self.0 {
            kill_process(*process, Signal::CONT).expect("it goes on");
        }
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        for process in &self.0 {
            let _ = kill_process(*process, Signal::KILL);
        }
    }
}

/// Start `nowcast up` under a name.
fn start(system: &mut System, name: &str, arguments: &[&str]) {
    let command = system.command(&[&["up"], arguments].concat());
    system.spawn(name, command);
}

/// The process that the log names after these words.
fn process_after(system: &System, words: &str) -> Pid {
    let log = system.log("first");
    let (_, number) = log.split_once(words).expect("its process");
    pid(number.lines().next().and_then(|number| number.parse().ok()).expect("a number"))
}

/// A system whose `nowcast up` was killed while its broker and its manager do not react.
fn left() -> (System, Left) {
    let mut system = system().prepare();
    let up = system.command(&["up"]);
    let mut keeper = Command::new("/usr/bin/python3");
    keeper.args(["-c", KEEPER]).arg(up.get_program()).args(up.get_args()).stdin(Stdio::null());
    keeper.current_dir(up.get_current_dir().expect("a folder")).env_remove("NOWCAST_YAML");
    system.spawn("first", keeper);
    system.wait_for_log("first", "listening...");
    let daemons = ["message_broker", "manager"];
    let process_of = |daemon| process_after(&system, &format!("[{daemon}] running in process "));
    let left = Left(daemons.map(process_of).into());
    for process in &left.0 {
        kill_process(*process, Signal::STOP).expect("stopped");
    }
    let up = process_after(&system, "up is process ");
    kill_process(up, Signal::KILL).expect("killed");
    system.wait_for("its end", || test_kill_process(up).is_err().then_some(()));
    (system, left)
}

fn waiting_for(left: &Left) -> [String; 2] {
    let [broker, manager] = [0, 1].map(|at| left.0[at].as_raw_nonzero());
    [format!("broker (process {broker})"), format!("manager (process {manager})")]
}

#[test]
fn up_waits_for_the_daemons_of_one_that_was_killed() {
    let (mut system, left) = left();
    start(&mut system, "second", &[]);
    system.wait_for_log("second", "waiting up to 15 s for daemons of an earlier \"nowcast up\" to stop: ");
    for daemon in waiting_for(&left) {
        assert!(system.log("second").contains(&daemon), "{daemon}: {}", system.describe());
    }
    assert!(!system.log("second").contains("[manager]"), "{}", system.describe());
    left.go_on();
    system.wait_for_log("second", "listening...");
    system.works();
    system.signal("second", Signal::TERM);
    assert_eq!(system.wait_for_end("second").code(), Some(0));
}

#[test]
fn up_waits_for_a_limited_time() {
    let (mut system, left) = left();
    start(&mut system, "second", &[]);
    assert_eq!(system.wait_for_end("second").code(), Some(2), "{}", system.describe());
    let log = system.log("second");
    assert!(log.contains("WARNING [up] daemons of an earlier \"nowcast up\" still run: "), "{log}");
    for daemon in waiting_for(&left) {
        assert_eq!(log.matches(&daemon).count(), 2, "{daemon}: {log}");
    }
    assert!(log.contains("CRITICAL [message_broker] cannot bind "), "{log}");
    assert!(!log.contains("[manager]"), "{log}");
}

#[test]
fn up_stops_while_it_waits() {
    let (mut system, _left) = left();
    start(&mut system, "second", &[]);
    system.wait_for_log("second", "waiting up to 15 s");
    system.signal("second", Signal::TERM);
    assert_eq!(system.wait_for_end("second").code(), Some(0));
    assert!(!system.log("second").contains("[message_broker]"), "{}", system.describe());
}

#[test]
fn up_does_not_wait_for_a_system_that_runs() {
    let mut system = system().prepare();
    start(&mut system, "first", &[]);
    system.wait_for_log("first", "listening...");
    start(&mut system, "second", &[]);
    assert_eq!(system.wait_for_end("second").code(), Some(3), "{}", system.describe());
    let log = system.log("second");
    assert!(log.contains(" runs this system already (nowcast.yaml)"), "{log}");
    assert!(!log.contains("[message_broker]") && !log.contains("waiting up to"), "{log}");
    system.works();
}

#[test]
fn without_a_port_for_the_broker_no_worker_is_launched() {
    let mut system = system().prepare();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", system.workers_port)).expect("a listener");
    start(&mut system, "up", &["--launch", "sleep"]);
    assert_eq!(system.wait_for_end("up").code(), Some(2), "{}", system.describe());
    let log = system.log("up");
    assert!(log.contains("cannot bind "), "{log}");
    // It would wait for a broker and hold this standard output.
    assert!(!log.contains("[manager]") && !system.path("checklist.journal/runs").exists(), "{log}");
}
