//! Checks `notifications:`.

use std::collections::BTreeSet;

use lettre::message::Mailbox;
use ureq::http::{HeaderName, HeaderValue};

use super::check::ConfigCheck;
use super::notify::raw::{RawEmail, RawHeartbeat, RawSecret, RawWebhook};
use super::notify::{
    Email, Escapes, NoticeFilter, NotificationTarget, Notifications, Secret, Security, Slack, Template,
    TemplateField, Way, WebRequest, is_slack, url_problem,
};
use crate::config::checked::Registry;
use crate::config::environment;
use crate::config::names::Names;
use crate::config::problem::{Severity, as_text};
use crate::config::words::unknown_worker;
use error_text::did_you_mean;
use nowcast_core::Alarm;
use pyyaml::Value;

/// The section's name.
const NOTIFICATIONS: &str = "notifications";

/// The methods that a request can have.
const METHODS: [&str; 5] = ["POST", "GET", "PUT", "PATCH", "HEAD"];

/// The word for all names.
const ALL: &str = "all";

/// The default body of a webhook, which Slack, Mattermost and others understand.
const WEBHOOK_BODY: &str = r#"{"text": "{text}\n{why}"}"#;

/// The values of `escape`.
const SLACK: &str = "slack";
const NO_ESCAPE: &str = "none";

/// The content type of a form.
const FORM: &str = "application/x-www-form-urlencoded";

/// The default subject of an e-mail.
const SUBJECT: &str = "nowcast: {text}";

/// The default body of an e-mail.
const EMAIL_BODY: &str = "{text}\n\n{time}\n{why}\n";

/// The default ports of mail servers, from RFC 6409 and RFC 8314.
const SUBMISSION: u16 = 587;
const SUBMISSION_TLS: u16 = 465;
const SMTP: u16 = 25;

/// Return the environment variables with secrets: those of `slack notifications`, and those that only `notifications` names.
fn secret_variables(value: &Value, slack: Option<&Slack>) -> Vec<String> {
    let (mut secret, mut others) = (BTreeSet::new(), BTreeSet::new());
    for (key, section) in value.as_map().into_iter().flatten() {
        let names = if key.as_str() == Some(NOTIFICATIONS) { &mut secret } else { &mut others };
        environment::collect_names(section, names);
    }
    secret
        .extend(slack.into_iter().flat_map(|slack| &slack.channels).map(|channel| channel.variable.clone()));
    secret.difference(&others).cloned().collect()
}

impl ConfigCheck<'_> {
    /// Check `slack notifications:` and `notifications:`.
    pub(in crate::config) fn notifications(
        &mut self,
        value: &Value,
        registry: Option<&Registry>,
    ) -> Option<Notifications> {
        let slack = self.slack(value);
        let section = match value.get(NOTIFICATIONS) {
            None | Some(Value::Null) => {
                let secret_variables = secret_variables(value, slack.as_ref());
                return Some(Notifications { slack, targets: Vec::new(), secret_variables });
            }
            Some(section) => section,
        };
        let named: Vec<(String, Vec<String>, &Value)> = match section {
            Value::Map(targets) => targets
                .iter()
                .map(|(name, target)| {
                    let name = as_text(name);
                    (name.clone(), vec![name], target)
                })
                .collect(),
            Value::List(targets) => targets
                .iter()
                .enumerate()
                .map(|(place, target)| {
                    let name = target.get("name").and_then(Value::as_str).map(str::to_owned);
                    (name.unwrap_or_else(|| format!("number {}", place + 1)), vec![place.to_string()], target)
                })
                .collect(),
            other => {
                let text = format!("must be a mapping or a list of targets, not {}", other.kind());
                self.report(Severity::Error, &[NOTIFICATIONS], text);
                return None;
            }
        };
        let mut targets = Vec::new();
        for (name, path, target) in named {
            let path: Vec<&str> =
                std::iter::once(NOTIFICATIONS).chain(path.iter().map(String::as_str)).collect();
            targets.extend(self.target(name, &path, target, registry));
        }
        let secret_variables = secret_variables(value, slack.as_ref());
        Some(Notifications { slack, targets, secret_variables })
    }

    /// Return one target, or `None` if it is invalid or lacks an environment variable.
    fn target(
        &mut self,
        name: String,
        path: &[&str],
        value: &Value,
        registry: Option<&Registry>,
    ) -> Option<NotificationTarget> {
        let has = |key: &str| value.get(key).is_some();
        if value.as_map().is_none() {
            let text = format!("must be a mapping with `url:` or `to:`, not {}", value.kind());
            self.report(Severity::Error, path, text);
            return None;
        }
        if has("every") {
            let raw: RawHeartbeat = self.decode(value, path)?;
            if raw.every.0.as_secs() < 1 {
                let text = "must be at least 1s: `every: 5m`".to_owned();
                self.report(Severity::Error, &[path, &["every"]].concat(), text);
            }
            let request = self.request(path, &raw.url.0, raw.method.as_deref(), "GET", &raw.headers)?;
            let way = Way::Heartbeat { request, every: raw.every.0 };
            return Some(NotificationTarget { name, of: NoticeFilter::default(), way });
        }
        if has("to") || has("from") || has("server") {
            let raw: RawEmail = self.decode(value, path)?;
            let of = self.filter(path, [&raw.workers, &raw.types, &raw.alarms], registry);
            let email = self.email(path, raw);
            return Some(NotificationTarget { name, of: of?, way: Way::Email(Box::new(email?)) });
        }
        let raw: RawWebhook = self.decode(value, path)?;
        let of = self.filter(path, [&raw.workers, &raw.types, &raw.alarms], registry);
        let request = self.request(path, &raw.url.0, raw.method.as_deref(), "POST", &raw.headers);
        let body = self.template(path, "body", raw.body.as_deref().unwrap_or(WEBHOOK_BODY));
        let mut request = request?;
        let body = body?;
        let escapes = self.escapes(path, &mut request, &body)?;
        let slack = self.escapes_for_slack(path, raw.escape.as_deref(), raw.body.is_none(), &request.url)?;
        let escapes = Escapes { slack, ..escapes };
        Some(NotificationTarget { name, of: of?, way: Way::Webhook { request, body, escapes } })
    }

    /// Return the notices that a target wants.
    fn filter(
        &mut self,
        path: &[&str],
        [workers, types, alarms]: [&Option<Names>; 3],
        registry: Option<&Registry>,
    ) -> Option<NoticeFilter> {
        let is_all = |names: &Names| names.0 == [ALL];
        let mut is_good = true;
        let mut refuse = |check: &mut Self, key: &str, text: String| {
            check.report(Severity::Error, &[path, &[key]].concat(), text);
            is_good = false;
        };
        if workers.is_none() && types.is_none() && alarms.is_none() {
            let text = "does not say of what to tell; add `alarms: all`, or `workers: […]` and `types: […]` for messages";
            self.report(Severity::Error, path, text.to_owned());
            return None;
        }
        let of = |names: &Option<Names>| {
            names.as_ref().filter(|names| !is_all(names)).map(|names| names.0.clone())
        };
        let mut filter = NoticeFilter {
            workers: of(workers),
            types: of(types),
            messages: workers.is_some() || types.is_some(),
            alarms: Vec::new(),
        };
        for name in alarms.iter().flat_map(|names| &names.0) {
            match Alarm::ALL.into_iter().find(|alarm| alarm.name() == name) {
                Some(alarm) => filter.alarms.push(alarm),
                None if name == ALL => filter.alarms.extend(Alarm::ALL),
                None => {
                    let known = Alarm::ALL.map(Alarm::name);
                    let close = did_you_mean(name, known);
                    let known = known.join("`, `");
                    let text = format!("there is no alarm `{name}`{close}; known: `{known}`, and `{ALL}`");
                    refuse(self, "alarms", text);
                }
            }
        }
        let Some(registry) = registry else { return is_good.then_some(filter) };
        for name in filter.workers.iter().flatten() {
            if !registry.workers.contains_key(name) {
                refuse(self, "workers", unknown_worker(name, registry));
            }
        }
        let is_meant = |name: &String| filter.workers.as_ref().is_none_or(|workers| workers.contains(name));
        let meant: Vec<&str> = registry
            .workers
            .iter()
            .filter(|(name, _)| is_meant(name))
            .flat_map(|(_, worker)| worker.messages.keys())
            .map(String::as_str)
            .collect();
        for name in filter.types.iter().flatten().filter(|_| is_good) {
            if !meant.contains(&name.as_str()) {
                let close = did_you_mean(name, &meant);
                let text = format!(
                    "none of these workers has the message type `{name}` in the message registry{close}"
                );
                self.report(Severity::Error, &[path, &["types"]].concat(), text);
                return None;
            }
        }
        is_good.then_some(filter)
    }

    fn email(&mut self, path: &[&str], raw: RawEmail) -> Option<Email> {
        let mut to = Vec::new();
        for address in &raw.to.0 {
            to.push(self.mailbox(path, "to", address)?);
        }
        if to.is_empty() {
            let text = "names no recipient; write `to: name@example.org`".to_owned();
            self.report(Severity::Error, &[path, &["to"]].concat(), text);
            return None;
        }
        let from = self.mailbox(path, "from", &raw.from)?;
        let security = match raw.security.as_deref() {
            None => None,
            Some("none") => Some(Security::None),
            Some("starttls") => Some(Security::StartTls),
            Some("tls") => Some(Security::Tls),
            Some(other) => {
                let close = did_you_mean(other, ["none", "starttls", "tls"]);
                let text = format!("there is no security `{other}`{close}; known: `starttls`, `tls`, `none`");
                self.report(Severity::Error, &[path, &["security"]].concat(), text);
                return None;
            }
        };
        let has_login = raw.user.is_some();
        let port = raw.port.unwrap_or(match security {
            Some(Security::Tls) => SUBMISSION_TLS,
            _ if has_login => SUBMISSION,
            _ => SMTP,
        });
        // A password is never sent in plain text, unless the configuration says so.
        let security = security.unwrap_or(match port {
            SUBMISSION_TLS => Security::Tls,
            _ if has_login => Security::StartTls,
            _ => Security::Opportunistic,
        });
        let login = match (raw.user, raw.password) {
            (Some(user), Some(password)) => {
                let user = self.secret(path, "user", &user.0);
                Some((user?, self.secret(path, "password", &password.0)?))
            }
            (None, None) => None,
            _ => {
                let text = "`user` and `password` belong together; one of them is missing".to_owned();
                self.report(Severity::Error, path, text);
                return None;
            }
        };
        let subject = self.template(path, "subject", raw.subject.as_deref().unwrap_or(SUBJECT))?;
        let body = self.template(path, "body", raw.body.as_deref().unwrap_or(EMAIL_BODY))?;
        Some(Email { to, from, server: raw.server, port, security, login, subject, body })
    }

    fn mailbox(&mut self, path: &[&str], key: &str, text: &str) -> Option<Mailbox> {
        let parsed = text.parse();
        if parsed.is_err() {
            let text = format!(
                "{text:?} is not an e-mail address; write name@example.org or \"Name <name@example.org>\""
            );
            self.report(Severity::Error, &[path, &[key]].concat(), text);
        }
        parsed.ok()
    }

    fn request<'h>(
        &mut self,
        path: &[&str],
        url: &str,
        method: Option<&str>,
        default: &str,
        headers: impl IntoIterator<Item = (&'h String, &'h RawSecret)>,
    ) -> Option<WebRequest> {
        let method = method.unwrap_or(default).to_uppercase();
        let mut is_good = METHODS.contains(&method.as_str());
        if !is_good {
            let text = format!("there is no method `{method}` here; known: {}", METHODS.join(", "));
            self.report(Severity::Error, &[path, &["method"]].concat(), text);
        }
        let url = self.secret(path, "url", url);
        if let Some(Secret(url)) = &url
            && let Err(why) = url_problem(url)
        {
            is_good = false;
            self.report(Severity::Error, &[path, &["url"]].concat(), format!("is not a URL: {why}"));
        }
        let mut kept = Vec::new();
        for (name, text) in headers {
            let value = self.secret(path, "headers", &text.0);
            let fits = |value: &Secret| HeaderValue::from_str(&value.0).is_ok();
            if name.parse::<HeaderName>().is_err() || !value.as_ref().is_none_or(fits) {
                is_good = false;
                let text =
                    "is not an HTTP header: a name of letters, digits and hyphens, and one line of text";
                self.report(Severity::Error, &[path, &["headers", name]].concat(), text.to_owned());
            }
            kept.push((name.clone(), value));
        }
        let headers = kept.into_iter().map(|(name, value)| Some((name, value?))).collect::<Option<_>>();
        Some(WebRequest { method, url: url?, headers: headers? }).filter(|_| is_good)
    }

    /// Return a text with its variables replaced. If one is not set, the target is left out: a worker on another host
    /// may read the same file, and needs no secrets.
    fn secret(&mut self, path: &[&str], key: &str, text: &str) -> Option<Secret> {
        match self.replace(text) {
            Ok(text) => Some(Secret(text)),
            Err(name) => {
                let text = format!(
                    "the environment variable {name} is not set, so nothing is sent there; set it before the start \
                     (`export {name}=…`)"
                );
                self.report(Severity::Warning, &[path, &[key]].concat(), text);
                None
            }
        }
    }

    fn template(&mut self, path: &[&str], key: &str, text: &str) -> Option<Template> {
        Template::parse(text)
            .map_err(|name| {
                let known = TemplateField::ALL.map(|(_, name)| format!("{{{name}}}"));
                let name = format!("{{{name}}}");
                let text = format!(
                    "there is no placeholder `{name}`{}; known: {}",
                    did_you_mean(&name, &known),
                    known.join(", ")
                );
                self.report(Severity::Error, &[path, &[key]].concat(), text);
            })
            .ok()
    }

    /// Return how inserted values are escaped for the form of the body: the content type says it, or there is none and the body reads
    /// as a JSON object or list. Add a content type if there is none.
    fn escapes(&mut self, path: &[&str], request: &mut WebRequest, body: &Template) -> Option<Escapes> {
        // A digit is valid in JSON both inside and outside a text.
        let sample = body.render(|_| "0".to_owned());
        let read: Result<serde_json::Value, _> = serde_json::from_str(&sample);
        let given = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        match (given.map(|(_, value)| value.0.to_lowercase()), read) {
            (Some(given), Err(error)) if given.contains("json") => {
                let text = format!("is not JSON, though the content type says so: {error}");
                self.report(Severity::Error, &[path, &["body"]].concat(), text);
                None
            }
            // Such as `payload={"text": "{text}"}`, the former form of Slack's webhooks.
            (Some(given), _) if given.contains(FORM) => {
                let is_field = |field: &str| {
                    field.split_once('=').is_some_and(|(_, value)| is_json(&serde_json::from_str(value)))
                };
                let json = sample.split('&').any(is_field);
                Some(Escapes { form: true, json, ..Escapes::default() })
            }
            (Some(given), _) => Some(Escapes { json: given.contains("json"), ..Escapes::default() }),
            (None, read) => {
                let json = is_json(&read);
                let content_type = if json { "application/json" } else { "text/plain; charset=utf-8" };
                let header = ("Content-Type".to_owned(), Secret(content_type.to_owned()));
                request.headers.push(header);
                Some(Escapes { json, ..Escapes::default() })
            }
        }
    }

    /// Return whether Slack's marks are escaped: `escape` says it, or the receiver is Slack or gets the default body, which
    /// is in Slack's form.
    fn escapes_for_slack(
        &mut self,
        path: &[&str],
        escape: Option<&str>,
        has_default_body: bool,
        url: &Secret,
    ) -> Option<bool> {
        match escape {
            None => Some(has_default_body || is_slack(&url.0)),
            Some(SLACK) => Some(true),
            Some(NO_ESCAPE) => Some(false),
            Some(other) => {
                let close = did_you_mean(other, [SLACK, NO_ESCAPE]);
                let text = format!("unknown escape `{other}`{close}; known: `{SLACK}`, `{NO_ESCAPE}`");
                self.report(Severity::Error, &[path, &["escape"]].concat(), text);
                None
            }
        }
    }
}

/// Whether a text was read as a JSON object or list.
fn is_json(read: &serde_json::Result<serde_json::Value>) -> bool {
    read.as_ref().is_ok_and(|value| value.is_object() || value.is_array())
}
