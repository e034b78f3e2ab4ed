//! Which machines may connect to which port.

use rustix::process::Signal;
use zmq::{Context, Socket, SocketType};

use crate::support::system::{System, system};

/// Connect to a port from an address of this machine, and send a worker's message.
fn send_from(system: &System, context: &Context, address: &str) -> Socket {
    let socket = context.socket(SocketType::REQ).expect("a socket");
    socket.set_linger(0).expect("an option");
    socket.connect(&format!("tcp://{address}:0;127.0.0.1:{}", system.workers_port)).expect("an address");
    socket.send("{source: sleep, type: success, payload: null}", 0).expect("sent");
    socket
}

#[test]
fn workers_connect_from_allowed_networks_only_and_a_hangup_changes_them() {
    let mut system = system().section("security: {allow: {workers: [127.0.0.0/30, 127.0.1.7]}}").start();
    let context = Context::new();
    for allowed in ["127.0.0.1", "127.0.0.3", "127.0.1.7"] {
        assert_eq!(system.receive(&send_from(&system, &context, allowed)).r#type, "ack", "{allowed}");
    }
    let _refused = send_from(&system, &context, "127.0.0.4");
    system.wait_for_log("broker", "a connection from 127.0.0.4 to the port for the workers was refused");
    let _refused_again = send_from(&system, &context, "127.0.1.8");
    assert_eq!(system.receive(&send_from(&system, &context, "127.0.0.1")).r#type, "ack");
    // One line a minute.
    assert_eq!(system.log("broker").matches("was refused").count(), 1, "{}", system.describe());
    system.more = "security: {allow: {workers: [127.0.1.8/32]}}".to_owned();
    system.write_config();
    system.signal("broker", Signal::HUP);
    system.wait_for("the new networks are allowed", || {
        let socket = send_from(&system, &context, "127.0.1.8");
        socket.set_rcvtimeo(200).expect("an option");
        socket.recv_bytes(0).is_ok().then_some(())
    });
}

/// No manager runs, so nothing is answered.
#[test]
fn requests_over_a_limit_are_discarded_and_others_served() {
    let limits = "security: {limits: {message size: 100000, frames: 4, requests per client: 5, requests: 7}}";
    let mut system = system().section(limits).prepare();
    system.start_broker();
    let context = Context::new();
    let endpoint = format!("tcp://127.0.0.1:{}", system.workers_port);
    let connect = || {
        let socket = context.socket(SocketType::DEALER).expect("a socket");
        socket.set_linger(0).expect("an option");
        socket.connect(&endpoint).expect("an address");
        socket
    };
    let message = "{source: keyless, type: success, payload: null}";
    let greedy = connect();
    for _ in 0..20 {
        greedy.send_multipart(["", message], 0).expect("sent");
    }
    let wait_for_line = |limit: &str| {
        let line = format!("requests over the limit `security: limits: {limit}:` are discarded");
        system.wait_for_log("broker", &line);
    };
    wait_for_line("requests per client");
    let wordy = connect();
    wordy.send_multipart(["", "a", "b", "c", message], 0).expect("sent");
    wait_for_line("frames");
    let huge = connect();
    huge.send_multipart(["", &"x".repeat(200_000)], 0).expect("sent");
    wait_for_line("message size");
    let modest = connect();
    modest.send_multipart(["", message], 0).expect("sent");
    // Of these, the first is the seventh of all.
    let others: Vec<Socket> = (0..3).map(|_| connect()).collect();
    for other in &others {
        other.send_multipart(["", message], 0).expect("sent");
        // Answered after the message was taken or discarded.
        other.send("NCQ1", 0).expect("sent");
        other.recv_bytes(0).expect("the broker's state");
    }
    wait_for_line("requests");
    system.start_manager(&[]);
    let is_answered = |socket: &Socket| {
        socket.set_rcvtimeo(30_000).expect("an option");
        socket.recv_multipart(0).is_ok()
    };
    assert!(is_answered(&modest), "{}", system.describe());
    for _ in 0..5 {
        assert!(is_answered(&greedy));
    }
    assert!(is_answered(&others[0]));
    for (socket, what) in [
        (&greedy, "over the limit"),
        (&wordy, "with many frames"),
        (&huge, "too large"),
        (&others[1], "the eighth"),
        (&others[2], "the ninth"),
    ] {
        socket.set_rcvtimeo(500).expect("an option");
        assert!(socket.recv_multipart(0).is_err(), "{what}");
    }
    // What was answered no longer counts.
    greedy.send_multipart(["", message], 0).expect("sent");
    assert!(is_answered(&greedy));
}

#[test]
fn a_message_of_ours_over_the_limit_is_not_sent_and_the_limit_is_named() {
    let system = system().section("security: {limits: {message size: 100000}}").start();
    std::fs::write(system.path("large"), "x".repeat(200_000)).expect("a payload");
    let (status, text) = system.operation(&["tell", "--worker", "sleep", "success", "@large"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("the message has 200"), "{text}");
    assert!(text.contains(" bytes, and may have 100000; put large data into a file"), "{text}");
    system.works();
}

#[test]
fn requests_that_wait_may_have_so_many_bytes_in_all() {
    let mut system = system().section("security: {limits: {waiting size: 1000}}").prepare();
    system.start_broker();
    let context = Context::new();
    let clients: Vec<Socket> = (0..2)
        .map(|_| {
            let socket = context.socket(SocketType::REQ).expect("a socket");
            socket.set_linger(0).expect("an option");
            socket.connect(&format!("tcp://127.0.0.1:{}", system.workers_port)).expect("an address");
            socket
        })
        .collect();
    let message = format!("{{source: sleep, type: success, payload: {}}}", "x".repeat(600));
    for client in &clients {
        client.send(&message, 0).expect("sent");
    }
    system.wait_for_log("broker", "requests over the limit `security: limits: waiting size:` are discarded");
    system.start_manager(&[]);
    system.wait_for("one reply", || {
        clients.iter().any(|client| client.recv_bytes(zmq::DONTWAIT).is_ok()).then_some(())
    });
    assert_eq!(system.log("manager").matches("received message from sleep").count(), 1);
}

#[test]
fn connections_over_the_limit_wait_until_others_have_ended() {
    let mut system = system().section("security: {limits: {connections: {workers: 3}}}").prepare();
    system.start_broker();
    system.start_manager(&[]);
    let context = Context::new();
    let connected: Vec<Socket> = (0..3)
        .map(|_| {
            let socket = send_from(&system, &context, "127.0.0.1");
            assert_eq!(system.receive(&socket).r#type, "ack");
            socket
        })
        .collect();
    let waiting: Vec<Socket> = (0..5).map(|_| send_from(&system, &context, "127.0.0.1")).collect();
    let line = "to the port for the workers has to wait: the limit of 3 connections is reached";
    system.wait_for_log("broker", line);
    // Those that are connected are served meanwhile, and one that waits is not.
    for socket in &connected {
        socket.send("{source: sleep, type: success, payload: null}", 0).expect("sent");
        assert_eq!(system.receive(socket).r#type, "ack");
    }
    assert_eq!(waiting[0].recv_bytes(zmq::DONTWAIT), Err(zmq::Error::EAGAIN));
    // One line a minute.
    assert_eq!(system.log("broker").matches(line).count(), 1, "{}", system.describe());
    // Those that wait hold no places: there is room for as many as have ended.
    drop(connected);
    let mut rest = waiting;
    while !rest.is_empty() {
        let answered = system.wait_for("one that has waited is served", || {
            rest.iter().position(|socket| socket.recv_bytes(zmq::DONTWAIT).is_ok())
        });
        rest.remove(answered);
    }
}

#[test]
fn the_limit_of_the_managers_port_is_for_managers_that_share_the_messages() {
    let mut system = system()
        .section("broker: {managers: many}\nsecurity: {limits: {connections: {manager: 1}}}")
        .prepare();
    system.start_broker();
    let context = Context::new();
    let connect = || {
        let socket = context.socket(SocketType::REP).expect("a socket");
        socket.set_linger(0).expect("an option");
        socket.connect(&format!("tcp://127.0.0.1:{}", system.manager_port)).expect("an address");
        socket
    };
    let first = connect();
    let worker = send_from(&system, &context, "127.0.0.1");
    let serve = |socket: &Socket| {
        let request = system.wait_for("a request", || socket.recv_bytes(zmq::DONTWAIT).ok());
        socket.send(request, 0).expect("sent");
    };
    serve(&first);
    worker.recv_bytes(0).expect("a reply");
    let second = connect();
    system.wait_for_log(
        "broker",
        "to the port for the manager has to wait: the limit of 1 connections is reached",
    );
    drop(first);
    worker.send("{source: sleep, type: success, payload: null}", 0).expect("sent");
    serve(&second);
}

#[test]
fn a_worker_of_ours_that_is_rejected_says_so_and_ends() {
    let system = system().section("security: {allow: {workers: [192.0.2.0/24]}}").start();
    let (status, text) = system.operation(&["worker", "sleep", "--sleep-time", "0"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("rejects this program: `security:` in the broker's configuration"), "{text}");
}

#[test]
fn a_manager_that_is_rejected_says_so_and_ends() {
    let mut system = system().section("security: {allow: {manager: [192.0.2.0/24]}}").prepare();
    system.start_broker();
    let (status, _) = system.run_to_end(&["manager"]);
    assert_eq!(status, Some(1));
    system.wait_for_log("broker", "a connection from 127.0.0.1 to the port for the manager was refused");
}

#[test]
fn each_port_is_bound_where_the_configuration_says() {
    let mut system = system().section("security: {bind: {workers: 127.0.0.2, manager: 127.0.0.1}}").prepare();
    system.start_broker();
    let connects = |address: &str, port: u16| std::net::TcpStream::connect((address, port)).is_ok();
    assert!(connects("127.0.0.2", system.workers_port));
    assert!(!connects("127.0.0.1", system.workers_port));
    assert!(connects("127.0.0.1", system.manager_port));
    assert!(!connects("127.0.0.2", system.manager_port));
}

#[test]
fn ports_that_are_open_to_other_machines_are_warned_of() {
    for (bind, is_warned) in [("'*'", true), ("127.0.0.1", false)] {
        let mut system = system().section(&format!("security: {{bind: {{workers: {bind}}}}}")).prepare();
        system.start_broker();
        let warning = "the port for the workers is open to other machines without encryption and keys";
        assert_eq!(system.log("broker").contains(warning), is_warned, "{}", system.describe());
        let (_, checks) = system.operation(&["doctor"]);
        assert_eq!(checks.contains("other machines can connect without a key"), is_warned, "{checks}");
    }
}
