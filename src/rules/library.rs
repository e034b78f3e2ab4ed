//! The names that rules can use: ours with their types and descriptions, as language servers read them, and Lua's own.
//!
//! A virtual machine that has other names than these, or lacks one, does not start. The options of tables and the names
//! that only tests of rules have are declared a second time; unit tests compare them with the engine. Nothing here runs
//! rules.

/// Our names: a Lua file that contains declarations only, in the form of the Lua language server.
pub const TYPES: &str = include_str!("lua/types.lua");

/// The additional names of tests of rules, in the same form.
pub const TEST_TYPES: &str = include_str!("lua/test_types.lua");

/// The names of Lua 5.4 that rules have; language servers know them.
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

/// The configuration of the Lua language server for a folder of rules: the Lua version, the standard libraries that are
/// missing, and the folder of our declarations.
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

/// Return every name that rules can use, as `path.name`.
pub fn names() -> impl Iterator<Item = String> {
    OF_LUA.split_ascii_whitespace().map(str::to_owned).chain(TYPES.lines().filter_map(declared))
}

/// Return the name that a line of [`TYPES`] declares for rules.
fn declared(line: &str) -> Option<String> {
    let name = match line.strip_prefix("function ") {
        Some(rest) => rest.split_once('(')?.0,
        None => line.split_once(" = ")?.0,
    };
    let is_name = name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_.".contains(letter));
    // Methods of objects, written with a colon, are not global names.
    is_name.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::rc::Rc;

    use super::*;
    use crate::rules::limits::EngineOptions;
    use crate::rules::script_function::ScriptFunction;
    use crate::rules::source::Sources;
    use crate::rules::vm::Vm;
    use crate::rules::{date, join, options};
    use pyyaml::Value;

    /// Return the fields of a declared class, in their order.
    fn fields(class: &str) -> Vec<&'static str> {
        let body = TYPES.split_once(&format!("---@class {class}\n")).unwrap().1;
        let lines = body.lines().take_while(|line| line.starts_with("---"));
        lines.filter_map(|line| line.strip_prefix("---@field ")?.split(' ').next()).collect()
    }

    #[test]
    fn the_declared_options_are_those_that_are_taken() {
        assert_eq!(fields("LaunchOptions"), options::KNOWN);
        assert_eq!(fields("JoinOptions"), join::KNOWN);
        assert_eq!(fields("JoinMessages"), join::OF_WORKER);
    }

    #[test]
    fn the_declared_units_are_those_that_dates_shift_by() {
        let units =
            TYPES.lines().find_map(|line| line.strip_prefix("---@param by {")?.strip_suffix('}')).unwrap();
        let units: Vec<&str> =
            units.split(", ").map(|unit| unit.split_once(": integer?").unwrap().0).collect();
        assert_eq!(units, date::UNITS);
    }

    #[test]
    fn the_declared_names_of_tests_are_those_that_tests_have() {
        let text = include_str!("lua/test.lua");
        // Each word of the script is offered as a function, so whichever one it takes from the caller exists.
        let words: BTreeSet<&str> =
            text.split(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_').collect();
        let function = |name| -> (&'static str, ScriptFunction) { (name, Box::new(|_| Ok(Value::Null))) };
        let vm = Vm::empty(&EngineOptions::default(), &Rc::new(Sources::new(Path::new("x.lua")))).unwrap();
        let _: mlua::MultiValue =
            vm.run_definitions(text, words.into_iter().map(function).collect()).unwrap();
        let of_rules: BTreeSet<String> = names().collect();
        let there: BTreeSet<String> =
            vm.globals().into_iter().filter(|name| !of_rules.contains(name)).collect();
        let declared: BTreeSet<String> = TEST_TYPES.lines().filter_map(declared).collect();
        assert_eq!(declared, there);
        let methods = |before| -> BTreeSet<&str> {
            let lines = text.lines().chain(TEST_TYPES.lines());
            lines.filter_map(|line| line.strip_prefix(before)?.split('(').next()).collect()
        };
        assert_eq!(methods("function DayClass:"), methods("function Day:"));
    }

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
