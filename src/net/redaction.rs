//! URLs and errors as they may be shown: without passwords and tokens. This module never makes a request.

use url::{Url, form_urlencoded};

/// The placeholder for a part that is not shown.
const HIDDEN: &str = "…";

/// The fewest characters of a secret. Shorter texts are words of many other texts, too.
const SHORTEST: usize = 5;

/// Return a URL as it may be shown: without user and password, and without a query or fragment, which may have a token.
#[must_use]
pub fn shown_url(url: &str) -> String {
    let (visible, hidden) = url.split_at(url.find(['?', '#']).unwrap_or(url.len()));
    // Not parsed: an invalid URL may have a password, too.
    let (scheme, rest) = visible.split_once("://").map_or(("", visible), |(scheme, rest)| (scheme, rest));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    let separator = if scheme.is_empty() { "" } else { "://" };
    let end = if hidden.is_empty() { String::new() } else { format!("?{HIDDEN}") };
    format!("{scheme}{separator}{host}{path}{end}")
}

/// The texts that must not be shown. It has no `Debug` output.
#[derive(Clone, Default)]
pub struct Redaction(Vec<String>);

impl Redaction {
    /// Hide the URL of a webhook: as a whole, and each part that may be a token or a password, since a server may answer with it.
    #[must_use]
    pub fn of_webhook(url: &str) -> Self {
        let mut redaction = Self::of_credentials(url);
        let Ok(parsed) = Url::parse(url) else { return redaction };
        redaction.hide_also(url);
        redaction.hide_also(parsed.as_str());
        let path = parsed.path();
        redaction.hide_also(path);
        path.split('/').for_each(|segment| redaction.hide_encoded(segment));
        redaction
    }

    /// Hide the user, the password and the query of a URL.
    #[must_use]
    pub fn of_credentials(url: &str) -> Self {
        let mut redaction = Self::default();
        let Ok(url) = Url::parse(url) else { return redaction };
        redaction.hide_encoded(url.username());
        redaction.hide_encoded(url.password().unwrap_or_default());
        redaction.hide_encoded(url.query().unwrap_or_default());
        for (_, value) in url.query_pairs() {
            redaction.hide_also(&value);
        }
        redaction
    }

    /// Hide a text as well, unless it is too short to be a secret.
    pub fn hide_also(&mut self, secret: &str) {
        if secret.chars().count() >= SHORTEST {
            self.0.push(secret.to_owned());
            // The longest first: a part of a hidden text must not prevent that it is found.
            self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        }
    }

    /// Hide a part of a URL as it is written, and as it is meant.
    fn hide_encoded(&mut self, part: &str) {
        self.hide_also(part);
        if let Some((meant, _)) = form_urlencoded::parse(part.replace('=', "%3D").as_bytes()).next() {
            self.hide_also(&meant);
        }
    }

    /// Return a text without the secrets.
    #[must_use]
    pub fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_password_and_query() {
        for (url, expected) in [
            ("https://x.ca/a/b", "https://x.ca/a/b"),
            ("https://ana:secret@x.ca:8080/a@b?key=secret#secret", "https://x.ca:8080/a@b?…"),
            ("https://x.ca#secret", "https://x.ca?…"),
            // Invalid ones have passwords, too.
            ("https://ana:secret@x.ca:99999/a", "https://x.ca:99999/a"),
            ("https://ana:se@cret@/a", "https:///a"),
            ("ana:secret@x.ca", "x.ca"),
            ("no address", "no address"),
        ] {
            assert_eq!(shown_url(url), expected, "{url}");
        }
    }

    #[test]
    fn no_part_of_a_webhook_is_shown() {
        let redaction =
            Redaction::of_webhook("https://ana:pa%40ss%20word@Hooks.x.ca/services/T0KEN12/a?key=hush%21hush");
        for (text, expected) in [
            ("Cannot POST /services/T0KEN12/a?key=hush%21hush", "Cannot POST …?…"),
            ("no T0KEN12 here", "no … here"),
            ("ana has pa@ss word or pa%40ss%20word", "ana has … or …"),
            ("hush!hush", "…"),
            ("https://ana:pa%40ss%20word@hooks.x.ca/services/T0KEN12/a?key=hush%21hush is bad", "… is bad"),
            ("timeout: connect", "timeout: connect"),
        ] {
            assert_eq!(redaction.hide(text), expected);
        }
    }
}
