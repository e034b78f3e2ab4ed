//! Every invalid message gets a reply, and the next valid message works.

use std::fmt::Write;

use pyyaml::Value;

use crate::support::system::system;

/// Send an invalid message, expect a reply of that type and a line in the manager's log, then send a valid message.
fn refused(body: impl AsRef<[u8]>, reply: &str, log: &str) {
    let system = system().start();
    let answer = system.send_raw(body);
    assert_eq!(answer.source, "manager");
    assert_eq!(answer.r#type, reply, "{}", system.describe());
    system.wait_for_log("manager", log);
    system.works();
}

const REFUSED: &str = "unregistered message type";

#[test]
fn text_that_is_not_yaml() {
    refused("{source: [", REFUSED, "ERROR [manager] message refused");
}

#[test]
fn bytes_that_are_not_utf_8() {
    refused(b"source: \xff\xfe", REFUSED, "not UTF-8");
}

#[test]
fn an_empty_body() {
    refused("", REFUSED, "message refused");
}

#[test]
fn a_list() {
    refused("[source, type, payload]", REFUSED, "message refused");
}

#[test]
fn several_documents() {
    let one = "source: keyless\ntype: success\npayload: null\n";
    refused(format!("{one}---\n{one}"), REFUSED, "message refused");
}

#[test]
fn a_missing_key() {
    refused("source: sleep\ntype: success\n", REFUSED, "payload");
    refused("source: sleep\npayload: null\n", REFUSED, "type");
    refused("type: success\npayload: null\n", REFUSED, "source");
}

#[test]
fn keys_of_the_wrong_type() {
    refused("source: 7\ntype: success\npayload: null\n", REFUSED, "source");
    refused("source: sleep\ntype: [success]\npayload: null\n", REFUSED, "type");
}

#[test]
fn a_python_object() {
    let tag = "source: sleep\ntype: success\npayload: !!python/object/apply:os.system [touch /tmp/pwned]\n";
    refused(tag, REFUSED, "python/object/apply");
}

#[test]
fn nesting_20_000_deep() {
    let deep = "[".repeat(20_000) + &"]".repeat(20_000);
    refused(format!("{{source: sleep, type: success, payload: {deep}}}"), REFUSED, "message refused");
    refused(format!("payload:\n{}", "? ".repeat(20_000)), REFUSED, "message refused");
}

#[test]
fn an_alias_bomb() {
    let mut bomb =
        "source: sleep\ntype: success\npayload:\n  a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let item = format!("*a{}, ", level - 1);
        let items = item.repeat(9);
        let _ = writeln!(bomb, "  a{level}: &a{level} [{}]", items.trim_end_matches(", "));
    }
    refused(bomb, REFUSED, "message refused");
}

#[test]
fn an_unknown_worker() {
    refused(
        "source: unknown_worker\ntype: success\npayload: null\n",
        "unregistered worker",
        "ERROR [manager] message received from unregistered worker: unknown_worker",
    );
}

#[test]
fn an_unknown_type() {
    refused(
        "source: sleep\ntype: snored\npayload: null\n",
        REFUSED,
        "ERROR [manager] unregistered message type received from sleep worker: snored",
    );
}

#[test]
fn the_checklist_key_is_not_a_type() {
    refused(
        "source: sleep\ntype: checklist key\npayload: null\n",
        REFUSED,
        "unregistered message type received from sleep worker: checklist key",
    );
}

#[test]
fn a_need_of_a_missing_item() {
    let system = system().start();
    system.send("awaken", "success", "{awoke: true}");
    let reply = system.send_raw("{source: sleep, type: need, payload: weather}");
    assert_eq!((reply.r#type.as_str(), reply.payload), ("ack", Value::Null));
    system.wait_for_log(
        "manager",
        "ERROR [manager] sleep needs 'weather', which is not in the checklist; it has: 'sleepyhead'",
    );
    system.works();
}

#[test]
fn a_payload_without_a_checklist_key() {
    let system = system().start();
    assert_eq!(system.send("keyless", "success", "{a: 1}"), "ack");
    system.wait_for_log("manager", "ERROR [manager] checklist key not found for keyless worker");
    system.works();
}

#[test]
fn text_onto_a_mapping_replaces_it() {
    let system = system().start();
    system.send("sleep", "success", "{sleep time: 5}");
    assert_eq!(system.send("sleep", "success", "tired"), "ack");
    system
        .wait_for_log("manager", "WARNING [manager] [sleepyhead] was a mapping; sleep replaced it with text");
    system.wait_for_checklist("{sleepyhead: tired}");
    system.works();
}

#[test]
fn a_payload_of_8_mb() {
    let system = system().start();
    let text = "0123456789 abcdef".repeat(500_000);
    assert_eq!(system.send("sleep", "success", &format!("'{text}'")), "ack");
    let reply = system.send_raw("{source: sleep, type: need, payload: sleepyhead}");
    assert_eq!(reply.payload.as_str(), Some(text.as_str()));
    system.wait_for("the large checklist file", || {
        (system.checklist().get("sleepyhead").and_then(Value::as_str) == Some(&text)).then_some(())
    });
    system.works();
}

#[test]
fn a_message_without_an_envelope_is_discarded_and_logged() {
    let system = system().start();
    let socket = system.context.socket(zmq::DEALER).expect("a socket");
    socket.connect(&format!("tcp://127.0.0.1:{}", system.workers_port)).expect("a connection");
    socket.send("no delimiter in front", 0).expect("sent");
    system.wait_for_log("broker", "is not a REQ socket");
    system.works();
}

/// A name of a message is not repeated in full.
#[test]
fn unknown_names_are_cut_in_the_log() {
    let system = system().start();
    let long = "ä".repeat(100_000);
    assert_eq!(system.send(&long, "success", "null"), "unregistered worker");
    assert_eq!(system.send("sleep", &long, "null"), "unregistered message type");
    let cut = format!("{}…", "ä".repeat(200));
    system.wait_for_log("manager", &format!("message received from unregistered worker: {cut}\n"));
    system.wait_for_log("manager", &format!("unregistered message type received from sleep worker: {cut}\n"));
    assert!(system.log("manager").len() < 100_000);
}
