//! Requests to web servers. URLs and headers may be secret, so they must never appear in an error.

use std::io::Read;
use std::time::Duration;

use ureq::Agent;
use ureq::http::Uri;

use super::delivery::Delivery;
use super::lane::{Failure, Send};
use crate::config::notify::{Secret, SlackChannel, WebRequest};
use crate::net::redaction::Redaction;
use crate::net::{http, proxy};
use pylogging::Logger;

/// The timeout for connecting.
const CONNECT: Duration = Duration::from_secs(5);

/// The timeout of one attempt.
const ATTEMPT: Duration = Duration::from_secs(10);

/// The number of bytes of an error response that are shown.
const SHOWN: u64 = 200;

/// Return a function that sends deliveries to a Slack channel. The log calls the target `name`.
pub(super) fn slack(channel: &SlackChannel, name: &str, log: &Logger) -> Send {
    let json = ("Content-Type".to_owned(), Secret("application/json".to_owned()));
    let url = channel.url.clone().unwrap_or_else(|| Secret(String::new()));
    sender(&WebRequest { method: "POST".to_owned(), url, headers: vec![json] }, name, log)
}

/// Return a function that makes a request for each delivery. The log calls the target `name`.
pub(super) fn sender(request: &WebRequest, name: &str, log: &Logger) -> Send {
    let request = request.clone();
    let proxy = request.url.0.parse().map_or(Ok(None), |url: Uri| proxy::from_environment(&url));
    let proxy = proxy.unwrap_or_else(|error| {
        // The notification may still arrive without the proxy.
        log.warning(format_args!("notifications to {name} go without a proxy: {error}"));
        None
    });
    let config = http::settings(proxy)
        .timeout_connect(Some(CONNECT))
        .timeout_global(Some(ATTEMPT))
        .http_status_as_error(false)
        // A redirected request would lose its body, and take its secrets to another server.
        .max_redirects(0)
        .max_redirects_will_error(false)
        // Hours may pass between two requests, and the server has closed the connection by then.
        .max_idle_connections(0)
        .build();
    let agent = Agent::new_with_config(config);
    let redaction = redaction(&request);
    Box::new(move |delivery| {
        attempt(&agent, &request, delivery)
            .map_err(|failure| Failure { text: redaction.hide(&failure.text), ..failure })
    })
}

/// Return the texts that must not be shown: the parts of the URL, and the values of the given headers.
fn redaction(request: &WebRequest) -> Redaction {
    let mut redaction = Redaction::of_webhook(&request.url.0);
    for (_, Secret(value)) in
        request.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("content-type"))
    {
        redaction.hide_also(value);
        // The token of `Bearer TOKEN`.
        redaction.hide_also(value.rsplit(' ').next().unwrap_or_default());
    }
    redaction
}

fn attempt(agent: &Agent, request: &WebRequest, delivery: &Delivery) -> Result<String, Failure> {
    let WebRequest { method, url, headers } = request;
    let mut built = ureq::http::Request::builder().method(method.as_str()).uri(&url.0);
    for (name, value) in headers {
        built = built.header(name, &value.0);
    }
    let failed =
        |error: &dyn std::fmt::Display, is_final| Failure { text: error.to_string(), is_final, wait: None };
    let response = if delivery.body.is_empty() || matches!(method.as_str(), "GET" | "HEAD") {
        agent.run(built.body(()).map_err(|error| failed(&error, true))?)
    } else {
        agent.run(built.body(delivery.body.as_str()).map_err(|error| failed(&error, true))?)
    };
    let mut response = response.map_err(|error| failed(&error, matches!(error, ureq::Error::BadUri(_))))?;
    let status = response.status();
    if status.is_success() {
        return Ok(format!("the server answers {status}"));
    }
    let wait = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    let mut said = Vec::new();
    let _ = response.body_mut().as_reader().take(SHOWN).read_to_end(&mut said);
    let said = String::from_utf8_lossy(&said);
    let said = said.trim().lines().next().map(|line| format!(": {line}")).unwrap_or_default();
    // Request Timeout, Too Early, Too Many Requests.
    let is_final = !status.is_server_error() && !matches!(status.as_u16(), 408 | 425 | 429);
    let said = if status.is_redirection() {
        "; it has another address now, which belongs into the configuration".to_owned()
    } else {
        said
    };
    Err(Failure {
        text: format!("the server answers {status}{said}"),
        is_final,
        wait: wait.map(Duration::from_secs),
    })
}
