//! `SENTRY_DSN`: errors of the log as events of Sentry.

use serde_json::Value;

use crate::support::servers::Server;
use crate::support::system::system;

/// The event of an envelope, whose form is checked.
fn event(kept: &Value) -> Value {
    assert_eq!(
        (&kept["method"], &kept["path"]),
        (&"POST".into(), &"/team/api/42/envelope/".into()),
        "{kept:#}"
    );
    let headers = &kept["headers"];
    assert_eq!(headers["content-type"], "application/x-sentry-envelope");
    let auth = headers["x-sentry-auth"].as_str().expect("a header");
    assert!(
        auth.starts_with("Sentry sentry_version=7, ") && auth.ends_with(", sentry_key=s3cret-key"),
        "{auth}"
    );
    let lines: Vec<&str> = kept["body"].as_str().expect("a body").lines().collect();
    let json = |line: &str| -> Value { serde_json::from_str(line).expect("JSON") };
    let (head, item, event) = (json(lines[0]), json(lines[1]), json(lines[2]));
    assert_eq!((&item["type"], item["length"].as_u64()), (&"event".into(), Some(lines[2].len() as u64)));
    assert_eq!(head["event_id"], event["event_id"]);
    assert_eq!(event["event_id"].as_str().map(str::len), Some(32), "{event:#}");
    assert!(event["timestamp"].as_str().expect("one").parse::<jiff::Timestamp>().is_ok(), "{event:#}");
    event
}

#[test]
fn errors_of_daemons_and_workers_become_events_and_nothing_shows_the_dsn() {
    let server = Server::web();
    let mut system = system()
        .env("SENTRY_DSN", &format!("http://s3cret-key@127.0.0.1:{}/team/42", server.port))
        .env("SENTRY_ENVIRONMENT", "tests")
        .section("workers: {awaken: {exec: ['false']}}")
        .rules("function after_sleep(msg)\nlog.warning('harmless')\n\n\nerror('it cannot be')\nend")
        .start();
    system.send("sleep", "success", "null");
    let events: Vec<Value> = server.wait_for(1, || system.describe()).iter().map(event).collect();
    assert_eq!((&events[0]["level"], &events[0]["logger"]), (&"fatal".into(), &"manager".into()));
    let text = events[0]["logentry"]["formatted"].as_str().expect("text");
    assert!(text.contains("it cannot be"), "{text}");
    assert_eq!(
        (&events[0]["environment"], &events[0]["tags"]["program"]),
        (&"tests".into(), &"manager".into())
    );
    // The last words of a program are sent before it ends.
    system.operate(&["launch", "awaken"]);
    let of_worker = |kept: &Value| event(kept)["logger"] == "awaken";
    let kept = system.wait_for("the worker's event", || server.kept().into_iter().find(of_worker));
    assert_eq!(event(&kept)["level"], "fatal");
    for line in server.kept().iter().map(event) {
        assert!(!line.to_string().contains("harmless"), "{line:#}");
    }
    system.signal("manager", rustix::process::Signal::TERM);
    system.wait_for_end("manager");
    assert!(!system.describe().contains("s3cret"), "{}", system.describe());
}

#[test]
fn a_server_that_is_down_or_a_wrong_dsn_is_logged_once_and_changes_nothing() {
    let server = Server::web();
    server.answer(500);
    let dsn = format!("http://s3cret-key@127.0.0.1:{}/team/42", server.port);
    let system =
        system().env("SENTRY_DSN", &dsn).rules("function after_sleep(msg) error('it cannot be') end").start();
    for _ in 0..3 {
        assert_eq!(system.send("sleep", "success", "null"), "ack");
    }
    system.wait_for_log(
        "manager",
        "WARNING [sentry] notifications to Sentry do not go out, and are tried again",
    );
    assert_eq!(system.log("manager").matches("[sentry]").count(), 1, "{}", system.describe());
    assert!(!system.log("manager").contains("s3cret"));

    let system = crate::support::system::system().env("SENTRY_DSN", "https://s3cret-host/").start();
    system.wait_for_log("manager", "this is not the DSN of a project of Sentry");
    system.works();
    assert!(!system.log("manager").contains("s3cret"));
}
