//! Whole systems with distributed logging.

use std::fs;

use rustix::process::Signal;

use crate::distributed::scene::{Python, distributed, first_lines, read, start_aggregator};

const CHAIN: &str = "function after_sleep() return { NextWorker('awaken') } end";

#[test]
fn up_starts_the_aggregator_and_it_collects_the_lines_of_all_programs() {
    let (mut system, _) = distributed(CHAIN, 3);
    let (status, console) =
        system.run_to_end(&["up", "--launch", "sleep --sleep-time 0", "--exit-when-idle"]);
    assert_eq!(status, Some(0), "{console}");
    let log = read(&system.path("nowcast.debug.log"));
    for name in ["message_broker", "manager"] {
        let shown = first_lines(&console, name);
        assert!(shown.len() > 4, "{name}: {console}");
        let logged = first_lines(&log, name);
        assert_eq!(logged, shown, "{name}\n{console}\n---\n{log}");
    }
    // On a very slow machine there is no subscriber in time; then a worker's lines are in its run's output twice.
    let outputs: String = fs::read_dir(system.path("checklist.journal/runs"))
        .expect("runs")
        .flatten()
        .flat_map(|day| fs::read_dir(day.path()).expect("a day").flatten())
        .map(|run| read(&run.path().join("output.log")))
        .collect();
    for name in ["sleep", "awaken"] {
        let [shown, logged] = [&outputs, &log].map(|text| first_lines(text, name));
        assert!(shown.len() > 6, "{outputs}");
        let is_shown_twice = outputs.contains("no subscriber has received");
        assert!(logged == shown || is_shown_twice, "{name}\n{outputs}\n---\n{log}");
    }
    assert!(log.contains("[log_aggregator] termination signal (SIGTERM) received; shutting down"), "{log}");
}

#[test]
fn rotation_covers_the_aggregators_files_and_all_daemons_follow() {
    let (mut system, _) = distributed("", 2);
    system.start_broker();
    start_aggregator(&mut system);
    system.start_manager(&[]);
    let is_in = |file: &str, text: &str| {
        system
            .wait_for(&format!("{text} in {file}"), || read(&system.path(file)).contains(text).then_some(()));
    };
    is_in("nowcast.debug.log", "[manager] listening...");
    assert_eq!(system.send("sleep", "success", "{before: 1}"), "ack");
    system.run_worker(&["clear_checklist", "nowcast.yaml"]);
    is_in("checklist.log", "before");

    system.run_worker(&["rotate_logs", "nowcast.yaml"]);
    let folder = fs::canonicalize(system.path("")).expect("the folder");
    let file = |name: &str| folder.join(name).display().to_string();
    let files = [file("nowcast.log"), file("nowcast.debug.log"), file("checklist.log")];
    system.wait_for_checklist(&format!("{{logs: {{log files: [{}]}}}}", files.join(", ")));
    assert_eq!(system.send("sleep", "success", "{after: 2}"), "ack");
    system.run_worker(&["clear_checklist", "nowcast.yaml"]);
    is_in("nowcast.log", "[manager] checklist updated with [sleepyhead] items from sleep worker");
    is_in("nowcast.debug.log", "[rotate_logs] ");
    is_in("checklist.log", "after");
    for name in ["nowcast.log.1", "nowcast.debug.log.1"] {
        assert!(read(&system.path(name)).contains("[message_broker] running in process"), "{name}");
    }
    let old = read(&system.path("checklist.log.1"));
    assert!(old.contains("before") && !old.contains("after"), "{old}");
    assert!(!read(&system.path("nowcast.log")).contains("[message_broker] running in process"));
    system.signal("aggregator", Signal::TERM);
    assert_eq!(system.wait_for_end("aggregator").code(), Some(0));
}

#[test]
fn a_configuration_is_checked_in_all_its_parts() {
    let (system, ports) = distributed("", 1);
    let text = system.operate(&["config", "check"]);
    assert!(text.contains("is valid") && text.lines().count() == 1, "{text}");
    let good = fs::read_to_string(system.config()).expect("a configuration");
    let line_of =
        |text: &str, what: &str| text.lines().position(|line| line.contains(what)).expect("the line") + 1;
    let check = |from: &str, to: &str| {
        let changed = good.replacen(from, to, 1);
        assert_ne!(changed, good);
        fs::write(system.config(), &changed).expect("written");
        let (status, said) = system.operation(&["config", "check"]);
        (status, said, line_of(&changed, to))
    };
    for (from, to, why) in [
        (
            "class: zmq.log.handlers.PUBHandler",
            "class: zmq.log.handlers.PUBHandlr",
            "there is no handler class",
        ),
        (
            "info_text: {class: logging.handlers.RotatingFileHandler",
            "info_text: {class: logging.handlers.RotatingFileHandlr",
            "there is no handler class",
        ),
        (
            "handlers: [info_text, debug_text",
            "handlers: [info_txt, debug_text",
            "there is no handler \"info_txt\"",
        ),
        ("handlers: [console, zmq_pub]", "handlers: [console, zmq_pup]", "there is no handler \"zmq_pup\""),
        ("workers: [", "workers: [0, ", "must be a port number from 1 to 65535, not 0"),
        ("logging: {message_broker", "logging: {message_broker: port, m", "is not a port number"),
    ] {
        let (status, said, line) = check(from, to);
        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains(&format!(", line {line}")) && said.contains(why), "{to}: line {line}\n{said}");
    }
    let to = format!("logging: {{message_broker: {}, manager: {}", ports.broker, ports.broker);
    let (status, said, line) =
        check(&format!("logging: {{message_broker: {}, manager: {}", ports.broker, ports.manager), &to);
    assert_eq!(status, Some(0), "{said}");
    let expected = format!(
        "line {line}, zmq: ports: logging: manager: port {} is also that of message_broker; each program needs one of its own",
        ports.broker
    );
    assert!(said.contains(&expected), "{said}");
}

/// A subscriber with pyzmq's certificates, or without. It prints the first message, or `none`.
const SUBSCRIBER: &str = r#"
import os, sys, zmq, zmq.auth
folder, port, client, wait = sys.argv[1:]
socket = zmq.Context().socket(zmq.SUB)
socket.linger = 0
if client:
    socket.curve_publickey, socket.curve_secretkey = zmq.auth.load_certificate(os.path.join(folder, client + ".key_secret"))
    socket.curve_serverkey, _ = zmq.auth.load_certificate(os.path.join(folder, "logging.key"))
socket.subscribe(b"")
socket.connect(f"tcp://127.0.0.1:{port}")
print(b" ".join(socket.recv_multipart()).decode() if socket.poll(int(wait)) else "none")
"#;

#[test]
fn with_keys_the_aggregator_collects_all_lines_and_a_client_without_a_key_none() {
    let (mut system, ports) = distributed(CHAIN, 3);
    let text = read(&system.config());
    fs::write(system.config(), format!("{text}\nsecurity: {{curve: {{keys: keys}}}}\n")).expect("written");
    system.operate(&["keys"]);
    system.start_broker();
    start_aggregator(&mut system);
    system.start_manager(&[]);
    let is_in_log = |text: &str| {
        system.wait_for(&format!("{text} in the log"), || {
            read(&system.path("nowcast.debug.log")).contains(text).then_some(())
        });
    };
    is_in_log("[manager] listening...");
    system.operate(&["launch", "sleep", "--sleep-time", "0"]);
    is_in_log("[awaken] ");
    is_in_log("[message_broker] running in process");
    let (folder, port) = (system.path("keys").display().to_string(), ports.manager.to_string());
    for (client, expected) in [("client", "manager."), ("", "none")] {
        let wait = if client.is_empty() { "1500" } else { "30000" };
        let arguments = [folder.clone(), port.clone(), client.to_owned(), wait.to_owned()];
        let mut subscriber = Python::start(SUBSCRIBER, &arguments);
        // Each of these is a line of the manager's log.
        for number in 0..20 {
            system.operate(&["checklist", "set", "number", &number.to_string()]);
        }
        assert!(subscriber.line().starts_with(expected), "{client:?}");
    }
}
