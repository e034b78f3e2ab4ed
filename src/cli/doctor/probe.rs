//! The script that a host runs for the doctor, and the parser of its report. This module never runs the script.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::DoctorCheck;
use pyyaml::{Keys, Value};

/// The line that precedes the configuration file in a report.
const FILE: &str = "nowcast: file";

/// The script that reports a host's environment file, Python, configuration file and clock, and whether it reaches the
/// broker's port. Its arguments are the paths of these and the broker's address. It has no line ends, exclamation marks
/// or single quotes, so that every shell passes it on in single quotes.
pub(super) const SCRIPT: &str = r#"say() { printf "\nnowcast: %s\n" "$*"; }; say clock $(date +%s); test -r "$1" && say environment readable; version=$("$2" -V 2>&1) && say python $version; "$2" -c "import yaml, zmq" 2>/dev/null && say packages there; if timeout 5 bash -c ": </dev/tcp/$4/$5" 2>/dev/null; then say port open; fi; say file; cat "$3" 2>/dev/null"#;

/// The report of a host.
#[derive(Debug, Default, PartialEq)]
pub(super) struct HostReport {
    pub(super) has_environment: bool,
    pub(super) python: Option<String>,
    pub(super) has_packages: bool,
    pub(super) reaches_broker: bool,
    /// The time of its clock, in seconds since 1970.
    pub(super) clock: Option<i64>,
    /// Its configuration file.
    pub(super) file: String,
}

impl HostReport {
    pub(super) fn read(output: &str) -> Self {
        let (lines, file) = output.split_once(&format!("{FILE}\n")).unwrap_or((output, ""));
        let mut report = Self { file: file.to_owned(), ..Self::default() };
        for line in lines.lines().filter_map(|line| line.strip_prefix("nowcast: ")) {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("clock", seconds) => report.clock = seconds.parse().ok(),
                ("environment", _) => report.has_environment = true,
                ("python", version) => report.python = Some(version.to_owned()),
                ("packages", _) => report.has_packages = true,
                ("port", _) => report.reaches_broker = true,
                _ => {}
            }
        }
        report
    }
}

/// Check whether a host's configuration has the same message registry as ours.
pub(super) fn registry(ours: &Value, theirs: &str, path: &str) -> DoctorCheck {
    const CHECK: &str = "message registry";
    let help = |what: &str| format!("{what} {path} on the host: copy it from here");
    if theirs.trim().is_empty() {
        return DoctorCheck::failed(CHECK, format!("{path} cannot be read, or is empty"), help("check"));
    }
    let theirs = match pyyaml::read(theirs) {
        Ok(value) => value,
        Err(error) => {
            return DoctorCheck::failed(CHECK, format!("{path} is not valid YAML: {error}"), help("repair"));
        }
    };
    let section = |config: &Value| config.get(CHECK).cloned().unwrap_or_default();
    let (ours, theirs) = (section(ours), section(&theirs));
    let (our_hash, their_hash) = (hash(&ours), hash(&theirs));
    if our_hash == their_hash {
        return DoctorCheck::ok(CHECK, format!("{path} has the same registry ({our_hash})"));
    }
    let other = differing(&ours, &theirs);
    let other = if other.is_empty() { "the manager's part".to_owned() } else { other.join(", ") };
    let text =
        format!("{path} has another registry ({their_hash} there, {our_hash} here); different: {other}");
    DoctorCheck::warning(CHECK, text, help("update"))
}

/// Return the first digits of a section's hash, independent of the order of its keys.
fn hash(section: &Value) -> String {
    let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(pyyaml::write(section, Keys::Sorted)));
    format!("{a:02x}{b:02x}{c:02x}{d:02x}")
}

/// Return the workers that differ between two registries.
fn differing(ours: &Value, theirs: &Value) -> Vec<String> {
    let worker =
        |registry: &Value, name: &str| registry.get("workers").and_then(|workers| workers.get(name)).cloned();
    let names = |registry: &Value| -> BTreeSet<String> {
        let workers = registry.get("workers").and_then(Value::as_map);
        workers.into_iter().flatten().filter_map(|(name, _)| Some(name.as_str()?.to_owned())).collect()
    };
    let all = names(ours).into_iter().chain(names(theirs)).collect::<BTreeSet<_>>();
    let is_other = |name: &String| match (worker(ours, name), worker(theirs, name)) {
        (Some(ours), Some(theirs)) => hash(&ours) != hash(&theirs),
        _ => true,
    };
    all.into_iter().filter(is_other).collect()
}

#[cfg(test)]
mod tests {
    use super::super::CheckState;
    use super::*;

    #[test]
    fn every_shell_passes_the_script_on() {
        assert!(!SCRIPT.contains(['\n', '!', '\'']));
    }

    #[test]
    fn a_report_is_read_among_other_output() {
        let text = "welcome\nnowcast: clock 17\n\nnowcast: python Python 3.12.1\nnowcast: port open\n\nnowcast: file\na: 1\nb: 2\n";
        let expected = HostReport {
            python: Some("Python 3.12.1".to_owned()),
            reaches_broker: true,
            clock: Some(17),
            file: "a: 1\nb: 2\n".to_owned(),
            ..HostReport::default()
        };
        assert_eq!(HostReport::read(text), expected);
        assert_eq!(HostReport::read(""), HostReport::default());
    }

    #[test]
    fn registries_are_the_same_in_any_order() {
        let ours = pyyaml::read("message registry: {workers: {a: {x: 1, y: 2}, b: {}}}").unwrap();
        let state = |theirs: &str| registry(&ours, theirs, "there.yaml");
        assert_eq!(state("message registry: {workers: {b: {}, a: {y: 2, x: 1}}}").state, CheckState::Ok);
        let other = state("message registry: {workers: {b: {}, a: {x: 3, y: 2}, c: {}}}");
        assert_eq!(other.state, CheckState::Warning);
        assert!(other.text.ends_with(": a, c"), "{}", other.text);
        assert_eq!(state("").state, CheckState::Failed);
        assert_eq!(state("{").state, CheckState::Failed);
    }
}
