//! Hands a text to the Lua compiler, which runs no hook: in pieces, each of which counts and looks at the clock.
//!
//! The compiler takes a time that grows with the square of the length of a chain of `or`, `and` or `elseif`, of the jumps to
//! a label, and of the constants that share a hash. It must never get a whole text at once.

use std::cell::Cell;
use std::rc::Rc;

use mlua::{Function, Lua, LuaString, Value as LuaValue};

use super::budget::Budget;

/// Bytes of a piece: some dozens of words.
const PIECE: usize = 256;

/// Instructions that take about as long as compiling a byte. Lists and functions take 2 to 8 (measured).
const STEPS_PER_BYTE: u64 = 2;

/// The end of the first line of a traceback if a file was being compiled.
pub(super) const COMPILING: &str = ": in this file, which was being compiled";

/// Create the function from which Lua's `load` reads a text. `file` is the name of the file in Lua's messages, if the text is one.
pub(super) fn reader(
    lua: &Lua,
    budget: &Rc<Budget>,
    (text, file): (LuaString, Option<String>),
) -> mlua::Result<Function> {
    let (budget, at, line) = (Rc::clone(budget), Cell::new(0), Cell::new(1));
    lua.create_function(move |lua, ()| {
        let bytes = text.as_bytes();
        let rest = &bytes[at.get()..];
        let piece = &rest[..rest.len().min(PIECE)];
        if piece.is_empty() {
            return Ok(LuaValue::Nil);
        }
        if let Err(error) = budget.charge(lua, STEPS_PER_BYTE * piece.len() as u64) {
            if let Some(file) = &file {
                budget.set_place(&format!("{file}:{}{COMPILING}", line.get()));
            }
            return Err(error);
        }
        at.set(at.get() + piece.len());
        line.set(line.get() + memchr::memchr_iter(b'\n', piece).count());
        lua.create_string(piece).map(LuaValue::String)
    })
}
