//! The drivers: they send orders one after the other and wait for each reply.
//!
//! Rust clients, `nowcast tell`, and plain Python.

use std::process::Command;
use std::thread::Scope;
use std::time::Instant;

use nowcast::config::Zmq;
use nowcast::worker::client::{Client, ReplyDelay};
use nowcast_core::message::Message;
use pyyaml::Value;

use crate::order::Order;
use crate::pace::pace;
use crate::scene::PLAIN_TIMEOUT;
use crate::soak::{LONGEST_WAIT, Soak};
use crate::support::python;

/// How many Rust clients there are.
const CLIENTS: usize = 8;

/// How many programs in plain Python there are.
const FEEDERS: u64 = 3;

/// Open runs above which the load pauses.
const MOST_OPEN_RUNS: usize = 40;

/// One in so many requests of a client asks for what it has sent before.
const NEEDS: u64 = 10;

/// Start all drivers, and the thread that paces them.
pub fn start<'scope>(soak: &'scope Soak, scope: &'scope Scope<'scope, '_>) {
    scope.spawn(|| soak.guard("the pacer", || pacer(soak)));
    let clients = std::mem::take(&mut *soak.clients.lock().expect("no thread panics with it"));
    for (number, connection) in clients.into_iter().enumerate() {
        scope.spawn(move || soak.guard("a client", || client(soak, number, connection)));
    }
    scope.spawn(|| soak.guard("the teller", || teller(soak)));
    scope.spawn(|| soak.guard("the feeders", || feeders(soak)));
}

/// Pause the load while many runs are open: the machine has only so many processors.
fn pacer(soak: &Soak) {
    let pause = soak.folder.join("pause");
    while soak.goes_on() {
        let open = soak.history().and_then(|history| history.open_now().ok());
        match open.map(|open| open.runs.len()) {
            Some(runs) if runs > MOST_OPEN_RUNS => std::fs::write(&pause, "").expect("written"),
            Some(_) => drop(std::fs::remove_file(&pause)),
            // The journal cannot be read at this moment.
            None => {}
        }
        pace(200);
    }
}

/// Wait for the next moment to send; whether there is one.
fn next_turn(soak: &Soak, milliseconds: u64) -> bool {
    pace(milliseconds);
    while soak.folder.join("pause").exists() && soak.goes_on() {
        pace(50);
    }
    soak.goes_on()
}

/// Connect the clients. This is done before the daemons start: programs that this process starts inherit the epoll descriptors
/// that libzmq opens for each client, and all daemons shall begin with the same number of them.
pub fn connect(zmq: &Zmq) -> Vec<Client> {
    (0..CLIENTS).map(|_| Client::connect(zmq).expect("a connection")).collect()
}

fn client(soak: &Soak, number: usize, mut client: Client) {
    let name = format!("c{number}");
    let mut random = soak.random(100 + number as u64);
    for count in 1_u64.. {
        let id = format!("{name}-{count}");
        let order = if count == 1 {
            Order::first(number, id, &mut random)
        } else if soak.is_burst() {
            Order::light(id)
        } else if next_turn(soak, random.below(400)) {
            Order::draw(id, &mut random)
        } else {
            break;
        };
        soak.ledger.append(&order.sent("client", &name));
        let payload = pyyaml::read(&order.payload(&name)).expect("JSON is YAML");
        let sent = Instant::now();
        let reply = exchange(&mut client, Message::new("client", "success", payload));
        soak.meter.note_latency(sent);
        if reply.r#type != "ack" {
            soak.problem(&format!("{} got the reply {}", order.id, reply.r#type));
        }
        soak.ledger.append(&format!("ack {}", order.id));
        if random.below(NEEDS) == 0 {
            need(soak, &mut client, &name, &order.id);
        }
    }
}

/// Send a message and return its reply.
fn exchange(client: &mut Client, message: Message) -> Message {
    client.send(message).expect("sent");
    let reply = client.receive(LONGEST_WAIT, &mut |delay| {
        assert!(delay == ReplyDelay::SentAgain, "no reply within {LONGEST_WAIT:?}");
    });
    reply.expect("a reply")
}

/// Ask for the checklist: it has the message that was acknowledged last.
fn need(soak: &Soak, client: &mut Client, slot: &str, last: &str) {
    let reply = exchange(client, Message::new("client", "need", "client".into()));
    let found = reply.payload.get(slot).and_then(Value::as_str);
    if found != Some(last) {
        soak.problem(&format!("the checklist of {slot} has {found:?} after the reply to {last:?}"));
    }
}

/// `nowcast tell`, again and again.
fn teller(soak: &Soak) {
    let mut random = soak.random(200);
    for count in 1_u64.. {
        if !next_turn(soak, random.below(1_000)) {
            break;
        }
        let order = Order::draw(format!("t-{count}"), &mut random);
        soak.ledger.append(&order.sent("told", "t"));
        let (status, text) = soak.command(&["tell", "--worker", "told", "success", &order.payload("t")]);
        if status == Some(0) {
            soak.ledger.append(&format!("ack {}", order.id));
        } else {
            soak.problem(&format!("tell of {} ended with {status:?}: {text}", order.id));
        }
    }
}

/// Plain Python, unmodified.
fn feeders(soak: &Soak) {
    let python = python::venv();
    let names: Vec<String> = (0..FEEDERS).map(|number| format!("f{number}")).collect();
    for name in &names {
        let mut command = Command::new(&python);
        command.current_dir(&soak.folder).args(["feeder.py", name, &soak.zmq.workers_port.to_string()]);
        command.arg(PLAIN_TIMEOUT.to_string());
        soak.system.write().expect("no thread panics with it").spawn(name, command);
    }
    soak.wait_while_it_goes_on();
    for name in &names {
        // It may wait for a reply that never comes until its own timeout.
        let status = soak.end_of(name);
        if !status.success() {
            soak.problem(&format!("{name} ended with {status}"));
        }
    }
}
