//! Reads the tables that rules give to the engine's functions: lists, and entries under known keys.
//!
//! It never uses metatables: no function of the rules may run below one of the engine's functions (see budget.rs).

use mlua::{Lua, LuaString, Table, Value as LuaValue};

use super::error;
use super::kind::kind_name;
use super::view::View;

/// The longest list or table that is read, in items: arguments, launches, names.
pub(super) const LONGEST_LIST: usize = 10_000;

/// The least of the errors found in a table. Lua's order of entries changes from run to run, and the same rule must
/// give the same error.
#[derive(Default)]
pub(super) struct Least(Option<String>);

impl Least {
    pub(super) fn add(&mut self, error: String) {
        if self.0.as_ref().is_none_or(|least| error < *least) {
            self.0 = Some(error);
        }
    }

    /// # Errors
    /// The least of the errors that were added.
    pub(super) fn check(self) -> Result<(), String> {
        self.0.map_or(Ok(()), Err)
    }
}

/// Return the items of a table that must be a list without holes. Errors call the table `what`.
pub(super) fn list(table: &Table, what: &str) -> Result<Vec<LuaValue>, String> {
    let mut items: Vec<(i64, LuaValue)> = Vec::new();
    let mut wrong = Least::default();
    for (count, pair) in table.pairs::<LuaValue, LuaValue>().enumerate() {
        let (key, value) = pair.map_err(|error| format!("{what}: {error}"))?;
        if count >= LONGEST_LIST {
            return Err(too_many(what));
        }
        match key {
            LuaValue::Integer(place) if place >= 1 => items.push((place, value)),
            LuaValue::String(key) => {
                wrong.add(format!("{what} must be a list, but has the key {:?}", key.to_string_lossy()));
            }
            other => wrong.add(format!("{what} must be a list, but has {} as a key", kind_name(&other))),
        }
    }
    wrong.check()?;
    items.sort_by_key(|(place, _)| *place);
    for (expected, (place, _)) in (1..).zip(&items) {
        if *place != expected {
            return Err(format!(
                "{what}[{expected}] is nil; is a name misspelt, or the checklist incomplete?"
            ));
        }
    }
    Ok(items.into_iter().map(|(_, value)| value).collect())
}

/// Return the keys and values of a table or a view, in no particular order; `None` if it is neither.
pub(super) fn entries(
    lua: &Lua,
    value: &LuaValue,
    what: &str,
) -> Result<Option<Vec<(LuaValue, LuaValue)>>, String> {
    let most = LONGEST_LIST + 1;
    let entries: mlua::Result<Vec<_>> = match value {
        LuaValue::Table(table) => table.pairs::<LuaValue, LuaValue>().take(most).collect(),
        LuaValue::UserData(object) => match object.borrow::<View>() {
            Ok(view) => view.entries(lua, most),
            Err(_) => return Ok(None),
        },
        _ => return Ok(None),
    };
    let entries = entries.map_err(|error| format!("{what}: {}", error::text(&error)))?;
    if entries.len() == most { Err(too_many(what)) } else { Ok(Some(entries)) }
}

/// Return the entries sorted by key if all keys are among the known ones. Sorting matters because a table's own order
/// changes from run to run, and the same rule must give the same error. Errors call a key `noun`.
pub(super) fn known(
    entries: Vec<(LuaValue, LuaValue)>,
    noun: &str,
    known: &[&'static str],
) -> Result<Vec<(&'static str, LuaValue)>, String> {
    let mut unknown: Vec<String> = Vec::new();
    let mut found = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let key = key.as_string().map_or_else(|| kind_name(&key).to_owned(), LuaString::to_string_lossy);
        match known.iter().find(|known| **known == key) {
            Some(known) => found.push((*known, value)),
            None => unknown.push(key),
        }
    }
    if let Some(key) = unknown.iter().min() {
        let hint = error_text::question(key, known);
        let hint = hint.unwrap_or_else(|| format!("the {noun}s are {}", known.join(", ")));
        return Err(format!("there is no {noun} {key:?}; {hint}"));
    }
    found.sort_by_key(|(key, _)| *key);
    Ok(found)
}

fn too_many(what: &str) -> String {
    format!("{what} has more than {LONGEST_LIST} items")
}
