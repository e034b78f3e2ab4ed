//! `last(worker, type[, cycle])`: the latest message of a worker and type. It reads the notes of the call, never the journal.

use mlua::{Lua, Value as LuaValue, Variadic};

use super::call_state::CallState;
use super::error::fail;
use super::kind::described;
use super::last_message::LuaLastMessage;
use super::options;
use super::view::{STEPS_PER_KEY, View};
use nowcast_core::{Cycle, CycleOption};

/// The longest name of a worker or a message type, in bytes.
const LONGEST_NAME: usize = 200;

/// Implement `last(worker, type[, cycle])`.
pub(super) fn last(lua: &Lua, call: &CallState, given: &Variadic<LuaValue>) -> mlua::Result<LuaValue> {
    let wrong = |text: String| fail(lua, format!("last: {text}"));
    let now = call.now().ok_or_else(|| wrong("there is no message yet; call it inside a rule".to_owned()))?;
    let worker = name("the worker's name", given.first()).map_err(wrong)?;
    let r#type = name("the message type", given.get(1)).map_err(wrong)?;
    let cycle = cycle(given.get(2)).map_err(wrong)?;
    if given.len() > 3 {
        return Err(wrong(format!(
            "{} arguments are too many; write last(worker, type, cycle)",
            given.len()
        )));
    }
    call.budget.charge(lua, STEPS_PER_KEY)?;
    let of_cycle = cycle.as_ref().map(|cycle| format!(" ({cycle})")).unwrap_or_default();
    let label = format!("{worker} {type}{of_cycle}");
    let Some(found) = call.last_message(&worker, &r#type, cycle.as_ref()) else {
        call.note_last(&format!("last: {label} (missing)"));
        return Ok(LuaValue::Nil);
    };
    call.note_last(&format!("last: {label}"));
    let memory = call.budget.hold(lua, size_of::<LuaLastMessage>() + label.len())?;
    let message = LuaLastMessage {
        label,
        at: found.at.to_zoned_datetime(now.time_zone().clone()),
        cycle: found.cycle,
        payload: found.payload.map(|payload| View::of_value(&call.snapshot, payload)),
        memory,
    };
    lua.create_userdata(message).map(LuaValue::UserData)
}

fn name(role: &str, value: Option<&LuaValue>) -> Result<String, String> {
    let example = "write last(\"watch_NEMO\", \"success\")";
    match value {
        Some(LuaValue::String(text)) => match text.to_str() {
            Ok(text) if text.trim().is_empty() => Err(format!("{role} is empty; {example}")),
            Ok(text) if text.len() > LONGEST_NAME => {
                Err(format!("{role} has {} bytes; {LONGEST_NAME} are enough", text.len()))
            }
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(format!("{role} is not UTF-8")),
        },
        None => Err(format!("{role} is missing; {example}")),
        Some(other) => Err(format!("{role} must be text, got {}; {example}", described(other))),
    }
}

/// Read the cycle; `None` for a message of any cycle or of none. A `nil` is refused: it would mean another message than the rule's
/// author had in mind.
fn cycle(value: Option<&LuaValue>) -> Result<Option<Cycle>, String> {
    match value {
        None => Ok(None),
        Some(LuaValue::Nil) => Err(
            "the cycle is nil; does the message have none? Leave the cycle out, or write false, for the latest message of any \
             cycle"
                .to_owned(),
        ),
        Some(value) => match options::cycle("cycle", value)? {
            CycleOption::Label(cycle) => Ok(Some(cycle)),
            CycleOption::None => Ok(None),
        },
    }
}
