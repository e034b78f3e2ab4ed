//! The README's first command: the toy nowcast system.

use std::path::Path;

use rustix::process::Signal;

use crate::support::system::{System, free_ports, system};

/// A copy of the repository's configuration and rules with ports of its own.
fn repository_system() -> System {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| std::fs::read_to_string(root.join(name)).expect("a file of the repository");
    let system = system().only_rules(&read("rules/next_workers.lua")).prepare();
    let (manager, workers) = free_ports();
    let config = read("nowcast.yaml")
        .replace("manager: 4343", &format!("manager: {manager}"))
        .replace("workers: 4344", &format!("workers: {workers}"));
    std::fs::write(system.config(), config).expect("written");
    system
}

#[test]
fn sleep_leads_to_awaken_and_rotate_logs_and_then_it_ends() {
    let mut system = repository_system();
    let (status, text) = system.run_to_end(&["up", "--launch", "sleep --sleep-time 1", "--exit-when-idle"]);
    for line in [
        "INFO [message_broker] worker socket bound to port ",
        "INFO [message_broker] manager socket bound to port ",
        "INFO [manager] next workers module loaded from next_workers",
        "INFO [manager] connected to localhost port ",
        "WARNING [manager] running with empty checklist",
        "INFO [sleep] slept for 1 seconds",
        "DEBUG [sleep] sent message: (success) sleep worker slept well",
        "DEBUG [manager] received message from sleep: (success) sleep worker slept well",
        "INFO [manager] checklist updated with [sleepyhead] items from sleep worker",
        "DEBUG [sleep] received message from manager: (ack) message acknowledged",
        "INFO [awaken] awoke",
        "INFO [rotate_logs] log files rotated",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert_eq!(status, Some(0), "{text}");
    let logs = system.path("logs");
    for file in ["nowcast.log", "nowcast.log.1", "nowcast.debug.log.1", "nowcast_checklist.yaml"] {
        assert!(logs.join(file).is_file(), "{file}\n{text}");
    }
}

#[test]
fn it_ends_with_status_1_when_something_crashed() {
    let mut system = repository_system();
    system.write_rules("function after_sleep() return { NextWorker('awaken', { '--no-such-option' }) } end");
    let (status, text) = system.run_to_end(&["up", "--launch", "sleep --sleep-time 0", "--exit-when-idle"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.contains("exited with status 2 without a report; the manager reports a crash for it"),
        "{text}"
    );
}

#[test]
fn daemons_that_are_killed_are_started_again() {
    let mut system = repository_system();
    let command = system.command(&["up"]);
    system.spawn("up", command);
    system.wait_for_log("up", "listening...");
    for (name, ready) in [("message_broker", "manager socket bound"), ("manager", "listening...")] {
        let line = format!("INFO [{name}] running in process ");
        let log = system.log("up");
        let (_, after) = log.split_once(&line).expect("its process");
        let number: u32 = after.lines().next().and_then(|number| number.parse().ok()).expect("a number");
        rustix::process::kill_process(crate::support::system::pid(number), Signal::KILL).expect("killed");
        system.wait_for_log("up", &format!("{name} was killed by signal 9; started again in"));
        system.wait_for_log_count("up", ready, 2);
    }
    system.signal("up", Signal::TERM);
    assert_eq!(system.wait_for_end("up").code(), Some(0));
    assert!(system.log("up").matches("termination signal (SIGTERM) received").count() >= 3);
}

#[test]
fn daemons_end_when_up_is_killed() {
    let mut system = repository_system();
    let command = system.command(&["up"]);
    system.spawn("up", command);
    system.wait_for_log("up", "manager socket bound");
    system.wait_for_log("up", "listening...");
    system.signal("up", Signal::KILL);
    system.wait_for_end("up");
    system.wait_for_log_count("up", "termination signal (SIGTERM) received; shutting down", 2);
}

#[test]
fn a_port_in_use_is_said_and_is_the_end() {
    let mut system = repository_system();
    let config = std::fs::read_to_string(system.config()).expect("the configuration");
    let port: u16 = config
        .lines()
        .find_map(|line| line.trim().strip_prefix("workers: ")?.parse().ok())
        .expect("the port");
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port)).expect("a listener");
    let (status, text) = system.run_to_end(&["up"]);
    assert!(text.contains(&format!("cannot bind tcp://127.0.0.1:{port}")), "{text}");
    assert_eq!(status, Some(2), "{text}");
}

#[test]
fn a_failing_rule_makes_the_status_1_and_several_workers_may_be_launched() {
    let mut system = repository_system();
    system.write_rules("function after_sleep() error('not today') end function after_awaken() return {} end");
    let (status, text) = system.run_to_end(&[
        "up",
        "--launch",
        "sleep --sleep-time 0",
        "--launch",
        "awaken",
        "--exit-when-idle",
    ]);
    assert!(text.contains("not today") && text.contains("INFO [awaken] awoke"), "{text}");
    assert_eq!(status, Some(1), "{text}");
}

#[test]
fn up_passes_a_hangup_on_and_ends_at_an_interrupt() {
    let mut system = repository_system();
    let command = system.command(&["up"]);
    system.spawn("up", command);
    system.wait_for_log("up", "manager socket bound");
    system.wait_for_log("up", "listening...");
    system.signal("up", Signal::HUP);
    system.wait_for_log_count("up", "hangup signal (SIGHUP) received; reloading configuration", 2);
    system.wait_for_log_count("up", "next workers module loaded", 2);
    system.signal("up", Signal::INT);
    assert_eq!(system.wait_for_end("up").code(), Some(0), "{}", system.describe());
}

/// The README's second section: `up` in one terminal, a worker and an edited rule in another.
#[test]
fn an_edit_takes_hold_while_up_runs() {
    let mut system = repository_system();
    let command = system.command(&["up"]);
    system.spawn("up", command);
    system.wait_for_log("up", "listening...");
    let logs = system.path("logs").display().to_string();
    system.set_env("NOWCAST_LOGS", &logs);
    system.set_env("NOWCAST_ENV", "/usr");
    let log = system.run_worker(&["sleep", "--sleep-time", "0"]);
    assert!(log.contains("received message from manager: (ack) message acknowledged"), "{log}");
    system.wait_for_log("up", "INFO [rotate_logs] log files rotated");
    let rules = std::fs::read_to_string(system.path("rules/next_workers.lua")).expect("the rules");
    let edited = rules.replace("NextWorker(\"awaken\")", "NextWorker(\"clear_checklist\")");
    assert_ne!(rules, edited);
    system.write_rules(&edited);
    system.run_worker(&["sleep", "--sleep-time", "0"]);
    system.wait_for_log("up", "INFO [clear_checklist] nowcast system checklist cleared");
}

#[test]
fn up_has_defaults_for_the_environment_of_daemons_and_workers() {
    let mut system = repository_system();
    let config = std::fs::read_to_string(system.config()).expect("the configuration");
    let show =
        "workers: {sleep: {command: [sh, -c, 'echo \"seen: $NOWCAST_LOGS $NOWCAST_ENV $NOWCAST_YAML\"']}}\n";
    std::fs::write(system.config(), format!("{show}{config}")).expect("written");
    system.set_env("VIRTUAL_ENV", "/my/environment");
    let (_, text) = system.run_to_end(&["up", "--launch", "sleep", "--exit-when-idle"]);
    let folder = system.path("").canonicalize().expect("the folder");
    let folder = folder.display();
    assert!(text.contains(&format!("seen: {folder}/logs /my/environment {folder}/nowcast.yaml")), "{text}");
}

#[test]
fn the_pause_before_a_restart_grows() {
    let mut system = repository_system();
    let command = system.command(&["up"]);
    system.spawn("up", command);
    for (round, pause) in ["0.25", "0.5", "1"].into_iter().enumerate() {
        system.wait_for_log_count("up", "listening...", round + 1);
        let log = system.log("up");
        let line =
            log.lines().rfind(|line| line.contains("[manager] running in process ")).expect("its process");
        let number = line.rsplit(' ').next().and_then(|number| number.parse().ok()).expect("a number");
        rustix::process::kill_process(crate::support::system::pid(number), Signal::KILL).expect("killed");
        system.wait_for_log("up", &format!("manager was killed by signal 9; started again in {pause} s"));
    }
}

#[test]
fn the_commands_that_status_advises_start_the_daemons_with_the_same_defaults_as_up() {
    let mut system = repository_system();
    let config = std::fs::read_to_string(system.config()).expect("the configuration");
    let show = "workers: {sleep: {command: [sh, -c, 'echo \"seen: $NOWCAST_LOGS $NOWCAST_ENV\"']}}\n";
    std::fs::write(system.config(), format!("{show}{config}")).expect("written");
    system.set_env("VIRTUAL_ENV", "/my/environment");
    let status: serde_json::Value =
        serde_json::from_str(&system.operation(&["status", "--json"]).1).expect("JSON");
    let advised: Vec<String> = status["attention"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|attention| {
            attention["try"][0]["command"].as_str()?.strip_prefix("nowcast ").map(str::to_owned)
        })
        .collect();
    assert_eq!(advised.len(), 2, "{advised:?}");
    for advice in advised {
        let words: Vec<&str> = advice.split(' ').collect();
        let command = system.command(&words);
        system.spawn(words[0], command);
    }
    system.wait_for_log("broker", "manager socket bound");
    system.wait_for_log("manager", "listening...");
    system.operate(&["launch", "sleep", "--debug"]);
    let folder = system.path("").canonicalize().expect("the folder");
    let expected = format!("seen: {}/logs /my/environment\n", folder.display());
    system.wait_for("the worker's environment", || {
        (system.operation(&["tail", "sleep"]).1 == expected).then_some(())
    });
    assert!(folder.join("logs/nowcast.log").exists());
}
