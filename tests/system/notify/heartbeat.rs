//! Heartbeats beat as long as the manager's loop does.

use rusqlite::Connection;
use rustix::process::Signal;

use crate::support::servers::Server;
use crate::support::system::system;

#[test]
fn a_loop_that_stands_still_stops_the_heartbeat_and_tells_of_the_trouble() {
    let (heart, on_call) = (Server::web(), Server::web());
    on_call.answer(500);
    let system = system()
        .section(&format!(
            "notifications:
  heart: {{url: '{}', every: 1s}}
  on-call: {{url: '{}', alarms: [trouble]}}",
            heart.url("/beat"),
            on_call.url("/")
        ))
        .start();
    heart.wait_for(2, || system.describe());
    assert!(heart.kept().iter().all(|kept| kept["method"] == "GET" && kept["body"] == ""));
    // Another program has locked the journal: nothing can be written, so nothing is decided.
    let journal = Connection::open(system.path("checklist.journal/journal.sqlite")).expect("the journal");
    journal.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let socket = system.connect();
    socket.send("{source: keyless, type: success, payload: null}", 0).expect("sent");
    on_call.wait_for(1, || system.describe());
    assert!(on_call.bodies()[0].contains("the journal cannot be written"), "{:?}", on_call.bodies());
    // One may have been on its way.
    let before = heart.kept().len() + 1;
    // Attempts after pauses of 1, 2 and 4 s: its clock is another one than the heartbeat's.
    on_call.wait_for(4, || system.describe());
    assert!(heart.kept().len() <= before, "{:#?}", heart.kept());
    journal.execute_batch("ROLLBACK").expect("unlocked");
    assert_eq!(system.receive(&socket).r#type, "ack");
    let before = heart.kept().len();
    heart.wait_for(before + 2, || system.describe());
    // A configuration that is refused is trouble, too.
    on_call.answer(200);
    std::fs::write(system.config(), "- no\n").expect("written");
    system.signal("manager", Signal::HUP);
    let is_reported = || {
        on_call.bodies().iter().any(|body| body.contains("the new configuration is refused")).then_some(())
    };
    system.wait_for("the trouble", is_reported);
}

#[test]
fn a_failing_heartbeat_is_logged_once() {
    let server = Server::web();
    server.answer(404);
    let system = system()
        .section(&format!(
            "notifications: {{heart: {{url: '{}', every: 1s, method: POST}}}}",
            server.url("/")
        ))
        .start();
    server.wait_for(3, || system.describe());
    let log = system.log("manager");
    assert_eq!(log.matches("to heart").count(), 1, "{log}");
    server.answer(200);
    system.wait_for_log("manager", "INFO [manager] notifications to heart go out again");
}
