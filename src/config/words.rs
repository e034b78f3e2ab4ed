//! Rewords errors of the YAML reader and of serde for people, with suggestions.

use super::checked::Registry;
use error_text::did_you_mean;
use pyyaml::ReadError;

/// Return the text about a document that is not YAML.
pub(super) fn not_yaml(error: &ReadError) -> String {
    let why = error.why().map(|why| format!(" ({why})")).unwrap_or_default();
    format!("not valid YAML: {}, column {}{why}", error.what(), error.mark().column)
}

/// The phrases of serde, and their replacements.
const IN_OUR_WORDS: [(&str, &str); 9] = [
    ("invalid type: ", "wrong type: "),
    ("invalid value: ", "wrong value: "),
    ("expected a map", "expected a mapping (`key: value`)"),
    ("expected a sequence", "expected a list (`[one, two]`)"),
    ("expected a string", "expected a text"),
    ("expected u16", "expected a whole number from 0 to 65535"),
    ("expected u32", "expected a whole number, 0 or more"),
    ("expected u64", "expected a whole number, 0 or more"),
    ("expected i32", "expected a whole number"),
];

/// Reword a text of serde.
pub(super) fn reworded(text: &str) -> String {
    let quoted: Vec<&str> = text.split('`').skip(1).step_by(2).collect();
    match (text.split(' ').next(), quoted.split_first()) {
        (Some("missing"), Some((name, _))) => format!("`{name}` is missing"),
        (Some("unknown"), Some((name, known))) => {
            let close = did_you_mean(name, known);
            let known = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let is_value = text.starts_with("unknown variant");
            let what = if is_value { "invalid value" } else { "there is no setting" };
            let here = if is_value { "" } else { " here" };
            format!("{what} `{name}`{here}{close}; known: {known}")
        }
        _ => {
            // The text ends with the name of one of our types.
            let text = match text.split_once("expected struct ") {
                Some((before, _)) => format!("{before}expected a map"),
                None => text.to_owned(),
            };
            IN_OUR_WORDS.iter().fold(text, |text, (theirs, ours)| text.replace(theirs, ours))
        }
    }
}

/// Return the text about a worker that is not registered.
pub(super) fn unknown_worker(name: &str, registry: &Registry) -> String {
    let close = did_you_mean(name, registry.workers.keys());
    format!("no worker `{name}` is in the message registry{close}")
}
