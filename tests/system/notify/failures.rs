//! What happens when the other side does not do its part: everything else goes on.

use std::net::TcpListener;
use std::time::Duration;

use crate::support::ports::free_ports;
use crate::support::servers::{Server, Silent, endless};
use crate::support::system::{System, system};

fn target(url: &str) -> String {
    format!("  t: {{url: '{url}', body: '{{type}} {{number}}', workers: all}}\n")
}

fn started(targets: &str) -> System {
    system().section(&format!("notifications:\n{targets}")).start()
}

#[test]
fn workers_and_other_targets_are_served_while_a_webhook_hangs() {
    let (silent, silent_mail, server) = (Silent::listen(), Silent::listen(), Server::web());
    let hangs = format!(
        "  hangs: {{url: 'http://127.0.0.1:{}/', workers: all}}
  mail hangs: {{to: a@x.ca, from: b@x.ca, server: 127.0.0.1, port: {}, workers: all}}\n",
        silent.port, silent_mail.port
    );
    let system = started(&format!("{hangs}{}", target(&server.url("/"))));
    system.works();
    system.wait_for("the request that hangs", || (silent.connections() > 0).then_some(()));
    for _ in 0..20 {
        system.works();
    }
    assert_eq!(system.operation(&["status"]).0, Some(0), "{}", system.describe());
    server.wait_for(21, || system.describe());
    // Each request has a limit, and then it is tried again.
    system.wait_for("the second attempts", || {
        (silent.connections() > 1 && silent_mail.connections() > 1).then_some(())
    });
    system.wait_for_log(
        "manager",
        "WARNING [manager] notifications to hangs do not go out, and are tried again: timeout",
    );
}

#[test]
fn a_delivery_is_retried_until_it_is_accepted_and_never_after() {
    let server = Server::web();
    server.answer(503);
    let system = started(&target(&server.url("/")));
    system.works();
    server.wait_for(2, || system.describe());
    server.answer(200);
    system.wait_for_log("manager", "INFO [manager] notifications to t go out again");
    system.works();
    system.wait_for("the next one", || {
        let kept = server.kept();
        (kept.last().expect("some")["body"] != kept[0]["body"]).then_some(())
    });
    let kept = server.kept();
    let taken: Vec<_> = kept.iter().filter(|kept| kept["status"] == 200).map(|kept| &kept["body"]).collect();
    assert_eq!(taken.len(), 2, "{kept:#?}");
    assert_ne!(taken[0], taken[1]);
    let log = system.log("manager");
    assert_eq!(log.matches("do not go out, and are tried again: the server answers 503 Service Unavailable: the server's own words").count(), 1);
}

#[test]
fn a_server_that_is_not_there_yet_is_waited_for() {
    let (port, _) = free_ports();
    let system = started(&target(&format!("http://127.0.0.1:{port}/")));
    system.works();
    system.wait_for_log("manager", "notifications to t do not go out, and are tried again: ");
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("still free");
    let (connection, _) = listener.accept().expect("the next attempt");
    drop(connection);
    // Closed without an answer: another one.
    listener.accept().expect("another attempt");
}

#[test]
fn a_permanent_refusal_is_abandoned_without_the_secret_url() {
    let server = Server::web();
    server.answer(404);
    let system = started(&target(&server.url("/T0KEN")));
    system.works();
    system.wait_for_log(
        "manager",
        "ERROR [manager] a notification to t is abandoned (keyless: success): the server answers 404 Not Found: the server's own words",
    );
    server.answer(200);
    system.works();
    server.wait_for(2, || system.describe());
    assert_eq!(server.kept().len(), 2);
    assert!(!system.log("manager").contains("T0KEN"), "{}", system.describe());
}

#[test]
fn a_server_that_answers_with_the_secrets_of_its_request_does_not_bring_them_into_the_log() {
    let refusal = "HTTP/1.1 404 Not Found\r\n\r\ncannot POST /hooks/T0KEN12?key=hush-hush, user ana, password pa55word, Bearer S3CRET\n";
    let server = endless(refusal, b"\n", Duration::from_millis(50));
    let url = server.replace("127.0.0.1", "ana:pa55word@127.0.0.1");
    let system = started(&format!(
        "  t: {{url: '{url}hooks/T0KEN12?key=hush-hush', headers: {{Authorization: Bearer S3CRET}}, workers: all}}\n"
    ));
    system.works();
    system.wait_for_log(
        "manager",
        "a notification to t is abandoned (keyless: success): the server answers 404 Not Found: cannot POST …?…, user ana, \
         password …, …",
    );
}

#[test]
fn an_answer_that_never_ends_is_not_listened_to() {
    static MUCH: [u8; 1 << 20] = [b'x'; 1 << 20];
    let refusal = "HTTP/1.1 404 Not Found\r\n\r\n";
    let much = endless(refusal, &MUCH, Duration::ZERO);
    let byte_by_byte = endless(refusal, b"y", Duration::from_millis(200));
    let no_head = endless("HTTP/1.1 200 OK\r\nX-Key: ", &MUCH, Duration::ZERO);
    let circle =
        endless("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", b"", Duration::ZERO);
    let targets = [("much", much), ("drops", byte_by_byte), ("no-head", no_head), ("circle", circle)];
    let targets =
        targets.map(|(name, url)| format!("  {name}: {{url: '{url}', method: GET, workers: all}}\n"));
    let targets = targets.concat();
    let system = started(&targets);
    system.works();
    let refused = |name: &str, said: &str| {
        let text = format!(
            "a notification to {name} is abandoned (keyless: success): the server answers 404 Not Found: "
        );
        system.wait_for_log("manager", &format!("{text}{said}"));
    };
    refused("much", &format!("{}\n", "x".repeat(200)));
    refused("drops", "yyy");
    for why in [
        "notifications to no-head do not go out, and are tried again: response header is too big",
        "a notification to circle is abandoned (keyless: success): the server answers 302 Found; it has another address now, \
         which belongs into the configuration",
    ] {
        system.wait_for_log("manager", why);
    }
}

#[test]
fn a_proxy_that_cannot_be_used_is_said_and_passed_over() {
    let server = Server::web();
    let system = system()
        .env("http_proxy", "socks5://ana:secret@127.0.0.1")
        .section(&format!("notifications:\n{}", target(&server.url("/"))))
        .start();
    system.works();
    server.wait_for(1, || system.describe());
    let log = system.log("manager");
    assert!(log.contains("WARNING [manager] notifications to t go without a proxy: "), "{log}");
    assert!(log.contains("variable http_proxy names a SOCKS proxy") && !log.contains("secret"), "{log}");
}

#[test]
fn notifications_over_the_limit_are_discarded_with_one_log_line() {
    let silent = Silent::listen();
    let system = started(&target(&format!("http://127.0.0.1:{}/", silent.port)));
    system.works();
    system.wait_for("the request that hangs", || (silent.connections() > 0).then_some(()));
    for _ in 0..250 {
        system.works();
    }
    let log = system.log("manager");
    let said =
        "WARNING [manager] 200 notifications wait for t: further ones are discarded until these are sent";
    assert_eq!(log.matches(said).count(), 1, "{log}");
    assert_eq!(log.matches("WARNING [manager] 200").count(), 1);
}
