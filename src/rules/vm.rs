//! One Lua virtual machine with the rules loaded: the sandbox, and a call into it.

use std::cell::Cell;
use std::rc::Rc;

use mlua::thread::ThreadStatus;
use mlua::{
    FromLuaMulti, Function, IntoLuaMulti, Lua, LuaOptions, LuaString, MultiValue, StdLib, Table, Thread,
    Value as LuaValue,
};

use super::api;
use super::budget::{self, Limit, Limited, Lines};
use super::call_state::CallState;
use super::compile::COMPILING;
use super::error::{self, RulesLoadError};
use super::explain::MissedKey;
use super::limits::EngineOptions;
use super::script_function::{self, ScriptFunction};
use super::source::Sources;
use super::view;
use super::viewed_values::ViewPlace;
use nowcast_core::{LogLine, RuleInput};
use pyyaml::Value;

/// The engine's own Lua, in the order that it is run.
const BASE: &str = include_str!("lua/base.lua");
const SHOW: &str = include_str!("lua/show.lua");
const CALL: &str = include_str!("lua/call.lua");
const TABLE: &str = include_str!("lua/table.lua");
const STRING: &str = include_str!("lua/string.lua");
const UTF8: &str = include_str!("lua/utf8.lua");
const API: &str = include_str!("lua/api.lua");
const ENVIRONMENT: &str = include_str!("lua/environment.lua");

/// The fewest bytes of garbage that are worth collecting. If more is in use, as much garbage as that is.
const GARBAGE: usize = 1 << 20;

/// A virtual machine that holds the rules.
pub(super) struct Vm {
    lua: Lua,
    host: Rc<CallState>,
    /// The engine's functions that Lua shares with Rust.
    shared: Table,
    /// The globals of the rules, which are read-only once the rules are loaded.
    environment: Table,
    /// Runs the rules' files and then a function of theirs.
    call_rule: Function,
    /// The bytes that the machine may use before its garbage is collected, between two calls.
    collects_at: Cell<usize>,
    /// The coroutine of the last call, if it ended well: cheaper than a new one.
    thread: Cell<Option<Thread>>,
}

/// An `after_…` function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFunction {
    /// `after_` and a worker's name.
    pub name: String,
    /// The name of its file in Lua's messages: the path inside the folder of the rules.
    pub chunk: String,
    /// The line where it starts.
    pub line: usize,
}

/// How a call went wrong.
pub(super) struct LuaCallError {
    pub(super) text: String,
    pub(super) traceback: String,
    /// The limit that it went past; the virtual machine is not to be used again.
    pub(super) limit: Option<Limit>,
}

impl Vm {
    /// Create a virtual machine and run the rules once.
    pub(super) fn load(options: &EngineOptions, sources: &Rc<Sources>) -> Result<Self, RulesLoadError> {
        let main = sources.main().to_owned();
        let text = sources.text(&main)?;
        let unable = |error: mlua::Error| {
            let reason = format!("the rules engine cannot start: {}", error::text(&error));
            RulesLoadError::new(main.clone(), None, reason)
        };
        let vm = Self::empty(options, sources).map_err(unable)?;
        vm.host.start(None, None);
        let chunk = compile(&vm.shared, &vm.environment, &text, &sources.chunk_name(&main));
        match chunk.and_then(|chunk| vm.run_files(chunk)).map_err(|error| vm.error(&error)) {
            Ok(_) => {
                // Weak tables would show when garbage is collected, so none is while a rule runs.
                vm.lua.gc_stop();
                Ok(vm)
            }
            Err(error) => Err(load_error(sources, &error)),
        }
    }

    /// Run the rules' files for the first time.
    fn run_files(&self, main: Function) -> mlua::Result<MultiValue> {
        self.shared.raw_set("main", main)?;
        self.run(self.shared.raw_get::<Function>("load_rules")?)
    }

    /// Create a virtual machine with the sandbox, but without rules.
    pub(super) fn empty(options: &EngineOptions, sources: &Rc<Sources>) -> mlua::Result<Self> {
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH | StdLib::UTF8 | StdLib::COROUTINE;
        // The default keeps Lua's own `pcall`, which a coroutine can yield across.
        let lua = Lua::new_with(libraries, LuaOptions::default())?;
        lua.set_memory_limit(options.limits.memory)?;
        let host = Rc::new(CallState::new(options.clone(), Rc::clone(sources)));
        host.start(None, None);
        budget::install(&lua, &host.budget)?;
        super::date::install(&lua)?;

        let raw = lua.create_table()?;
        for pair in lua.globals().pairs::<LuaValue, LuaValue>() {
            let (name, value) = pair?;
            raw.raw_set(name, value)?;
        }
        let shared = api::table(&lua, &host)?;
        if let Some(metatable) = lua.type_metatable::<LuaString>() {
            shared.raw_set("string_metatable", metatable)?;
        }
        let own = |text: &str| {
            let chunk = lua.load(text).set_name(format!("={}", error::OWN_CHUNK));
            chunk.set_environment(lua.create_table()?).into_function()
        };
        let base: Table = own(BASE)?.call((&shared, &raw))?;
        shared.raw_set("tostring", base.raw_get::<Function>("tostring")?)?;
        shared.raw_set("raw", &raw)?;
        shared.raw_set("base", &base)?;
        own(SHOW)?.call::<()>((&shared, &raw, &base))?;
        own(CALL)?.call::<()>((&shared, &raw, &base))?;
        let libraries = lua.create_table()?;
        libraries.raw_set("table", own(TABLE)?.call::<Table>((&shared, &raw))?)?;
        libraries.raw_set("string", own(STRING)?.call::<Table>((&shared, &raw))?)?;
        libraries.raw_set("utf8", own(UTF8)?.call::<Table>((&shared, &raw))?)?;
        libraries.raw_set("os", api::os(&lua, &host)?)?;
        let functions: Table = own(API)?.call((&shared, &raw, &base))?;
        let environment: Table = own(ENVIRONMENT)?.call((&shared, &raw, base, libraries, functions))?;
        shared.raw_set("read_module", read_module(&lua, &environment, &shared, sources)?)?;
        shared.raw_set("with_its_environment", with_its_environment(&lua, &environment, sources)?)?;
        // No rule reaches this table, but what is not there cannot be reached at all.
        lua.globals().clear()?;
        let call_rule = shared.raw_get("call_rule")?;
        Ok(Self {
            lua,
            host,
            shared,
            environment,
            call_rule,
            collects_at: Cell::new(GARBAGE),
            thread: Cell::new(None),
        })
    }

    /// Run a part of the engine's own Lua that defines functions for scripts. Return its result.
    pub(super) fn run_definitions<T: FromLuaMulti>(
        &self,
        text: &str,
        functions: Vec<(&'static str, ScriptFunction)>,
    ) -> mlua::Result<T> {
        let table = self.lua.create_table()?;
        for (name, call) in functions {
            table
                .raw_set(name, script_function::function(&self.lua, Rc::clone(&self.host.snapshot), call)?)?;
        }
        let chunk = self.lua.load(text).set_name(format!("={}", error::OWN_CHUNK));
        let chunk = chunk.set_environment(self.lua.create_table()?).into_function()?;
        let (raw, base): (Table, Table) = (self.shared.raw_get("raw")?, self.shared.raw_get("base")?);
        chunk.call((&self.shared, raw, base, table, self.shared.raw_get::<Table>("globals")?))
    }

    /// Run a script in the same way as rules are run when they are loaded.
    pub(super) fn run_script(&self, sources: &Sources) -> Result<(), RulesLoadError> {
        let text = sources.text(sources.main())?;
        self.host.start(None, None);
        let chunk = compile(&self.shared, &self.environment, &text, &sources.chunk_name(sources.main()));
        let ran = chunk.and_then(|chunk| self.run(chunk));
        // What a test sets must not reach another test.
        let ran = ran.and_then(|_| self.shared.raw_get::<Function>("seal")?.call::<()>(()));
        ran.map_err(|error| load_error(sources, &self.error(&error)))
    }

    /// Call a function with a full budget.
    pub(super) fn call_script(&self, function: &Function, argument: usize) -> Result<(), LuaCallError> {
        self.host.start(None, None);
        self.run((function, argument)).map(|_| ()).map_err(|error| self.error(&error))
    }

    /// Return the `after_…` functions, by file and line.
    pub(super) fn functions(&self) -> Vec<RuleFunction> {
        let mut functions: Vec<RuleFunction> = self
            .defined()
            .into_iter()
            .filter_map(|(name, value)| {
                let (LuaValue::String(name), LuaValue::Function(function)) = (name, value) else {
                    return None;
                };
                let name = name.to_str().ok().filter(|name| name.starts_with("after_"))?.to_owned();
                let info = function.info();
                let chunk = info.short_src.unwrap_or_default();
                Some(RuleFunction { name, chunk, line: info.line_defined.unwrap_or_default() })
            })
            .collect();
        functions.sort_by(|a, b| (&a.chunk, a.line, &a.name).cmp(&(&b.chunk, b.line, &b.name)));
        functions
    }

    /// Return the globals that the rules set when their files last ran.
    fn defined(&self) -> Vec<(LuaValue, LuaValue)> {
        let globals = self.shared.raw_get::<Table>("globals");
        // As values: the iterator ends at the first entry that is of another type.
        globals.map(|globals| globals.pairs().flatten().collect()).unwrap_or_default()
    }

    /// Return the names of the globals that the rules set, sorted.
    pub(super) fn globals(&self) -> Vec<String> {
        let names = self.defined().into_iter();
        let mut names: Vec<String> =
            names.filter_map(|(name, _)| Some(name.as_string()?.to_string_lossy())).collect();
        names.sort_unstable();
        names
    }

    /// Call a function of the rules, which must exist, and read its results while the views are still valid.
    pub(super) fn call<T>(
        &self,
        function: &str,
        input: &RuleInput<'_>,
        read: impl FnOnce(&CallState, MultiValue) -> T,
    ) -> Result<T, LuaCallError> {
        let RuleInput { message, config, checklist, cycles, now } = *input;
        self.host.start(Some(now.clone()), Some(message.clone()));
        self.host.set_cycles(cycles.cloned());
        self.collect().map_err(|error| self.error(&error))?;
        let cycle = message.cycle.as_ref().map(|cycle| ("cycle", Value::from(cycle.as_str())));
        let message: Value = [
            ("source", Value::from(message.source.as_str())),
            ("type", Value::from(message.r#type.as_str())),
            ("payload", message.payload.clone()),
        ]
        .into_iter()
        .chain(cycle)
        .collect();
        self.run_rule(function, [&message, config, checklist], read).map_err(|error| self.error(&error))
    }

    fn run_rule<T>(
        &self,
        function: &str,
        arguments: [&Value; 3],
        read: impl FnOnce(&CallState, MultiValue) -> T,
    ) -> mlua::Result<T> {
        let [message, config, checklist] = arguments;
        let snapshot = &self.host.snapshot;
        let message = view::root(&self.lua, snapshot, message, ViewPlace::Message)?;
        let config = view::root(&self.lua, snapshot, config, ViewPlace::Elsewhere)?;
        let checklist = view::root(&self.lua, snapshot, checklist, snapshot.checklist())?;
        let result = self.run((&self.call_rule, function, &message, &config, &checklist));
        let result = result.map(|returned| read(&self.host, returned));
        self.host.end();
        result
    }

    /// Collect garbage if there is enough of it.
    fn collect(&self) -> mlua::Result<()> {
        let used = || self.lua.used_memory() + self.host.budget.outside().get();
        if used() >= self.collects_at.get() {
            self.lua.gc_collect()?;
            self.collects_at.set(used() + GARBAGE.max(used()));
        }
        Ok(())
    }

    /// Run a function in a coroutine, which the budget's hook can leave by a yield.
    fn run(&self, function_and_arguments: impl IntoLuaMulti) -> mlua::Result<MultiValue> {
        let run: Function = self.shared.raw_get("run")?;
        let thread = match self.thread.take() {
            Some(thread) => {
                thread.reset(run)?;
                thread
            }
            None => self.lua.create_thread(run)?,
        };
        let returned = thread.resume(function_and_arguments);
        self.host.budget.check()?;
        if thread.status() == ThreadStatus::Finished {
            self.thread.set(Some(thread));
        }
        returned
    }

    /// Take what the call read.
    pub(super) fn take_keys_read(&self) -> Vec<String> {
        self.host.take_keys_read()
    }

    /// Take whether the call asked for messages while the notes were not known.
    pub(super) fn take_lacks_notes(&self) -> bool {
        self.host.take_lacks_notes()
    }

    /// Take whether the call looked for the cycle of a message that has none.
    pub(super) fn take_missing_cycle(&self) -> bool {
        self.host.snapshot.take_missing_cycle()
    }

    /// Take the call's last lookup that found nothing, or null.
    pub(super) fn take_missed(&self) -> Option<MissedKey> {
        self.host.snapshot.take_missed()
    }

    /// Take the lines that ran.
    pub(super) fn take_lines(&self) -> Lines {
        self.host.budget.take_lines()
    }

    /// Take the lines that the call logged.
    pub(super) fn take_log(&self) -> Vec<LogLine> {
        self.host.take_log()
    }

    /// Describe a limit for the person who reads why the rule failed.
    pub(super) fn describe(&self, limit: Limit, of: Limited) -> String {
        self.host.budget.describe(limit, of)
    }

    fn error(&self, error: &mlua::Error) -> LuaCallError {
        let budget = &self.host.budget;
        let limit = budget.passed().or_else(|| error::is_out_of_memory(error).then_some(Limit::Memory));
        let (text, mut traceback) = error::parts(error);
        if limit.is_some() {
            let of_the_limit = error::traceback_of_the_rules(&budget.traceback());
            if !of_the_limit.is_empty() {
                traceback = of_the_limit;
            }
        }
        LuaCallError { text, traceback, limit }
    }
}

/// `read_module(name)`: a module of the rules' folder, compiled.
fn read_module(
    lua: &Lua,
    environment: &Table,
    shared: &Table,
    sources: &Rc<Sources>,
) -> mlua::Result<Function> {
    let (environment, shared, sources) = (environment.clone(), shared.clone(), Rc::clone(sources));
    lua.create_function(move |lua, name: String| {
        if shared.raw_get::<Option<bool>>("frozen")? == Some(true) {
            return Err(error::fail(
                lua,
                format!("require: {name:?} was not loaded with the rules; require it at the top of the file"),
            ));
        }
        let path = sources.module(&name).map_err(|text| error::fail(lua, text))?;
        let text = sources.text(&path).map_err(|error| error::fail(lua, format!("require: {error}")))?;
        // A syntax error names its own file and line, which say more than the line of the `require`.
        compile(&shared, &environment, &text, &sources.chunk_name(&path))
            .map_err(|error| mlua::Error::runtime(error::text(&error)))
    })
}

/// Compile a file of the rules within the limits.
fn compile(shared: &Table, environment: &Table, text: &str, name: &str) -> mlua::Result<Function> {
    let compile: Function = shared.raw_get("compile")?;
    let (chunk, error): (Option<Function>, Option<String>) =
        compile.call((text, format!("={name}"), environment, name))?;
    chunk.ok_or_else(|| mlua::Error::runtime(error.unwrap_or_default()))
}

/// `with_its_environment(chunk)`: a compiled file as it was before a rule assigned to `_ENV`, which would go on to the
/// next message.
fn with_its_environment(lua: &Lua, environment: &Table, sources: &Rc<Sources>) -> mlua::Result<Function> {
    let (environment, sources) = (environment.clone(), Rc::clone(sources));
    lua.create_function(move |_, chunk: Function| {
        // No rule assigns to what its file does not name.
        if sources.names_environment() {
            chunk.set_environment(environment.clone())?;
        }
        Ok(chunk)
    })
}

/// Create the error for a failure to load the rules, with the file and line at its start split off.
fn load_error(sources: &Sources, error: &LuaCallError) -> RulesLoadError {
    let first_line = error.traceback.lines().next().unwrap_or_default();
    let place = error::place(if error.limit.is_some() { first_line } else { &error.text });
    let (file, line) = match place.and_then(|(chunk, line, _)| Some((sources.file_of(chunk)?, line))) {
        Some((file, line)) => (file, Some(line)),
        None => (sources.main().to_owned(), None),
    };
    let reason = match (error.limit, place) {
        (Some(_), _) if first_line.ends_with(COMPILING) => format!(
            "compiling the rules {}; the time for a chain of 'or', 'and' or 'elseif' grows with the square of its length: \
             write a table instead",
            limit_text(&error.text)
        ),
        (Some(_), _) => format!(
            "loading the rules {}; the files run before each message, so leave long work to the functions",
            limit_text(&error.text)
        ),
        (None, Some((_, _, reason))) if line.is_some() => reason.to_owned(),
        _ => error.text.clone(),
    };
    let shown = place.and_then(|(chunk, line, _)| sources.line(chunk, line));
    RulesLoadError { file, line, reason, shown }
}

/// Return the budget's message without the place before it.
fn limit_text(text: &str) -> &str {
    error::place(text).map_or(text, |(_, _, rest)| rest)
}
