//! The names of modules and hosts in rules.

use mlua::Value as LuaValue;

use super::call_state::CallState;
use super::kind::kind_name;

/// Return the name of a module or host: text that is not empty and has no spaces or control characters. Errors call it
/// `role`.
pub(super) fn name(call: &CallState, role: &str, value: &LuaValue) -> Result<String, String> {
    let LuaValue::String(text) = value else {
        return Err(format!("{role} must be text, got {}", kind_name(value)));
    };
    match text.to_str() {
        Ok(text) if text.is_empty() => Err(format!("{role} is empty")),
        Ok(text) if text.contains(|sign: char| sign.is_whitespace() || sign.is_control()) => {
            Err(format!("{role} is {:?}; a name has no spaces", &*text))
        }
        Ok(text) => call.keep(&text),
        Err(_) => Err(format!("{role} is not UTF-8")),
    }
}
