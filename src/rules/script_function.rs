//! The functions that a script can call, and their arguments. It never decides what they do.

use std::rc::Rc;

use mlua::{Function, Lua, Table, Value as LuaValue, Variadic};

use super::error::fail;
use super::kind::kind_name;
use super::moment::Moment;
use super::objects::{LuaJoin, LuaLaunch};
use super::view::{self, View};
use super::viewed_values::ViewPlace;
use nowcast_core::{JoinRequest, NextWorker};
use pyyaml::{Map, Value};

/// The most keys and values, at all depths, of a table that is converted to a value.
const MOST_ENTRIES: usize = 1_000_000;

/// The greatest depth of a table that is converted to a value.
const DEEPEST: usize = 100;

/// An argument that a script passes to a function.
#[derive(Debug, Clone)]
pub enum Argument {
    /// A value.
    Value(Value),
    /// A launch.
    Launch(Box<NextWorker>),
    /// A join.
    Join(Box<JoinRequest>),
}

/// A function that a script can call. The text of an error is raised where the script called it.
pub type ScriptFunction = Box<dyn Fn(Vec<Argument>) -> Result<Value, String>>;

/// Create a Lua function that calls `call`.
pub(super) fn function(
    lua: &Lua,
    snapshot: Rc<super::viewed_values::ViewedValues>,
    call: ScriptFunction,
) -> mlua::Result<Function> {
    lua.create_function(move |lua, arguments: Variadic<LuaValue>| {
        let arguments: Result<Vec<Argument>, String> =
            arguments.iter().map(|value| argument(value, 0)).collect();
        match arguments.and_then(&call) {
            Ok(value) => view::to_lua(lua, &snapshot, &value, ViewPlace::Elsewhere),
            Err(text) => Err(fail(lua, text)),
        }
    })
}

fn argument(value: &LuaValue, depth: usize) -> Result<Argument, String> {
    if let LuaValue::UserData(object) = value {
        if let Ok(launch) = object.borrow::<LuaLaunch>() {
            return Ok(Argument::Launch(Box::new(launch.0.clone())));
        }
        if let Ok(join) = object.borrow::<LuaJoin>() {
            return Ok(Argument::Join(Box::new(join.0.clone())));
        }
    }
    let mut left = MOST_ENTRIES;
    to_value(value, depth, &mut left).map(Argument::Value)
}

/// Convert a Lua value to YAML. A table whose keys are 1, 2, 3 … is a list. The keys of any other are sorted, since Lua
/// does not know the order in which they were written. An empty table is a mapping.
fn to_value(value: &LuaValue, depth: usize, left: &mut usize) -> Result<Value, String> {
    *left = left
        .checked_sub(1)
        .ok_or_else(|| format!("a table has more than {MOST_ENTRIES} entries at all depths"))?;
    if depth > DEEPEST {
        return Err("a table is nested too deep, or in itself".to_owned());
    }
    Ok(match value {
        LuaValue::Nil | LuaValue::LightUserData(_) => Value::Null,
        LuaValue::Boolean(flag) => (*flag).into(),
        LuaValue::Integer(number) => (*number).into(),
        LuaValue::Number(number) => (*number).into(),
        LuaValue::String(text) => match text.to_str() {
            Ok(text) => Value::from(&*text),
            Err(_) => Value::Bytes(text.as_bytes().as_ref().into()),
        },
        LuaValue::UserData(object) => {
            if let Ok(moment) = object.borrow::<Moment>() {
                moment.to_yaml()
            } else if let Ok(view) = object.borrow::<View>() {
                view.value()?
            } else {
                return Err(format!("{} is not a value of a message or a checklist", kind_name(value)));
            }
        }
        LuaValue::Table(table) => table_value(table, depth, left)?,
        _ => return Err(format!("{} is not a value of a message or a checklist", kind_name(value))),
    })
}

fn table_value(table: &Table, depth: usize, left: &mut usize) -> Result<Value, String> {
    let mut entries: Vec<(Value, Value)> = Vec::new();
    for pair in table.pairs::<LuaValue, LuaValue>() {
        let (key, value) = pair.map_err(|error| error.to_string())?;
        entries.push((to_value(&key, depth + 1, left)?, to_value(&value, depth + 1, left)?));
    }
    let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
    let is_list = count > 0
        && entries.iter().all(|(key, _)| key.as_int().is_some_and(|key| (1..=count).contains(&key)));
    if is_list {
        entries.sort_by_key(|(key, _)| key.as_int());
        return Ok(entries.into_iter().map(|(_, value)| value).collect::<Vec<Value>>().into());
    }
    entries.sort_by_cached_key(|(key, _)| (key.as_int(), super::reads::key_text(key)));
    Ok(entries.into_iter().collect::<Map>().into())
}
