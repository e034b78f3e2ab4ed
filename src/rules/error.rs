//! Errors of rules, for their author: the message, the place where it was raised, and the traceback.

use std::path::PathBuf;

use mlua::{Error, Lua};

/// What the engine's own Lua code is called; its lines are no use to the author of the rules.
pub(super) const OWN_CHUNK: &str = "nowcast";

/// Why rules could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{}{}: {reason}{}",
    file.display(),
    line.map(|line| format!(":{line}")).unwrap_or_default(),
    shown.as_deref().map(|shown| format!("\n{shown}")).unwrap_or_default()
)]
pub struct RulesLoadError {
    /// The file at fault.
    pub file: PathBuf,
    /// The line in it, where there is one.
    pub line: Option<usize>,
    /// What is wrong and what to do.
    pub reason: String,
    /// The line itself, with its number.
    pub shown: Option<String>,
}

impl RulesLoadError {
    pub(super) fn new(file: PathBuf, line: Option<usize>, reason: String) -> Self {
        Self { file, line, reason, shown: None }
    }
}

/// An error that a function of the engine's raises: the text behind the place in the rules that
/// called it.
pub(super) fn fail(lua: &Lua, text: impl std::fmt::Display) -> Error {
    let place = caller(lua).map(|(chunk, line)| format!("{chunk}:{line}: ")).unwrap_or_default();
    Error::runtime(format!("{place}{text}"))
}

/// The file and line of the rules that run: the innermost function that is not the engine's.
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

/// Where the rules' files are being run, as `next_workers.lua:12`; text that they gave to `load` is
/// none of them; `is_of_rules` knows the names of the files. `None` where no such function is on the stack: in a coroutine of the engine's
/// functions, or behind tail calls.
pub(super) fn place_in_the_rules(lua: &Lua, is_of_rules: impl Fn(&str) -> bool) -> Option<String> {
    innermost(lua, |debug| {
        let source = debug.source();
        let chunk = source.source.as_deref()?.strip_prefix('=')?;
        if is_of_rules(chunk) { Some(format!("{chunk}:{}", debug.current_line()?)) } else { None }
    })
}

/// What `look` finds first on the stack, from the innermost function on.
fn innermost<T>(lua: &Lua, find: impl Fn(&mlua::debug::Debug) -> Option<T>) -> Option<T> {
    // Beyond this depth the engine was not called from the rules.
    (0..20).map_while(|level| lua.inspect_stack(level, &find)).flatten().next()
}

/// The longest message that an error keeps, in bytes: it goes into the log and the journal.
const LONGEST_TEXT: usize = 10_000;

/// An error with a traceback that was taken where it was raised first.
pub(super) fn raise(text: &str, traceback: &str) -> Error {
    let cut = (0..=LONGEST_TEXT.min(text.len())).rev().find(|cut| text.is_char_boundary(*cut)).unwrap_or(0);
    let more = if cut < text.len() { "…" } else { "" };
    let traceback = traceback.strip_prefix(TRACEBACK.trim_start()).unwrap_or(traceback);
    Error::runtime(format!("{}{more}{TRACEBACK}{traceback}", &text[..cut]))
}

/// What stands between Lua's message and its traceback.
const TRACEBACK: &str = "\nstack traceback:";

/// The text of an error, without its traceback.
pub(super) fn text(error: &Error) -> String {
    parts(error).0
}

/// Whether the machine ran out of memory somewhere in this error.
pub(super) fn is_out_of_memory(error: &Error) -> bool {
    match error {
        Error::MemoryError(_) => true,
        Error::CallbackError { cause, .. } | Error::BadArgument { cause, .. } => is_out_of_memory(cause),
        _ => false,
    }
}

/// The text of an error and its traceback, both without a word about the engine's own code.
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

/// Splits what Lua gives as one text.
fn split(text: &str) -> (String, String) {
    let mut parts = text.split(TRACEBACK);
    let message = parts.next().unwrap_or_default().to_owned();
    (message, parts.next().unwrap_or_default().to_owned())
}

/// Cleans a traceback that was taken by itself.
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

/// An error raised in the engine's own code gets the place in the rules that led there.
fn place_of_the_rules(text: String, traceback: &[&str]) -> String {
    let Some(message) = without_own_place(&text) else { return text };
    match traceback.first().and_then(|line| line.split_once(": in ")) {
        Some((place, _)) => format!("{place}: {message}"),
        None => message,
    }
}

/// The message of an error that a function of Lua's raised below the engine's own code, without the
/// place in that code; `None` for other errors.
pub(super) fn without_own_place(text: &str) -> Option<String> {
    let rest = text.strip_prefix(OWN_CHUNK)?.strip_prefix(':')?;
    let (line, message) = rest.split_once(": ")?;
    line.parse::<usize>().ok()?;
    // What the engine's code calls Lua's own functions.
    Some(message.replacen("'raw_", "'", 1))
}

/// The chunk and line at the start of a Lua message, and the rest.
pub(super) fn place(text: &str) -> Option<(&str, usize, &str)> {
    let (place, rest) = text.split_once(": ")?;
    let (chunk, line) = place.rsplit_once(':')?;
    Some((chunk, line.parse().ok()?, rest))
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
    fn the_place_of_a_message_is_read_from_its_start() {
        assert_eq!(place("a.lua:3: x: y"), Some(("a.lua", 3, "x: y")));
        assert_eq!(place("no place"), None);
    }
}
