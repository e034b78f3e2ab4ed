//! The string functions that are written in Rust: pattern matching within the budget, and methods of Python's strings.

use mlua::{IntoLuaMulti, Lua, LuaString, MultiValue, Table, Value as LuaValue, Variadic};

use super::budget::{BYTES_PER_STEP, Budget};
use super::error::fail;
use super::kind::kind_name;
use super::pattern::{Capture, Matcher, PatternError};

/// Return the position, counted from 0, that the optional third argument of `find` and similar functions means; at most
/// one past the end of the text.
fn start(lua: &Lua, text: &[u8], init: &LuaValue) -> mlua::Result<usize> {
    let init = match init {
        LuaValue::Nil => 1,
        other => match lua.coerce_integer(other.clone())? {
            Some(place) => place,
            None => {
                return Err(fail(
                    lua,
                    format!("the place to start at must be an integer, got {}", kind_name(other)),
                ));
            }
        },
    };
    let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let place = match init {
        1.. => init - 1,
        0 => 0,
        _ => (length + init.max(-length)).max(0),
    };
    Ok(usize::try_from(place).unwrap_or(usize::MAX).min(text.len().saturating_add(1)))
}

/// Return the position at which `string.gmatch` starts, counted from 1.
pub(super) fn start_of(lua: &Lua, (text, init): (LuaString, LuaValue)) -> mlua::Result<usize> {
    start(lua, &text.as_bytes(), &init).map(|place| place + 1)
}

fn matched(
    lua: &Lua,
    budget: &Budget,
    (text, pattern): (&[u8], &[u8]),
    from: usize,
    not_at: Option<usize>,
    anchored: bool,
) -> mlua::Result<Option<super::pattern::Match>> {
    let tick = |steps| budget.charge(lua, steps);
    Matcher::new(text, pattern, &tick).find(from, not_at, anchored).map_err(|error| match error {
        PatternError::Malformed(why) => fail(lua, why),
        PatternError::Stopped(error) => error,
    })
}

/// Return whether a pattern matches somewhere in a text; `None` if it is malformed or takes too long.
pub(crate) fn matches(text: &str, pattern: &str) -> Option<bool> {
    // More than the pattern of a message type's name needs.
    const MOST_STEPS: u64 = 1_000_000;
    let taken = std::cell::Cell::new(0);
    let tick = |steps| {
        taken.set(taken.get() + steps);
        if taken.get() > MOST_STEPS { Err(()) } else { Ok(()) }
    };
    let (pattern, anchored) = pattern.strip_prefix('^').map_or((pattern, false), |rest| (rest, true));
    let mut matcher = Matcher::new(text.as_bytes(), pattern.as_bytes(), &tick);
    Some(matcher.find(0, None, anchored).ok()?.is_some())
}

fn push_captures(lua: &Lua, text: &[u8], captures: &[Capture], into: &mut MultiValue) -> mlua::Result<()> {
    for capture in captures {
        into.push_back(match *capture {
            Capture::Text(start, end) => {
                LuaValue::String(lua.create_string(text.get(start..end).unwrap_or_default())?)
            }
            Capture::Position(place) => LuaValue::Integer(i64::try_from(place).unwrap_or(i64::MAX)),
        });
    }
    Ok(())
}

fn number(place: usize) -> LuaValue {
    LuaValue::Integer(i64::try_from(place).unwrap_or(i64::MAX))
}

/// Return a pattern without its `^`, and whether it had one.
fn anchor(pattern: &[u8]) -> (&[u8], bool) {
    match pattern.split_first() {
        Some((b'^', rest)) => (rest, true),
        _ => (pattern, false),
    }
}

/// Implement `string.find(s, pattern[, init[, plain]])`.
pub(super) fn find(
    lua: &Lua,
    budget: &Budget,
    (text, pattern, init, plain): (LuaString, LuaString, LuaValue, LuaValue),
) -> mlua::Result<MultiValue> {
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let from = start(lua, &text, &init)?;
    if from > text.len() {
        return Ok(MultiValue::from_vec(vec![LuaValue::Nil]));
    }
    let is_plain = !matches!(plain, LuaValue::Nil | LuaValue::Boolean(false));
    if is_plain || !pattern.iter().any(|byte| b"^$*+?.([%-".contains(byte)) {
        budget.charge(lua, (text.len() - from) as u64 / BYTES_PER_STEP)?;
        return match memchr::memmem::find(&text[from..], &pattern) {
            Some(place) => {
                (number(from + place + 1), number(from + place + pattern.len())).into_lua_multi(lua)
            }
            None => Ok(MultiValue::from_vec(vec![LuaValue::Nil])),
        };
    }
    let (rest, anchored) = anchor(&pattern);
    match matched(lua, budget, (&text, rest), from, None, anchored)? {
        Some(found) => {
            let mut answer = MultiValue::from_vec(vec![number(found.start + 1), number(found.end)]);
            // Without parentheses the whole match is the only capture, and `find` does not return it.
            if found.has_parentheses {
                push_captures(lua, &text, &found.captures, &mut answer)?;
            }
            Ok(answer)
        }
        None => Ok(MultiValue::from_vec(vec![LuaValue::Nil])),
    }
}

/// Implement `string.match(s, pattern[, init])`.
pub(super) fn match_(
    lua: &Lua,
    budget: &Budget,
    (text, pattern, init): (LuaString, LuaString, LuaValue),
) -> mlua::Result<MultiValue> {
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let from = start(lua, &text, &init)?;
    let mut answer = MultiValue::new();
    let (rest, anchored) = anchor(&pattern);
    if from <= text.len()
        && let Some(found) = matched(lua, budget, (&text, rest), from, None, anchored)?
    {
        push_captures(lua, &text, &found.captures, &mut answer)?;
    } else {
        answer.push_back(LuaValue::Nil);
    }
    Ok(answer)
}

/// Find the next match for `gmatch` and `gsub`: from position `from` (counted from 1) on, and not ending where the
/// previous one did. Return its start, the position after its end, and its captures.
pub(super) fn match_from(
    lua: &Lua,
    budget: &Budget,
    (text, pattern, from, not_at, anchored): (LuaString, LuaString, usize, Option<usize>, bool),
) -> mlua::Result<MultiValue> {
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let not_at = not_at.map(|place| place.saturating_sub(1));
    let mut answer = MultiValue::new();
    match matched(lua, budget, (&text, &pattern), from.saturating_sub(1), not_at, anchored)? {
        Some(found) => {
            answer.push_back(number(found.start + 1));
            answer.push_back(number(found.end + 1));
            push_captures(lua, &text, &found.captures, &mut answer)?;
        }
        None => answer.push_back(LuaValue::Nil),
    }
    Ok(answer)
}

/// Return text in UTF-8, or an error that names the function `what`.
fn utf8(lua: &Lua, what: &str, value: &LuaValue) -> mlua::Result<String> {
    match value {
        LuaValue::String(text) => match text.to_str() {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(fail(lua, format!("{what}: the text is not UTF-8"))),
        },
        LuaValue::Integer(number) => Ok(number.to_string()),
        other => Err(fail(lua, format!("{what}: text was expected, got {}", kind_name(other)))),
    }
}

/// Implement `s:startswith(prefix, …)` and `s:endswith(suffix, …)`: return whether one of them matches.
pub(super) fn starts_or_ends(
    lua: &Lua,
    budget: &Budget,
    what: &str,
    (text, ends): (LuaValue, Variadic<LuaValue>),
) -> mlua::Result<bool> {
    let text = utf8(lua, what, &text)?;
    budget.charge(lua, text.len() as u64 / BYTES_PER_STEP)?;
    if ends.is_empty() {
        return Err(fail(lua, format!("{what}: a text to look for was expected")));
    }
    for end in ends.iter() {
        let end = utf8(lua, what, end)?;
        budget.charge(lua, end.len() as u64 / BYTES_PER_STEP)?;
        if if what == "startswith" { text.starts_with(&end) } else { text.ends_with(&end) } {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Pieces of a text between two charges to the budget.
const CHARGED_AT_ONCE: usize = 1_000;

/// The cost of a piece, in instructions; measured.
const STEPS_PER_PIECE: u64 = 10;

/// Return whether Python counts a character as white space.
fn is_space(sign: char) -> bool {
    sign.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&sign)
}

/// Implement `s:split([separator[, most]])`, which works as in Python.
pub(super) fn split(
    lua: &Lua,
    budget: &Budget,
    (text, separator, most): (LuaValue, LuaValue, LuaValue),
) -> mlua::Result<Table> {
    let text = utf8(lua, "split", &text)?;
    budget.charge(lua, text.len() as u64)?;
    let most = match lua.coerce_integer(most.clone())? {
        Some(most) => usize::try_from(most).ok(),
        None if most.is_nil() => None,
        None => return Err(fail(lua, "split: the greatest number of splits must be an integer")),
    };
    if separator.is_nil() {
        return list(lua, budget, Words { rest: text.trim_start_matches(is_space), left: most });
    }
    let separator = utf8(lua, "split", &separator)?;
    if separator.is_empty() {
        return Err(fail(lua, "split: the separator is empty"));
    }
    let pieces = most.map_or(usize::MAX, |most| most.saturating_add(1));
    list(lua, budget, text.splitn(pieces, &separator))
}

/// Return a list of texts. Each is charged to the budget, because a long text can have millions of pieces.
fn list<'a>(lua: &Lua, budget: &Budget, pieces: impl Iterator<Item = &'a str>) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    for (number, piece) in (1_usize..).zip(pieces) {
        if number % CHARGED_AT_ONCE == 0 {
            budget.charge(lua, STEPS_PER_PIECE * CHARGED_AT_ONCE as u64)?;
        }
        table.raw_push(piece)?;
    }
    Ok(table)
}

/// The pieces of a text between runs of white space; after `left` splits, the rest.
struct Words<'a> {
    rest: &'a str,
    left: Option<usize>,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let end = if self.left == Some(0) { None } else { self.rest.find(is_space) };
        self.left = self.left.map(|left| left.saturating_sub(1));
        let (word, rest) = match end {
            Some(end) => self.rest.split_at(end),
            None => (self.rest.trim_end_matches(is_space), ""),
        };
        self.rest = rest.trim_start_matches(is_space);
        Some(word)
    }
}

/// Implement `s:strip([signs])`, which works as in Python.
pub(super) fn strip(lua: &Lua, budget: &Budget, (text, signs): (LuaValue, LuaValue)) -> mlua::Result<String> {
    let text = utf8(lua, "strip", &text)?;
    if signs.is_nil() {
        budget.charge(lua, text.len() as u64 / BYTES_PER_STEP)?;
        return Ok(text.trim_matches(is_space).to_owned());
    }
    let signs: std::collections::HashSet<char> = utf8(lua, "strip", &signs)?.chars().collect();
    budget.charge(lua, text.len() as u64)?;
    Ok(text.trim_matches(|sign| signs.contains(&sign)).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitting_at_spaces_is_python_s() {
        let words = |text: &'static str, left| {
            Words { rest: text.trim_start_matches(is_space), left }.collect::<Vec<&str>>()
        };
        assert_eq!(words("  a  b\tc \n", None), ["a", "b", "c"]);
        assert_eq!(words("  a  b  c  ", Some(1)), ["a", "b  c"]);
        assert_eq!(words("  a ", Some(0)), ["a"]);
        assert_eq!(words("a b", Some(5)), ["a", "b"]);
        assert!(words("   ", None).is_empty());
    }
}
