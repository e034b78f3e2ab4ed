//! `nowcast up` on a terminal that is closed.

use std::path::Path;

use rustix::process::{Signal, kill_process, test_kill_process};

use crate::support::system::{NOWCAST, System, pid, system};

/// Runs a command on its own terminal, which is closed when this program exits; first prints the command's process.
const TERMINAL: &str = "
import os, pty, sys
process, terminal = pty.fork()
if process == 0:
    if os.environ.get('IGNORE_HANGUP'):
        import signal
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.execv(sys.argv[1], sys.argv[1:])
print('process', process, flush=True)
while True:
    sys.stdout.buffer.write(os.read(terminal, 4096))
    sys.stdout.flush()
";

/// Start `nowcast up` on a terminal; return the system when it is ready, and the process.
fn on_a_terminal(environment: &[(&str, &str)]) -> (System, u32) {
    let mut system = system().prepare();
    let ours = system.command(&[]);
    let mut command = std::process::Command::new("/usr/bin/python3");
    command.args(["-c", TERMINAL, NOWCAST, "up"]).current_dir(ours.get_current_dir().expect("a folder"));
    command.env_remove("NOWCAST_YAML").envs(environment.iter().copied());
    system.spawn("terminal", command);
    system.wait_for_log("terminal", "listening...");
    let log = system.log("terminal");
    let process = log.lines().find_map(|line| line.strip_prefix("process ")).expect("the process");
    let process = process.trim().parse().expect("a number");
    (system, process)
}

fn close_terminal(system: &mut System) {
    system.signal("terminal", Signal::KILL);
    system.wait_for_end("terminal");
}

fn has_ended(process: u32) -> bool {
    // A process that has not been waited for still exists.
    let state = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    test_kill_process(pid(process)).is_err() || state.contains(") Z ")
}

fn nowcast_log(system: &System) -> String {
    std::fs::read_to_string(system.path("nowcast.log")).unwrap_or_default()
}

#[test]
fn up_stops_with_its_terminal_and_leaves_no_daemon() {
    let (mut system, up) = on_a_terminal(&[]);
    kill_process(pid(up), Signal::HUP).expect("it takes the signal");
    // While the terminal exists, SIGHUP is a reload.
    system.wait_for_log_count("terminal", "read config from", 4);
    assert!(!has_ended(up), "{}", system.describe());
    close_terminal(&mut system);
    system.wait_for("the end of up", || has_ended(up).then_some(()));
    assert!(nowcast_log(&system).contains("terminal closed"), "{}", nowcast_log(&system));
    let config = system.config();
    let daemons = || {
        let processes = std::fs::read_dir("/proc").expect("a folder").flatten();
        let is_ours = |path: &Path| std::fs::read_link(path.join("cwd")).ok().as_deref() == config.parent();
        processes.filter(|process| is_ours(&process.path())).count()
    };
    system.wait_for("the end of the daemons", || (daemons() == 0).then_some(()));
}

#[test]
fn up_under_nohup_outlives_its_terminal() {
    let (mut system, up) = on_a_terminal(&[("IGNORE_HANGUP", "1")]);
    close_terminal(&mut system);
    system.wait_for("the reload", || {
        (nowcast_log(&system).matches("read config from").count() >= 4).then_some(())
    });
    assert!(!has_ended(up), "{}", system.describe());
    kill_process(pid(up), Signal::TERM).expect("it takes the signal");
    system.wait_for("the end of up", || has_ended(up).then_some(()));
}

#[test]
fn up_without_a_terminal_reloads() {
    let mut system = system().prepare();
    let up = system.command(&["up"]);
    let mut command = std::process::Command::new("setsid");
    command.args(["--wait", NOWCAST, "up"]).current_dir(up.get_current_dir().expect("a folder"));
    command.env_remove("NOWCAST_YAML").stdin(std::process::Stdio::null());
    // setsid forks only if it leads a process group, so it becomes `up` itself.
    system.spawn("up", command);
    system.wait_for_log("up", "listening...");
    system.signal("up", Signal::HUP);
    system.wait_for_log_count("up", "read config from", 4);
    system.signal("up", Signal::TERM);
    assert_eq!(system.wait_for_end("up").code(), Some(0));
}
