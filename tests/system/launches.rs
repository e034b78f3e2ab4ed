//! How workers are started, and that each is reaped.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::system::{Builder, System, system};

/// A program in the system's folder, first in the path, that records its arguments.
fn with_program(builder: Builder, name: &str) -> System {
    let script = "#!/bin/sh\nfor word in \"$0\" \"$@\"; do printf '%s\\n' \"$word\"; done > \"$(dirname \"$0\")/called\"\n";
    let system = builder.file(&format!("bin/{name}"), script).prepare();
    let path = system.path(&format!("bin/{name}"));
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("executable");
    system
}

fn start(mut system: System) -> System {
    system.start_broker();
    system.start_manager(&[]);
    system.works();
    system
}

/// The recorded arguments of the program.
fn called(system: &System) -> Vec<String> {
    let path = system.path("bin/called");
    let lines = system.wait_for("the call", || {
        let text = fs::read_to_string(&path).ok()?;
        text.ends_with('\n').then_some(text)
    });
    lines.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn a_remote_host_is_reached_by_ssh_as_in_nemo_nowcast() {
    let builder = system()
        .section("run: {enabled hosts: {robot.nibi: {envvars: /home/me/envvars.sh, python: /opt/python, config file: /home/me/nowcast.yaml}}}")
        .rules("function after_keyless() return { NextWorker('nowcast.workers.run_NEMO', { 'nowcast', '--run-date', '2026-03-14' }, { host = 'robot.nibi' }) } end");
    let mut prepared = with_program(builder, "ssh");
    let path = format!("{}:{}", prepared.path("bin").display(), std::env::var("PATH").unwrap_or_default());
    prepared.set_env("PATH", &path);
    let system = start(prepared);
    assert_eq!(
        called(&system),
        [
            "robot.nibi",
            "source",
            "/home/me/envvars.sh",
            ";",
            "/opt/python",
            "-m",
            "nowcast.workers.run_NEMO",
            "/home/me/nowcast.yaml",
            "nowcast",
            "--run-date",
            "2026-03-14"
        ]
    );
    system.wait_for_log("manager", "INFO [manager] launching NextWorker(module='nowcast.workers.run_NEMO', args=['nowcast', '--run-date', '2026-03-14'], host='robot.nibi')");
    system.wait_for_log("manager", "DEBUG [manager] cmd = ['ssh', 'robot.nibi', 'source', '/home/me/envvars.sh', ';', '/opt/python', '-m', 'nowcast.workers.run_NEMO', '/home/me/nowcast.yaml', 'nowcast', '--run-date', '2026-03-14']");
}

#[test]
fn a_host_that_lacks_a_setting_is_an_error_only_at_a_launch() {
    let system = system()
        .section("run: {enabled hosts: {bare.host: {shared storage: true}}}")
        .rules("function after_sleep() return { NextWorker('sleep', {}, { host = 'bare.host' }) } end")
        .start();
    system.works();
    system.send("sleep", "success", "null");
    system
        .wait_for_log("manager", "the host bare.host has no `envvars:` in `run: enabled hosts: bare.host:`");
    system.works();
}

#[test]
fn a_dotted_module_is_started_with_python() {
    let builder = system().rules(
        "function after_keyless() return { NextWorker('nowcast.workers.sleep', { '--sleep-time', 3 }) } end",
    );
    let mut prepared = with_program(builder, "python");
    let python = prepared.path("bin/python").display().to_string();
    prepared.set_python(&python);
    let system = start(prepared);
    assert_eq!(called(&system), ["-m", "nowcast.workers.sleep", "nowcast.yaml", "--sleep-time", "3"]);
}

#[test]
fn a_configured_command_takes_precedence_over_a_built_in_worker() {
    let builder = system().rules(
        "function after_keyless() return { NextWorker('nemo_nowcast.workers.sleep', { '--fast' }) } end",
    );
    let mut prepared = with_program(builder, "own");
    let own = prepared.path("bin/own").display().to_string();
    prepared.more = format!("workers: {{sleep: {{command: [{own}, '{{worker}}', '--config={{config}}']}}}}");
    prepared.write_config();
    let system = start(prepared);
    assert_eq!(called(&system), ["sleep", "--config=nowcast.yaml", "--fast"]);
}

#[test]
fn both_names_of_a_built_in_worker_run_nowcast() {
    let system = system()
        .rules("function after_keyless() return { NextWorker('awaken'), NextWorker('nemo_nowcast.workers.awaken') } end")
        .start();
    system.works();
    system.wait_for_log_count("manager", "INFO [awaken] awoke", 2);
    system.wait_for_log_count("manager", "'worker', 'awaken', 'nowcast.yaml']", 2);
}

#[test]
fn every_child_is_reaped() {
    let mut system = system()
        .section("workers: {sleep: {command: ['true']}, awaken: {command: ['sh', '-c', 'kill -9 $$']}}")
        .rules("function after_keyless() local list = {} for i = 1, 20 do add(list, worker('sleep'), worker('awaken')) end return list end")
        .prepare();
    system.start_broker();
    let command = system.command(&["manager", "nowcast.yaml"]);
    let manager = system.spawn("manager", command);
    system.wait_for_log("manager", "listening...");
    system.works();
    system.wait_for_log_count("manager", "was killed by signal 9", 20);
    let children = format!("/proc/{manager}/task/{manager}/children");
    system.wait_for("a manager without children", || {
        fs::read_to_string(&children).is_ok_and(|text| text.trim().is_empty()).then_some(())
    });
}

#[test]
fn a_chain_of_workers_runs_to_its_end() {
    let system = system()
        .rules(
            "function after_awaken(msg, config, checklist)
                  local hops = checklist.hops or 0
                  return { NextWorker('sleep', { '--sleep-time', '0' }) }
                end
                function after_sleep() return { NextWorker('clear_checklist') } end
                function after_clear_checklist() return { NextWorker('rotate_logs') } end",
        )
        .start();
    let log = system.run_worker(&["awaken", "nowcast.yaml"]);
    assert!(log.contains("received message from manager: (ack) message acknowledged"), "{log}");
    system.wait_for_log("manager", "INFO [clear_checklist] nowcast system checklist cleared");
    system.wait_for_log("manager", "INFO [manager] writing checklist to log file");
    system.wait_for_log("manager", "INFO [manager] checklist cleared");
    system.wait_for_log("manager", "INFO [rotate_logs] log files rotated");
    let rotated = fs::read_to_string(system.path("checklist.log.1")).expect("the checklist's log");
    assert!(
        rotated.contains("INFO [checklist] checklist:\n{'sleepyhead': {'awoke': True, 'sleep time': 0}}"),
        "{rotated}"
    );
    system.works();
}

#[test]
fn hundreds_of_released_launches_do_not_delay_a_message() {
    const COUNT: usize = 400;
    let system = system()
        .worker("tick: {success: it went well, crash: it crashed}")
        .section("workers: {tick: {command: ['true']}}")
        .rules(
            "function after_sleep()
               local launches = {}
               for number = 1, 400 do add(launches, NextWorker('tick', { tostring(number), '--debug' })) end
               return launches
             end",
        )
        .start();
    let hold = system.operate(&["hold", "--all", "--json"]);
    let hold: serde_json::Value = serde_json::from_str(&hold).expect("JSON");
    system.send("sleep", "success", "null");
    let text = system.operate(&["status"]);
    assert_eq!(text.matches("\n◔ PENDING").count(), 20, "{text}");
    assert!(text.contains("… and 380 more: nowcast runs --open"), "{text}");
    let worker = system.connect();
    system.operate(&["release", &hold["numbers"][0].to_string()]);
    worker.send("{source: keyless, type: success, payload: null}", 0).expect("sent");
    assert_eq!(system.receive(&worker).r#type, "ack");
    let launched = || system.log("manager").matches("launching NextWorker(module='tick'").count();
    assert!(launched() < COUNT, "the message had to wait for all of them");
    system.wait_for("all of them", || (launched() == COUNT).then_some(()));
    system.wait_for("their ends", || (!system.operate(&["status"]).contains("running")).then_some(()));
}

/// A large file is written beside the loop, which takes longer than a launch.
#[test]
fn a_launched_worker_finds_its_message_in_a_large_checklist_file() {
    let tick =
        "grep -q \"sent $1\" checklist.yaml && echo \"$1 found\" >> ticks || echo \"$1 missing\" >> ticks";
    let system = system()
        .worker("tick: {success: it went well, crash: it crashed}")
        .section(&format!("workers: {{tick: {{command: [sh, -c, '{tick}', tick]}}}}"))
        .rules(
            "function after_tick() return {} end
             function after_sleep(msg) return { NextWorker('tick', { msg.payload.number, '--debug' }) } end",
        )
        .start();
    let text = "0123456789 abcdef".repeat(120_000);
    assert_eq!(system.send("rotate_logs", "success", &format!("{{text: '{text}'}}")), "ack");
    system.wait_for("a large file", || {
        let size = fs::metadata(system.path("checklist.yaml")).ok()?.len();
        (size > 2_000_000).then_some(())
    });
    for number in 0..5 {
        let payload = format!("{{number: {number}, key {number}: sent {number}}}");
        assert_eq!(system.send("sleep", "success", &payload), "ack");
    }
    let mut ticks = system.wait_for("five workers", || {
        let ticks = fs::read_to_string(system.path("ticks")).ok()?;
        let ticks: Vec<String> = ticks.lines().map(str::to_owned).collect();
        (ticks.len() == 5).then_some(ticks)
    });
    ticks.sort();
    assert_eq!(ticks, ["0 found", "1 found", "2 found", "3 found", "4 found"]);
}
