//! Our broker and manager beside those of NEMO_Nowcast: `cargo bench --bench nemo_nowcast`.
//!
//! `NEMO_NOWCAST_PYTHON` names a Python interpreter that can import `nemo_nowcast`. The same configuration, the same rule and the same
//! messages go to both systems in turns. Prints figures, fails on nothing: what a figure means depends on the machine.

#[path = "../tests/support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::system::{System, system};

/// What each system is measured with: so many requests in flight, and so many kB of checklist.
const LOADS: [(usize, usize); 4] = [(1, 0), (64, 0), (512, 0), (64, 146)];

/// How many times each load is measured. The median ratio counts.
const ROUNDS: usize = 5;

/// How long a system is measured in a round.
const ROUND: Duration = Duration::from_secs(2);

const MESSAGE: &str = "payload: {sleep time: 5}\nsource: sleep\ntype: success\n";

fn main() {
    // `cargo test --benches` only wants to know that it builds and starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let Ok(python) = std::env::var("NEMO_NOWCAST_PYTHON") else {
        println!("set NEMO_NOWCAST_PYTHON to a Python interpreter that can import nemo_nowcast");
        return;
    };
    for (in_flight, kilobytes) in LOADS {
        let theirs = nemo_nowcast(&python);
        let ours = nowcast();
        for system in [&theirs, &ours] {
            fill(system, kilobytes);
        }
        let mut rounds: Vec<(f64, f64)> =
            (0..ROUNDS).map(|_| (rate(&ours, in_flight), rate(&theirs, in_flight))).collect();
        rounds.sort_by(|one, other| (one.0 / one.1).total_cmp(&(other.0 / other.1)));
        let (ours, theirs) = rounds[ROUNDS / 2];
        println!(
            "{in_flight} in flight, checklist of {kilobytes} kB: {:.1} times NEMO_Nowcast ({ours:.0} and {theirs:.0} replies/s)",
            ours / theirs
        );
    }
}

fn nowcast() -> System {
    let mut system = system().rules("function after_sleep(msg, config, checklist) return {} end").prepare();
    system.start_broker();
    system.start_manager(&[]);
    system
}

/// Start broker and manager of NEMO_Nowcast with the configuration of our systems.
fn nemo_nowcast(python: &str) -> System {
    let mut system = system().prepare();
    let rules = "def after_sleep(msg, config, checklist):\n    return []\n";
    fs::write(system.path("next_workers.py"), rules).expect("the rules are written");
    for daemon in ["message_broker", "manager"] {
        let mut command = Command::new(python);
        let folder = system.path("");
        command.args(["-m", &format!("nemo_nowcast.{daemon}"), "nowcast.yaml"]);
        command.current_dir(&folder).env("PYTHONPATH", &folder).stdin(Stdio::null());
        system.spawn(daemon, command);
    }
    system.send("sleep", "success", "{sleep time: 5}");
    system
}

/// Fill the checklist with so many kB.
fn fill(system: &System, kilobytes: usize) {
    let mut payload = String::new();
    for number in 0..kilobytes * 16 {
        write!(payload, "entry {number}: {}, ", "x".repeat(46)).expect("text can be written");
    }
    if kilobytes > 0 {
        system.send("sleep", "success", &format!("{{{payload}}}"));
    }
}

/// Return replies a second.
fn rate(system: &System, in_flight: usize) -> f64 {
    let client = system.context.socket(zmq::DEALER).expect("a socket");
    client.connect(&format!("tcp://127.0.0.1:{}", system.workers_port)).expect("a connection");
    for _ in 0..in_flight {
        client.send_multipart(["", MESSAGE], 0).expect("sent");
    }
    let mut replies = 0_u32;
    let start = Instant::now();
    while start.elapsed() < ROUND {
        client.recv_multipart(0).expect("a reply");
        client.send_multipart(["", MESSAGE], 0).expect("sent");
        replies += 1;
    }
    let seconds = start.elapsed().as_secs_f64();
    for _ in 0..in_flight {
        client.recv_multipart(0).expect("a reply");
    }
    f64::from(replies) / seconds
}
