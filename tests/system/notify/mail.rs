//! E-mails, to a real mail server.

use crate::support::servers::{Certificate, Server};
use crate::support::system::system;

#[test]
fn an_e_mail_has_the_text_of_the_notice() {
    let server = Server::mail(None);
    let system = system()
        .section(&format!(
            "notifications:
  office:
    to: [ana@example.org, 'Bob Ö <bob@example.org>']
    from: nowcast@example.org
    server: 127.0.0.1
    port: {}
    alarms: [crash]
  short:
    to: nobody@example.org
    from: nowcast@example.org
    server: 127.0.0.1
    port: {}
    subject: '{{worker}}'
    body: 'ö {{type}}'
    types: [failure]",
            server.port, server.port
        ))
        .start();
    assert_eq!(system.send("sleep", "crash", "null"), "ack");
    let mails = server.wait_for(1, || system.describe());
    let mail = &mails[0];
    assert_eq!(mail["sender"], "nowcast@example.org");
    assert_eq!(mail["recipients"], serde_json::json!(["ana@example.org", "bob@example.org"]));
    assert_eq!(mail["headers"]["subject"], "nowcast: sleep: crash");
    assert_eq!(mail["headers"]["from"], "nowcast@example.org");
    assert!(mail["headers"]["to"].as_str().expect("one").contains("Bob Ö"), "{mail:#}");
    assert!(mail["headers"]["message-id"].as_str().expect("one").ends_with("@example.org>"), "{mail:#}");
    assert!(mail["headers"]["date"].is_string());
    let body = mail["body"].as_str().expect("a body");
    assert!(body.starts_with("sleep: crash\n\n20") && body.contains("\nnowcast why "), "{body:?}");
    assert_eq!(system.send("sleep", "failure", "null"), "ack");
    system.wait_for_log("manager", "ERROR [manager] a notification to short is abandoned (sleep: failure): ");
    assert!(system.log("manager").contains("unknown recipient"), "{}", system.describe());
    assert_eq!(server.kept().len(), 1);
}

#[test]
fn a_password_goes_by_tls_only() {
    let certificate = Certificate::new();
    let server = Server::mail(Some(&certificate));
    let plain = Server::mail(None);
    let target = |port: u16| {
        format!(
            "{{to: ana@example.org, from: nowcast@example.org, server: localhost, port: {port}, user: ana, \
             password: $(NOWCAST.ENV.MAIL_PASSWORD), alarms: all}}"
        )
    };
    let system = system()
        .env("MAIL_PASSWORD", "secret")
        .env("SSL_CERT_FILE", &certificate.file.display().to_string())
        .section(&format!(
            "notifications:\n  safe: {}\n  unsafe: {}",
            target(server.port),
            target(plain.port)
        ))
        .start();
    assert_eq!(system.send("sleep", "crash", "null"), "ack");
    let mails = server.wait_for(1, || system.describe());
    assert_eq!((&mails[0]["is_encrypted"], &mails[0]["user"]), (&true.into(), &"ana".into()), "{mails:#?}");
    // The other one has no TLS, and so gets neither password nor mail.
    system.wait_for_log("manager", "notifications to unsafe do not go out, and are tried again: ");
    assert!(
        system.log("manager").contains("STARTTLS is not supported on this server"),
        "{}",
        system.describe()
    );
    assert!(plain.kept().is_empty());
    assert!(!system.log("manager").contains("secret"));
}

#[test]
fn without_a_password_tls_is_taken_as_it_is_offered() {
    let certificate = Certificate::new();
    let server = Server::mail_that_offers_tls(&certificate);
    // Like many servers on their own hosts, it has a self-signed certificate.
    let system = system()
        .section(&format!(
            "notifications: {{t: {{to: a@x.ca, from: b@x.ca, server: localhost, port: {}, alarms: all}}}}",
            server.port
        ))
        .start();
    assert_eq!(system.send("sleep", "crash", "null"), "ack");
    let mails = server.wait_for(1, || system.describe());
    assert_eq!((&mails[0]["is_encrypted"], &mails[0]["user"]), (&true.into(), &serde_json::Value::Null));
}
