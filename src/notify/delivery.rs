//! [`Delivery`]: a notice in the form of one target. This module never sends anything.

use std::fmt::Write;
use std::time::Instant;

use url::form_urlencoded;
use uuid::Uuid;

use crate::config::notify::{Escapes, NotificationTarget, Slack, SlackChannel, Template, TemplateField, Way};
use nowcast_core::Notice;
use pylogging::escape;
use pyyaml::python;

/// The maximum number of characters of a payload or a text; the journal has longer ones.
const LONGEST: usize = 4_000;

/// The maximum number of characters of a subject.
const LONGEST_SUBJECT: usize = 150;

/// A notification for one target.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    /// The subject matter in one line, for the log.
    pub about: String,
    /// An id that stays the same for all attempts.
    pub id: Uuid,
    /// The subject of an e-mail.
    pub subject: String,
    pub body: String,
    /// When it began to wait.
    pub since: Instant,
}

impl Delivery {
    fn new(about: &str, subject: String, body: String) -> Self {
        let about = about.lines().next().unwrap_or_default().to_owned();
        Self { about, id: Uuid::now_v7(), subject, body, since: Instant::now() }
    }

    /// Return a beat of a heartbeat.
    pub(super) fn beat() -> Self {
        Self::new("heartbeat", String::new(), String::new())
    }

    /// Return an event for Sentry, still without a body.
    pub(super) fn event(about: &str) -> Self {
        Self::new(about, String::new(), String::new())
    }

    /// Return NEMO_Nowcast's message to a Slack channel, or `None` if the channel does not want this notice.
    pub(super) fn to_slack(channel: &SlackChannel, slack: &Slack, notice: &Notice) -> Option<Self> {
        if channel.has(&notice.worker) { Self::for_slack(slack, notice) } else { None }
    }

    /// Return NEMO_Nowcast's message to any channel; `None` for a notice that is not about a message.
    pub(super) fn for_slack(slack: &Slack, notice: &Notice) -> Option<Self> {
        let said = notice.message.as_ref()?;
        let about = format!("{}: {}", notice.worker, said.r#type);
        let mut text = without_marks(&about);
        for (name, url) in [("Log", &slack.log_url), ("Checklist", &slack.checklist_url)] {
            if let Some(url) = url {
                let _ = write!(text, "\n{name}: {url}");
            }
        }
        let body = format!("{{\"text\": \"{}\"}}", ascii(&json_escaped(&text)));
        Some(Self::new(&about, String::new(), body))
    }

    /// Return the notification for a target, or `None` if the target does not want this notice.
    pub(super) fn to_target(target: &NotificationTarget, notice: &Notice) -> Option<Self> {
        let is_alarm = notice.alarm.is_some_and(|alarm| target.of.alarms.contains(&alarm));
        let is_message =
            notice.message.as_ref().is_some_and(|said| target.of.wants_message(&notice.worker, &said.r#type));
        if is_alarm || is_message { Self::filled(target, notice) } else { None }
    }

    /// Return the notification for a target whatever it wants; `None` for a heartbeat, which has no text.
    pub(super) fn filled(target: &NotificationTarget, notice: &Notice) -> Option<Self> {
        let fill = |template: &Template, escape: &dyn Fn(String) -> String| {
            template.render(|field| escape(value(field, notice)))
        };
        let (subject, body) = match &target.way {
            Way::Webhook { body, escapes, .. } => {
                (String::new(), fill(body, &|text| escaped(text, *escapes)))
            }
            Way::Email(email) => {
                let printable = |text: String| escape(&text).into_owned();
                let subject = fill(&email.subject, &printable);
                let subject = subject.lines().next().unwrap_or_default();
                (error_text::cut(subject, LONGEST_SUBJECT).into_owned(), fill(&email.body, &printable))
            }
            Way::Heartbeat { .. } => return None,
        };
        Some(Self::new(&notice.text, subject, body))
    }
}

/// Return the value of a placeholder.
fn value(field: TemplateField, notice: &Notice) -> String {
    match field {
        TemplateField::Worker => notice.worker.clone(),
        TemplateField::Type => notice.message.as_ref().map(|said| said.r#type.clone()).unwrap_or_default(),
        TemplateField::Payload => notice.message.as_ref().map_or_else(String::new, |said| {
            python::repr_up_to(&said.payload, LONGEST).unwrap_or_else(|| {
                format!("more than {LONGEST} characters; nowcast why {} shows them", notice.number.0)
            })
        }),
        TemplateField::Alarm => notice.alarm.map(|alarm| alarm.name().to_owned()).unwrap_or_default(),
        TemplateField::Time => notice.at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        TemplateField::Number => notice.number.0.to_string(),
        // What is not in the journal has the number 0.
        TemplateField::Why if notice.number.0 == 0 => String::new(),
        TemplateField::Why => format!("nowcast why {}", notice.number.0),
        TemplateField::Text => error_text::cut(&notice.text, LONGEST).into_owned(),
    }
}

/// Escape a value for a place in the body of a webhook.
fn escaped(text: String, escapes: Escapes) -> String {
    let Escapes { slack, json, form } = escapes;
    let text = if slack { without_marks(&text) } else { text };
    let text = if json { json_escaped(&text) } else { escape(&text).into_owned() };
    if form { form_urlencoded::byte_serialize(text.as_bytes()).collect() } else { text }
}

/// Escape the signs that make mentions (`<!channel>`) and links of a text in Slack, as its documentation says.
fn without_marks(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Escape a text for use between the quotes of a JSON string.
fn json_escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Escape JSON to ASCII, as Python's `json.dumps` writes it.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        if letter.is_ascii() {
            text.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use jiff::ZonedDateTime;

    use super::*;
    use crate::config::notify::{NoticeFilter, Secret, SlackWorkers, WebRequest};
    use nowcast_core::Alarm;
    use nowcast_core::Number;
    use nowcast_core::notice::NoticeMessage;

    fn notice() -> Notice {
        Notice {
            number: Number(8812),
            at: "2026-03-14T04:40:12.5-07:00[America/Vancouver]".parse::<ZonedDateTime>().unwrap(),
            alarm: Some(Alarm::Failure),
            worker: "ssh".to_owned(),
            message: Some(NoticeMessage {
                r#type: "failure".to_owned(),
                payload: pyyaml::read("{\"a\": \"it's \\\"so\\\"\"}").unwrap(),
            }),
            text: "ssh: failure\n\"no\"".to_owned(),
        }
    }

    fn webhook(of: NoticeFilter, body: &str, json: bool) -> NotificationTarget {
        escaping(of, body, Escapes { json, ..Escapes::default() })
    }

    fn escaping(of: NoticeFilter, body: &str, escapes: Escapes) -> NotificationTarget {
        let url = Secret("http://localhost/".to_owned());
        let request = WebRequest { method: "POST".to_owned(), url, headers: Vec::new() };
        let body = Template::parse(body).unwrap();
        NotificationTarget { name: "t".to_owned(), of, way: Way::Webhook { request, body, escapes } }
    }

    fn all_messages() -> NoticeFilter {
        NoticeFilter { messages: true, ..NoticeFilter::default() }
    }

    #[test]
    fn placeholders_are_filled_and_escaped_for_json() {
        let body = r#"{"w": "{worker}", "t": "{type}", "p": "{payload}", "a": "{alarm}", "at": "{time}", "n": {number}, "x": "{text}"}"#;
        let json = Delivery::to_target(&webhook(all_messages(), body, true), &notice()).unwrap().body;
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        let expected = serde_json::json!({
            "w": "ssh", "t": "failure", "p": r#"{'a': 'it\'s "so"'}"#, "a": "failure",
            "at": "2026-03-14T04:40:12-07:00", "n": 8812, "x": "ssh: failure\n\"no\"",
        });
        assert_eq!(read, expected);
        let plain = Delivery::to_target(&webhook(all_messages(), "{text}", false), &notice()).unwrap().body;
        assert_eq!(plain, "ssh: failure\n\"no\"");
    }

    #[test]
    fn text_from_messages_is_escaped_for_each_form() {
        let mut hostile = notice();
        hostile.text = "<!channel> a&b=\"c\"\u{1b}[2J\u{202e}".to_owned();
        let (slack, json, form) = (true, true, true);
        let none = Escapes::default();
        for (escapes, expected) in [
            (none, r#"<!channel> a&b="c"\x1b[2J\u202e"#),
            (Escapes { slack, ..none }, r#"&lt;!channel&gt; a&amp;b="c"\x1b[2J\u202e"#),
            (Escapes { json, ..none }, "<!channel> a&b=\\\"c\\\"\\u001b[2J\u{202e}"),
            (Escapes { form, ..none }, "%3C%21channel%3E+a%26b%3D%22c%22%5Cx1b%5B2J%5Cu202e"),
            (
                Escapes { slack, json, form },
                "%26lt%3B%21channel%26gt%3B+a%26amp%3Bb%3D%5C%22c%5C%22%5Cu001b%5B2J%E2%80%AE",
            ),
        ] {
            let target = escaping(all_messages(), "{text}", escapes);
            assert_eq!(Delivery::to_target(&target, &hostile).unwrap().body, expected, "{escapes:?}");
        }
    }

    #[test]
    fn a_target_gets_each_requested_notification_once() {
        let list = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        let of_alarm = |alarm| NoticeFilter { alarms: vec![alarm], ..NoticeFilter::default() };
        for (of, is_delivered) in [
            (all_messages(), true),
            (NoticeFilter { workers: list(&["ssh"]), ..all_messages() }, true),
            (NoticeFilter { workers: list(&["rivers"]), ..all_messages() }, false),
            (NoticeFilter { types: list(&["failure"]), ..all_messages() }, true),
            (NoticeFilter { types: list(&["success"]), ..all_messages() }, false),
            (
                NoticeFilter { types: list(&["success"]), alarms: vec![Alarm::Failure], ..all_messages() },
                true,
            ),
            (of_alarm(Alarm::Failure), true),
            (of_alarm(Alarm::Crash), false),
        ] {
            let delivery = Delivery::to_target(&webhook(of.clone(), "{text}", false), &notice());
            assert_eq!(delivery.is_some(), is_delivered, "{of:?}");
        }
        let late = Notice { alarm: Some(Alarm::Late), message: None, ..notice() };
        assert!(
            Delivery::to_target(&webhook(all_messages(), "", false), &late).is_none(),
            "it is not a message"
        );
        assert!(Delivery::to_target(&webhook(of_alarm(Alarm::Late), "", false), &late).is_some());
    }

    #[test]
    fn long_texts_are_cut() {
        let mut long = notice();
        long.text = "é".repeat(5_000);
        long.message.as_mut().unwrap().payload = "x".repeat(5_000).into();
        let body =
            Delivery::to_target(&webhook(all_messages(), "{text}|{payload}", false), &long).unwrap().body;
        let (text, payload) = body.split_once('|').unwrap();
        assert_eq!(text.chars().count(), 4_001);
        assert_eq!(payload, "more than 4000 characters; nowcast why 8812 shows them");
    }

    /// Compare with the bytes recorded from NEMO_Nowcast's `requests.post(url, json={"text": …})`.
    #[test]
    fn slack_gets_the_bytes_of_nemo_nowcast() {
        let workers = SlackWorkers::List(vec!["ssh".to_owned()]);
        let channel = SlackChannel { variable: "SLACK_A".to_owned(), url: None, workers };
        let slack = Slack {
            channels: Vec::new(),
            log_url: Some("https://x.ca/é\"😀.log".to_owned()),
            checklist_url: Some("https://x.ca/c.yaml".to_owned()),
        };
        let body = |slack: &Slack, notice: &Notice| {
            Delivery::to_slack(&channel, slack, notice).map(|delivery| delivery.body)
        };
        assert_eq!(
            body(&slack, &notice()).unwrap(),
            r#"{"text": "ssh: failure\nLog: https://x.ca/\u00e9\"\ud83d\ude00.log\nChecklist: https://x.ca/c.yaml"}"#
        );
        assert_eq!(body(&Slack::default(), &notice()).unwrap(), r#"{"text": "ssh: failure"}"#);
        let other = Notice { worker: "rivers".to_owned(), ..notice() };
        assert_eq!(body(&slack, &other), None);
        let mut mention = notice();
        mention.message.as_mut().unwrap().r#type = "failure <!channel> & <https://x.ca|more>".to_owned();
        assert_eq!(
            body(&Slack::default(), &mention).unwrap(),
            r#"{"text": "ssh: failure &lt;!channel&gt; &amp; &lt;https://x.ca|more&gt;"}"#
        );
        assert_eq!(body(&slack, &Notice { message: None, ..notice() }), None);
    }
}
