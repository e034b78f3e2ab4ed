//! The proxy that the environment names for a URL, as Python's `requests` and curl find it: `https_proxy` or `http_proxy` by the
//! URL's scheme, else `all_proxy`, unless `no_proxy` names the host; in small letters or capitals.

use ureq::Proxy;
use ureq::http::Uri;

/// The proxy for a URL; `None` for none.
pub(super) fn from_environment(url: &Uri) -> Option<Proxy> {
    choose(url, &|name| {
        let set = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        set(name).or_else(|| set(&name.to_uppercase()))
    })
}

fn choose(url: &Uri, lookup: &dyn Fn(&str) -> Option<String>) -> Option<Proxy> {
    let by_scheme = format!("{}_proxy", url.scheme_str()?);
    let proxy = Proxy::new(&lookup(&by_scheme).or_else(|| lookup("all_proxy"))?).ok()?;
    let host = url.host()?;
    let no_proxy = lookup("no_proxy").unwrap_or_default();
    let is_excepted = no_proxy.split(',').map(str::trim).any(|pattern| {
        let pattern = pattern.trim_start_matches("*.").trim_start_matches('.');
        let is_within = || host.strip_suffix(pattern).is_some_and(|front| front.ends_with('.'));
        pattern == "*" || (!pattern.is_empty() && (host == pattern || is_within()))
    });
    (!is_excepted).then_some(proxy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(url: &str, environment: &[(&str, &str)]) -> Option<String> {
        let lookup = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        choose(&url.parse().unwrap(), &lookup).map(|proxy| proxy.host().to_owned())
    }

    #[test]
    fn the_scheme_chooses_and_no_proxy_excepts() {
        let both = [("http_proxy", "http://plain:3128"), ("https_proxy", "http://secure:3128")];
        assert_eq!(chosen("http://x.ca/a", &both).as_deref(), Some("plain"));
        assert_eq!(chosen("https://x.ca/a", &both).as_deref(), Some("secure"));
        assert_eq!(chosen("https://x.ca/a", &both[..1]), None);
        let all = ("all_proxy", "every:1080");
        assert_eq!(chosen("https://x.ca/a", &[both[0], all]).as_deref(), Some("every"));
        for (no_proxy, is_excepted) in [
            ("", false),
            ("*", true),
            ("x.ca", true),
            ("a, .x.ca", true),
            ("ca", true),
            ("y.ca", false),
            (".a", false),
        ] {
            let found = chosen("http://x.ca/a", &[both[0], ("no_proxy", no_proxy)]);
            assert_eq!(found.is_none(), is_excepted, "{no_proxy:?}");
        }
    }
}
