//! Whether a text means the same to us and to `PyYAML`.

use super::codec::same;
use super::process::Loaded;

/// Whether ours reads a text as theirs did, or refuses it as theirs did.
pub fn compare(text: &str, theirs: &Loaded) -> Result<(), String> {
    let ours = pyyaml::read(text);
    let agrees = match (&ours, theirs) {
        (Ok(ours), Loaded::Value(theirs)) => same(ours, theirs),
        (Err(_), Loaded::Refused(_) | Loaded::Unlike(_)) => true,
        // PyYAML makes a value without looking at such a part: `!!null "\ud83d"`.
        (Err(error), Loaded::Value(_)) => is_stated(error),
        (Ok(_), _) => false,
    };
    if agrees { Ok(()) } else { Err(format!("{text:?}\n  ours: {ours:?}\ntheirs: {theirs:?}")) }
}

/// The refusals that `yaml`'s documentation states.
fn is_stated(error: &pyyaml::ReadError) -> bool {
    let text = error.to_string();
    text.contains("half of a surrogate pair") || text.contains("would contain itself")
}
