//! `nowcast up` on a terminal that is closed, and commands that ask on a terminal.

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

/// Runs a command on its own terminal, answers its questions with the first argument's words, and ends the input after them. Prints what was shown.
const ANSWERS: &str = r"
import os, pty, sys
answers = sys.argv[1].split(',') if sys.argv[1] else []
process, terminal = pty.fork()
if process == 0:
    os.execv(sys.argv[2], sys.argv[2:])
shown = b''
while True:
    try:
        more = os.read(terminal, 4096)
    except OSError:
        break
    if not more:
        break
    shown += more
    if shown.endswith(b'): '):
        os.write(terminal, answers.pop(0).encode() + b'\n' if answers else b'\x04')
print(shown.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
";

/// Run a command on a terminal, with these answers to its questions: exit status and what it showed.
fn asked(system: &mut System, answers: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let ours = system.command(&[]);
    let mut command = std::process::Command::new("/usr/bin/python3");
    command.args(["-c", ANSWERS, answers, NOWCAST]).args(arguments);
    command.current_dir(ours.get_current_dir().expect("a folder")).env_remove("NOWCAST_YAML");
    let before = system.log("asked").len();
    system.spawn("asked", command);
    let status = system.wait_for_end("asked");
    (status.code(), system.log("asked").split_off(before))
}

#[test]
fn an_operator_is_asked_for_the_cycle_while_one_is_open() {
    let mut system = system().start();
    system.operate(&["hold", "--all"]);
    let (status, text) = asked(&mut system, "", &["launch", "keyless"]);
    assert!(status == Some(0) && !text.contains("Cycle"), "{text}");
    system.operate(&["launch", "--cycle", "2026-03-14", "keyless"]);

    let (status, text) = asked(&mut system, "a b,2026-03-15", &["launch", "keyless"]);
    assert_eq!(status, Some(0), "{text}");
    assert_eq!(text.matches("Cycle, or none (open: 2026-03-14): ").count(), 2, "{text}");
    assert!(text.contains("invalid cycle \"a b\""), "{text}");
    let (status, text) = asked(&mut system, "none", &["launch", "keyless"]);
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("Cycle, or none (open: 2026-03-15, 2026-03-14): "), "{text}");
    let (status, text) = asked(&mut system, "2026-03-16", &["send", "keyless", "success"]);
    assert_eq!(status, Some(0), "{text}");
    // Without an answer, nothing is launched or sent.
    for command in [&["launch", "keyless"][..], &["send", "keyless", "success"]] {
        assert_eq!(asked(&mut system, "", command).0, Some(2), "{command:?}");
    }

    let cycles = |command: &[&str]| {
        let list: serde_json::Value = serde_json::from_str(&system.operate(command)).expect("JSON");
        let list = list.as_array().expect("a list").iter().map(|item| item["cycle"].clone());
        let mut cycles: Vec<_> = list.map(|cycle| cycle.as_str().unwrap_or("none").to_owned()).collect();
        cycles.sort();
        cycles
    };
    assert_eq!(cycles(&["runs", "--open", "--json"]), ["2026-03-14", "2026-03-15", "none", "none"]);
    assert_eq!(cycles(&["messages", "--json"]), ["2026-03-16"]);
}
