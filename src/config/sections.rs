//! Checks the keys of the whole file: misspelt sections and repeated keys.

use super::check::ConfigCheck;
use super::problem::{Problem, Severity, key_of};
use error_text::question;
use pyyaml::Value;

/// The top-level sections and settings that NEMO_Nowcast or nowcast reads. All others belong to the rules and the
/// users' workers.
pub(super) const KNOWN: [&str; 17] = [
    "broker",
    "checklist file",
    "cycles",
    "expect",
    "hosts",
    "include",
    "journal",
    "logging",
    "message registry",
    "notifications",
    "python",
    "run",
    "scheduled workers",
    "security",
    "slack notifications",
    "workers",
    "zmq",
];

/// The required sections. The error about a missing one also names a misspelt one.
const REQUIRED: [&str; 4] = ["checklist file", "logging", "message registry", "zmq"];

impl ConfigCheck<'_> {
    /// Warn of sections that nothing reads because their names are slightly misspelt.
    pub(super) fn unknown_sections(&mut self, value: &Value) {
        let is_missing =
            |known: &&str| REQUIRED.contains(known) && value.get(known).is_none_or(Value::is_null);
        let candidates: Vec<&str> = KNOWN.into_iter().filter(|known| !is_missing(known)).collect();
        for (key, _) in value.as_map().into_iter().flatten() {
            let Some(name) = key.as_str().filter(|name| !KNOWN.contains(name)) else { continue };
            if let Some(question) = question(name, &candidates) {
                let text = format!("unknown section, left to the rules; {question}");
                self.report(Severity::Warning, &[name], text);
            }
        }
    }

    /// Report each key that a mapping has more than once. PyYAML silently uses the last one, and so do we.
    pub(super) fn repeated_keys(&mut self) {
        for source in &self.places.sources {
            for repeated in source.marks.repeated_keys() {
                let lines = repeated.lines.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
                let times = repeated.lines.len();
                let text = format!(
                    "this key appears {times} times, in lines {lines}; only the last one is read: merge them, or remove the others"
                );
                let path: Vec<&str> = repeated.path.iter().map(String::as_str).collect();
                let problem = Problem::of_file(&source.file, source.marks.line_of(&path), text);
                self.problems.push(Problem { severity: Severity::Mistake, key: key_of(&path), ..problem });
            }
        }
    }
}
