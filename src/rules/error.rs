//! Errors of rules, for their author: the message, the place where it was raised, and the traceback. They never show
//! the engine's own code.

use std::path::PathBuf;

use mlua::{Error, Lua};

/// The chunk name of the engine's own Lua code, whose lines do not help the author of the rules.
pub(super) const OWN_CHUNK: &str = "nowcast";

/// The reason why rules could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{}{}: {reason}{}",
    file.display(),
    line.map(|line| format!(":{line}")).unwrap_or_default(),
    shown.as_deref().map(|shown| format!("\n{shown}")).unwrap_or_default()
)]
pub struct RulesLoadError {
    /// The file with the error.
    pub file: PathBuf,
    /// The line in it, if known.
    pub line: Option<usize>,
    /// The error, and what to do.
    pub reason: String,
    /// The text of that line, with its number.
    pub shown: Option<String>,
}

impl RulesLoadError {
    pub(super) fn new(file: PathBuf, line: Option<usize>, reason: String) -> Self {
        Self { file, line, reason, shown: None }
    }
}

/// Return an error of one of the engine's functions: its text after the place in the rules that called the function.
pub(super) fn fail(lua: &Lua, text: impl std::fmt::Display) -> Error {
    let place = caller(lua).map(|(chunk, line)| format!("{chunk}:{line}: ")).unwrap_or_default();
    Error::runtime(format!("{place}{text}"))
}

/// Return the file and line of the innermost function on the stack that belongs to the rules.
fn caller(lua: &Lua) -> Option<(String, usize)> {
    innermost(lua, |debug| {
        let source = debug.source();
        let chunk = source.short_src.as_deref().unwrap_or_default();
        if chunk == OWN_CHUNK || chunk == "[C]" {
            None
        } else {
            Some((chunk.to_owned(), debug.current_line()?))
        }
    })
}

/// Return the place at which the rules' files are running, as `next_workers.lua:12`. `is_of_rules` returns whether a
/// chunk name is that of a file; text passed to `load` does not count. Return `None` if no such function is on the
/// stack: in a coroutine of the engine's functions, or behind tail calls.
pub(super) fn place_in_the_rules(lua: &Lua, is_of_rules: impl Fn(&str) -> bool) -> Option<String> {
    innermost(lua, |debug| {
        let source = debug.source();
        let chunk = source.source.as_deref()?.strip_prefix('=')?;
        if is_of_rules(chunk) { Some(format!("{chunk}:{}", debug.current_line()?)) } else { None }
    })
}

/// Return the first result of `find` on the stack, from the innermost function outwards.
fn innermost<T>(lua: &Lua, find: impl Fn(&mlua::debug::Debug) -> Option<T>) -> Option<T> {
    // If no level up to this depth matches, the rules did not call the engine.
    (0..20).map_while(|level| lua.inspect_stack(level, &find)).flatten().next()
}

/// The longest message that an error keeps, in bytes: it goes into the log and the journal.
const LONGEST_TEXT: usize = 10_000;

/// Create an error from a text, cut to [`LONGEST_TEXT`], and the traceback of the place where it was first raised.
pub(super) fn raise(text: &str, traceback: &str) -> Error {
    let cut = (0..=LONGEST_TEXT.min(text.len())).rev().find(|cut| text.is_char_boundary(*cut)).unwrap_or(0);
    let more = if cut < text.len() { "…" } else { "" };
    let traceback = traceback.strip_prefix(TRACEBACK.trim_start()).unwrap_or(traceback);
    Error::runtime(format!("{}{more}{TRACEBACK}{traceback}", &text[..cut]))
}

/// The separator between Lua's message and its traceback.
const TRACEBACK: &str = "\nstack traceback:";

/// Return the text of an error, without its traceback.
pub(super) fn text(error: &Error) -> String {
    parts(error).0
}

/// Return whether the virtual machine ran out of memory somewhere in this error.
pub(super) fn is_out_of_memory(error: &Error) -> bool {
    match error {
        Error::MemoryError(_) => true,
        Error::CallbackError { cause, .. } | Error::BadArgument { cause, .. } => is_out_of_memory(cause),
        _ => false,
    }
}

/// Return the bytes that an error uses outside of the virtual machine.
pub(super) fn size(error: &Error) -> usize {
    let texts = match error {
        Error::RuntimeError(text) | Error::MemoryError(text) | Error::SyntaxError { message: text, .. } => {
            text.len()
        }
        Error::CallbackError { traceback, cause } => traceback.len() + size(cause),
        Error::BadArgument { cause, .. } => size(cause),
        _ => 0,
    };
    size_of::<Error>() + texts
}

/// Return the text of an error and its traceback, both without places in the engine's own code.
pub(super) fn parts(error: &Error) -> (String, String) {
    let (text, traceback) = raw_parts(error);
    let mut lines = traceback.lines().map(str::trim).filter(|line| is_of_the_rules(line));
    let traceback: Vec<&str> = lines.by_ref().collect();
    (place_of_the_rules(text, &traceback), traceback.join("\n"))
}

fn raw_parts(error: &Error) -> (String, String) {
    match error {
        Error::RuntimeError(text) | Error::MemoryError(text) => split(text),
        Error::SyntaxError { message, .. } => split(message),
        Error::CallbackError { traceback, cause } => {
            let (text, inner) = raw_parts(cause);
            (text, if inner.is_empty() { traceback.clone() } else { inner })
        }
        Error::BadArgument { cause, .. } => raw_parts(cause),
        Error::StackError => ("too many values for one call".to_owned(), String::new()),
        other => (other.to_string(), String::new()),
    }
}

/// Split Lua's single text into message and traceback.
fn split(text: &str) -> (String, String) {
    let mut parts = text.split(TRACEBACK);
    let message = parts.next().unwrap_or_default().to_owned();
    (message, parts.next().unwrap_or_default().to_owned())
}

/// Remove the engine's own lines from a traceback that does not belong to an error.
pub(super) fn traceback_of_the_rules(traceback: &str) -> String {
    let lines: Vec<&str> = traceback.lines().map(str::trim).filter(|line| is_of_the_rules(line)).collect();
    lines.join("\n")
}

fn is_of_the_rules(line: &str) -> bool {
    let own = format!("{OWN_CHUNK}:");
    !(line.is_empty()
        || line.starts_with("[C]")
        || line.starts_with(&own)
        || line.starts_with("(...tail calls")
        || line.starts_with("stack traceback:")
        || line.contains(&format!("<{own}")))
}

/// Replace a place in the engine's own code with the place in the rules that led there.
fn place_of_the_rules(text: String, traceback: &[&str]) -> String {
    let Some(message) = without_own_place(&text) else { return text };
    match traceback.first().and_then(|line| line.split_once(": in ")) {
        Some((place, _)) => format!("{place}: {message}"),
        None => message,
    }
}

/// Return the message of an error that a Lua library function raised below the engine's own code, without the place in
/// that code; `None` for other errors.
pub(super) fn without_own_place(text: &str) -> Option<String> {
    let rest = text.strip_prefix(OWN_CHUNK)?.strip_prefix(':')?;
    let (line, message) = rest.split_once(": ")?;
    line.parse::<usize>().ok()?;
    // The engine's code calls Lua's own functions by names with this prefix.
    Some(message.replacen("'raw_", "'", 1))
}

/// The parts of the text of a failed call: the reason with its place, below it the line of the rules and what explains it, and a traceback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureParts<'a> {
    /// The place at the start of the text: chunk and line.
    pub place: Option<(&'a str, usize)>,
    /// The reason, without its place.
    pub reason: &'a str,
    /// What explains it, such as a missing key.
    pub notes: Vec<&'a str>,
}

impl<'a> FailureParts<'a> {
    /// Return the parts of the text of a failed call.
    #[must_use]
    pub fn of(text: &'a str) -> Self {
        let mut lines = text.lines().take_while(|line| *line != TRACEBACK.trim_start());
        let first = lines.next().unwrap_or_default();
        let (place, reason) = match place(first) {
            Some((chunk, line, reason)) => (Some((chunk, line)), reason),
            None => (None, first),
        };
        let is_of_the_rules = |line: &&str| {
            line.split_once(" | ").is_some_and(|(number, _)| number.trim().parse::<u32>().is_ok())
        };
        let notes = lines.filter(|line| !is_of_the_rules(line));
        Self { place, reason, notes: notes.map(|line| line.trim().trim_start_matches("= ")).collect() }
    }
}

/// Split a Lua message into the chunk and line at its start, and the rest.
#[must_use]
pub fn place(text: &str) -> Option<(&str, usize, &str)> {
    let (place, rest) = text.split_once(": ")?;
    let (chunk, line) = parse_place(place)?;
    Some((chunk, line, rest))
}

/// Parse a place as Lua writes it, such as `next_workers.lua:12`. Return the chunk and the line.
#[must_use]
pub fn parse_place(place: &str) -> Option<(&str, usize)> {
    let (chunk, line) = place.rsplit_once(':')?;
    Some((chunk, line.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_s_own_lines_are_left_out_of_a_traceback() {
        let error = Error::runtime(
            "nowcast:12: attempt to index a nil value\nstack traceback:\n\t[C]: in ?\n\tnowcast:12: in upvalue 'x'\n\t\
             next_workers.lua:3: in function 'after_sleep'\n\t[C]: in function 'xpcall'\nstack traceback:\n\tagain",
        );
        let (text, traceback) = parts(&error);
        assert_eq!(text, "next_workers.lua:3: attempt to index a nil value");
        assert_eq!(traceback, "next_workers.lua:3: in function 'after_sleep'");
    }

    #[test]
    fn a_load_error_reads_file_line_reason() {
        let error = RulesLoadError::new("rules/a.lua".into(), Some(3), "unexpected symbol".into());
        assert_eq!(error.to_string(), "rules/a.lua:3: unexpected symbol");
        let shown = RulesLoadError { shown: Some("   3 | x = ".into()), ..error.clone() };
        assert_eq!(shown.to_string(), "rules/a.lua:3: unexpected symbol\n   3 | x = ");
        let error = RulesLoadError { line: None, ..error };
        assert_eq!(error.to_string(), "rules/a.lua: unexpected symbol");
    }

    #[test]
    fn a_failure_has_place_reason_and_notes() {
        let text = "a.lua:3: attempt to index a nil value\n   3 | x.y = 1\n     = the checklist has no \"x\"\nstack traceback:\n  a.lua:3: in ?";
        let parts = FailureParts::of(text);
        assert_eq!(parts.place, Some(("a.lua", 3)));
        assert_eq!(parts.reason, "attempt to index a nil value");
        assert_eq!(parts.notes, ["the checklist has no \"x\""]);
        let parts = FailureParts::of("too many values for one call");
        assert_eq!((parts.place, parts.reason), (None, "too many values for one call"));
    }

    #[test]
    fn the_place_of_a_message_is_read_from_its_start() {
        assert_eq!(place("a.lua:3: x: y"), Some(("a.lua", 3, "x: y")));
        assert_eq!(place("no place"), None);
    }
}
