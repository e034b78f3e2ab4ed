//! What webhooks are sent.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use rustix::process::Signal;

use crate::support::servers::{Certificate, Server};
use crate::support::system::system;

#[test]
fn a_webhook_gets_its_requested_notifications() {
    let server = Server::web();
    let system = system()
        .env("HOOK_HOST", &format!("127.0.0.1:{}", server.port))
        .env("HOOK_TOKEN", "s3cret")
        .section(
            r#"notifications:
  json:
    url: http://$(NOWCAST.ENV.HOOK_HOST)/json
    headers: {Authorization: Bearer $(NOWCAST.ENV.HOOK_TOKEN)}
    body: '{"title": "{worker}: {type}", "payload": "{payload}", "number": {number}, "time": "{time}"}'
    workers: [sleep]
    types: [success]
  plain:
    url: http://$(NOWCAST.ENV.HOOK_HOST)/plain
    method: put
    body: '{alarm}: {text}'
    alarms: [failure, crash]"#,
        )
        .start();
    for (source, r#type) in
        [("sleep", "success"), ("sleep", "failure"), ("awaken", "success"), ("awaken", "crash")]
    {
        assert_eq!(system.send(source, r#type, r#"{say: "\"so\"\n"}"#), "ack");
    }
    let kept = server.wait_for(3, || system.describe());
    let of = |path: &str| kept.iter().filter(|kept| kept["path"] == path).collect::<Vec<_>>();
    let [json] = of("/json")[..] else { panic!("one: {kept:#?}") };
    assert_eq!(
        (json["method"].as_str(), &json["headers"]["content-type"]),
        (Some("POST"), &"application/json".into())
    );
    assert_eq!(json["headers"]["authorization"], "Bearer s3cret");
    assert!(json["headers"]["user-agent"].as_str().expect("one").starts_with("nowcast/"));
    let body: serde_json::Value = serde_json::from_str(json["body"].as_str().expect("a body")).expect("JSON");
    assert_eq!(
        (&body["title"], &body["payload"]),
        (&"sleep: success".into(), &r#"{'say': '"so"\n'}"#.into())
    );
    assert!(body["number"].as_u64().is_some_and(|number| number > 0), "{body}");
    let time = body["time"].as_str().expect("a time");
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
    let plain: Vec<&str> = of("/plain").iter().filter_map(|kept| kept["body"].as_str()).collect();
    assert_eq!(plain, ["failure: sleep: failure", "crash: awaken: crash"]);
    assert!(of("/plain").iter().all(|kept| kept["method"] == "PUT"));
    assert!(!system.log("manager").contains("s3cret"), "{}", system.describe());
}

/// A payload cannot add a field to a form, mention a channel or make a link.
#[test]
fn text_of_messages_is_escaped_in_forms_and_for_slack() {
    let server = Server::web();
    let system = system()
        .env("HOOK_HOST", &format!("127.0.0.1:{}", server.port))
        .section(
            r#"notifications:
  form:
    url: http://$(NOWCAST.ENV.HOOK_HOST)/form
    headers: {Content-Type: application/x-www-form-urlencoded}
    body: 'title={worker}&text={payload}'
    types: [success]
  json in a form:
    url: http://$(NOWCAST.ENV.HOOK_HOST)/json-in-a-form
    headers: {Content-Type: application/x-www-form-urlencoded}
    body: 'payload={"text": "{payload}"}'
    types: [success]
  like slack:
    url: http://$(NOWCAST.ENV.HOOK_HOST)/slack
    body: '{"text": "{payload}", "channel": "<#ours>"}'
    escape: slack
    types: [success]
  default body:
    url: http://$(NOWCAST.ENV.HOOK_HOST)/default
    alarms: [parked]"#,
        )
        .rules("function after_sleep(msg) error('cannot use ' .. msg.payload) end")
        .start();
    assert_eq!(system.send("sleep", "success", "'<!channel> & to=\"all\"'"), "ack");
    let kept = server.wait_for(4, || system.describe());
    let of = |path: &str| {
        let kept = kept.iter().find(|kept| kept["path"] == path).expect("a request");
        kept["body"].as_str().expect("a body").to_owned()
    };
    assert_eq!(of("/form"), "title=sleep&text=%27%3C%21channel%3E+%26+to%3D%22all%22%27");
    assert_eq!(
        of("/json-in-a-form"),
        r#"payload={"text": "%27%3C%21channel%3E+%26+to%3D%5C%22all%5C%22%27"}"#
    );
    assert_eq!(of("/slack"), r#"{"text": "'&lt;!channel&gt; &amp; to=\"all\"'", "channel": "<#ours>"}"#);
    let parked = of("/default");
    assert!(parked.contains("&lt;!channel&gt; &amp; to=") && !parked.contains('<'), "{parked}");
}

#[test]
fn a_run_that_exits_without_a_report_is_an_alarm() {
    let server = Server::web();
    let system = system()
        .section(&format!(
            "workers: {{awaken: {{command: ['false']}}}}\nnotifications: [{{name: on-call, url: '{}', alarms: all}}]",
            server.url("/")
        ))
        .start();
    system.operate(&["launch", "--cycle", "2026-03-14", "awaken"]);
    server.wait_for(1, || system.describe());
    let bodies = server.bodies();
    let expected = r#"^\{"text": "awaken: crash \(run #\d+ of cycle 2026-03-14\), which exited with status 1\\nnowcast why \d+"\}$"#;
    assert!(regex::Regex::new(expected).expect("a pattern").is_match(&bodies[0]), "{bodies:?}");
}

#[test]
fn certificates_are_checked() {
    let certificate = Certificate::new();
    let server = Server::web_by_tls(&certificate);
    let section = format!("notifications: {{t: {{url: 'https://localhost:{}/', alarms: all}}}}", server.port);
    let trusting =
        system().env("SSL_CERT_FILE", &certificate.file.display().to_string()).section(&section).start();
    assert_eq!(trusting.send("sleep", "crash", "null"), "ack");
    server.wait_for(1, || trusting.describe());
    assert!(
        server.bodies()[0].starts_with(r#"{"text": "sleep: crash\nnowcast why "#),
        "{:?}",
        server.bodies()
    );
    let other = Certificate::new();
    let wary = system().env("SSL_CERT_FILE", &other.file.display().to_string()).section(&section).start();
    assert_eq!(wary.send("sleep", "crash", "null"), "ack");
    wary.wait_for_log("manager", "WARNING [manager] notifications to t do not go out, and are tried again: ");
    assert_eq!(server.bodies().len(), 1);
}

#[test]
fn a_new_configuration_is_followed_at_once() {
    let (old, new) = (Server::web(), Server::web());
    let target =
        |server: &Server| format!("notifications: {{t: {{url: '{}', workers: all}}}}", server.url("/"));
    let mut system = system().section(&target(&old)).start();
    system.works();
    old.wait_for(1, || system.describe());
    system.more = target(&new);
    system.write_config();
    system.signal("manager", Signal::HUP);
    system.wait_for_log_count("manager", "read config from", 2);
    system.wait_for("the new target", || {
        system.works();
        (!new.kept().is_empty()).then_some(())
    });
    let is_of_the_message = |body: &String| body.starts_with(r#"{"text": "keyless: success\nnowcast why "#);
    assert!(old.bodies().iter().chain(&new.bodies()).all(is_of_the_message));
    system.more = target(&old).replace("workers", "wrokers");
    system.write_config();
    system.signal("manager", Signal::HUP);
    system.wait_for_log("manager", "the new configuration is refused, the old one stays");
    let before = new.kept().len();
    system.works();
    // The old one stays, and it asks for messages only.
    new.wait_for(before + 1, || system.describe());
    assert!(new.bodies().iter().all(is_of_the_message));
}

#[test]
fn a_proxy_is_taken_from_the_environment() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let system = system()
        .env("http_proxy", &format!("http://127.0.0.1:{port}"))
        .env("no_proxy", "localhost")
        .section("notifications: {t: {url: 'http://hooks.invalid/x', alarms: all}}")
        .start();
    assert_eq!(system.send("sleep", "crash", "null"), "ack");
    let (connection, _) = listener.accept().expect("the manager asks the proxy");
    let mut lines = BufReader::new(&connection).lines().map_while(Result::ok);
    let asked = lines.next().expect("a line");
    assert!(asked.starts_with("CONNECT hooks.invalid:80 "), "{asked}");
    lines.find(String::is_empty).expect("the end of the headers");
    (&connection).write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("written");
    let asked = lines.next().expect("a line");
    assert!(asked.starts_with("POST /x "), "{asked}");
}
