//! Coverage: lines of the rules that no test ran, and message types that no test sent.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::config::Config;
use crate::rules::Engine;

/// The coverage of the rules by tests.
#[derive(Debug, Clone, Serialize)]
pub struct Coverage {
    /// The percentage of all lines that ran; 100 without lines.
    pub percent: f64,
    /// The rules' files.
    pub files: Vec<FileCoverage>,
    /// The registered message types that reach rules and that no test sent, with their workers.
    pub never_sent: Vec<(String, String)>,
}

/// The coverage of a file by tests.
#[derive(Debug, Clone, Serialize)]
pub struct FileCoverage {
    /// Its name inside the rules' folder.
    pub file: String,
    /// The percentage of its lines that ran; 100 if it has none.
    pub percent: f64,
    /// The number of its lines that are code.
    pub lines: usize,
    /// The number of those that ran.
    pub ran: usize,
    /// The lines that did not run.
    pub missed: Vec<Range>,
}

/// A range of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Range {
    /// The first line.
    pub from: usize,
    /// The last line.
    pub to: usize,
}

#[allow(clippy::cast_precision_loss, reason = "no rules have 2^52 lines")]
fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 { 100.0 } else { 100.0 * part as f64 / whole as f64 }
}

/// Return the coverage from an engine's lines and the sent messages, or `None` if the engine records no lines.
pub(super) fn of(engine: &Engine, config: &Config, sent: &BTreeSet<(String, String)>) -> Option<Coverage> {
    let lines = engine.lines();
    if lines.is_empty() {
        return None;
    }
    let sum = |count: fn(&FileCoverage) -> usize, files: &[FileCoverage]| files.iter().map(count).sum();
    let files = lines.into_iter().map(|(file, code, ran)| FileCoverage {
        file,
        percent: percent(ran.len(), code.len()),
        lines: code.len(),
        ran: ran.len(),
        missed: ranges(&code, &ran),
    });
    let registered = config.registry.workers.iter().flat_map(|(worker, registered)| {
        registered.messages.keys().map(move |r#type| (worker.clone(), r#type.clone()))
    });
    let never_sent = registered.filter(|pair| reaches_rule(&pair.1) && !sent.contains(pair)).collect();
    let files: Vec<FileCoverage> = files.collect();
    let percent = percent(sum(|file| file.ran, &files), sum(|file| file.lines, &files));
    Some(Coverage { percent, files, never_sent })
}

/// Return whether a message of this type reaches its rule; the manager answers the others itself.
pub(super) fn reaches_rule(r#type: &str) -> bool {
    !matches!(r#type, "need" | "clear checklist")
}

/// Return the ranges of code that did not run. Lines in between that are not code are part of the range.
fn ranges(code: &BTreeSet<usize>, ran: &BTreeSet<usize>) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    let mut goes_on = false;
    for line in code {
        if ran.contains(line) {
            goes_on = false;
            continue;
        }
        match ranges.last_mut().filter(|_| goes_on) {
            Some(range) => range.to = *line,
            None => ranges.push(Range { from: *line, to: *line }),
        }
        goes_on = true;
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_did_not_run_are_put_together() {
        let code = BTreeSet::from([1, 3, 4, 8, 9]);
        let ranges = ranges(&code, &BTreeSet::from([1, 8]));
        assert_eq!(ranges, [Range { from: 3, to: 4 }, Range { from: 9, to: 9 }]);
    }
}
