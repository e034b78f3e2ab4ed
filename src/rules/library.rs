//! The names that rules find: ours with their types and texts, as language servers read them, and Lua's own.
//!
//! A virtual machine that has another name than these, or lacks one, does not start. So what an editor
//! shows is what there is. Nothing here runs rules.

/// Our names: a Lua file of declarations alone, in the form of the Lua language server.
pub const TYPES: &str = include_str!("lua/types.lua");

/// What language servers know of Lua 5.4 and rules have.
const OF_LUA: &str = "_G _VERSION assert error getmetatable ipairs load next pairs pcall print rawequal rawget rawlen rawset \
    select setmetatable tonumber tostring type xpcall coroutine coroutine.create coroutine.isyieldable \
    coroutine.resume coroutine.running coroutine.status coroutine.wrap coroutine.yield math math.abs math.acos \
    math.asin math.atan math.ceil math.cos math.deg math.exp math.floor math.fmod math.huge math.log math.max \
    math.maxinteger math.min math.mininteger math.modf math.pi math.rad math.random math.randomseed math.sin \
    math.sqrt math.tan math.tointeger math.type math.ult string string.byte string.char string.find string.format \
    string.gmatch string.gsub string.len string.lower string.match string.pack string.packsize string.rep \
    string.reverse string.sub string.unpack string.upper table table.concat table.insert table.move table.pack \
    table.remove table.sort table.unpack utf8 utf8.char utf8.charpattern utf8.codepoint utf8.codes utf8.len \
    utf8.offset";

/// The configuration of the Lua language server for a folder of rules: which Lua it is, what of Lua's own
/// is not there, where our declarations are.
pub const SERVER: &str = r#"{
  "$schema": "https://raw.githubusercontent.com/LuaLS/vscode-lua/master/setting/schema.json",
  "runtime.version": "Lua 5.4",
  "runtime.path": ["?.lua"],
  "runtime.builtin": {
    "bit": "disable", "bit32": "disable", "debug": "disable", "ffi": "disable", "io": "disable", "jit": "disable",
    "os": "disable", "package": "disable"
  },
  "workspace.library": [".types"],
  "diagnostics.disable": ["lowercase-global"]
}
"#;

/// Every name that rules find, as `path.name`.
pub fn names() -> impl Iterator<Item = String> {
    OF_LUA.split_ascii_whitespace().map(str::to_owned).chain(TYPES.lines().filter_map(declared))
}

/// The name that a line of [`TYPES`] declares for rules.
fn declared(line: &str) -> Option<String> {
    let name = match line.strip_prefix("function ") {
        Some(rest) => rest.split_once('(')?.0,
        None => line.split_once(" = ")?.0,
    };
    let is_name = name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_.".contains(letter));
    // Methods of objects are no names.
    is_name.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_read() {
        assert_eq!(declared("function worker(name, ...) end").as_deref(), Some("worker"));
        assert_eq!(declared("function string.strip(s, letters) end").as_deref(), Some("string.strip"));
        assert_eq!(declared("path = {}").as_deref(), Some("path"));
        assert_eq!(declared("function DateClass:shift(by) end"), None);
        assert_eq!(declared("local DateClass = {}"), None);
        assert_eq!(declared("---@field at Date? not before that"), None);
    }
}
