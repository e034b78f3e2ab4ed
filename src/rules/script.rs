//! [`Script`]: a user's Lua file that tests rules.
//!
//! It runs in the rules' sandbox with additional functions of its caller. It must never reach anything else.

use std::path::Path;
use std::rc::Rc;

use mlua::{Function, Table};

use super::budget::Limited;
use super::error::{self, RulesLoadError};
use super::limits::EngineOptions;
use super::script_function::ScriptFunction;
use super::source::Sources;
use super::vm::{LuaCallError, Vm};

/// The Lua code that defines `describe`, `it` and the other functions of tests.
const TEST: &str = include_str!("lua/test.lua");

/// A test in a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptTest {
    /// The names of its groups, from the outside in, and its own.
    pub name: Vec<String>,
}

/// The reason why a test failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestFailure {
    /// The reason, with the place first and the line of the test below.
    pub text: String,
    /// The line in the script's own file; `None` if the test failed in a module.
    pub line: Option<usize>,
    /// Whether the test exceeded a limit, so that the script has to be loaded again.
    pub is_broken: bool,
}

/// A script that was loaded, and its tests.
pub struct Script {
    vm: Vm,
    sources: Rc<Sources>,
    run: Function,
    tests: Vec<ScriptTest>,
}

impl Script {
    /// Run a file that defines tests. Modules are looked for in its own folder first, then beside `rules`, the rules
    /// file.
    ///
    /// # Errors
    /// The file cannot be read, has a syntax error, or fails while it is run.
    pub fn load(
        file: &Path,
        rules: &Path,
        options: &EngineOptions,
        functions: Vec<(&'static str, ScriptFunction)>,
    ) -> Result<Self, RulesLoadError> {
        let sources = Rc::new(Sources::edited(file, rules));
        let unable = |error: mlua::Error| {
            RulesLoadError::new(
                file.to_owned(),
                None,
                format!("the tests cannot start: {}", error::text(&error)),
            )
        };
        let vm = Vm::empty(options, &sources).map_err(unable)?;
        let (list, run): (Table, Function) = vm.run_definitions(TEST, functions).map_err(unable)?;
        vm.run_script(&sources)?;
        let names = |test: Table| {
            let name = test.sequence_values::<String>().filter_map(Result::ok).collect();
            ScriptTest { name }
        };
        let tests = list.sequence_values::<Table>().filter_map(Result::ok).map(names).collect();
        Ok(Self { vm, sources, run, tests })
    }

    /// Return the tests, in the order of the file.
    #[must_use]
    pub fn tests(&self) -> &[ScriptTest] {
        &self.tests
    }

    /// Run a test by its index in the list.
    ///
    /// # Errors
    /// The reason why it failed.
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

    fn failure(&self, error: &LuaCallError) -> TestFailure {
        let is_broken = error.limit.is_some();
        let text = match error.limit {
            Some(limit) => format!("the test {}", self.vm.describe(limit, Limited::Test)),
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
