//! [`Places`]: the texts of the rules, and the translation of Lua's file names to paths.

use std::path::PathBuf;

use super::problem::{RuleProblem, RuleSeverity};
use super::scope::Name;
use crate::rules::{Engine, RuleText};

/// The most problems of one kind that are reported: more do not help, and each takes memory.
pub(super) const MOST_PROBLEMS: usize = 200;

/// The files of the rules that are checked.
pub(super) struct Places {
    pub(super) texts: Vec<RuleText>,
    main: PathBuf,
}

impl Places {
    pub(super) fn new(engine: &Engine) -> Self {
        Self { texts: engine.texts(), main: engine.path().to_owned() }
    }

    /// Return the places in these texts.
    pub(super) fn of(texts: Vec<RuleText>, main: PathBuf) -> Self {
        Self { texts, main }
    }

    fn text_of(&self, chunk: &str) -> Option<&RuleText> {
        self.texts.iter().find(|text| text.chunk == chunk)
    }

    /// Return a problem of the rules as a whole.
    pub(super) fn whole(&self, severity: RuleSeverity, kind: &'static str, what: String) -> RuleProblem {
        RuleProblem {
            severity,
            kind,
            file: self.main.clone(),
            line: None,
            column: None,
            what,
            notes: Vec::new(),
            source: None,
            source_start: 0,
            width: 0,
        }
    }

    /// Return at most [`MOST_PROBLEMS`] of these problems, and then one that says so.
    pub(super) fn limited(
        &self,
        mut problems: Vec<RuleProblem>,
        severity: RuleSeverity,
        with: &str,
    ) -> Vec<RuleProblem> {
        if problems.len() > MOST_PROBLEMS {
            problems.truncate(MOST_PROBLEMS);
            let what =
                format!("there are more problems with {with} than these {MOST_PROBLEMS}; mend them first");
            problems.push(self.whole(severity, "too many problems", what));
        }
        problems
    }

    /// Return a problem at a line of the file that Lua calls `chunk`, and at a word in the line if it is found.
    pub(super) fn at(
        &self,
        (severity, kind): (RuleSeverity, &'static str),
        (chunk, line): (&str, usize),
        word: Option<&str>,
        what: String,
    ) -> RuleProblem {
        let mut problem = self.whole(severity, kind, what);
        let Some(text) = self.text_of(chunk) else { return problem };
        problem.file.clone_from(&text.path);
        problem.line = Some(line);
        let Some(source) = line.checked_sub(1).and_then(|line| text.text.lines().nth(line)) else {
            return problem;
        };
        if let Some(word) = word
            && let Some(at) = find_word(source, word)
        {
            problem.column = Some(source[..at].chars().count() + 1);
            problem.width = word.chars().count();
        }
        problem.set_source(source);
        problem
    }

    /// Return a problem with a name at its place in a file.
    pub(super) fn name(
        &self,
        (severity, kind): (RuleSeverity, &'static str),
        text: &RuleText,
        name: &Name,
        what: String,
    ) -> RuleProblem {
        let mut problem = self.whole(severity, kind, what);
        problem.file.clone_from(&text.path);
        problem.line = Some(name.line);
        problem.column = Some(name.column);
        problem.width = name.text.chars().count();
        if let Some(source) = name.line.checked_sub(1).and_then(|line| text.text.lines().nth(line)) {
            problem.set_source(source);
        }
        problem
    }
}

/// Return the position of a whole word in a line.
fn find_word(line: &str, word: &str) -> Option<usize> {
    let is_part = |sign: char| sign.is_alphanumeric() || sign == '_';
    let mut places = line.match_indices(word).map(|(at, _)| at);
    places.find(|at| {
        let before = line[..*at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.into_iter().chain(after).any(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_matched_as_a_whole() {
        assert_eq!(find_word("worker_on(work) -- work", "work"), Some(10));
        assert_eq!(find_word("é.x = x_y", "x"), Some(3));
        assert_eq!(find_word("awaken", "wake"), None);
    }
}
