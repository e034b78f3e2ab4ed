//! The words for Lua values in errors.

use mlua::Value as LuaValue;

use super::last_message::LuaLastMessage;
use super::moment::Moment;
use super::objects::{LuaJoin, LuaLaunch};
use super::view::View;

/// The longest text that an error shows, in bytes.
const LONGEST_SHOWN: usize = 60;

/// Return the kind of a value: "a table", "text".
pub(super) fn kind_name(value: &LuaValue) -> &'static str {
    match value {
        LuaValue::Nil => "nil",
        LuaValue::Boolean(_) => "true or false",
        LuaValue::LightUserData(_) => "null",
        LuaValue::Integer(_) => "an integer",
        LuaValue::Number(_) => "a number",
        LuaValue::String(_) => "text",
        LuaValue::Table(_) => "a table",
        LuaValue::Function(_) => "a function",
        LuaValue::Thread(_) => "a coroutine",
        LuaValue::UserData(object) if object.is::<View>() => "a table",
        LuaValue::UserData(object) if object.is::<Moment>() => "a date",
        LuaValue::UserData(object) if object.is::<LuaLaunch>() => "a NextWorker",
        LuaValue::UserData(object) if object.is::<LuaJoin>() => "a Join",
        LuaValue::UserData(object) if object.is::<LuaLastMessage>() => "a message of last()",
        _ => "an object",
    }
}

/// Describe a value for an error: numbers, booleans and short texts literally, others by their kind.
pub(super) fn described(value: &LuaValue) -> String {
    match value {
        LuaValue::String(text) if text.as_bytes().len() <= LONGEST_SHOWN => {
            format!("the text {:?}", text.to_string_lossy())
        }
        LuaValue::Integer(number) => format!("the number {number}"),
        LuaValue::Number(number) => format!("the number {number:?}"),
        LuaValue::Boolean(flag) => flag.to_string(),
        other => kind_name(other).to_owned(),
    }
}

/// Return the integer that a Lua number equals: to Lua, `3` and `3.0` are the same.
pub(super) fn whole(value: &LuaValue) -> Option<i64> {
    match value {
        LuaValue::Integer(number) => Some(*number),
        #[allow(clippy::cast_possible_truncation, reason = "only whole numbers in range pass the guard")]
        LuaValue::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => Some(*number as i64),
        _ => None,
    }
}
