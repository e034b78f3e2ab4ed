//! [`url_problem`]: checks the URL of a web server. It never shows the URL.

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
