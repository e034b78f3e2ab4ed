//! Checks of the URL of a web server. They never show the URL.

use ureq::http::Uri;

/// Check the URL of a web server.
///
/// # Errors
/// When the URL is invalid. The text for people omits the URL, which may be secret.
pub fn url_problem(url: &str) -> Result<(), String> {
    let url: Uri = url.parse().map_err(|error| format!("{error}; write https://example.org/path"))?;
    if !matches!(url.scheme_str(), Some("http" | "https")) {
        return Err("it must begin with http:// or https://".to_owned());
    }
    if url.host().is_none_or(str::is_empty) {
        return Err("it lacks a host; write https://example.org/path".to_owned());
    }
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let host_and_port = authority.rsplit(['@', ']']).next().unwrap_or_default();
    if url.port_u16().is_none() && host_and_port.contains(':') {
        return Err("its port is none; there are those from 1 to 65535".to_owned());
    }
    Ok(())
}

/// Return whether a URL is one of Slack's.
#[must_use]
pub fn is_slack(url: &str) -> bool {
    let host = url.parse::<Uri>().ok().and_then(|url| url.host().map(str::to_lowercase)).unwrap_or_default();
    ["slack.com", "slack-gov.com"]
        .iter()
        .any(|domain| host.strip_suffix(domain).is_some_and(|front| front.is_empty() || front.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slack_is_known_by_its_hosts() {
        for (url, expected) in [
            ("https://hooks.slack.com/services/T/B/x", true),
            ("https://Hooks.Slack.com:443", true),
            ("https://hooks.slack-gov.com/services", true),
            ("https://slack.com.example.org/slack.com", false),
            ("https://notslack.com/", false),
            ("slack.com", true),
            ("", false),
        ] {
            assert_eq!(is_slack(url), expected, "{url}");
        }
    }
}
