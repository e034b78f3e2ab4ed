//! Words for a person: what a reader or serde says of a mistake, and what was meant.

use crate::yaml::ReadError;

/// A document that is no YAML.
pub(super) fn not_yaml(error: &ReadError) -> String {
    let why = error.why().map(|why| format!(" ({why})")).unwrap_or_default();
    format!("not valid YAML: {}, column {}{why}", error.what(), error.mark().column)
}

/// What serde calls things, and what they are called here.
const IN_OUR_WORDS: [(&str, &str); 5] = [
    ("invalid type: ", "wrong type: "),
    ("invalid value: ", "wrong value: "),
    ("expected a map", "expected a mapping (`key: value`)"),
    ("expected a sequence", "expected a list (`[one, two]`)"),
    ("expected a string", "expected a text"),
];

/// serde's words, made to read as ours.
pub(super) fn reworded(text: &str) -> String {
    let quoted: Vec<&str> = text.split('`').skip(1).step_by(2).collect();
    match (text.split(' ').next(), quoted.split_first()) {
        (Some("missing"), Some((name, _))) => format!("`{name}` is missing"),
        (Some("unknown"), Some((name, known))) => {
            let close = closest(name, known.iter().copied());
            let known = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            format!("there is no setting `{name}` here{}; known: {known}", did_you_mean(close.as_deref()))
        }
        _ => {
            // What comes behind is the name of a type of ours.
            let text = match text.split_once("expected struct ") {
                Some((before, _)) => format!("{before}expected a map"),
                None => text.to_owned(),
            };
            IN_OUR_WORDS.iter().fold(text, |text, (theirs, ours)| text.replace(theirs, ours))
        }
    }
}

pub(super) fn did_you_mean(close: Option<&str>) -> String {
    close.map(|close| format!("; did you mean `{close}`?")).unwrap_or_default()
}

/// The known name that is most like the one that was written, if one is.
pub(super) fn closest<T: AsRef<str>>(name: &str, known: impl IntoIterator<Item = T>) -> Option<String> {
    /// Below this likeness (0 to 1) a suggestion confuses more than it helps.
    const ALIKE: f64 = 0.85;
    known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(name, known.as_ref()), known))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known.as_ref().to_owned())
}
