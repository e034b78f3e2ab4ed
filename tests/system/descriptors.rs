//! A broker that reaches its limit of open files.

use std::process::Command;
use std::time::Instant;

use crate::support::python;
use crate::support::system::{NOWCAST, System, system};

/// The limit.
const LIMIT: usize = 100;

/// The messages that a manager takes without a reply. Fewer workers than that cannot be the reason for the limit.
const SOME: usize = 20;

/// More workers than the broker can have connected.
const WORKERS: usize = 400;

/// Workers in Python, each a REQ socket with a message of its own, which ends with its reply. The script prints a line when all
/// wait, and exits when all have got the reply to their own message.
const SCRIPT: &str = r#"
import sys, zmq
port, count = int(sys.argv[1]), int(sys.argv[2])
context = zmq.Context()
poller, sockets = zmq.Poller(), {}
for number in range(count):
    socket = context.socket(zmq.REQ)
    socket.connect(f"tcp://127.0.0.1:{port}")
    socket.send_string(f"message {number}")
    poller.register(socket, zmq.POLLIN)
    sockets[socket] = number
print("all wait", flush=True)
while sockets:
    for socket, _ in poller.poll():
        number = sockets.pop(socket)
        reply = socket.recv_string()
        assert reply == f"message {number}", (reply, number)
        poller.unregister(socket)
        socket.close()
"#;

impl System {
    /// Start the workers.
    fn start_workers(&mut self) {
        let mut command = Command::new(python::venv());
        command.args(["-c", SCRIPT, &self.workers_port.to_string(), &WORKERS.to_string()]);
        self.spawn("workers", command);
        self.wait_for_log("workers", "all wait");
    }

    /// Start a broker whose limit of open files is set by the shell's `ulimit`.
    fn spawn_limited_broker(&mut self, ulimit: &str) {
        let script = format!("ulimit {ulimit}; exec {NOWCAST} broker nowcast.yaml");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(self.path(""));
        self.spawn("broker", command);
    }

    /// Start such a broker that has enough of them.
    fn start_limited_broker(&mut self, ulimit: &str) {
        self.spawn_limited_broker(ulimit);
        self.wait_for_log("broker", "manager socket bound");
    }

    /// The processor time that a program has used, in clock ticks.
    fn ticks(&self, name: &str) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id(name))).expect("it runs");
        let (_, rest) = stat.rsplit_once(')').expect("its name");
        let columns: Vec<_> = rest.split_whitespace().collect();
        [11, 12].map(|column| columns[column].parse::<u64>().expect("a number")).iter().sum()
    }
}

/// A broker at its limit.
fn full() -> System {
    let mut system = system().prepare();
    system.start_limited_broker(&format!("-n {LIMIT}"));
    system.start_workers();
    system.wait_for_log("broker", &format!("the limit of {LIMIT} open files is reached with"));
    system
}

#[test]
fn waiting_workers_keep_no_manager_out_and_get_their_replies_later() {
    let mut system = full();
    let (before, start) = (system.ticks("broker"), Instant::now());
    // Managers that answer nothing, so that nothing is released.
    for round in 0..5 {
        let name = format!("silent-{round}");
        system.start_python_manager(&name, 0, SOME);
        system.wait_for_log(&name, &format!("taken {SOME}"));
        system.kill(&name);
    }
    let (after, elapsed) = (system.ticks("broker"), start.elapsed());
    // A hundred ticks are a second. A busy loop takes about all of the time.
    let ticks = u128::from(after - before);
    assert!(ticks * 10 * 4 < elapsed.as_millis().max(1_000), "{ticks} ticks in {elapsed:?}");

    system.start_python_manager("manager", usize::MAX >> 1, 1);
    system.ends_well("workers");
    system.wait_for_log("broker", "connections of workers are accepted again");
    let reached = system.log("broker").matches("open files is reached").count();
    assert_eq!(reached, 1, "{}", system.describe());
}

#[test]
fn status_tells_of_a_broker_that_takes_no_more_connections() {
    let mut system = full();
    let page = system.wait_for("the limit in status", || {
        let (_, page) = system.operation(&["status"]);
        page.contains(&format!("the limit of {LIMIT} open files is reached with")).then_some(page)
    });
    assert!(page.contains("other workers wait until some of these have their replies"), "{page}");
    let (_, json) = system.operation(&["status", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        (&json["daemons"][0]["name"], &json["daemons"][0]["state"]),
        (&"broker".into(), &"limited".into())
    );
    system.start_python_manager("manager", usize::MAX >> 1, 1);
    system.ends_well("workers");
    system.wait_for("the end of the shortage", || {
        (!system.operation(&["status"]).1.contains("open files is reached")).then_some(())
    });
}

#[test]
fn a_broker_at_its_limit_reloads_and_stops() {
    let mut system = full();
    system.start_python_manager("silent", 0, SOME);
    system.wait_for_log("silent", &format!("taken {SOME}"));
    system.signal("broker", rustix::process::Signal::HUP);
    system.wait_for_log_count("broker", "manager socket bound", 2);
    system.signal("broker", rustix::process::Signal::TERM);
    system.wait_for_log("broker", "waiting up to 10 s for replies");
    system.signal("broker", rustix::process::Signal::TERM);
    system.ends_well("broker");
}

/// With a few more, the broker would start and serve no worker.
#[test]
fn a_limit_that_is_too_low_is_refused_with_one_that_is_high_enough() {
    let mut system = system().prepare();
    for limit in ["40", "52"] {
        system.spawn_limited_broker(&format!("-n {limit}"));
        assert_eq!(system.wait_for_end("broker").code(), Some(1), "{}", system.describe());
        let refusal = format!("the limit of {limit} open files is too low: the broker needs ");
        system.wait_for_log("broker", &refusal);
    }
    let log = system.log("broker");
    let needed = log.rsplit("the broker needs ").next().and_then(|rest| rest.split(',').next());
    system.start_limited_broker(&format!("-n {}", needed.expect("a number")));
    system.start_manager(&[]);
    system.works();
}

#[test]
fn the_limit_is_raised_to_the_hard_limit() {
    let mut system = system().prepare();
    system.start_limited_broker("-Sn 64");
    system.start_workers();
    system.start_python_manager("manager", usize::MAX >> 1, 1);
    system.ends_well("workers");
    let log = system.log("broker");
    assert!(log.contains("limit of open files: ") && log.contains(", 16 reserved for the manager"), "{log}");
    assert!(!log.contains("is reached"), "{log}");
}

#[test]
fn a_manager_has_the_hard_limit_and_its_workers_the_soft_one() {
    let mut system =
        system().section("workers: {awaken: {command: [sh, -c, 'ulimit -n > limit']}}").prepare();
    system.start_broker();
    let script = format!("ulimit -Sn 600; ulimit -Hn 4096; exec {NOWCAST} manager nowcast.yaml");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(system.path(""));
    let manager = system.spawn("manager", command);
    system.works();
    let limits = std::fs::read_to_string(format!("/proc/{manager}/limits")).expect("readable");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).expect("the limit");
    assert_eq!(files.split_whitespace().nth(3), Some("4096"), "{files}");
    system.operate(&["launch", "awaken"]);
    system.wait_for("the limit of the worker", || {
        let limit = std::fs::read_to_string(system.path("limit")).unwrap_or_default();
        limit.ends_with('\n').then(|| assert_eq!(limit, "600\n"))
    });
}
