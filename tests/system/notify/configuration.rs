//! What is wrong in `notifications:`, `slack notifications:` and `expect:` is said with line, key and remedy.

use std::fs;
use std::path::Path;

use nowcast::config::{self, Problem};

use crate::support::system::system;

/// What is found in a section that is put at the end of a good configuration.
fn problems(section: &str) -> Vec<String> {
    let system = system().section(section).prepare();
    let text = fs::read(system.config()).expect("the configuration");
    let lookup = |name: &str| match name {
        "HOOK" => Some("http://localhost/hook".to_owned()),
        "SLACK_BAD" => Some("hooks.slack.com".to_owned()),
        _ => None,
    };
    let found = match config::parse(Path::new("nowcast.yaml"), &text, &lookup) {
        Ok((_, problems)) => problems,
        Err(error) => error.problems,
    };
    let shown = |problem: &Problem| format!("{:?}: {problem}", problem.severity);
    found.iter().filter(|problem| problem.line.is_none_or(|line| line > 30)).map(shown).collect()
}

/// The one problem.
fn only(section: &str) -> String {
    let problems = problems(section);
    let [problem] = &problems[..] else { panic!("{section}: {problems:#?}") };
    problem.clone()
}

#[test]
fn every_error_in_notifications_is_explained() {
    for (target, expected) in [
        ("{alarms: all}", "Error: nowcast.yaml, line 33, notifications: t: `url` is missing"),
        (
            "{url: 'http://x.ca', alrams: all}",
            "there is no setting `alrams` here; did you mean `alarms`?; known: ",
        ),
        ("{url: 'http://x.ca'}", "does not say of what to tell; add `alarms: all`"),
        ("{url: x.ca/hook, alarms: all}", "notifications: t: url: is not a URL: "),
        ("{url: 'ftp://x.ca', alarms: all}", "it must begin with http:// or https://"),
        (
            "{url: 'http://x.ca', method: PSOT, alarms: all}",
            "notifications: t: method: there is no method `PSOT` here",
        ),
        (
            "{url: 'http://x.ca', headers: {'a b': x}, alarms: all}",
            "notifications: t: headers: a b: is not an HTTP header",
        ),
        (
            "{url: 'http://x.ca', alarms: [crsh]}",
            "notifications: t: alarms: there is no alarm `crsh`; did you mean `crash`?; known: `crash`, `failure`, `parked`",
        ),
        (
            "{url: 'http://x.ca', workers: [slep]}",
            "notifications: t: workers: no worker `slep` is in the message registry; did you mean `sleep`?",
        ),
        (
            "{url: 'http://x.ca', workers: keyless, types: [failure]}",
            "notifications: t: types: none of these workers has the message type `failure` in the message registry",
        ),
        (
            "{url: 'http://x.ca', alarms: all, body: '{wroker}'}",
            "notifications: t: body: there is no placeholder `{wroker}`; did you mean `{worker}`?; known: {worker}, {type}",
        ),
        (
            "{url: 'http://x.ca', alarms: all, headers: {Content-Type: application/json}, body: '{\"a\": {text}}}'}",
            "notifications: t: body: is not JSON, though the content type says so: ",
        ),
        (
            "{url: 'http://x.ca', alarms: all, escape: slak}",
            "notifications: t: escape: unknown escape `slak`; did you mean `slack`?; known: `slack`, `none`",
        ),
        ("{url: 'http://x.ca', every: soon}", "is not a span of time"),
        ("{url: 'http://x.ca', every: 10ms}", "notifications: t: every: must be at least 1s"),
        ("{url: 'http://x.ca', every: 5m, alarms: all}", "there is no setting `alarms` here"),
        (
            "{to: ana, from: b@x.ca, server: x, alarms: all}",
            "notifications: t: to: \"ana\" is not an e-mail address",
        ),
        ("{to: a@x.ca, server: x, alarms: all}", "notifications: t: `from` is missing"),
        (
            "{to: a@x.ca, from: b@x.ca, server: x, alarms: all, security: startls}",
            "there is no security `startls`; did you mean `starttls`?",
        ),
        (
            "{to: a@x.ca, from: b@x.ca, server: x, alarms: all, user: ana}",
            "`user` and `password` belong together",
        ),
        ("[1]", "notifications: t: must be a mapping with `url:` or `to:`, not a list"),
    ] {
        let problem = only(&format!("notifications:\n  t: {target}"));
        assert!(
            problem.starts_with("Error: nowcast.yaml, line 3") && problem.contains(expected),
            "{target}: {problem}"
        );
    }
    assert!(only("notifications: 5").contains("must be a mapping or a list of targets, not "));
}

/// A password of digits without quotes is a number to YAML.
#[test]
fn an_error_does_not_show_a_secret() {
    for target in [
        "{to: a@x.ca, from: b@x.ca, server: x, alarms: all, user: ana, password: 271828}",
        "{url: 'http://x.ca', alarms: all, headers: {X-Key: 271828}}",
        "{url: 271828, alarms: all}",
    ] {
        let problem = only(&format!("notifications:\n  t: {target}"));
        assert!(problem.contains("must be a text; write it in quotes"), "{problem}");
        assert!(!problem.contains("271828"), "{problem}");
    }
}

#[test]
fn an_unset_secret_is_a_warning() {
    let target =
        |name: &str| format!("notifications: [{{name: t, url: $(NOWCAST.ENV.{name}), alarms: all}}]");
    assert_eq!(
        only(&target("NOPE")),
        "Warning: nowcast.yaml, line 32, notifications: entry 1: url: the environment variable NOPE is not set, so nothing is \
         sent there; set it before the start (`export NOPE=…`)"
    );
    assert_eq!(problems(&target("HOOK")), Vec::<String>::new());
}

#[test]
fn slack_is_as_lenient_as_nemo_nowcast_and_reports_unusable_settings() {
    assert!(only("slack notifications: {SLACK_NOPE: [sleep]}").starts_with("Note: "));
    let problem = only("slack notifications: {SLACK_BAD: [sleep]}");
    assert!(problem.contains("the value of the environment variable SLACK_BAD is not a URL: "), "{problem}");
    assert!(!problem.contains("hooks.slack.com"), "{problem}");
    assert!(only("slack notifications: [SLACK_A]").contains("must be a mapping of environment variables"));
    assert_eq!(problems("slack notifications:"), Vec::<String>::new());
    assert_eq!(problems("slack notifications: {website log url: 5, other: x}"), Vec::<String>::new());
}

#[test]
fn every_error_in_expect_is_explained() {
    for (item, expected) in [
        ("{worker: sleep}", "expect: entry 1: `by` is missing"),
        ("{worker: sleep, by: '06:30', form: 1}", "there is no setting `form` here; "),
        (
            "{worker: slep, by: '06:30'}",
            "expect: entry 1: worker: no worker `slep` is in the message registry; did you mean `sleep`?; nothing would ever come",
        ),
        (
            "{worker: sleep, type: succes, by: '06:30'}",
            "expect: entry 1: type: sleep has no message type `succes` in the message registry; did you mean `success`?; its types are: `success`, `failure`",
        ),
        (
            "{worker: sleep, type: need, by: '06:30'}",
            "expect: entry 1: type: `need` is not a report of a worker",
        ),
        (
            "{worker: sleep, by: '24:00'}",
            "expect: entry 1: by: \"24:00\" is not a time of day; write it as '06:30'",
        ),
        ("{worker: sleep, by: '6:30'}", "is not a time of day"),
        ("{worker: sleep, by: soon}", "is not a time of day"),
        (
            "{worker: sleep, by: 12:30}",
            "expect: entry 1: by: 750 is not a time of day; a time stands in quotes: `by: '12:30'`",
        ),
        (
            "{worker: sleep, by: '06:30', since: '06:61'}",
            "expect: entry 1: since: \"06:61\" is not a time of day",
        ),
        (
            "{worker: sleep, by: '06:30', days: [monady]}",
            "expect: entry 1: days: there is no day `monady`; did you mean `monday`?",
        ),
        ("{worker: sleep, by: '06:30', days: []}", "expect: entry 1: days: names no day"),
        (
            "{worker: sleep, by: '06:30', timezone: America/Vancover}",
            "expect: entry 1: timezone: this machine knows no time zone `America/Vancover`; did you mean `America/Vancouver`?",
        ),
        (
            "{worker: sleep, by: '06:30', warn at: 0.5}",
            "expect: entry 1: warn at: 0.5 is not a percentage from 1% to 99%; write it as `warn at: 50%`",
        ),
        ("{worker: sleep, by: '06:30', warn at: 100%}", "warn at: \"100%\" is not a percentage"),
        ("{worker: sleep, by: '06:30', warn at: -5%}", "warn at: \"-5%\" is not a percentage"),
    ] {
        let problem = only(&format!("expect:\n- {item}"));
        assert!(
            problem.starts_with("Error: nowcast.yaml, line 3") && problem.contains(expected),
            "{item}: {problem}"
        );
    }
    assert!(only("expect: sleep").contains("must be a list of messages"));
    assert_eq!(
        problems(
            "expect:\n- {worker: sleep, by: '06:30', since: '20:00', days: monday, timezone: UTC, warn at: 50%}"
        ),
        Vec::<String>::new()
    );
}
