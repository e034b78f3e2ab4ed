//! The proxy that the environment names for a URL, found as Python's `requests` and curl find it: in `https_proxy` or
//! `http_proxy` by the URL's scheme, otherwise in `all_proxy`, unless `no_proxy` names the host. Each name may be in
//! lower or upper case.
//!
//! A proxy that cannot be used is never ignored silently.

use ureq::http::Uri;
use ureq::{Proxy, ProxyProtocol};

/// An environment variable whose proxy cannot be used. The text omits the variable's value, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {variable} {why}; write it as http://host:port, or unset it")]
pub struct UnusableProxy {
    variable: String,
    why: &'static str,
}

/// Return the proxy that the environment names for a URL, or `None`.
///
/// # Errors
/// When the variable for this URL names a proxy that cannot be used.
pub fn from_environment(url: &Uri) -> Result<Option<Proxy>, UnusableProxy> {
    choose(url, &|name| {
        let set = |name: String| {
            let text = std::env::var_os(&name).filter(|text| !text.is_empty())?;
            Some((name, text.to_string_lossy().into_owned()))
        };
        set(name.to_owned()).or_else(|| set(name.to_uppercase()))
    })
}

/// Choose the proxy for a URL. `lookup` returns a variable's name as it is spelt in the environment, and its value.
fn choose(
    url: &Uri,
    lookup: &dyn Fn(&str) -> Option<(String, String)>,
) -> Result<Option<Proxy>, UnusableProxy> {
    let (Some(scheme), Some(host)) = (url.scheme_str(), url.host()) else { return Ok(None) };
    let Some((variable, proxy)) = lookup(&format!("{scheme}_proxy")).or_else(|| lookup("all_proxy")) else {
        return Ok(None);
    };
    let no_proxy = lookup("no_proxy").map(|(_, hosts)| hosts).unwrap_or_default();
    let is_excluded = no_proxy.split(',').map(str::trim).any(|pattern| {
        let pattern = pattern.trim_start_matches("*.").trim_start_matches('.');
        let is_within = || host.strip_suffix(pattern).is_some_and(|front| front.ends_with('.'));
        pattern == "*" || (!pattern.is_empty() && (host == pattern || is_within()))
    });
    if is_excluded {
        return Ok(None);
    }
    match Proxy::new(&proxy) {
        Err(_) => Err(UnusableProxy { variable, why: "does not name a proxy" }),
        // Without its SOCKS feature, `ureq` panics at the first request.
        Ok(proxy) if !matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https) => {
            Err(UnusableProxy { variable, why: "names a SOCKS proxy, which cannot be used here" })
        }
        Ok(proxy) => Ok(Some(proxy)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn try_choose(url: &str, environment: &[(&str, &str)]) -> Result<Option<Proxy>, UnusableProxy> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let lookup = |name: &str| environment.iter().find(|(known, _)| *known == name).map(owned);
        choose(&url.parse().unwrap(), &lookup)
    }

    fn chosen(url: &str, environment: &[(&str, &str)]) -> Option<String> {
        try_choose(url, environment).unwrap().map(|proxy| proxy.host().to_owned())
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_named_without_its_secrets() {
        for value in ["http://ana:secret@", "ana:secret@no proxy", "socks5://ana:secret@x.ca"] {
            let why = try_choose("https://x.ca/a", &[("all_proxy", value)]).unwrap_err().to_string();
            assert!(why.contains(" all_proxy ") && !why.contains("secret"), "{why}");
            let excluded = [("all_proxy", value), ("no_proxy", "x.ca")];
            assert_eq!(chosen("https://x.ca/a", &excluded), None);
        }
    }

    #[test]
    fn the_scheme_selects_the_proxy_and_no_proxy_excludes_hosts() {
        let both = [("http_proxy", "http://plain:3128"), ("https_proxy", "http://secure:3128")];
        assert_eq!(chosen("http://x.ca/a", &both).as_deref(), Some("plain"));
        assert_eq!(chosen("https://x.ca/a", &both).as_deref(), Some("secure"));
        assert_eq!(chosen("https://x.ca/a", &both[..1]), None);
        let all = ("all_proxy", "every:1080");
        assert_eq!(chosen("https://x.ca/a", &[both[0], all]).as_deref(), Some("every"));
        for (no_proxy, is_excluded) in [
            ("", false),
            ("*", true),
            ("x.ca", true),
            ("a, .x.ca", true),
            ("ca", true),
            ("y.ca", false),
            (".a", false),
        ] {
            let found = chosen("http://x.ca/a", &[both[0], ("no_proxy", no_proxy)]);
            assert_eq!(found.is_none(), is_excluded, "{no_proxy:?}");
        }
    }
}
