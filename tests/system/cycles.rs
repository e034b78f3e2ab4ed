//! Cycles: workers know theirs, and operators say it.

use std::fs;

use crate::support::python;
use crate::support::system::{Builder, System, system};

/// Launches `show` in the cycle of the payload, which writes what it knows.
const RULES: &str = "
function after_keyless(msg)
  return { worker('show'):with{ cycle = msg.payload } }
end
function after_show(msg)
  log.info('show: ' .. msg.type .. ' of ' .. tostring(msg.cycle))
  return {}
end
";

fn builder() -> Builder {
    system()
        .worker("show: {success: it is shown, failure: it is not, crash: it crashed}")
        .section("workers: {show: {exec: [sh, -c, 'echo \"cycle $NOWCAST_CYCLE\" >> shown']}}")
        .rules(RULES)
}

fn start() -> System {
    builder().start()
}

fn shown(system: &System, count: usize) -> Vec<String> {
    let lines = || fs::read_to_string(system.path("shown")).unwrap_or_default();
    system.wait_for(&format!("{count} lines"), || (lines().lines().count() >= count).then_some(()));
    lines().lines().map(str::to_owned).collect()
}

#[test]
fn a_worker_knows_its_cycle_and_the_rule_of_its_message_too() {
    let system = start();
    assert_eq!(system.send("keyless", "success", "'2026-03-14'"), "ack");
    system.wait_for_log("manager", "show: success of 2026-03-14");
    assert_eq!(system.send("keyless", "success", "false"), "ack");
    system.wait_for_log("manager", "show: success of nil");
    assert_eq!(shown(&system, 2), ["cycle 2026-03-14", "cycle "]);
    let table = system.operate(&["runs"]);
    assert!(table.contains("CYCLE") && table.contains("2026-03-14"), "{table}");
    let only = system.operate(&["runs", "--cycle", "2026-03-14", "--json"]);
    let only: serde_json::Value = serde_json::from_str(&only).expect("JSON");
    assert_eq!(only.as_array().expect("a list").len(), 1, "{only}");
    let number = only.as_array().expect("a list")[0]["number"].to_string();
    let why = system.operate(&["why", &number]);
    assert!(why.contains("\n  cycle 2026-03-14\n"), "{why}");
    let messages = system.operate(&["messages", "--cycle", "2026-03-14"]);
    assert!(messages.contains("show") && !messages.contains("keyless"), "{messages}");
}

#[test]
fn an_operator_must_say_the_cycle_while_one_is_open() {
    let system = start();
    // No cycle is open.
    system.operate(&["launch", "show"]);
    system.wait_for_log("manager", "show: success of nil");
    system.operate(&["hold", "--all"]);
    system.operate(&["launch", "--cycle", "2026-03-14", "show"]);
    for command in [&["launch", "show"][..], &["send", "keyless", "success", "'2026-03-15'"]] {
        let (status, text) = system.operation(command);
        assert_eq!(status, Some(2), "{text}");
        assert!(
            text.contains("name the cycle with --cycle ID, or --cycle none; open cycles: 2026-03-14"),
            "{text}"
        );
    }
    system.operate(&["send", "--cycle", "none", "keyless", "success", "'2026-03-15'"]);
    let (status, text) = system.operation(&["launch", "--cycle", "a b", "show"]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("invalid cycle \"a b\": use 1 to 64 letters"), "{text}");
    let pending = system.operate(&["runs", "--open"]);
    assert!(pending.contains("2026-03-14") && pending.contains("2026-03-15"), "{pending}");
}

#[test]
fn a_rerun_has_the_cycle_of_the_run_and_a_restart_keeps_both() {
    let mut system = start();
    system.operate(&["launch", "--cycle", "2026-03-14", "show"]);
    system.wait_for_log("manager", "show: success of 2026-03-14");
    system.signal("manager", rustix::process::Signal::KILL);
    system.wait_for_end("manager");
    system.start_manager(&[]);
    let runs: serde_json::Value = serde_json::from_str(&system.operate(&["runs", "--json"])).expect("JSON");
    let run = &runs.as_array().expect("a list")[0];
    assert_eq!(run["cycle"], "2026-03-14");
    system.operate(&["rerun", &run["number"].to_string()]);
    assert_eq!(shown(&system, 2), ["cycle 2026-03-14", "cycle 2026-03-14"]);
}

#[test]
fn a_manager_launches_in_the_cycle_of_its_command_line_and_does_not_ask_for_one() {
    let mut system = builder().prepare();
    system.start_broker();
    system.start_manager(&["--launch", "show", "--launch", "show", "--cycle", "2026-03-14"]);
    assert_eq!(shown(&system, 2), ["cycle 2026-03-14", "cycle 2026-03-14"]);
    system.operate(&["hold", "--all"]);
    system.operate(&["launch", "--cycle", "2026-03-14", "show"]);
    system.signal("manager", rustix::process::Signal::TERM);
    system.wait_for_end("manager");
    system.start_manager(&["--launch", "show"]);
    let pending = system.wait_for("both pending runs", || {
        let pending = system.operate(&["runs", "--open", "--json"]);
        let pending: Vec<serde_json::Value> = serde_json::from_str(&pending).expect("JSON");
        (pending.len() == 2).then_some(pending)
    });
    let cycles: Vec<_> = pending.iter().map(|run| &run["cycle"]).collect();
    assert_eq!(cycles, [&serde_json::Value::Null, &"2026-03-14".into()], "{pending:#?}");
    let (status, text) = system.operation(&["up", "--cycle", "2026-03-14"]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("--launch"), "{text}");
}

/// What a worker of NEMO_Nowcast sends: no run, and no cycle.
const PLAIN_WORKER: &str = "
import sys, time, pathlib, zmq, yaml
day = sys.argv[-1]
while not pathlib.Path('go-' + day).exists():
    time.sleep(0.05)
socket = zmq.Context().socket(zmq.REQ)
socket.connect('tcp://127.0.0.1:' + port)
socket.send_string(yaml.dump({'source': 'plain', 'type': 'success', 'payload': {'run date': day}}))
socket.recv_string()
";

#[test]
fn messages_of_plain_workers_get_the_cycles_of_their_runs_in_any_order() {
    let mut system = system()
        .worker("plain: {success: it is done, failure: it is not, crash: it crashed}")
        .rules(
            "function after_keyless(msg)
               return { worker('plain', '2026-03-14'):with{ cycle = 'a' }, worker('plain', '2026-03-15'):with{ cycle = 'b' } }
             end
             function after_plain(msg)
               log.info('plain of ' .. tostring(msg.cycle) .. ': ' .. msg.payload['run date'])
               return {}
             end",
        )
        .prepare();
    let program = format!("port = '{}'\n{PLAIN_WORKER}", system.workers_port);
    fs::write(system.path("plain.py"), program).expect("written");
    let python = python::venv().display().to_string();
    system.more = format!("{}\nworkers: {{plain: {{command: ['{python}', plain.py]}}}}\n", system.more);
    system.write_config();
    system.start_broker();
    system.start_manager(&[]);
    assert_eq!(system.send("keyless", "success", "null"), "ack");
    fs::write(system.path("go-2026-03-15"), "").expect("written");
    system.wait_for_log("manager", "plain of b: 2026-03-15");
    fs::write(system.path("go-2026-03-14"), "").expect("written");
    system.wait_for_log("manager", "plain of a: 2026-03-14");
}
