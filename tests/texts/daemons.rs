//! What the daemons and runners log outside of decisions, in real systems: NEMO_Nowcast's lines and our own.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nowcast_core::{Command, NextWorker, Ticket};
use rustix::process::Signal;

use crate::program::{assert_snapshot, redacted, replaced};
use crate::support::system::{System, free_ports, system};

/// The log of a program up to the first line with a text.
fn until(log: &str, text: &str) -> String {
    let end = log.find(text).expect("it is there");
    let end = log[end..].find('\n').map_or(log.len(), |line| end + line + 1);
    log[..end].to_owned()
}

#[track_caller]
fn assert_log(name: &str, system: &System, program: &str) {
    assert_snapshot(&format!("log_{name}"), &redacted(system, &system.log(program)));
}

/// Another system at the ports of the first one.
fn beside(system: &System) -> System {
    let mut other = crate::support::system::system().prepare();
    (other.manager_port, other.workers_port) = (system.manager_port, system.workers_port);
    other.write_config();
    other
}

fn stop(system: &mut System, program: &str) {
    system.signal(program, Signal::TERM);
    system.wait_for_end(program);
}

/// What a reload of the broker refuses and what it cannot do; an end with an open request.
#[test]
fn a_broker_that_is_reloaded_and_stopped() {
    let mut system = system().prepare();
    let command = system.command(&["broker", "nowcast.yaml", "--record", "messages.jsonl"]);
    system.spawn("broker", command);
    system.wait_for_log("broker", "manager socket bound");

    let config = fs::read_to_string(system.config()).expect("readable");
    let reload = |text: &str, line: &str, count: usize| {
        fs::write(system.config(), text).expect("written");
        system.signal("broker", Signal::HUP);
        system.wait_for_log_count("broker", line, count);
    };
    reload("zmq: [", "the new configuration is refused", 1);
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let other = config.replace(&system.workers_port.to_string(), &port);
    reload(&other, "The ports that were bound before stay", 1);
    reload(&format!("{config}security: {{curve: {{keys: keys}}}}\n"), "takes a restart", 1);
    reload(&format!("{config}security: {{bind: {{workers: '*'}}}}\n"), "stays bound as", 1);
    reload(&config, "manager socket bound", 4);

    // A manager that takes the request and never replies.
    let silent = system.context.socket(zmq::ROUTER).expect("a socket");
    silent.set_rcvtimeo(60_000).expect("a timeout");
    silent.connect(&format!("tcp://127.0.0.1:{}", system.manager_port)).expect("a connection");
    let worker = system.connect();
    worker.send("the body", 0).expect("sent");
    silent.recv_multipart(0).expect("a request");
    system.signal("broker", Signal::TERM);
    system.wait_for_log("broker", "waiting up to");
    system.signal("broker", Signal::TERM);
    system.wait_for_end("broker");
    let log = system.log("broker").replace(&port, "4345");
    assert_snapshot("log_broker_reloaded", &redacted(&system, &log));
}

/// A reply that is not awaited, a manager, and another one beside it that takes over.
#[test]
fn a_broker_with_two_managers() {
    let mut system = system().prepare();
    system.start_broker();
    let unidentified = system.context.socket(zmq::ROUTER).expect("a socket");
    unidentified.set_rcvtimeo(60_000).expect("a timeout");
    unidentified.connect(&format!("tcp://127.0.0.1:{}", system.manager_port)).expect("a connection");
    let worker = system.connect();
    worker.send("the body", 0).expect("sent");
    let mut reply = unidentified.recv_multipart(0).expect("a request");
    let ticket = std::mem::replace(&mut reply[1], Ticket { epoch: 1, number: 1 }.to_frame());
    unidentified.send_multipart(&reply, 0).expect("sent");
    system.wait_for_log("broker", "that is not open was discarded");
    reply[1] = ticket;
    unidentified.send_multipart(reply, 0).expect("sent");
    worker.recv_bytes(0).expect("the reply");
    drop(unidentified);

    system.start_manager(&[]);
    system.wait_for_log("broker", "manager connected");
    let mut other = beside(&system);
    let command = other.command(&["manager", "nowcast.yaml"]);
    other.spawn("manager", command);
    other.wait_for_log("manager", "refuses this manager");
    system.wait_for_log("broker", "is refused while another is connected");
    stop(&mut system, "manager");
    other.wait_for_log("manager", "accepts this manager now");
    system.wait_for_log_count("broker", "manager connected", 2);
    stop(&mut other, "manager");
    stop(&mut system, "broker");
    let other_folder = other.path("").display().to_string();
    let log = system.log("broker").replace(&other_folder, "/srv/other/");
    assert_snapshot("log_broker_two_managers", &redacted(&system, &log));
    let log = other.log("manager").replace(&other_folder, "/srv/other/");
    assert_snapshot("log_manager_refused", &redacted(&system, &log));
}

/// A journal of an earlier version, and files that other users can change.
#[test]
fn a_manager_that_starts_with_an_old_journal() {
    let mut system = system().prepare();
    let journal = system.path("checklist.journal");
    fs::create_dir_all(&journal).expect("a folder");
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journal-version-3/journal.sqlite");
    fs::copy(fixture, journal.join("journal.sqlite")).expect("copied");
    let mode =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode");
    mode(&journal, 0o777);
    mode(&system.path("rules/next_workers.lua"), 0o666);
    system.start_broker();
    system.start_manager(&[]);
    system.wait_for_log("manager", "'-m', 'upload', 'nowcast.yaml', '12'");
    stop(&mut system, "manager");
    let log = replaced(&system.log("manager"), r"to version \d+;", "to version N;");
    // What its workers print, whenever they do.
    let log = replaced(&log, r"(?m)^/usr/bin/python3: .*\n", "");
    assert_snapshot("log_manager_old_journal", &redacted(&system, &log));
}

/// Rules that cannot be used, and that can again.
#[test]
fn a_manager_whose_rules_are_edited() {
    let mut system = system().start();
    let good = fs::read_to_string(system.path("rules/next_workers.lua")).expect("readable");
    system.write_rules("function after_sleep( end");
    system.works();
    system.wait_for_log("manager", "the rules cannot be used");
    system.write_rules(&format!("{good}function after_sleep(msg) return {{ worker('awakn') }} end"));
    system.works();
    system.wait_for_log_count("manager", "next workers module loaded", 2);
    system.write_rules("function after_sleep() return {} end");
    system.works();
    system.wait_for_log_count("manager", "the rules cannot be used", 2);
    stop(&mut system, "manager");
    let log = replaced(&system.log("manager"), r"(?m)^.* DEBUG \[manager\] received .*\n", "");
    assert_snapshot("log_manager_rules", &redacted(&system, &log));
}

/// The checklist file is edited, damaged, removed and restored, and the manager is asked to read it.
#[test]
fn a_manager_whose_checklist_file_is_changed() {
    let mut system = system().start();
    let file = system.path("checklist.yaml");
    system.send("sleep", "success", "{sleep time: 5}");
    system.wait_for_checklist("{sleepyhead: {sleep time: 5}}");
    let backup = fs::read(&file).expect("readable");
    let read_again = |content: &[u8], line: &str| {
        fs::write(&file, content).expect("written");
        system.signal("manager", Signal::HUP);
        system.wait_for_log("manager", line);
        // It writes its own file in place of what it has read.
        let is_written = || fs::read(&file).is_ok_and(|found| found != content).then_some(());
        system.wait_for("its own file", is_written);
    };
    let edited = String::from_utf8_lossy(&backup).replace("sleep time: 5", "sleep time: 6");
    read_again(edited.as_bytes(), "was edited by hand");
    read_again(b"sleepyhead: {sleep time: 7}\n", "was not written by this system's manager");
    read_again(b"[", "running with the checklist in memory");
    system.wait_for_checklist("{sleepyhead: {sleep time: 7}}");
    fs::write(&file, &backup).expect("written");
    system.signal("manager", Signal::HUP);
    system.wait_for_log("manager", "is a copy of the file after event");
    system.wait_for_checklist("{sleepyhead: {sleep time: 7}}");
    fs::write(&file, "sleepyhead: {sleep time: 8}\n").expect("written");
    system.send("sleep", "success", "{sleep time: 9}");
    system.wait_for_log("manager", "was changed by another program");
    system.wait_for_checklist("{sleepyhead: {sleep time: 9}}");
    stop(&mut system, "manager");
    fs::remove_file(&file).expect("removed");
    system.start_manager(&[]);
    stop(&mut system, "manager");
    assert_log("manager_checklist_file", &system, "manager");
}

/// Its control socket is removed, and its journal's folder changes in the configuration.
#[test]
fn a_manager_whose_journal_moves() {
    let mut system = system().start();
    fs::remove_file(system.path("checklist.journal/control")).expect("removed");
    system.wait_for_log("manager", "is made again");
    system.more = "journal: {folder: elsewhere}\nsecurity: {curve: {keys: keys}}\n".to_owned();
    system.write_config();
    system.signal("manager", Signal::HUP);
    system.wait_for_log("manager", "the journal stays in");
    stop(&mut system, "manager");
    assert_log("manager_journal_moves", &system, "manager");
}

/// A run whose folder is removed, and one whose runner cannot be started.
#[test]
fn a_manager_whose_runs_are_disturbed() {
    let mut system = system()
        .section("workers: {sleep: {command: [sleep, '1000']}, keyless: {command: [/no/such/program]}}")
        .start();
    system.operate(&["launch", "keyless"]);
    system.wait_for_log("manager", "the manager reports a crash for it");
    system.operate(&["launch", "sleep"]);
    system.wait_for_log("manager", "cmd = ['sleep', '1000']");
    stop(&mut system, "manager");
    stop(&mut system, "broker");
    assert_log("manager_runs", &system, "manager");
}

/// A worker that is due each second, and no manager to ask.
#[test]
fn a_scheduler_without_a_manager() {
    let scheduled = "scheduled workers:\n- keyless: {cron: '* * * * * *'}";
    let mut system =
        system().section("workers: {keyless: {command: [/no/such/program]}}").section(scheduled).prepare();
    system.start_scheduler(&[]);
    system.wait_for_log("scheduler", "was not launched");
    let log = until(&system.log("scheduler"), "was not launched");
    assert_snapshot("log_scheduler_alone", &redacted(&system, &log));
    stop(&mut system, "scheduler");

    // The last launch was a while ago, and then the manager is stopped.
    system.start_broker();
    system.start_manager(&[]);
    let now = jiff::Timestamp::now().as_second();
    let due = jiff::Timestamp::from_second(now - 10).expect("a time");
    let item = "keyless (cron * * * * * *)".to_owned();
    let command = Command::LaunchScheduled { item, due, worker: NextWorker::new("keyless", Vec::new()) };
    let call = nowcast::control::Call { user: "scheduler".to_owned(), command: Some(command) };
    assert!(nowcast::control::call::call(&system.path("checklist.journal"), &call).expect("an answer").done);
    stop(&mut system, "manager");
    let before = system.log("scheduler").len();
    system.start_scheduler(&[]);
    system.wait_for_log("scheduler", "waits until the manager can be asked");
    let log = until(&system.log("scheduler")[before..], "waits until the manager can be asked");
    let log = replaced(&log, r"missed \d+ of its times", "missed N of its times");
    assert_snapshot("log_scheduler_behind", &redacted(&system, &log));
}

/// Messages that are no log messages, and settings that take a restart.
#[test]
fn a_log_aggregator_that_is_disturbed() {
    let (port, _) = free_ports();
    let publisher = zmq::Context::new().socket(zmq::PUB).expect("a socket");
    publisher.bind(&format!("tcp://127.0.0.1:{port}")).expect("bound");
    let mut system = system().prepare();
    let config = fs::read_to_string(system.config()).expect("readable");
    let config = config.replace("ports: {", &format!("ports: {{logging: {{manager: {port}}}, "));
    let config = config.replacen(
        "logging:\n",
        "logging:\n  aggregator: {version: 1, handlers: {console: {class: logging.StreamHandler, level: DEBUG, stream: ext://sys.stdout}}, root: {level: DEBUG, handlers: [console]}}\n",
        1,
    );
    fs::write(system.config(), &config).expect("written");
    let command = system.command(&["log-aggregator", "nowcast.yaml"]);
    system.spawn("aggregator", command);
    system.wait_for("the line about it", || {
        publisher.send_multipart(["no topic", "a text"], 0).expect("sent");
        system.log("aggregator").contains("invalid log messages").then_some(())
    });
    fs::write(system.config(), format!("{config}security: {{curve: {{keys: keys}}}}\n")).expect("written");
    system.signal("aggregator", Signal::HUP);
    system.wait_for_log("aggregator", "takes a restart");
    stop(&mut system, "aggregator");
    let log = system.log("aggregator").replace(&port.to_string(), "4346");
    let log = replaced(&log, r"so far: \d+\.", "so far: N.");
    assert_snapshot("log_aggregator_disturbed", &redacted(&system, &log));
}

/// The lines of `nowcast up` alone; those of the daemons are in other snapshots.
#[test]
fn a_system_whose_daemons_die() {
    let mut system = system().prepare();
    let command = system.command(&["up"]);
    system.spawn("up", command);
    system.wait_for_log("up", "listening...");
    let log = system.log("up");
    let (_, after) = log.split_once("[manager] running in process ").expect("its process");
    let number = after.lines().next().and_then(|number| number.parse().ok()).expect("a number");
    rustix::process::kill_process(crate::support::system::pid(number), Signal::KILL).expect("killed");
    system.wait_for_log("up", "started again in");
    system.wait_for_log_count("up", "listening...", 2);
    let taken = beside(&system);
    let mut second = taken;
    let command = second.command(&["up"]);
    second.spawn("up", command);
    second.wait_for_end("up");
    stop(&mut system, "up");
    let of_up = |system: &System| {
        let log = system.log("up");
        let lines = log.lines().filter(|line| line.contains(" [up] ")).map(|line| format!("{line}\n"));
        redacted(system, &lines.collect::<String>())
    };
    assert_snapshot("log_up", &format!("{}\nbeside a system that runs:\n{}", of_up(&system), of_up(&second)));
}
