//! `nowcast notify test`.

use serde_json::Value;

use crate::support::servers::Server;
use crate::support::system::{System, system};

fn with_targets(web: &Server, mail: &Server) -> System {
    system()
        .env("HOOK", &web.url("/s3cret-path"))
        .env("HOOK_TOKEN", "s3cret-token")
        .env("SLACK_A", &web.url("/slack"))
        .section(&format!(
            "notifications:
  hook:
    url: $(NOWCAST.ENV.HOOK)
    headers: {{Authorization: Bearer $(NOWCAST.ENV.HOOK_TOKEN)}}
    body: '{{\"title\": \"{{worker}}: {{alarm}}\", \"text\": \"{{text}}\"}}'
    alarms: [crash]
  office: {{to: ana@example.org, from: nowcast@example.org, server: 127.0.0.1, port: {}, alarms: all}}
  heart: {{url: '{}', every: 1h}}
  unset: {{url: $(NOWCAST.ENV.NOPE), alarms: all}}
slack notifications: {{SLACK_A: [sleep], SLACK_B: [sleep]}}",
            mail.port,
            web.url("/beat"),
        ))
        .prepare()
}

#[test]
fn a_test_reaches_each_target_without_a_manager_and_shows_what_was_sent_but_no_secret() {
    let (web, mail) = (Server::web(), Server::mail(None));
    let system = with_targets(&web, &mail);
    let (status, text) = system.operation(&["notify", "test", "--all"]);
    assert_eq!(status, Some(1), "SLACK_B has no URL: {text}");
    assert!(
        text.contains("SLACK_B was not notified: the environment variable SLACK_B is not set; set it"),
        "{text}"
    );
    assert!(text.contains("notifications: unset: url: the environment variable NOPE is not set"), "{text}");
    for expected in [
        "hook: webhook, POST\n  {\"title\": \"test: \", \"text\": \"test: sent by \\\"nowcast notify test\\\" on ",
        "office: e-mail to ana@example.org\n  nowcast: test: sent by ",
        "heart: heartbeat, GET\nsent: the server answers 200 OK\n",
        "SLACK_A: Slack channel\n  {\"text\": \"test: test\"}\nsent: the server answers 200 OK\n",
        "sent: the mail server has accepted it\n",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains("s3cret"), "{text}");
    let requests = web.kept();
    assert_eq!(requests.len(), 3, "{requests:#?}");
    let hook = requests.iter().find(|kept| kept["path"] == "/s3cret-path").expect("the webhook's");
    assert_eq!(hook["headers"]["authorization"], "Bearer s3cret-token");
    assert!(hook["body"].as_str().expect("a body").contains("nothing has happened"), "{hook:#}");
    assert!(
        mail.kept()[0]["headers"]["subject"].as_str().expect("one").starts_with("nowcast: test: sent by")
    );
}

#[test]
fn a_failed_test_says_what_to_do_and_a_dry_run_sends_nothing() {
    let (web, mail) = (Server::web(), Server::mail(None));
    let system = with_targets(&web, &mail);
    let shown: Value =
        serde_json::from_str(&system.operate(&["notify", "test", "hook", "office", "--dry-run", "--json"]))
            .expect("JSON");
    assert_eq!((&shown[0]["target"], &shown[0]["sent"]), (&"hook".into(), &false.into()));
    assert!(shown[1]["body"].as_str().expect("a body").starts_with("test: sent by"), "{shown:#}");
    assert!(web.kept().is_empty() && mail.kept().is_empty());

    web.answer(404);
    let (status, text) = system.operation(&["notify", "test", "hook"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.contains("hook was not notified: the server answers 404 Not Found")
            && text.contains("correct the URL"),
        "{text}"
    );
    web.answer(503);
    let (_, text) = system.operation(&["notify", "test", "hook"]);
    assert!(text.contains("the manager would try again for an hour"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");

    let (status, text) = system.operation(&["notify", "test", "hok"]);
    assert!(status == Some(2) && text.contains("no target \"hok\"; did you mean `hook`?"), "{text}");
    let (status, text) = system.operation(&["notify", "test", "unset"]);
    assert!(status == Some(2) && text.contains("NOPE"), "{text}");
}
