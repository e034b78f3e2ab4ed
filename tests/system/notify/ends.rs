//! The manager's end: what waits gets a short last chance.

use rustix::process::Signal;

use crate::support::servers::{Server, Silent};
use crate::support::system::system;

#[test]
fn waiting_deliveries_are_tried_once_more_at_the_end() {
    let server = Server::web();
    server.answer(500);
    let mut system = system()
        .section(&format!("notifications: {{t: {{url: '{}', workers: all}}}}", server.url("/")))
        .start();
    system.works();
    system.works();
    // Several seconds of pause stand before the next attempt by now.
    server.wait_for(3, || system.describe());
    server.answer(200);
    system.signal("manager", Signal::TERM);
    assert!(system.wait_for_end("manager").success());
    let taken = server.kept().iter().filter(|kept| kept["status"] == 200).count();
    assert_eq!(taken, 2, "{:#?}", server.kept());
}

#[test]
fn a_hanging_target_delays_the_manager_only_briefly() {
    let silent = Silent::listen();
    let url = format!("http://127.0.0.1:{}/", silent.port);
    let mut system =
        system().section(&format!("notifications: {{t: {{url: '{url}', workers: all}}}}")).start();
    system.works();
    system.works();
    system.wait_for("the request that hangs", || (silent.connections() > 0).then_some(()));
    system.signal("manager", Signal::TERM);
    assert!(system.wait_for_end("manager").success());
    // After the request's own limit the first one would have been given up.
    assert!(
        system.log("manager").contains("WARNING [manager] 2 notifications to t were not sent before the end"),
        "{}",
        system.describe()
    );
}
