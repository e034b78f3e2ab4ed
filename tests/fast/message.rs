//! Messages on the wire.

use nowcast_core::message::{DecodeError, Message};
use pyyaml::{Map, Value};

fn refused(bytes: &[u8]) -> DecodeError {
    Message::decode(bytes).expect_err("an invalid message")
}

#[test]
fn a_message_of_nemo_nowcast_is_read() {
    let wire = b"payload:\n  sleep time: 5\nsource: sleep\ntype: success\n";
    let message = Message::decode(wire).expect("a message");
    let payload: Value = [("sleep time", 5_i64)].into_iter().collect();
    assert_eq!(message, Message::new("sleep", "success", payload));
    assert_eq!(message.encode().as_bytes(), wire);
}

#[test]
fn keys_are_sorted_on_the_wire_at_every_level() {
    let payload: Value = [("b", 1_i64), ("a", 2)].into_iter().collect();
    let text = Message::new("sleep", "success", Value::from(vec![payload])).encode();
    assert_eq!(text, "payload:\n- a: 2\n  b: 1\nsource: sleep\ntype: success\n");
}

#[test]
fn id_and_run_travel_only_when_they_are_there() {
    let mut message = Message::new("sleep", "success", Value::Null);
    assert_eq!(message.encode(), "payload: null\nsource: sleep\ntype: success\n");
    message.id = Some("7".to_owned());
    message.run = Some("r1".to_owned());
    assert_eq!(message.encode(), "id: '7'\npayload: null\nrun: r1\nsource: sleep\ntype: success\n");
    assert_eq!(Message::decode(message.encode().as_bytes()), Ok(message));
}

#[test]
fn unknown_keys_and_a_foreign_id_are_ignored() {
    let message =
        Message::decode(b"{source: a, type: b, payload: c, id: 5, extra: [1], run: {}}").expect("a message");
    assert_eq!(message, Message::new("a", "b", "c".into()));
}

#[test]
fn a_null_payload_differs_from_a_missing_payload() {
    let message = Message::decode(b"{source: a, type: b, payload: }").expect("a message");
    assert_eq!(message.payload, Value::Null);
    let error = refused(b"{source: a, type: b}");
    assert_eq!(
        error.to_string(),
        "message of type \"b\" from \"a\": the key payload is missing; a message is a YAML mapping with source and \
         type as text and payload"
    );
}

#[test]
fn an_invalid_message_is_named() {
    let cases: &[(&[u8], &str)] = &[
        (b"", "message: it is empty;"),
        (b"null", "message: it is empty;"),
        (b"- a\n- b\n", "message: it is a list, not a mapping;"),
        (b"ack", "message: it is text, not a mapping;"),
        (b"a: [", "message: not YAML: line 1, column 5: expected a value, but found the end of the text;"),
        (
            b"a: \xFF",
            "message: not YAML: line 1, column 4: the byte 0xFF is not UTF-8 (YAML is read as UTF-8);",
        ),
        (
            b"--- a\n--- b\n",
            "message: not YAML: line 2, column 1: a second document begins (expected a single document);",
        ),
        (b"{source: 5, type: b, payload: c}", "message of type \"b\": source is an integer, not text;"),
        (b"{source: a, type: yes, payload: c}", "message from \"a\": type is true or false, not text;"),
        (b"{source: a, type: [b], payload: c}", "message from \"a\": type is a list, not text;"),
        (b"{type: b, payload: c}", "message of type \"b\": the key source is missing;"),
    ];
    for (bytes, start) in cases {
        let text = refused(bytes).to_string();
        assert!(text.starts_with(start), "{text:?} does not start with {start:?}");
    }
}

#[test]
fn an_error_names_the_worker_for_the_log() {
    let error = refused(b"{source: sleep, type: 5, payload: null}");
    assert_eq!((error.worker.as_deref(), error.message_type), (Some("sleep"), None));
}

#[test]
fn eight_megabytes_travel() {
    let text = "all work and no play \u{e9} ".repeat(8 << 20 >> 4);
    let payload: Map = [(Value::from("log"), Value::from(text))].into_iter().collect();
    let message = Message::new("sleep", "success", payload.into());
    assert_eq!(Message::decode(message.encode().as_bytes()), Ok(message));
}
