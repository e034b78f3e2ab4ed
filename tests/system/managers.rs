//! One manager at a time: the broker refuses a second one, and says so on both sides.

use nowcast_core::message::Message;
use rustix::process::Signal;

use super::nemo_nowcast;
use super::redelivery::{Manager, with_broker};
use crate::support::system::{System, system};

/// Another system at the ports of the first one, with a journal of its own.
fn beside(system: &System) -> System {
    let mut other = crate::support::system::system().prepare();
    (other.manager_port, other.workers_port) = (system.manager_port, system.workers_port);
    other.write_config();
    other
}

/// How a manager of ours is named to people.
fn described(system: &System) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a host name");
    let journal = system.path("checklist.journal");
    format!("process {} on {}, journal {}", system.id("manager"), host.trim(), journal.display())
}

fn status(system: &System) -> String {
    system.operation(&["status"]).1
}

#[test]
fn a_second_manager_is_refused_and_exits_and_says_which_one_is_connected() {
    let system = system().start();
    system.works();
    let first = described(&system);
    let mut other = beside(&system);
    let command = other.command(&["manager", "nowcast.yaml"]);
    other.spawn("manager", command);
    let refused = format!("refuses this manager, since another one is connected ({first})");
    other.wait_for_log("manager", &refused);
    system.wait_for_log("broker", &format!("is refused while another is connected ({first})"));
    system.works();
    system.wait_for("the refusal in status", || {
        status(&system).contains("the broker refuses a second manager, at 127.0.0.1").then_some(())
    });
    let page = status(&other);
    assert!(page.contains("the broker refuses it, since another manager is connected"), "{page}");
    assert!(!page.contains("→ nowcast manager"), "{page}");

    assert_eq!(other.wait_for_end("manager").code(), Some(2), "{}", other.describe());
    let log = other.log("manager");
    let reason = format!(
        "CRITICAL [manager] the message broker refuses this manager: another one is connected ({first})"
    );
    assert!(log.contains(&reason), "{log}");
    assert!(!log.contains("received message from"), "{log}");
    assert_eq!(system.log("broker").matches("a second manager").count(), 1, "{}", system.describe());
    system.works();
}

#[test]
fn a_manager_of_nemo_nowcast_waits_beside_ours_and_takes_over_when_it_stops() {
    let mut system = system().start();
    system.works();
    nemo_nowcast::start_manager(&mut system, "nemo");
    system.wait_for_log(
        "broker",
        "a second manager, at 127.0.0.1, is refused while another is connected (process ",
    );
    for _ in 0..20 {
        system.works();
    }
    assert!(!system.log("nemo").contains("source: keyless"), "{}", system.log("nemo"));
    system.signal("manager", Signal::TERM);
    system.wait_for_end("manager");
    system.works();
    assert!(system.log("nemo").contains("source: keyless"), "{}", system.log("nemo"));
}

#[test]
fn beside_a_manager_of_nemo_nowcast_ours_is_refused() {
    let mut system = system().prepare();
    system.start_broker();
    nemo_nowcast::start_manager(&mut system, "nemo");
    system.works();
    let command = system.command(&["manager", "nowcast.yaml"]);
    system.spawn("manager", command);
    let why = "another one is connected (one that does not introduce itself)";
    system.wait_for_log("manager", why);
    system.works();
    assert_eq!(system.wait_for_end("manager").code(), Some(2), "{}", system.describe());
    assert!(
        system
            .log("manager")
            .contains(&format!("CRITICAL [manager] the message broker refuses this manager: {why}"))
    );
    let page = system.wait_for("the other manager", || {
        Some(status(&system)).filter(|page| page.contains("another manager is connected to the broker"))
    });
    assert!(!page.contains("→ nowcast manager"), "{page}");
}

#[test]
fn managers_that_share_the_messages_on_purpose_are_all_admitted() {
    let mut system = system().section("broker: {managers: many}").start();
    let mut other = beside(&system);
    other.start_manager(&[]);
    system.wait_for("messages for both", || {
        system.works();
        let has_message = |system: &System| system.log("manager").contains("received message from keyless");
        (has_message(&system) && has_message(&other)).then_some(())
    });
    system.signal("manager", Signal::KILL);
    system.wait_for_end("manager");
    for _ in 0..10 {
        system.works();
    }
    assert!(!system.log("broker").contains("is refused"), "{}", system.describe());
}

#[test]
fn a_manager_that_was_alone_before_others_were_admitted_is_not_taken_for_the_one_that_stays() {
    let mut system = system().start();
    system.works();
    let first = described(&system);
    system.more = "broker: {managers: many}\n".to_owned();
    system.write_config();
    system.signal("broker", Signal::HUP);
    system.wait_for_log_count("broker", "manager socket bound", 2);
    let mut other = beside(&system);
    other.start_manager(&[]);
    system.signal("manager", Signal::TERM);
    system.wait_for_end("manager");
    other.works();
    let page = system.wait_for("the other manager", || {
        Some(status(&system))
            .filter(|page| page.contains("is connected to the broker and decides the messages"))
    });
    assert!(!page.contains(&first), "{page}");
}

/// The manager is stopped when it is about to decide the first message, and the second waits in its process. The first is decided by
/// both managers, in two journals; that cannot be helped.
#[cfg(feature = "failpoints")]
#[test]
fn a_stopped_manager_is_replaced_and_decides_no_more_when_it_wakes_up() {
    let mut system = system().prepare();
    system.start_broker();
    system.set_env("FAILPOINTS", "manager: received=1*sleep(5000)");
    system.start_manager(&[]);
    let first = described(&system);
    let send = |source: &str| {
        let worker = system.connect();
        worker.send(&format!("{{source: {source}, type: success, payload: null}}"), 0).expect("sent");
        worker
    };
    let first_worker = send("sleep");
    system.wait_for("the first message in the manager's hands", || {
        let waits_in = std::fs::read_to_string(format!("/proc/{}/wchan", system.id("manager"))).ok()?;
        waits_in.contains("nanosleep").then_some(())
    });
    let workers = [first_worker, send("awaken")];
    system.signal("manager", Signal::STOP);

    let mut other = beside(&system);
    other.start_manager(&[]);
    other.wait_for_log("manager", &format!("another one is connected ({first})"));
    other.wait_for_log("manager", "the message broker accepts this manager now");
    for worker in &workers {
        assert_eq!(system.receive(worker).r#type, "ack");
    }
    system.signal("manager", Signal::CONT);
    let second = described(&other);
    system.wait_for_log("manager", &format!("another one is connected ({second})"));
    assert_eq!(system.wait_for_end("manager").code(), Some(1), "{}", system.describe());
    let log = system.log("manager");
    assert!(log.contains("received message from sleep"), "{log}");
    assert!(!log.contains("received message from awaken"), "{log}");
    other.works();
}

/// A broker that forgets which manager is connected refuses the next one forever.
#[test]
fn a_manager_that_is_killed_and_started_again_is_admitted_at_once() {
    let mut system = system().start();
    for _ in 0..20 {
        system.kill("manager");
        let worker = system.connect();
        worker.send("{source: keyless, type: success, payload: null}", 0).expect("sent");
        system.start_manager(&[]);
        assert_eq!(system.receive(&worker).r#type, "ack");
    }
    assert!(!system.log("broker").contains("is refused"), "{}", system.describe());
    assert!(!system.log("manager").contains("refuses this manager"), "{}", system.describe());
}

/// Port scanners, and programs that speak ZeroMQ, come and go at the manager's port. The manager has a request that it has not
/// answered, and does not get it again.
#[test]
fn unknown_clients_at_the_managers_port_do_not_disturb_the_manager() {
    let system = with_broker();
    for connect in [Manager::connect, |system: &System| Manager::connect_introduced(system, "1")] {
        // One after the other: of two that connect at once, either may be admitted.
        let manager = connect(&system);
        let worker = system.connect();
        worker.send("open", 0).expect("sent");
        let open = manager.take(&system);
        for _ in 0..20 {
            let context = zmq::Context::new();
            let client = context.socket(zmq::DEALER).expect("a socket");
            client.set_linger(0).expect("an option");
            client.connect(&format!("tcp://127.0.0.1:{}", system.manager_port)).expect("a connection");
            drop(std::net::TcpStream::connect(("127.0.0.1", system.manager_port)).expect("a connection"));
            let other = system.connect();
            other.send("other", 0).expect("sent");
            let request = manager.take(&system);
            assert_eq!(request.body(), "other");
            manager.answer(request);
            other.recv_bytes(0).expect("a reply");
        }
        manager.answer(open);
        worker.recv_bytes(0).expect("a reply");
    }
    assert!(!system.log("broker").contains("is refused"), "{}", system.describe());
}

/// Let broker and manager change to a new port, and wait until only that one is used.
fn change_port(system: &mut System) {
    let old_port = system.manager_port;
    (system.manager_port, _) = crate::support::system::free_ports();
    system.write_config();
    system.signal("broker", Signal::HUP);
    system.wait_for_log("broker", &format!("manager socket bound to port {}", system.manager_port));
    system.signal("manager", Signal::HUP);
    let table = |port: u16| {
        let to_broker = format!("0100007F:{port:04X}");
        let table = std::fs::read_to_string("/proc/net/tcp").expect("the connections");
        table.lines().any(|line| {
            let columns: Vec<_> = line.split_whitespace().collect();
            columns[2] == to_broker && columns[3] == "01"
        })
    };
    let new_port = system.manager_port;
    system.wait_for("the new connection alone", || (table(new_port) && !table(old_port)).then_some(()));
}

/// Two ports of the same broker: the manager changes from one to the other.
#[test]
fn a_manager_that_changes_to_a_new_port_of_its_broker_is_not_a_second_one() {
    let mut system = system().start();
    system.works();
    change_port(&mut system);
    system.works();
    assert!(!system.log("broker").contains("is refused"), "{}", system.describe());
    assert!(!system.log("manager").contains("refuses this manager"), "{}", system.describe());
}

#[test]
fn a_manager_that_changed_its_port_notices_that_another_one_is_admitted() {
    let mut system = system().start();
    change_port(&mut system);
    // Another manager is admitted first when the broker is started again.
    system.signal("manager", Signal::STOP);
    system.kill("broker");
    system.start_broker();
    let mut other = beside(&system);
    other.start_manager(&[]);
    other.works();
    system.signal("manager", Signal::CONT);
    system.wait_for_log("manager", &format!("another one is connected ({})", described(&other)));
    other.works();
}

#[test]
fn a_manager_that_changes_to_a_broker_which_has_another_one_is_refused_there_and_exits() {
    let mut system = system().start();
    let other = crate::support::system::system().start();
    system.works();
    (system.manager_port, system.workers_port) = (other.manager_port, other.workers_port);
    system.write_config();
    system.signal("manager", Signal::HUP);
    system.wait_for_log("manager", &format!("another one is connected ({})", described(&other)));
    assert_eq!(system.wait_for_end("manager").code(), Some(1), "{}", system.describe());
    assert!(!system.log("manager").contains("accepts this manager now"), "{}", system.describe());
    other.works();
}

#[test]
fn a_renamed_journal_folder_does_not_look_like_a_system_without_a_manager() {
    let mut system = system().start();
    let folder = system.path("renamed.journal");
    system.more = format!("journal: {{folder: {}}}\n", folder.display());
    system.write_config();
    system.signal("manager", Signal::HUP);
    system.wait_for_log("manager", "takes a restart");
    let process = system.id("manager");
    let page = system.wait_for("the manager's note", || {
        Some(status(&system)).filter(|page| {
            page.contains(&format!("the manager (process {process}) still uses the journal in"))
        })
    });
    assert!(!page.contains("→ nowcast manager"), "{page}");
    let (code, text) = system.operation(&["hold", "--all"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("it has to be restarted") && !text.contains("Is it running?"), "{text}");

    system.signal("manager", Signal::TERM);
    system.wait_for_end("manager");
    system.start_manager(&[]);
    system.works();
    assert!(!status(&system).contains("still uses"), "{}", status(&system));
    assert!(folder.join("journal.sqlite").exists());
}

/// The question that a refused manager asks is for brokers of ours. Others forward it, and managers ignore it.
#[test]
fn a_question_to_the_broker_does_not_disturb_a_manager_behind_another_broker() {
    let mut system = system().prepare();
    nemo_nowcast::start_broker(&mut system, "proxy");
    system.start_manager(&[]);
    system.works();
    let client = system.context.socket(zmq::DEALER).expect("a socket");
    client.connect(&format!("tcp://127.0.0.1:{}", system.workers_port)).expect("a connection");
    client.send("NCQ1", 0).expect("sent");
    system.works();
    // The introduction on a connection that is made again.
    system.kill("proxy");
    nemo_nowcast::start_broker(&mut system, "proxy");
    let reply: Message = system.send_raw("{source: keyless, type: success, payload: null}");
    assert_eq!(reply.r#type, "ack");
    let log = system.log("manager");
    assert!(!log.contains("ERROR") && !log.contains("was not sent"), "{log}");
}

/// A manager whose configuration has the ports the wrong way round introduces itself there, and got the refusal of that as a request.
#[test]
fn a_manager_at_the_port_for_workers_gets_an_error() {
    let system = system().start();
    let stray = system.context.socket(zmq::ROUTER).expect("a socket");
    stray.set_linger(0).expect("an option");
    stray.set_identity(b"NCM1 5c2f 812 salish /journal").expect("an option");
    stray.set_probe_router(true).expect("an option");
    stray.connect(&format!("tcp://127.0.0.1:{}", system.workers_port)).expect("an address");
    system.wait_for_log("broker", "a manager is connected to the port for workers");
    system.works();
    assert_eq!(system.log("manager").matches("ERROR").count(), 0, "{}", system.describe());
    assert_eq!(stray.recv_bytes(zmq::DONTWAIT), Err(zmq::Error::EAGAIN));
}
