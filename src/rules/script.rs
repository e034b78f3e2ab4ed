//! [`Script`]: Lua of the user's that is no rule but speaks of rules: their tests.
//!
//! It runs in the rules' sandbox with functions of the caller's beside. It reaches nothing else.

use std::path::Path;
use std::rc::Rc;

use mlua::{Function, Lua, Table, Value as LuaValue, Variadic};

use super::error::{self, LoadError, fail};
use super::join::Join;
use super::kind::kind_name;
use super::launch::Launch;
use super::limits::Options;
use super::moment::Moment;
use super::snapshot::Place;
use super::source::Sources;
use super::view::{self, View};
use super::vm::{CallError, Vm};
use nowcast_core::{JoinRequest, NextWorker};
use pyyaml::{Map, Value};

/// How the tests are told to Lua.
const TEST: &str = include_str!("lua/test.lua");

/// As many entries as a value may have that a table becomes, at all depths.
const MOST_ENTRIES: usize = 1_000_000;

/// As deep as a table may be that becomes a value.
const DEEPEST: usize = 100;

/// What a script hands to a function of the caller's.
#[derive(Debug, Clone)]
pub enum Argument {
    /// A value.
    Value(Value),
    /// A launch.
    Launch(Box<NextWorker>),
    /// A join.
    Join(Box<JoinRequest>),
}

/// A function that a script can call. An error's text is raised where the script called it.
pub type Call = Box<dyn Fn(Vec<Argument>) -> Result<Value, String>>;

/// A test that a script tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What it is about, from the outside in.
    pub name: Vec<String>,
}

/// Why a test failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestFailure {
    /// Why, with the place first and the line of the test beneath.
    pub text: String,
    /// The line in the script's own file; `None` where it failed in a module.
    pub line: Option<usize>,
    /// Whether it went past a limit, so that the script has to be loaded anew.
    pub is_broken: bool,
}

/// A script that was read, and its tests.
pub struct Script {
    vm: Vm,
    sources: Rc<Sources>,
    run: Function,
    tests: Vec<Told>,
}

impl Script {
    /// Runs a file, in which tests are told. `rules` is the rules file, beside whose modules those of the script's own
    /// folder can be required.
    ///
    /// # Errors
    /// The file cannot be read, has a syntax error, or fails while it is run.
    pub fn load(
        file: &Path,
        rules: &Path,
        options: &Options,
        functions: Vec<(&'static str, Call)>,
    ) -> Result<Self, LoadError> {
        let sources = Rc::new(Sources::edited(file, rules));
        let unable = |error: mlua::Error| {
            LoadError::new(file.to_owned(), None, format!("the tests cannot start: {}", error::text(&error)))
        };
        let vm = Vm::empty(options, &sources).map_err(unable)?;
        let (list, run): (Table, Function) = vm.tell(TEST, functions).map_err(unable)?;
        vm.run_script(&sources)?;
        let names = |test: Table| {
            let name = test.sequence_values::<String>().filter_map(Result::ok).collect();
            Told { name }
        };
        let tests = list.sequence_values::<Table>().filter_map(Result::ok).map(names).collect();
        Ok(Self { vm, sources, run, tests })
    }

    /// The tests, in the order in which they were told.
    #[must_use]
    pub fn tests(&self) -> &[Told] {
        &self.tests
    }

    /// Runs a test by its place in the list.
    ///
    /// # Errors
    /// Why it failed.
    pub fn run(&self, test: usize) -> Result<(), TestFailure> {
        let ran = self.vm.call_script(&self.run, test + 1);
        let printed = self.vm.take_log();
        let Err(error) = ran else { return Ok(()) };
        let mut failure = self.failure(&error);
        if !printed.is_empty() {
            failure.text += "\n  the test printed:";
            let lines = printed.iter().flat_map(|line| line.text.lines());
            lines.for_each(|line| failure.text.extend(["\n    ", line]));
        }
        Err(failure)
    }

    fn failure(&self, error: &CallError) -> TestFailure {
        let is_broken = error.limit.is_some();
        let text = match error.limit {
            Some(limit) => format!(
                "the test {}",
                self.vm
                    .describe(limit)
                    .replace("of a rule", "of a test")
                    .replace("of the rules", "of a test")
            ),
            None => error.text.clone(),
        };
        let first = error.traceback.lines().next().and_then(error::place);
        let text = match (error::place(&text), first) {
            (None, Some((chunk, line, _))) => format!("{chunk}:{line}: {text}"),
            _ => text,
        };
        let Some((chunk, line, reason)) = error::place(&text) else {
            return TestFailure { text, line: None, is_broken };
        };
        let shown = self.sources.line(chunk, line).map(|line| format!("\n{line}")).unwrap_or_default();
        let (first, rest) = reason.split_once('\n').unwrap_or((reason, ""));
        let rest = if rest.is_empty() { String::new() } else { format!("\n{rest}") };
        let own = (chunk == self.sources.chunk_name(self.sources.main())).then_some(line);
        TestFailure { text: format!("{chunk}:{line}: {first}{shown}{rest}"), line: own, is_broken }
    }
}

/// A function of the caller's for Lua.
pub(super) fn function(
    lua: &Lua,
    snapshot: Rc<super::snapshot::Snapshot>,
    call: Call,
) -> mlua::Result<Function> {
    lua.create_function(move |lua, arguments: Variadic<LuaValue>| {
        let arguments: Result<Vec<Argument>, String> =
            arguments.iter().map(|value| argument(value, 0)).collect();
        match arguments.and_then(&call) {
            Ok(value) => view::to_lua(lua, &snapshot, &value, Place::Elsewhere),
            Err(text) => Err(fail(lua, text)),
        }
    })
}

fn argument(value: &LuaValue, depth: usize) -> Result<Argument, String> {
    if let LuaValue::UserData(object) = value {
        if let Ok(launch) = object.borrow::<Launch>() {
            return Ok(Argument::Launch(Box::new(launch.0.clone())));
        }
        if let Ok(join) = object.borrow::<Join>() {
            return Ok(Argument::Join(Box::new(join.0.clone())));
        }
    }
    let mut left = MOST_ENTRIES;
    to_value(value, depth, &mut left).map(Argument::Value)
}

/// A Lua value as YAML has it. A table whose keys are 1, 2, 3 … is a list; the keys of any other are sorted, since Lua
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
                return Err(format!("{} is no value of a message or a checklist", kind_name(value)));
            }
        }
        LuaValue::Table(table) => table_value(table, depth, left)?,
        _ => return Err(format!("{} is no value of a message or a checklist", kind_name(value))),
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
