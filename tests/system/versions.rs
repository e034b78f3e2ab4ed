//! A command line and a manager of different versions, as after an update of the program before the daemons are restarted.

use crate::support::system::system;

#[test]
fn a_command_of_another_version_than_the_manager_says_so() {
    let mut system = system().env("NOWCAST_TEST_VERSION", "0.0.7").start();
    assert!(!system.operation(&["launch", "sleep", "--sleep-time", "0"]).1.contains("version"));
    assert!(!system.operation(&["status"]).1.contains("version"));

    system.set_env("NOWCAST_TEST_VERSION", "0.0.8");
    let warning =
        "the manager is version 0.0.7 of nowcast, this command is version 0.0.8; restart the daemons";
    let (status, text) = system.operation(&["launch", "awaken"]);
    assert_eq!(status, Some(0), "it is done: {text}");
    assert!(text.contains(&format!("warning: {warning}")), "{text}");
    assert!(system.operation(&["status"]).1.contains(warning));
    for _ in 0..2 {
        system.operate(&["launch", "--delay", "1h", "awaken"]);
    }
    let (_, text) = system.operation(&["discard", "--worker", "awaken", "--yes"]);
    assert_eq!(text.matches(warning).count(), 1, "once for all of them: {text}");
}
