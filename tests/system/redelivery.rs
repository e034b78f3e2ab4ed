//! No request is lost when a manager or a broker dies.

use std::collections::HashSet;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use nowcast::config::Zmq;
use nowcast::net::ManagerIdentity;
use rustix::process::Signal;

use crate::support::system::{System, system};
use crate::support::wait::DEADLINE;

/// A manager that the test controls. Its connection ends like that of a killed one.
pub struct Manager {
    socket: zmq::Socket,
    // A context of its own, so that the connection ends with it.
    _context: zmq::Context,
}

/// A request that a manager has received.
pub struct Request {
    pub frames: Vec<Vec<u8>>,
}

impl Request {
    pub fn body(&self) -> String {
        String::from_utf8(self.frames.last().expect("a body").clone()).expect("text")
    }
}

impl Manager {
    /// Connect a manager that does not introduce itself.
    pub fn connect(system: &System) -> Self {
        Self::connect_as(system, None)
    }

    /// Connect a manager that introduces itself, as ours does.
    pub fn connect_introduced(system: &System, session: &str) -> Self {
        Self::connect_as(system, Some(session))
    }

    fn connect_as(system: &System, session: Option<&str>) -> Self {
        let context = zmq::Context::new();
        let socket = context.socket(zmq::ROUTER).expect("a socket");
        if let Some(session) = session {
            let identity = ManagerIdentity {
                session: session.to_owned(),
                process: 1,
                host: "test".to_owned(),
                journal: "/test".to_owned(),
            };
            socket.set_identity(identity.to_routing_id().as_bytes()).expect("an option");
            socket.set_probe_router(true).expect("an option");
        }
        socket.set_rcvhwm(0).expect("an option");
        socket.set_linger(0).expect("an option");
        let deadline = i32::try_from(DEADLINE.as_millis()).expect("a small number");
        socket.set_rcvtimeo(deadline).expect("a timeout");
        socket.set_reconnect_ivl(20).expect("an option");
        socket.connect(&format!("tcp://127.0.0.1:{}", system.manager_port)).expect("a connection");
        Self { socket, _context: context }
    }

    pub fn take(&self, system: &System) -> Request {
        match self.socket.recv_multipart(0) {
            Ok(frames) => Request { frames },
            Err(error) => panic!("no request: {error}\n{}", system.describe()),
        }
    }

    pub fn take_bodies(&self, system: &System, count: usize) -> Vec<String> {
        (0..count).map(|_| self.take(system).body()).collect()
    }

    /// Reply with the request's own body, so that a reply to another request is noticed.
    pub fn answer(&self, request: Request) {
        self.socket.send_multipart(request.frames, 0).expect("answered");
    }

    pub fn answer_next(&self, system: &System, count: usize) {
        for _ in 0..count {
            self.answer(self.take(system));
        }
    }
}

impl System {
    pub fn kill(&mut self, name: &str) {
        self.signal(name, Signal::KILL);
        self.wait_for_end(name);
    }

    pub fn ends_well(&mut self, name: &str) {
        assert!(self.wait_for_end(name).success(), "{name}\n{}", self.describe());
    }

    /// A worker that has sent a message.
    fn waiting_worker(&self, body: &str) -> zmq::Socket {
        let socket = self.connect();
        socket.send(body, 0).expect("sent");
        socket
    }

    /// Receive the reply, undecoded.
    fn reply(&self, worker: &zmq::Socket) -> String {
        match worker.recv_string(0) {
            Ok(reply) => reply.expect("text"),
            Err(error) => panic!("no reply: {error}\n{}", self.describe()),
        }
    }

    pub fn zmq(&self) -> Zmq {
        Zmq {
            host: "localhost".into(),
            bind: None,
            manager_port: self.manager_port,
            workers_port: self.workers_port,
            curve: None,
            message_size: 64_000_000,
        }
    }
}

pub fn with_broker() -> System {
    let mut system = system().prepare();
    system.start_broker();
    system
}

#[test]
fn open_requests_of_a_killed_manager_go_to_the_next_one_in_order_and_are_answered_once() {
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
        // Two replies, as from a manager that received the request twice.
        fourth.answer(Request { frames: request.frames.clone() });
        fourth.answer(request);
    }
    system.ends_well("python");
    for (number, worker) in workers.iter().enumerate() {
        assert_eq!(system.reply(worker), format!("message {}", number + 2));
        // The worker would take a second reply to the first message for the reply to this one.
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
        // A request that was sent twice would come before this one.
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
fn of_two_managers_the_one_that_stays_gets_the_open_requests_of_the_other() {
    let mut system = system().section("broker: {managers: many}").prepare();
    system.start_broker();
    let (stays, goes) = (Manager::connect(&system), Manager::connect(&system));
    // A DEALER sends requests to its connections in turn, so each has got one when both are connected.
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
fn a_foreign_program_at_the_managers_port_keeps_no_request() {
    let system = with_broker();
    let mut client = TcpStream::connect(("127.0.0.1", system.manager_port)).expect("a connection");
    // ZeroMQ takes the first bytes for those of a ZeroMQ peer of 2010.
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("sent");
    let workers: Vec<_> = (0..10).map(|number| system.waiting_worker(&format!("message {number}"))).collect();
    let manager = Manager::connect(&system);
    // The last of them shows that the broker has sent all of them.
    manager.answer_next(&system, 1);
    drop(client);
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
            "broker: redelivr: there is no setting `redelivr` here; did you mean `redeliver`?; known: `redeliver`, `managers`",
        ),
        (
            "broker: {managers: mny}",
            "broker: managers: invalid value `mny`; did you mean `many`?; known: `one`, `many`",
        ),
        ("broker: {managers: 2}", "broker: managers: "),
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
        // Random numbers, the same in each run of the test.
        let mut random = 1_u64;
        for _ in 0..50 {
            // One half of them introduces itself, and one half of those before and after it.
            let manager = if random & (1 << 40) == 0 {
                Manager::connect(&system)
            } else {
                Manager::connect_introduced(&system, &format!("{random:x}"))
            };
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
