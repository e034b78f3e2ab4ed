//! No request is lost when a manager or a broker dies.

use std::collections::HashSet;
use std::io::Write as _;
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nowcast::config::Zmq;
use nowcast::message::Message;
use nowcast::net::{Client, Delay};
use nowcast::yaml::Value;
use rustix::process::Signal;

use crate::support::python;
use crate::support::system::{System, system};
use crate::support::wait::DEADLINE;

/// The line of a worker whose connection was lost.
const SENT_AGAIN: &str = "was lost before the reply came; the message is sent again";

/// A manager that does what the test says. It ends like one that is killed.
struct Manager {
    socket: zmq::Socket,
    // Its own, so that the connection ends with it.
    _context: zmq::Context,
}

/// A request that a manager has taken.
struct Request {
    frames: Vec<Vec<u8>>,
}

impl Request {
    fn body(&self) -> String {
        String::from_utf8(self.frames.last().expect("a body").clone()).expect("text")
    }
}

impl Manager {
    fn connect(system: &System) -> Self {
        let context = zmq::Context::new();
        let socket = context.socket(zmq::ROUTER).expect("a socket");
        socket.set_rcvhwm(0).expect("an option");
        socket.set_linger(0).expect("an option");
        let deadline = i32::try_from(DEADLINE.as_millis()).expect("a small number");
        socket.set_rcvtimeo(deadline).expect("a time-out");
        socket.set_reconnect_ivl(20).expect("an option");
        socket.connect(&format!("tcp://127.0.0.1:{}", system.manager_port)).expect("a connection");
        Self { socket, _context: context }
    }

    fn take(&self, system: &System) -> Request {
        match self.socket.recv_multipart(0) {
            Ok(frames) => Request { frames },
            Err(error) => panic!("no request: {error}\n{}", system.describe()),
        }
    }

    fn take_bodies(&self, system: &System, count: usize) -> Vec<String> {
        (0..count).map(|_| self.take(system).body()).collect()
    }

    /// Answers with the request's own body, so that a reply to another request is noticed.
    fn answer(&self, request: Request) {
        self.socket.send_multipart(request.frames, 0).expect("answered");
    }

    fn answer_next(&self, system: &System, count: usize) {
        for _ in 0..count {
            self.answer(self.take(system));
        }
    }
}

/// A manager in Python. It answers the first so many requests with their own bodies, and says when it has taken
/// so many in all.
const MANAGER: &str = r#"
import sys, zmq
port, answers, says = (int(argument) for argument in sys.argv[1:4])
socket = zmq.Context().socket(zmq.ROUTER)
socket.set_hwm(0)
socket.connect(f"tcp://127.0.0.1:{port}")
taken = 0
while True:
    frames = socket.recv_multipart()
    taken += 1
    if taken <= answers:
        socket.send_multipart(frames)
    if taken == says:
        print("taken", taken, flush=True)
"#;

/// Workers in Python, each a REQ socket with a message of its own. Says when all wait, and ends when all have got
/// the reply to their own message.
const WORKERS: &str = r#"
import resource, sys, zmq
port, first, count = (int(argument) for argument in sys.argv[1:4])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
context = zmq.Context()
context.set(zmq.MAX_SOCKETS, count + 10)
sockets = []
for number in range(first, first + count):
    socket = context.socket(zmq.REQ)
    socket.connect(f"tcp://127.0.0.1:{port}")
    socket.send_string(f"message {number}")
    sockets.append((number, socket))
print("all wait", flush=True)
for number, socket in sockets:
    reply = socket.recv_string()
    assert reply == f"message {number}", (reply, number)
print("all answered", flush=True)
"#;

fn script(text: &str, arguments: &[usize]) -> Command {
    let mut command = Command::new(python::venv());
    command.args(["-c", text]).args(arguments.iter().map(ToString::to_string));
    command
}

impl System {
    fn start_python_manager(&mut self, name: &str, answers: usize, says: usize) {
        self.spawn(name, script(MANAGER, &[self.manager_port.into(), answers, says]));
    }

    fn start_python_workers(&mut self, name: &str, first: usize, count: usize) {
        self.spawn(name, script(WORKERS, &[self.workers_port.into(), first, count]));
    }

    fn kill(&mut self, name: &str) {
        self.signal(name, Signal::KILL);
        self.wait_for_end(name);
    }

    fn ends_well(&mut self, name: &str) {
        assert!(self.wait_for_end(name).success(), "{name}\n{}", self.describe());
    }

    /// A worker that has sent a message.
    fn waiting_worker(&self, body: &str) -> zmq::Socket {
        let socket = self.connect();
        socket.send(body, 0).expect("sent");
        socket
    }

    /// The reply as it came.
    fn reply(&self, worker: &zmq::Socket) -> String {
        match worker.recv_string(0) {
            Ok(reply) => reply.expect("text"),
            Err(error) => panic!("no reply: {error}\n{}", self.describe()),
        }
    }

    fn zmq(&self) -> Zmq {
        Zmq {
            host: "localhost".into(),
            bind: None,
            manager_port: self.manager_port,
            workers_port: self.workers_port,
        }
    }
}

fn with_broker() -> System {
    let mut system = system().prepare();
    system.start_broker();
    system
}

#[test]
fn what_a_killed_manager_left_unanswered_comes_to_the_next_one_in_order_and_is_answered_once() {
    let mut system = with_broker();
    system.start_python_manager("first", 0, 5);
    system.start_python_workers("python", 0, 2);
    let workers: Vec<_> = (2..5).map(|number| system.waiting_worker(&format!("message {number}"))).collect();
    system.wait_for_log("first", "taken 5");
    system.kill("first");

    let third = Manager::connect(&system);
    let order = third.take_bodies(&system, 5);
    let all: HashSet<_> = (0..5).map(|number| format!("message {number}")).collect();
    assert_eq!(order.iter().cloned().collect::<HashSet<_>>(), all);
    drop(third);

    let fourth = Manager::connect(&system);
    let again: Vec<_> = (0..5).map(|_| fourth.take(&system)).collect();
    assert_eq!(again.iter().map(Request::body).collect::<Vec<_>>(), order);
    for request in again {
        // Answered twice, as by a manager that was sent it twice.
        fourth.answer(Request { frames: request.frames.clone() });
        fourth.answer(request);
    }
    system.ends_well("python");
    for (number, worker) in workers.iter().enumerate() {
        assert_eq!(system.reply(worker), format!("message {}", number + 2));
        // A second reply to the first message would be taken for the reply to this one.
        worker.send("another", 0).expect("sent");
        fourth.answer_next(&system, 1);
        assert_eq!(system.reply(worker), "another");
    }
}

#[test]
fn a_request_that_waited_for_a_manager_is_delivered_once() {
    let system = with_broker();
    for round in 0..20 {
        let worker = system.waiting_worker(&format!("waited {round}"));
        let manager = Manager::connect(&system);
        let request = manager.take(&system);
        assert_eq!(request.body(), format!("waited {round}"));
        // Anything sent twice would stand before this one.
        let other = system.waiting_worker("other");
        let second = manager.take(&system);
        assert_eq!(second.body(), "other");
        manager.answer(request);
        manager.answer(second);
        system.reply(&worker);
        system.reply(&other);
    }
}

#[test]
fn of_two_managers_the_one_that_stays_gets_what_the_other_left() {
    let system = with_broker();
    let (stays, goes) = (Manager::connect(&system), Manager::connect(&system));
    // A DEALER deals requests out in turn, so each has got one when both are connected.
    let mut workers = Vec::new();
    let mut open = Vec::new();
    system.wait_for("both to be dealt to", || {
        workers.push(system.waiting_worker(&format!("message {}", workers.len())));
        open.extend(stays.socket.recv_multipart(zmq::DONTWAIT).map(|frames| Request { frames }));
        (goes.socket.poll(zmq::POLLIN, 0).expect("a poll") > 0 && !open.is_empty()).then_some(())
    });
    drop(goes);
    for request in open {
        stays.answer(request);
    }
    let mut delivered = HashSet::new();
    let mut left: HashSet<_> = (0..workers.len()).collect();
    system.wait_for("all replies", || {
        while let Ok(frames) = stays.socket.recv_multipart(zmq::DONTWAIT) {
            let request = Request { frames };
            delivered.insert(request.body());
            stays.answer(request);
        }
        left.retain(|number| match workers[*number].recv_string(zmq::DONTWAIT) {
            Ok(reply) => {
                assert_eq!(reply.expect("text"), format!("message {number}"));
                false
            }
            Err(_) => true,
        });
        left.is_empty().then_some(())
    });
}

#[test]
fn a_stranger_at_the_managers_port_keeps_no_request() {
    let system = with_broker();
    let mut stranger = TcpStream::connect(("127.0.0.1", system.manager_port)).expect("a connection");
    // To ZeroMQ the first bytes look like a peer of 2010.
    stranger.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("sent");
    let workers: Vec<_> = (0..10).map(|number| system.waiting_worker(&format!("message {number}"))).collect();
    let manager = Manager::connect(&system);
    // The last of them shows that the broker has dealt all of them out.
    manager.answer_next(&system, 1);
    drop(stranger);
    let mut left: HashSet<_> = (0..workers.len()).collect();
    system.wait_for("all replies", || {
        while let Ok(frames) = manager.socket.recv_multipart(zmq::DONTWAIT) {
            manager.answer(Request { frames });
        }
        left.retain(|number| workers[*number].recv_string(zmq::DONTWAIT).is_err());
        left.is_empty().then_some(())
    });
}

#[test]
fn redelivery_can_be_turned_off_and_on_again() {
    let mut system = system().section("broker: {redeliver: no}").prepare();
    system.start_broker();
    let first = system.waiting_worker("first");
    let manager = Manager::connect(&system);
    assert_eq!(manager.take(&system).body(), "first");
    drop(manager);
    let second = system.waiting_worker("second");
    let manager = Manager::connect(&system);
    assert_eq!(manager.take(&system).body(), "second");
    let third = system.waiting_worker("third");
    assert_eq!(manager.take(&system).body(), "third");
    drop(manager);

    system.more = String::new();
    system.write_config();
    system.signal("broker", Signal::HUP);
    system.wait_for_log_count("broker", "manager socket bound", 2);
    let manager = Manager::connect(&system);
    manager.answer_next(&system, 3);
    for (worker, body) in [(first, "first"), (second, "second"), (third, "third")] {
        assert_eq!(system.reply(&worker), body);
    }
}

#[test]
fn the_section_broker_is_checked_strictly() {
    for (section, problem) in [
        (
            "broker: {redelivr: true}",
            "broker: redelivr: there is no setting `redelivr` here; did you mean `redeliver`?; known: `redeliver`",
        ),
        ("broker: {redeliver: maybe}", "broker: redeliver: wrong type: string \"maybe\", expected a boolean"),
    ] {
        let system = system().section(section).prepare();
        let output = system.command(&["broker", "nowcast.yaml"]).output().expect("it ends");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(problem), "{errors}");
    }
}

#[test]
fn a_manager_that_comes_back_while_the_broker_drains_gets_the_open_requests() {
    let mut system = with_broker();
    let worker = system.waiting_worker("message");
    let manager = Manager::connect(&system);
    manager.take(&system);
    system.signal("broker", Signal::TERM);
    system.wait_for_log("broker", "waiting up to 10 s for replies: 1");
    drop(manager);
    let manager = Manager::connect(&system);
    manager.answer_next(&system, 1);
    assert_eq!(system.reply(&worker), "message");
    system.ends_well("broker");
}

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
fn a_slow_manager_is_no_reason_to_send_again() {
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
    assert!(!delays.contains(&Delay::SentAgain));
    // What comes next is the next message, with an id of its own.
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

/// So many workers wait when a manager comes, which answers some, takes more and is killed; `broker` is what happens
/// to the broker meanwhile. The next manager answers the rest.
fn many_workers(processes: usize, each: usize, broker: &[Signal]) {
    let mut system = with_broker();
    let names: Vec<_> = (0..processes).map(|number| format!("workers-{number}")).collect();
    for (number, name) in names.iter().enumerate() {
        system.start_python_workers(name, number * each, each);
    }
    for name in &names {
        system.wait_for_log(name, "all wait");
    }
    let all = processes * each;
    system.start_python_manager("first", all / 4, all / 2);
    system.wait_for_log("first", &format!("taken {}", all / 2));
    if let Some(stop) = broker.first() {
        system.signal("broker", *stop);
    }
    system.kill("first");
    system.start_python_manager("second", usize::MAX >> 1, 1);
    for signal in broker.iter().skip(1) {
        // The kernel completes the connection for the broker that stands still.
        system.wait_for("the second manager's connection", || {
            let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
            let to_broker = format!("0100007F:{:04X}", system.manager_port);
            // The columns: number, local address, other address, state (1 is ESTABLISHED).
            let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            rows.any(|row| row[2] == to_broker && row[3] == "01").then_some(())
        });
        system.signal("broker", *signal);
    }
    for name in &names {
        system.ends_well(name);
    }
}

#[test]
fn ten_thousand_waiting_workers_are_all_answered_though_a_manager_dies() {
    many_workers(5, 2_000, &[]);
}

#[test]
fn a_broker_that_stood_still_while_the_manager_changed_loses_nothing() {
    for _ in 0..5 {
        many_workers(1, 1_000, &[Signal::STOP, Signal::CONT]);
    }
}

#[test]
fn nothing_is_lost_over_fifty_deaths_of_the_manager_under_traffic() {
    const CLIENTS: usize = 8;
    let system = with_broker();
    let enough = AtomicBool::new(false);
    let (sent, delivered) = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let socket = system.connect();
                let enough = &enough;
                scope.spawn(move || {
                    let mut sent = Vec::new();
                    while !enough.load(Ordering::Relaxed) {
                        let body = format!("client {client} message {}", sent.len());
                        socket.send(&body, 0).expect("sent");
                        let reply = socket.recv_string(0).expect("a reply").expect("text");
                        assert_eq!(reply, body);
                        sent.push(body);
                    }
                    sent
                })
            })
            .collect();
        let mut delivered = HashSet::new();
        // Any numbers do, the same ones each time.
        let mut random = 1_u64;
        for _ in 0..50 {
            let manager = Manager::connect(&system);
            let mut unanswered = HashSet::new();
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            for number in 0..(random >> 33) % 40 {
                let request = manager.take(&system);
                delivered.insert(request.body());
                if (random >> (number % 60)).is_multiple_of(4) {
                    unanswered.insert(request.body());
                } else {
                    manager.answer(request);
                }
                // Each client waits for its reply now.
                if unanswered.len() == CLIENTS {
                    break;
                }
            }
        }
        enough.store(true, Ordering::Relaxed);
        let last = Manager::connect(&system);
        while clients.iter().any(|client| !client.is_finished()) {
            if last.socket.poll(zmq::POLLIN, 5).expect("a poll") > 0 {
                let request = last.take(&system);
                delivered.insert(request.body());
                last.answer(request);
            }
        }
        let sent: Vec<_> =
            clients.into_iter().flat_map(|client| client.join().expect("each got its replies")).collect();
        (sent, delivered)
    });
    assert!(sent.len() > 100, "{}", sent.len());
    assert_eq!(sent.into_iter().collect::<HashSet<_>>(), delivered);
}
