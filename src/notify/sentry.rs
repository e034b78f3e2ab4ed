//! Sentry: ERROR and CRITICAL lines of the log become events of the project whose DSN is in `SENTRY_DSN`, as with `NEMO_Nowcast`. Without
//! the variable nothing is sent. The DSN must never appear in a log.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pylogging::{Level, LogRecord, Logger, Publisher, SetupError, Warning};
use serde::Serialize;
use url::Url;

use super::delivery::Delivery;
use super::http;
use super::lane::{Lane, Pace};
use crate::config::notify::{Secret, WebRequest};
use crate::process::machine;
use crate::version::version;

/// The environment variable with the DSN of the project.
const DSN: &str = "SENTRY_DSN";

/// The lowest level of the lines that become events: that of the logging integration of Sentry's package for Python.
pub const LEVEL: Level = Level::ERROR;

/// The logger of this module, whose lines are not sent: one about Sentry would be about itself.
const LOGGER: &str = "sentry";

/// The most events that wait.
const MOST: usize = 100;

/// The time that a program waits for its events before it exits: that of Sentry's package for Python.
const EXIT_TIMEOUT: Duration = Duration::from_secs(2);

/// The sender of events, if there is one, or why there is none.
pub type Reporting = (Option<Arc<dyn Publisher>>, Option<Warning>);

/// The sender of events.
pub struct Sentry {
    lane: Mutex<Option<Lane>>,
    /// `SENTRY_ENVIRONMENT`
    environment: String,
    /// `SENTRY_RELEASE`
    release: String,
    program: String,
}

/// An event, <https://develop.sentry.dev/sdk/data-model/event-payloads/>.
#[derive(Serialize)]
struct SentryEvent<'a> {
    event_id: &'a str,
    timestamp: String,
    platform: &'static str,
    level: &'static str,
    logger: &'a str,
    logentry: LogEntry<'a>,
    server_name: String,
    release: &'a str,
    environment: &'a str,
    tags: EventTags<'a>,
}

#[derive(Serialize)]
struct LogEntry<'a> {
    formatted: &'a str,
}

#[derive(Serialize)]
struct EventTags<'a> {
    program: &'a str,
}

/// Return the sender that the environment asks for, for the log of a program; or why there is none.
///
/// # Errors
/// When the operating system refuses a thread.
pub fn from_environment(program: &str) -> Result<Reporting, SetupError> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some(dsn) = variable(DSN) else { return Ok((None, None)) };
    let Some(request) = request(&dsn) else {
        let text = "this is not the DSN of a project of Sentry (https://KEY@HOST/PROJECT), so errors are not reported there";
        return Ok((None, Some(Warning::new(format!("environment variable {DSN}"), text))));
    };
    let log = Logger::new(LOGGER);
    let send = http::sender(&request, "Sentry", &log);
    // Of events that cannot be sent, only the first is logged, as of heartbeats.
    let lane = Lane::open("Sentry", Pace::NORMAL, MOST, true, send, log).map_err(|error| {
        SetupError::new(DSN, "errors cannot be reported to Sentry", "raise the limit of threads")
            .because(error)
    })?;
    let sentry = Sentry {
        lane: Mutex::new(Some(lane)),
        environment: variable("SENTRY_ENVIRONMENT").unwrap_or_else(|| "production".to_owned()),
        release: variable("SENTRY_RELEASE").unwrap_or_else(|| format!("nowcast@{}", version())),
        program: program.to_owned(),
    };
    Ok((Some(Arc::new(sentry)), None))
}

/// Return the request that sends an event to the project of a DSN, <https://develop.sentry.dev/sdk/overview/>.
fn request(dsn: &str) -> Option<WebRequest> {
    let mut url = Url::parse(dsn).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let key = Some(url.username().to_owned()).filter(|key| !key.is_empty())?;
    let (folder, project) =
        url.path().rsplit_once('/').map(|(folder, project)| (folder.to_owned(), project.to_owned()))?;
    if project.is_empty() {
        return None;
    }
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    url.set_query(None);
    url.set_path(&format!("{folder}/api/{project}/envelope/"));
    let auth = format!("Sentry sentry_version=7, sentry_client=nowcast/{}, sentry_key={key}", version());
    let headers = [("Content-Type", "application/x-sentry-envelope".to_owned()), ("X-Sentry-Auth", auth)];
    let headers = headers.map(|(name, value)| (name.to_owned(), Secret(value))).to_vec();
    Some(WebRequest { method: "POST".to_owned(), url: Secret(url.into()), headers })
}

impl Sentry {
    /// Return a line of the log as an envelope with one event, <https://develop.sentry.dev/sdk/data-model/envelopes/>.
    fn envelope(&self, record: &LogRecord<'_>, id: &str) -> serde_json::Result<String> {
        let event = SentryEvent {
            event_id: id,
            timestamp: record.created.to_string(),
            platform: "other",
            level: if record.level >= Level::CRITICAL { "fatal" } else { "error" },
            logger: &record.name,
            logentry: LogEntry { formatted: &record.message },
            server_name: machine(),
            release: &self.release,
            environment: &self.environment,
            tags: EventTags { program: &self.program },
        };
        let event = serde_json::to_string(&event)?;
        let head = format!("{{\"event_id\":\"{id}\",\"sent_at\":\"{}\"}}", jiff::Timestamp::now());
        let item = format!(
            "{{\"type\":\"event\",\"content_type\":\"application/json\",\"length\":{}}}",
            event.len()
        );
        Ok(format!("{head}\n{item}\n{event}\n"))
    }

    fn lane(&self) -> std::sync::MutexGuard<'_, Option<Lane>> {
        self.lane.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Publisher for Sentry {
    fn publish(&self, record: &LogRecord<'_>) {
        if record.name == LOGGER {
            return;
        }
        let delivery = Delivery::event(&record.message);
        let id = delivery.id.simple().to_string();
        if let (Some(lane), Ok(body)) = (&*self.lane(), self.envelope(record, &id)) {
            lane.push(Delivery { body, ..delivery });
        }
    }

    fn finish(&self) {
        let Some(lane) = self.lane().take() else { return };
        let until = Instant::now() + EXIT_TIMEOUT;
        lane.hurry(until);
        lane.end(until);
    }
}

impl fmt::Debug for Sentry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Sentry")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dsn_names_the_server_the_project_and_the_key() {
        for (dsn, expected) in [
            ("https://key@o1.ingest.sentry.io/42", "https://o1.ingest.sentry.io/api/42/envelope/"),
            (
                "http://key:secret@sentry.example.org:9000/team/7?x=1",
                "http://sentry.example.org:9000/team/api/7/envelope/",
            ),
        ] {
            let request = request(dsn).unwrap();
            assert_eq!(request.url.0, expected, "{dsn}");
            assert!(request.headers[1].1.0.ends_with("sentry_key=key"), "{dsn}");
        }
        for dsn in [
            "",
            "key",
            "https://sentry.io/42",
            "https://key@sentry.io",
            "https://key@sentry.io/",
            "ftp://key@sentry.io/1",
        ] {
            assert!(request(dsn).is_none(), "{dsn}");
        }
    }
}
