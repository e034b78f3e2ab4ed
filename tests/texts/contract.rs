//! What must not change: the bytes on the wire, and the log lines that NEMO_Nowcast's users know and search for.
//!
//! These are written out here on purpose; no update of snapshots reaches them. What else is a contract is held
//! elsewhere: frozen journals in `tests/fast/journal/fixture.rs`, messages in `tests/fast/message.rs`, systems in Python in
//! `tests/system/nemo_nowcast.rs`.

use nowcast_core::Ticket;
use nowcast_core::message::Message;
use pyyaml::Value;
use regex::Regex;

use crate::support::system::{System, system};

/// Log lines without their times, with what differs from one start to the next written as a word.
fn lines(system: &System, text: &str) -> Vec<String> {
    let time = Regex::new(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ").expect("a pattern");
    let process = Regex::new(r"running in process \d+$").expect("a pattern");
    text.lines()
        .filter(|line| time.is_match(line))
        .map(|line| {
            let line = time.replace(line, "");
            process
                .replace(&line, "running in process PID")
                .replace(&system.path("").display().to_string(), "/srv/")
                .replace(&system.manager_port.to_string(), "4343")
                .replace(&system.workers_port.to_string(), "4344")
        })
        .collect()
}

/// Assert that these lines are there in this order, with others between them.
#[track_caller]
fn assert_in_order(found: &[String], expected: &[&str]) {
    let mut rest = found.iter();
    for line in expected {
        assert!(rest.any(|found| found == line), "not there, or not in this order: {line}\n{found:#?}");
    }
}

/// The bodies that a built-in worker sends, without their `id`, and its log. Every message is acknowledged.
fn worker(arguments: &[&str]) -> (Vec<String>, Vec<String>) {
    let mut system = system().prepare();
    let socket = system.context.socket(zmq::REP).expect("a socket");
    socket.bind(&format!("tcp://127.0.0.1:{}", system.workers_port)).expect("bound");
    let command = system.command(&[&["worker"], arguments].concat());
    system.spawn("worker", command);
    let id = Regex::new(r"^id: [0-9a-f-]{36}\n").expect("a pattern");
    let mut sent = Vec::new();
    system.wait_for("the worker's end", || {
        if socket.poll(zmq::POLLIN, 20).expect("polled") > 0 {
            let body = socket.recv_string(0).expect("received").expect("UTF-8");
            assert!(id.is_match(&body), "{body}");
            let reply = if body.contains("type: clear checklist") { "checklist cleared" } else { "ack" };
            socket.send(&Message::new("manager", reply, Value::Null).encode(), 0).expect("sent");
            sent.push(id.replace(&body, "").replace(&system.path("").display().to_string(), "/srv/"));
        }
        system.log("worker").contains("shutting down").then_some(())
    });
    assert!(system.wait_for_end("worker").success());
    let log = lines(&system, &system.log("worker"));
    (sent, log)
}

#[test]
fn a_message_is_a_mapping_with_sorted_keys() {
    let payload = pyyaml::read("{z: [1, 2.5], a: {'00': 2026-03-14, '12': '2026-03-14'}}").expect("YAML");
    assert_eq!(
        Message::new("sleep", "success", payload).encode(),
        "payload:\n  a:\n    '00': 2026-03-14\n    '12': '2026-03-14'\n  z:\n  - 1\n  - 2.5\nsource: sleep\ntype: success\n"
    );
}

#[test]
fn a_ticket_is_a_frame_of_twenty_bytes() {
    let frame = Ticket { epoch: 0x0102_0304_0506_0708, number: 9 }.to_frame();
    assert_eq!(frame, b"NCB1\x01\x02\x03\x04\x05\x06\x07\x08\0\0\0\0\0\0\0\x09");
}

#[test]
fn what_the_broker_hands_to_a_manager_is_a_ticket_and_the_worker_s_envelope() {
    let mut system = system().prepare();
    system.start_broker();
    let worker = system.connect();
    let manager = system.context.socket(zmq::ROUTER).expect("a socket");
    manager.set_rcvtimeo(60_000).expect("a timeout");
    manager.connect(&format!("tcp://127.0.0.1:{}", system.manager_port)).expect("a connection");
    worker.send("the body", 0).expect("sent");
    let frames = manager.recv_multipart(0).expect("a request");
    let [_, ticket, identity, delimiter, body] = frames.as_slice() else { panic!("{frames:?}") };
    assert!(ticket.len() == 20 && ticket.starts_with(b"NCB1"), "{ticket:?}");
    assert_eq!((identity.len(), delimiter.as_slice(), body.as_slice()), (5, &b""[..], &b"the body"[..]));
    let mut reply = frames.clone();
    reply[4] = b"the reply".to_vec();
    manager.send_multipart(reply, 0).expect("sent");
    assert_eq!(worker.recv_bytes(0).expect("the reply"), b"the reply");
}

/// A manager's introduction: its routing id and an empty message. To NEMO_Nowcast's broker they mean nothing.
#[test]
fn what_a_manager_sends_first() {
    let mut system = system().prepare();
    let broker = system.context.socket(zmq::DEALER).expect("a socket");
    broker.set_rcvtimeo(60_000).expect("a timeout");
    broker.bind(&format!("tcp://127.0.0.1:{}", system.manager_port)).expect("a port");
    system.start_manager(&[]);
    let mut introduction = broker.recv_msg(0).expect("an introduction");
    assert!(introduction.is_empty() && !introduction.get_more());
    let identity = introduction.gets("Identity").expect("a routing id").to_owned();
    let words: Vec<_> = identity.splitn(5, ' ').collect();
    let [mark, session, process, host, journal] = words.as_slice() else { panic!("{identity}") };
    assert_eq!(*mark, "NCM1");
    assert!(session.len() == 16 && session.bytes().all(|digit| digit.is_ascii_hexdigit()), "{session}");
    assert_eq!(*process, system.id("manager").to_string());
    assert!(!host.is_empty());
    assert_eq!(*journal, system.path("checklist.journal").display().to_string());
}

#[test]
fn how_a_broker_says_which_manager_is_connected() {
    let mut system = system().prepare();
    system.start_broker();
    let client = system.context.socket(zmq::DEALER).expect("a socket");
    client.set_rcvtimeo(60_000).expect("a timeout");
    client.connect(&format!("tcp://127.0.0.1:{}", system.workers_port)).expect("a connection");
    let ask = || -> serde_json::Value {
        client.send("NCQ1", 0).expect("sent");
        serde_json::from_slice(&client.recv_bytes(0).expect("an answer")).expect("JSON")
    };
    assert_eq!(
        ask(),
        serde_json::json!({"connected": false, "manager": null, "refused": null, "shortage": null})
    );
    system.start_manager(&[]);
    let manager = system
        .wait_for("the manager", || Some(ask()["manager"].clone()).filter(serde_json::Value::is_object));
    assert_eq!(manager["process"], system.id("manager"));
    assert_eq!(manager["journal"], system.path("checklist.journal").display().to_string());
    assert_eq!(ask()["connected"], true);
}

#[test]
fn every_reply_of_the_manager() {
    let system = system().worker("ruleless: {success: done}").start();
    for (request, reply) in [
        (
            "{source: sleep, type: success, payload: {b: 1, a: 2}}",
            "payload: null\nsource: manager\ntype: ack\n",
        ),
        (
            "{source: sleep, type: need, payload: sleepyhead}",
            "payload:\n  a: 2\n  b: 1\nsource: manager\ntype: ack\n",
        ),
        ("{source: sleep, type: need, payload: nothing}", "payload: null\nsource: manager\ntype: ack\n"),
        (
            "{source: nobody, type: success, payload: }",
            "payload: null\nsource: manager\ntype: unregistered worker\n",
        ),
        (
            "{source: sleep, type: snored, payload: }",
            "payload: null\nsource: manager\ntype: unregistered message type\n",
        ),
        (
            "{source: ruleless, type: success, payload: }",
            "payload: null\nsource: manager\ntype: no after_worker function\n",
        ),
        (
            "{source: clear_checklist, type: clear checklist, payload: }",
            "payload: null\nsource: manager\ntype: checklist cleared\n",
        ),
    ] {
        let socket = system.connect();
        socket.send(request, 0).expect("sent");
        let found = socket.recv_string(0).expect("a reply").expect("UTF-8");
        assert_eq!(found, reply, "{request}\n{}", system.describe());
    }
}

#[test]
fn sleep() {
    let (sent, log) = worker(&["sleep", "nowcast.yaml", "--sleep-time", "0"]);
    assert_eq!(sent, ["payload:\n  sleep time: 0\nsource: sleep\ntype: success\n"]);
    let expected = [
        "INFO [sleep] running in process PID",
        "INFO [sleep] read config from nowcast.yaml",
        "INFO [sleep] writing log messages to local file system",
        "INFO [sleep] connected to localhost port 4344",
        "INFO [sleep] slept for 0 seconds",
        "DEBUG [sleep] sent message: (success) sleep worker slept well",
        "DEBUG [sleep] received message from manager: (ack) message acknowledged",
        "DEBUG [sleep] shutting down",
    ];
    assert_eq!(log, expected);
}

#[test]
fn awaken() {
    let (sent, log) = worker(&["awaken", "nowcast.yaml"]);
    assert_eq!(sent, ["payload:\n  awoke: true\nsource: awaken\ntype: success\n"]);
    let expected = [
        "INFO [awaken] running in process PID",
        "INFO [awaken] read config from nowcast.yaml",
        "INFO [awaken] writing log messages to local file system",
        "INFO [awaken] connected to localhost port 4344",
        "INFO [awaken] awoke",
        "DEBUG [awaken] sent message: (success) awaken worker awoke",
        "DEBUG [awaken] received message from manager: (ack) message acknowledged",
        "DEBUG [awaken] shutting down",
    ];
    assert_eq!(log, expected);
}

#[test]
fn clear_checklist() {
    let (sent, log) = worker(&["clear_checklist", "nowcast.yaml"]);
    assert_eq!(
        sent,
        [
            "payload: null\nsource: clear_checklist\ntype: clear checklist\n",
            "payload: null\nsource: clear_checklist\ntype: success\n"
        ]
    );
    let expected = [
        "INFO [clear_checklist] running in process PID",
        "INFO [clear_checklist] read config from nowcast.yaml",
        "INFO [clear_checklist] writing log messages to local file system",
        "INFO [clear_checklist] connected to localhost port 4344",
        "INFO [clear_checklist] requesting that manager clear system state checklist",
        "DEBUG [clear_checklist] sent message: (clear checklist) clear nowcast checklist",
        "DEBUG [clear_checklist] received message from manager: (checklist cleared) system checklist cleared",
        "INFO [clear_checklist] nowcast system checklist cleared",
        "DEBUG [clear_checklist] sent message: (success) cleared",
        "DEBUG [clear_checklist] received message from manager: (ack) message acknowledged",
        "DEBUG [clear_checklist] shutting down",
    ];
    assert_eq!(log, expected);
}

#[test]
fn rotate_logs() {
    let (sent, log) = worker(&["rotate_logs", "nowcast.yaml"]);
    assert_eq!(
        sent,
        [
            "payload:\n  log files:\n  - /srv/nowcast.log\n  - /srv/checklist.log\nsource: rotate_logs\ntype: success\n"
        ]
    );
    let expected = [
        "INFO [rotate_logs] running in process PID",
        "INFO [rotate_logs] read config from nowcast.yaml",
        "INFO [rotate_logs] writing log messages to local file system",
        "INFO [rotate_logs] connected to localhost port 4344",
        "INFO [rotate_logs] rotating log files",
        "INFO [rotate_logs] log file rotated: /srv/nowcast.log",
        "DEBUG [rotate_logs] new /srv/nowcast.log log file permissions set to rw-rw-r--",
        "INFO [rotate_logs] log file rotated: /srv/checklist.log",
        "DEBUG [rotate_logs] new /srv/checklist.log log file permissions set to rw-rw-r--",
        "INFO [rotate_logs] log files rotated",
        "DEBUG [rotate_logs] sent message: (success) log files rotated",
        "DEBUG [rotate_logs] received message from manager: (ack) message acknowledged",
        "DEBUG [rotate_logs] shutting down",
    ];
    assert_eq!(log, expected);
}

#[test]
fn the_lines_of_broker_and_manager() {
    let rules = "function after_sleep(msg)
      if msg.type == 'success' then return { NextWorker('nowcast.workers.awaken') }, { 'awaken', 'keyless' } end
      return {}
    end
    function after_awaken() return { NextWorker('nowcast.workers.awaken', { '--debug' }) } end";
    let mut system = system().rules(rules).worker("ruleless: {success: done}").start();
    system.send("sleep", "success", "{sleep time: 5}");
    system.wait_for_log("manager", "awaken finished");
    system.send("keyless", "success", "null");
    system.send("ruleless", "success", "null");
    system.send("nobody", "success", "null");
    system.send("sleep", "snored", "null");
    system.send("clear_checklist", "clear checklist", "null");
    for daemon in ["manager", "broker"] {
        system.signal(daemon, rustix::process::Signal::HUP);
    }
    // With its level: a message from clear_checklist has these words, too.
    system.wait_for_log("manager", "INFO [manager] checklist:");
    system.wait_for_log_count("broker", "manager socket bound", 2);
    for daemon in ["manager", "broker"] {
        system.signal(daemon, rustix::process::Signal::TERM);
        system.wait_for_end(daemon);
    }
    let start = [
        "INFO [message_broker] running in process PID",
        "INFO [message_broker] read config from nowcast.yaml",
        "INFO [message_broker] writing logging messages to local file system",
        "INFO [message_broker] worker socket bound to port 4344",
        "INFO [message_broker] manager socket bound to port 4343",
    ];
    let hangup = ["INFO [message_broker] hangup signal (SIGHUP) received; reloading configuration"];
    let end = ["INFO [message_broker] termination signal (SIGTERM) received; shutting down"];
    assert_in_order(&lines(&system, &system.log("broker")), &[&start[..], &hangup, &start, &end].concat());
    assert_in_order(&lines(&system, &system.log("manager")), &MANAGER);
}

const MANAGER: [&str; 37] = [
    "INFO [manager] running in process PID",
    "INFO [manager] read config from nowcast.yaml",
    "INFO [manager] writing logging messages to local file system",
    "INFO [manager] next workers module loaded from next_workers",
    "INFO [manager] connected to localhost port 4343",
    "WARNING [manager] checklist load failed:",
    "WARNING [manager] running with empty checklist",
    "DEBUG [manager] listening...",
    "DEBUG [manager] received message from sleep: (success) sleep worker slept well",
    "INFO [manager] checklist updated with [sleepyhead] items from sleep worker",
    "DEBUG [manager] race condition management activated: {'must finish': {'awaken', 'keyless'}, 'then launch': []}",
    "INFO [manager] launching NextWorker(module='nowcast.workers.awaken', args=[], host='localhost')",
    "DEBUG [manager] cmd = ['/usr/bin/python3', '-m', 'nowcast.workers.awaken', 'nowcast.yaml']",
    "DEBUG [manager] listening...",
    "DEBUG [manager] received message from awaken: (crash) awaken worker crashed",
    "DEBUG [manager] awaken finished and race condition management updated: {'must finish': {'keyless'}, \
     'then launch': [NextWorker(module='nowcast.workers.awaken', args=['--debug'], host='localhost')]}",
    "DEBUG [manager] received message from keyless: (success) it went well",
    "DEBUG [manager] keyless finished and race condition management updated: {'must finish': set(), \
     'then launch': [NextWorker(module='nowcast.workers.awaken', args=['--debug'], host='localhost')]}",
    "DEBUG [manager] race condition management ended; next workers released: \
     [NextWorker(module='nowcast.workers.awaken', args=['--debug'], host='localhost')]",
    "INFO [manager] launching NextWorker(module='nowcast.workers.awaken', args=['--debug'], host='localhost')",
    "DEBUG [manager] cmd = ['/usr/bin/python3', '-m', 'nowcast.workers.awaken', 'nowcast.yaml', '--debug']",
    "DEBUG [manager] received message from ruleless: (success) done",
    "CRITICAL [manager] could not find after_ruleless in next_workers module",
    "ERROR [manager] message received from unregistered worker: nobody",
    "ERROR [manager] unregistered message type received from sleep worker: snored",
    "DEBUG [manager] received message from clear_checklist: (clear checklist) clear nowcast checklist",
    "INFO [manager] writing checklist to log file",
    "INFO [manager] checklist cleared",
    "INFO [manager] hangup signal (SIGHUP) received; reloading configuration",
    "INFO [manager] running in process PID",
    "INFO [manager] read config from nowcast.yaml",
    "INFO [manager] writing logging messages to local file system",
    "INFO [manager] next workers module loaded from next_workers",
    "INFO [manager] connected to localhost port 4343",
    "INFO [manager] checklist read from /srv/checklist.yaml",
    "INFO [manager] checklist:",
    "INFO [manager] termination signal (SIGTERM) received; shutting down",
];
