//! What a broker recorded, through the rules.

use std::fs;
use std::process::Command;

use nowcast::broker::record::RecordedExchange;
use rustix::process::Signal;

use crate::rules_replay::journal::timeless;
use crate::support::python;
use crate::support::system::{System, system};

const RULES: &str = "\
function after_sleep(msg, config, checklist)
  if msg.type == 'crash' then error('no plan for a crash') end
  return { NextWorker('awaken', { '--shout' }), NextWorker('rotate_logs', {}, { delay = '1s' }) }
end
function after_awaken(msg, config, checklist) return {} end
function after_clear_checklist() return {} end
function after_rotate_logs() return {} end
function after_keyless() return {} end
";

/// A manager like NEMO_Nowcast's: a REP socket that acknowledges everything, and replies to a `need` from earlier messages.
const MANAGER: &str = r#"
import sys, yaml, zmq
socket = zmq.Context().socket(zmq.REP)
socket.connect(f"tcp://localhost:{sys.argv[1]}")
print("connected", flush=True)
checklist = {}
while True:
    message = yaml.safe_load(socket.recv())
    payload = None
    if message["type"] == "need":
        payload = {"sleep time": 5}
    socket.send_string(yaml.dump({"source": "manager", "type": "ack", "payload": payload}))
"#;

fn record(system: &mut System, file: &str) {
    let command = system.command(&["broker", "nowcast.yaml", "--record", file]);
    system.spawn("broker", command);
    system.wait_for_log("broker", "manager socket bound");
}

fn python_manager(system: &mut System) {
    let mut command = Command::new(python::venv());
    command.args(["-c", MANAGER, &system.manager_port.to_string()]);
    system.spawn("python_manager", command);
    system.wait_for_log("python_manager", "connected");
}

/// The exchanges of a recording, once there are so many.
fn exchanges(system: &System, count: usize) -> Vec<RecordedExchange> {
    let read = || -> Vec<RecordedExchange> {
        let bytes = fs::read(system.path("recording.jsonl")).unwrap_or_default();
        bytes.split(|byte| *byte == b'\n').filter_map(RecordedExchange::from_line).collect()
    };
    system.wait_for(&format!("{count} exchanges"), || Some(read()).filter(|found| found.len() >= count))
}

#[test]
fn a_plain_python_manager_is_recorded_and_compared_with_the_rules() {
    let mut system = system().only_rules(RULES).prepare();
    record(&mut system, "recording.jsonl");
    python_manager(&mut system);
    for (source, r#type, payload) in [
        ("sleep", "success", "{sleep time: 5}"),
        ("awaken", "success", "{awoke: true}"),
        ("sleep", "success", "{sleep time: 5}"),
        ("sleep", "need", "sleepyhead"),
        ("sleep", "crash", "null"),
        ("keyless", "success", "null"),
        ("keyless", "success", "null"),
        ("nobody", "success", "null"),
    ] {
        assert_eq!(system.send(source, r#type, payload), "ack");
    }
    let recorded = exchanges(&system, 8);
    assert_eq!(recorded[0].request, b"{source: sleep, type: \"success\", payload: {sleep time: 5}}");
    assert_eq!(recorded[0].reply, b"payload: null\nsource: manager\ntype: ack\n");
    assert_eq!(recorded.iter().map(|exchange| exchange.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 8]);
    let lines = fs::read_to_string(system.path("recording.jsonl")).expect("the recording");
    // Two seconds later, so that what waited for its time is launched.
    let at: jiff::ZonedDateTime =
        recorded[7].at.checked_add(jiff::SignedDuration::from_secs(2)).expect("a time");
    let last = RecordedExchange { at, ..recorded[6].clone() }.to_line().expect("a line");
    fs::write(system.path("recording.jsonl"), [lines.as_bytes(), &last].concat()).expect("written");

    let (status, text) = system.operation(&["rules", "replay", "--recording", "recording.jsonl"]);
    let expected = "\
TIME  #1  sleep success   next_workers.lua:1
    + awaken --shout
    + rotate_logs (delay 1s)
    and 1 more like it: #3

TIME  #5  sleep crash   next_workers.lua:1
    ! error: next_workers.lua:2: no plan for a crash

awaken was launched 2 times by the rules, and reported once in the recording
rotate_logs was launched 2 times by the rules, and never reported in the recording
reported without being launched by the rules: sleep (3 times), keyless (3 times)
TIME  #4  sleep need: the reply was ack {'sleep time': 5}, and would be ack {'awoke': True, 'sleep time': 5}
TIME  #8  nobody success: the reply was ack, and would be unregistered worker
9 messages from TIME to TIME decided: 2 would launch something, 1 would fail, 2 replies would be different";
    assert_eq!(timeless(&text), expected);
    assert_eq!(status, Some(1));

    let (_, json) = system.operation(&["rules", "replay", "--recording", "recording.jsonl", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&json).expect("one document");
    assert_eq!(document["workers"]["awaken"], serde_json::json!({"launched": 2, "reported": 1}));
    assert_eq!(document["replies"][1]["now"], "unregistered worker");
    assert_eq!(document["summary"]["messages"], 9);
}

#[test]
fn beside_our_manager_the_replies_and_the_launches_are_those_that_were() {
    let rules =
        "function after_sleep() return { NextWorker('awaken') } end function after_awaken() return {} end";
    let mut system = system().only_rules(rules).prepare();
    record(&mut system, "recording.jsonl");
    system.start_manager(&[]);
    system.run_worker(&["sleep", "nowcast.yaml", "--sleep-time", "0"]);
    system.wait_for_checklist("{sleepyhead: {sleep time: 0, awoke: true}}");
    assert_eq!(system.send_raw(b"\xff\x00").r#type, "unregistered message type");
    exchanges(&system, 3);
    let text = system.operate(&["rules", "replay", "--recording", "recording.jsonl"]);
    for line in [
        "    + awaken\n",
        "1 worker was launched by the rules as often as reported in the recording\n",
        "reported without being launched by the rules: sleep (once)\n",
        "1 would launch something, 0 would fail, 0 replies would be different\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let raw = fs::read_to_string(system.path("recording.jsonl")).expect("the recording");
    assert!(raw.contains("\"request_base64\":\"/wA=\""), "{raw}");
}

#[test]
fn a_recording_begins_with_the_checklist_that_is_given() {
    let rules = "function after_sleep(msg, config, checklist)
  return { NextWorker('awaken', { need(checklist, 'weather') }, { delay = '10h' }) } end";
    let mut system = system().only_rules(rules).prepare();
    record(&mut system, "recording.jsonl");
    python_manager(&mut system);
    system.send("sleep", "success", "null");
    exchanges(&system, 1);
    let replay = ["rules", "replay", "--recording", "recording.jsonl"];
    let (status, text) = system.operation(&replay);
    assert_eq!(status, Some(1), "{text}");
    fs::write(system.path("begin.yaml"), "weather: storm\n").expect("written");
    let text = system.operate(&[&replay[..], &["--checklist", "begin.yaml"]].concat());
    assert!(text.contains("+ awaken storm"), "{text}");
    fs::write(system.path("begin.yaml"), "- no\n").expect("written");
    let (status, text) = system.operation(&[&replay[..], &["--checklist", "begin.yaml"]].concat());
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("is not a checklist"), "{text}");
}

/// A recording with those messages, so many seconds after its begin.
fn recorded(system: &System, messages: &[(i64, &str)]) {
    let begin: jiff::ZonedDateTime = "2026-03-14T05:15:03-07:00[America/Vancouver]".parse().expect("a time");
    let lines: Vec<Vec<u8>> = (1..)
        .zip(messages)
        .map(|(number, (seconds, message))| {
            let at = begin.checked_add(jiff::SignedDuration::from_secs(*seconds)).expect("a time");
            let reply = b"{source: manager, type: ack, payload: null}".to_vec();
            let request = message.as_bytes().to_vec();
            RecordedExchange { at, number, request, reply }.to_line().expect("a line")
        })
        .collect();
    fs::write(system.path("recording.jsonl"), lines.concat()).expect("written");
}

#[test]
fn a_repeated_message_is_decided_once() {
    let system = system().only_rules(RULES).prepare();
    let message = "{source: sleep, type: success, payload: null, id: mine}";
    let other = "{source: awaken, type: success, payload: null, id: mine}";
    recorded(&system, &[(0, message), (1, other), (2, message)]);
    let text = system.operate(&["rules", "replay", "--recording", "recording.jsonl"]);
    assert!(text.contains("1 worker was launched by the rules as often as reported in"), "{text}");
    assert!(text.contains("1 sent again, and decided once\n2 messages from "), "{text}");
}

/// The second run waits for the first, whose report was lost.
#[test]
fn a_run_that_never_reported_ends_at_its_time_limit() {
    let section = "workers: {awaken: {max running: 1, timeout: 1m}}";
    let system = system().only_rules(RULES).section(section).prepare();
    let message = "{source: sleep, type: success, payload: null}";
    recorded(&system, &[(0, message), (300, message)]);
    let text = system.operate(&["rules", "replay", "--recording", "recording.jsonl"]);
    assert!(text.contains("awaken was launched 2 times by the rules, and never reported"), "{text}");
}

#[test]
fn a_broker_that_is_killed_leaves_a_recording_that_is_read_and_gone_on_with() {
    let mut system = system().start();
    system.signal("broker", Signal::KILL);
    system.wait_for_end("broker");
    fs::write(system.path("recording.jsonl"), "{\"at\":\"2026-03-14T05:15:03-07:00[Ameri").expect("written");
    record(&mut system, "recording.jsonl");
    system.wait_for_log_count("broker", "manager socket bound", 2);
    system.works();
    exchanges(&system, 1);
    system.signal("broker", Signal::KILL);
    system.wait_for_end("broker");
    let text = system.operate(&["rules", "replay", "--recording", "recording.jsonl"]);
    assert!(text.contains("1 of its lines could not be read"), "{text}");
    assert!(text.contains("1 message from "), "{text}");
}

#[test]
fn the_last_records_are_written_when_the_broker_exits() {
    let mut system = system().prepare();
    record(&mut system, "recording.jsonl");
    system.start_manager(&[]);
    system.works();
    system.signal("broker", Signal::TERM);
    system.wait_for_end("broker");
    assert_eq!(exchanges(&system, 1).len(), 1);
}

#[test]
fn a_full_disk_ends_the_recording_and_not_the_broker() {
    let mut system = system().prepare();
    record(&mut system, "/dev/full");
    system.start_manager(&[]);
    system.works();
    system
        .wait_for_log("broker", "the recording /dev/full cannot be written, so nothing is recorded any more");
    system.works();
    assert_eq!(system.log("broker").matches("cannot be written").count(), 1);
}

#[test]
fn a_file_that_cannot_be_opened_stops_the_program() {
    let system = system().prepare();
    let (status, text) = system.operation(&["broker", "nowcast.yaml", "--record", "nowhere/recording.jsonl"]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("cannot record to nowhere/recording.jsonl"), "{text}");
    let pipe = system.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("made").success());
    let (status, text) = system.operation(&["broker", "nowcast.yaml", "--record", "pipe"]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("cannot record to pipe: it is a pipe"), "{text}");
}

#[test]
fn up_hands_the_recording_on_to_its_broker() {
    let system = system().prepare();
    let up = ["up", "--launch", "sleep --sleep-time 0", "--exit-when-idle", "--record", "recording.jsonl"];
    system.operate(&up);
    assert_eq!(exchanges(&system, 1).len(), 1);
}
