//! Workers send again when the connection to their broker is lost, and for no other reason.

use std::time::Duration;

use nowcast::worker::client::{Client, ReplyDelay};
use nowcast_core::message::Message;
use pyyaml::Value;

use super::redelivery::{Manager, Request, with_broker};
use crate::support::system::system;
use crate::support::wait::DEADLINE;

/// The line of a worker whose connection was lost.
const SENT_AGAIN: &str = "was lost before the reply came; the message is sent again";

#[test]
fn a_worker_sends_its_message_again_when_the_broker_is_killed() {
    let mut system = system().env("NOWCAST_RUN_ID", "run 7").prepare();
    system.start_broker();
    let manager = Manager::connect(&system);
    let worker = system.command(&["worker", "sleep", "nowcast.yaml", "--sleep-time", "0"]);
    system.spawn("worker", worker);
    let first = manager.take(&system).body();
    system.kill("broker");
    system.start_broker();
    let mut request = manager.take(&system);
    assert_eq!(request.body(), first);
    let message = Message::decode(request.body().as_bytes()).expect("a message");
    assert_eq!((message.source.as_str(), message.run.as_deref()), ("sleep", Some("run 7")));
    let id = uuid::Uuid::parse_str(&message.id.expect("an id")).expect("a UUID");
    assert_eq!(id.get_version_num(), 7);
    *request.frames.last_mut().expect("a body") = b"{source: manager, type: ack, payload: null}".to_vec();
    manager.answer(request);
    system.ends_well("worker");
    let log = system.log("worker");
    let texts =
        ["sent message: (success)", SENT_AGAIN, "received message from manager: (ack)", "shutting down"];
    let places: Vec<_> = texts.iter().filter_map(|text| log.find(text)).collect();
    assert!(places.len() == 4 && places.is_sorted(), "{log}");
    assert_eq!(log.matches(SENT_AGAIN).count(), 1, "{log}");
}

#[test]
fn a_message_is_not_sent_again_to_a_slow_manager() {
    let system = with_broker();
    let mut client = Client::connect(&system.zmq()).expect("connected");
    let manager = Manager::connect(&system);
    let ack = |mut request: Request| {
        *request.frames.last_mut().expect("a body") = b"{source: manager, type: ack, payload: null}".to_vec();
        manager.answer(request);
    };
    client.send(Message::new("sleep", "success", Value::Null)).expect("sent");
    let mut request = Some(manager.take(&system));
    let mut delays = Vec::new();
    let reply = client.receive(Duration::from_millis(5), &mut |delay| {
        delays.push(delay);
        if delays.len() == 20 {
            ack(request.take().expect("the request"));
        }
    });
    reply.expect("a reply");
    assert!(!delays.contains(&ReplyDelay::SentAgain));
    // The next message has another id.
    client.send(Message::new("awaken", "success", Value::Null)).expect("sent");
    let next = manager.take(&system);
    assert!(next.body().contains("source: awaken"), "{}", next.body());
    ack(next);
    client.receive(DEADLINE, &mut |_| {}).expect("a reply");
}

#[test]
fn a_worker_that_waits_for_a_broker_to_start_sends_once() {
    let mut system = system().prepare();
    let worker = system.command(&["worker", "sleep", "nowcast.yaml", "--sleep-time", "0"]);
    system.spawn("worker", worker);
    system.wait_for_log("worker", "sent message: (success)");
    system.start_broker();
    system.start_manager(&[]);
    system.ends_well("worker");
    assert!(!system.log("worker").contains(SENT_AGAIN), "{}", system.describe());
    assert_eq!(system.log("manager").matches("received message from sleep").count(), 1);
}

#[test]
fn a_broker_that_is_killed_between_two_messages_of_a_worker_costs_nothing() {
    let mut system = system().start();
    let mut client = Client::connect(&system.zmq()).expect("connected");
    for round in 0..5 {
        client.send(Message::new("keyless", "success", Value::Null)).expect("sent");
        assert_eq!(client.receive(DEADLINE, &mut |_| {}).expect("a reply").r#type, "ack", "{round}");
        system.kill("broker");
        system.start_broker();
    }
}
