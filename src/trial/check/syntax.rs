//! Rules that cannot be loaded: the reason, and further syntax errors in their files.
//!
//! This module runs nothing. Lua's own error comes first; the parser only adds the column, and the errors of files that
//! Lua did not reach.

use std::path::Path;
use std::sync::LazyLock;

use full_moon::LuaVersion;
use regex::Regex;

use super::outcomes::quoted_name;
use super::places::Places;
use super::problem::{RuleProblem, RuleSeverity};
use super::scope;
use crate::rules::{RuleSet, RuleText, RulesLoadError, library};
use error_text::question;

/// The pattern of a module that is required by its name.
static REQUIRED: LazyLock<Regex> = LazyLock::new(|| {
    // The pattern is a constant that the tests compile.
    Regex::new(r#"\brequire\s*\(?\s*["']([\w.-]+)["']"#).expect("a pattern")
});

/// The maximum number of files of rules that are read.
const MOST_FILES: usize = 1_000;

/// A syntax error that the parser found.
struct Stumble {
    /// From 1.
    line: usize,
    /// In characters, from 1.
    column: usize,
    /// In characters.
    width: usize,
    /// The token there; empty if the text cannot even be split into tokens.
    token: String,
    what: String,
}

/// Return the problems of rules that cannot be loaded because of `error`.
pub(super) fn problems(set: &RuleSet, edited: Option<&Path>, error: &RulesLoadError) -> Vec<RuleProblem> {
    let texts = texts(set, edited);
    let main = texts.first().map_or_else(|| error.file.clone(), |text| text.path.clone());
    let places = Places::of(texts, main);
    let mut problems = vec![of_load(error, &places)];
    for text in places.texts.iter().filter(|text| text.path != error.file) {
        if let Some(stumble) = stumbles(&text.text).into_iter().next() {
            let kind = (RuleSeverity::Error, "cannot be loaded");
            let mut problem = places.at(kind, (&text.chunk, stumble.line), None, stumble.what);
            (problem.column, problem.width) = (Some(stumble.column), stumble.width);
            problems.push(problem);
        }
    }
    problems
}

fn of_load(error: &RulesLoadError, places: &Places) -> RuleProblem {
    let kind = (RuleSeverity::Error, "cannot be loaded");
    let mut lines = error.reason.lines();
    let what = lines.next().unwrap_or_default().to_owned();
    let text = places.texts.iter().find(|text| text.path == error.file);
    let mut problem = match (text, error.line) {
        (Some(text), Some(line)) => at_line(text, line, what, places),
        _ => places.whole(kind.0, kind.1, what),
    };
    problem.file.clone_from(&error.file);
    problem.line = error.line;
    problem.notes.extend(lines.map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
    if let Some(name) = global(&problem.what)
        && let Some(question) = question(name, library::names())
    {
        problem.notes.push(question);
    }
    problem.notes.push("a manager refuses these rules and keeps those in force".to_owned());
    problem
}

/// Return Lua's error about a line, with the column if it is certain.
fn at_line(text: &RuleText, line: usize, what: String, places: &Places) -> RuleProblem {
    let near = near(&what).map(str::to_owned);
    let name = quoted_name(&what).map(str::to_owned);
    let kind = (RuleSeverity::Error, "cannot be loaded");
    let mut problem = places.at(kind, (&text.chunk, line), name.as_deref(), what);
    let source = line.checked_sub(1).and_then(|line| text.text.lines().nth(line));
    let (Some(near), Some(source)) = (near, source) else { return problem };
    let mut found = source.match_indices(&near);
    let place = match (found.next(), found.next()) {
        (Some((at, _)), None) => Some((source[..at].chars().count() + 1, near.chars().count())),
        // Unless the token occurs exactly once, the parser has to give its place.
        _ => stumbles(&text.text)
            .into_iter()
            .find(|stumble| stumble.line == line && stumble.token == near)
            .map(|stumble| (stumble.column, stumble.width)),
    };
    if let Some((column, width)) = place {
        (problem.column, problem.width) = (Some(column), width);
        problem.set_source(source);
    }
    problem
}

/// Return the token in Lua's error, such as `unexpected symbol near '='`.
fn near(what: &str) -> Option<&str> {
    what.rsplit_once(" near '")?.1.strip_suffix('\'')
}

/// Return the global in Lua's error, such as `attempt to call a nil value (global 'requir')`.
fn global(what: &str) -> Option<&str> {
    what.rsplit_once("(global '")?.1.strip_suffix("')")
}

/// Return the rules file and all modules that it requires, as far as the files exist.
fn texts(set: &RuleSet, edited: Option<&Path>) -> Vec<RuleText> {
    let mut texts: Vec<RuleText> = set.text(edited, None).into_iter().collect();
    let mut at = 0;
    while let Some(text) = texts.get(at).map(|text| text.text.clone()) {
        for name in required(&text) {
            if let Ok(module) = set.text(edited, Some(name))
                && texts.len() < MOST_FILES
                && texts.iter().all(|known| known.path != module.path)
            {
                texts.push(module);
            }
        }
        at += 1;
    }
    texts
}

/// Return the modules that a text requires, except in comments to the end of a line.
fn required(text: &str) -> impl Iterator<Item = &str> {
    let code = text.lines().filter_map(|line| line.split("--").next());
    code.flat_map(|code| REQUIRED.captures_iter(code))
        .filter_map(|found| found.get(1))
        .map(|name| name.as_str())
}

fn stumbles(text: &str) -> Vec<Stumble> {
    // A file that the parser cannot read is left to Lua.
    scope::with_room(text, parse).unwrap_or_default()
}

fn parse(text: &str) -> Vec<Stumble> {
    let parsed = full_moon::parse_fallible(text, LuaVersion::lua54());
    let stumble = |error: &full_moon::Error| {
        let (start, end) = match error {
            full_moon::Error::AstError(error) => {
                (error.token().start_position(), error.token().end_position())
            }
            full_moon::Error::TokenizerError(error) => error.range(),
        };
        let width = if start.line() == end.line() {
            end.character() - start.character().min(end.character())
        } else {
            1
        };
        let message = error.error_message();
        let (token, what) = match error {
            full_moon::Error::AstError(error) => {
                let token = error.token().to_string().trim().to_owned();
                let what = format!("syntax error near `{token}`: {message}");
                (token, what)
            }
            // The rest of the message repeats the place.
            full_moon::Error::TokenizerError(_) => {
                (String::new(), format!("syntax error: {}", message.split(" (").next().unwrap_or_default()))
            }
        };
        Stumble { line: start.line(), column: start.character(), width: width.max(1), token, what }
    };
    parsed.errors().iter().map(stumble).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_modules_are_found_outside_of_comments() {
        let text = "local a, b = require('a.b'), 1-2, require \"c\"\n-- require('d')\nx = 1 -- require('e')";
        assert_eq!(required(text).collect::<Vec<_>>(), ["a.b", "c"]);
    }

    #[test]
    fn the_parser_gives_the_place() {
        let found = stumbles("x = 1\ny = = 2");
        assert_eq!((found[0].line, found[0].column, found[0].width), (2, 3, 1));
        assert!(stumbles("local x <const> = 1 // 2 goto a ::a::").is_empty());
    }
}
