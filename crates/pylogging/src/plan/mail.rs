//! Reads the keys of an `SMTPHandler`. This module never connects to a server.

use std::time::Duration;

use lettre::message::Mailbox;

use crate::error::{SetupError, Warning};
use crate::mail::MailPlan;
use crate::section::Section;
use crate::smtp::{Login, Security, Server};
use pyyaml::Value;

/// The keys of Python's `SMTPHandler`.
pub(super) const KEYS: [&str; 7] =
    ["mailhost", "fromaddr", "toaddrs", "subject", "credentials", "secure", "timeout"];

/// The port of mail servers: Python's `smtplib.SMTP_PORT`.
const PORT: u16 = 25;

/// The default timeout of Python's `SMTPHandler`.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The longest timeout in seconds: a day; a longer one is a mistake.
const LONGEST: f64 = 86_400.0;

pub(super) fn read(section: &Section<'_>, warnings: &mut Vec<Warning>) -> Result<MailPlan, SetupError> {
    let (host, port) = server(section)?;
    let from =
        section.text("fromaddr")?.ok_or_else(|| missing(section, "fromaddr", "nowcast@host.example"))?;
    let from = mailbox(section, "fromaddr", from)?;
    let to = match section.get("toaddrs") {
        None => return Err(missing(section, "toaddrs", "[someone@host.example]")),
        Some(Value::Str(_)) => section.text("toaddrs")?.into_iter().collect(),
        Some(_) => section.names("toaddrs")?,
    };
    let to: Vec<Mailbox> =
        to.into_iter().map(|to| mailbox(section, "toaddrs", to)).collect::<Result<_, _>>()?;
    if to.is_empty() {
        return Err(missing(section, "toaddrs", "[someone@host.example]"));
    }
    let subject =
        section.text("subject")?.ok_or_else(|| missing(section, "subject", "'CRITICAL message'"))?;
    let login = login(section, warnings)?;
    let is_secure = login.is_some() && section.get("secure").is_some();
    let security = if is_secure { Security::StartTls } else { Security::None };
    let server = Server { host, port, security, login, timeout: timeout(section)? };
    Ok(MailPlan { server, from, to, subject: subject.to_owned() })
}

fn missing(section: &Section<'_>, key: &str, example: &str) -> SetupError {
    let what = format!("this handler sends mail but has no {key}");
    SetupError::new(section.place(), what, format!("write {key}: {example}"))
}

fn wrong(section: &Section<'_>, key: &str, what: String, remedy: &str) -> SetupError {
    SetupError::new(&section.place_of(key), what, remedy)
}

/// Return the server, written as text or as a list of host and port.
fn server(section: &Section<'_>) -> Result<(String, u16), SetupError> {
    const KEY: &str = "mailhost";
    const REMEDY: &str = "write mailhost: localhost, or with its port [localhost, 25]";
    let value = section.get(KEY).ok_or_else(|| missing(section, KEY, "localhost"))?;
    let server = match value {
        Value::Str(_) => value.as_str().map(|host| (host, PORT)),
        _ => value.as_list().and_then(|list| {
            let [host, port] = list else { return None };
            let port = match port {
                // As in Python, port 0 or null is the default port.
                Value::Null | Value::Int(0) => PORT,
                port => port.as_int().and_then(|port| u16::try_from(port).ok())?,
            };
            Some((host.as_str()?, port))
        }),
    };
    match server {
        Some((host, port)) if !host.is_empty() => Ok((host.to_owned(), port)),
        _ => Err(wrong(section, KEY, "this is not a mail server".to_owned(), REMEDY)),
    }
}

fn mailbox(section: &Section<'_>, key: &str, text: &str) -> Result<Mailbox, SetupError> {
    text.trim().parse().map_err(|error| {
        let what = format!("{text:?} is not a mail address");
        wrong(section, key, what, "write it as name@host.example").because(error)
    })
}

fn login(section: &Section<'_>, warnings: &mut Vec<Warning>) -> Result<Option<Login>, SetupError> {
    const REMEDY: &str = "write credentials: [user, password]";
    let secure = section.get("secure");
    if section.get("credentials").is_none() {
        if secure.is_some() {
            // Python does the same without a warning.
            let text = "without credentials the connection is not encrypted";
            warnings.push(Warning::new(section.place_of("secure"), text));
        }
        return Ok(None);
    }
    let [user, password] = section.names("credentials")?[..] else {
        return Err(wrong(section, "credentials", "these are not two texts".to_owned(), REMEDY));
    };
    let keys = secure.and_then(Value::as_list).map_or(0, <[Value]>::len);
    if keys > 0 {
        let text = "certificates of our own are not shown to the mail server";
        warnings.push(Warning::new(section.place_of("secure"), text));
    }
    let login = Login { user: user.to_owned(), password: password.to_owned() };
    Ok(Some(login).filter(|login| !login.user.is_empty()))
}

fn timeout(section: &Section<'_>) -> Result<Duration, SetupError> {
    let seconds = match section.get("timeout") {
        None => return Ok(TIMEOUT),
        Some(Value::Float(seconds)) => Some(*seconds),
        Some(value) => value.as_int().and_then(|seconds| i32::try_from(seconds).ok()).map(f64::from),
    };
    let seconds = seconds.filter(|seconds| *seconds > 0.0 && *seconds <= LONGEST);
    seconds.map(Duration::from_secs_f64).ok_or_else(|| {
        wrong(section, "timeout", "this is not a timeout".to_owned(), "write a number of seconds, as 5.0")
    })
}
