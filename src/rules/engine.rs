//! [`Engine`]: loaded rules, ready to be called.
//!
//! It never reads a file again after it was loaded, and a call leaves nothing behind that another call could see.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

use super::budget::{Limited, Lines};
use super::error::{self, RulesLoadError};
use super::explain;
use super::limits::EngineOptions;
use super::lines;
use super::returned;
use super::source::{RuleText, Sources};
use super::vm::{LuaCallError, RuleFunction, Vm};
use nowcast_core::message::Message;
use nowcast_core::{Level, LogLine, ReturnedLaunches, RuleCallResult, RuleError, RuleFile, RuleInput, Rules};

/// A snapshot of loaded and checked rules. Its files and functions never change; the virtual machine is built again
/// after a call that exceeded a limit. [`Reloader`](super::Reloader) follows changes of the files.
pub struct Engine {
    module: String,
    options: EngineOptions,
    sources: Rc<Sources>,
    functions: Vec<RuleFunction>,
    globals: Vec<String>,
    hash: String,
    log: Vec<LogLine>,
    /// The lines that ran, if they are recorded.
    lines: RefCell<Lines>,
    /// Empty after a call that exceeded a limit: the next call gets a new virtual machine.
    vm: RefCell<Option<Vm>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Engine")
            .field("module", &self.module)
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Compile the rules in `path` in a new virtual machine and run them once, within the limits of a call. `module` is
    /// their name in the configuration.
    ///
    /// # Errors
    /// The file cannot be read, is not text, has a syntax error, or fails while it is run.
    pub fn load(path: &Path, module: &str, options: &EngineOptions) -> Result<Self, RulesLoadError> {
        Self::from_sources(Rc::new(Sources::new(path)), module, options)
    }

    /// Load rules from stored copies of their files, the main file first.
    ///
    /// # Errors
    /// The rules need a file that was not stored with them, or cannot be run any more.
    pub fn of_files(
        files: &[RuleFile],
        module: &str,
        options: &EngineOptions,
    ) -> Result<Self, RulesLoadError> {
        Self::from_sources(Rc::new(Sources::kept(files)), module, options)
    }

    pub(super) fn from_sources(
        sources: Rc<Sources>,
        module: &str,
        options: &EngineOptions,
    ) -> Result<Self, RulesLoadError> {
        let vm = Vm::load(options, &sources)?;
        Ok(Self {
            module: module.to_owned(),
            options: options.clone(),
            functions: vm.functions(),
            globals: vm.globals(),
            hash: sources.hash(),
            log: vm.take_log(),
            lines: RefCell::new(vm.take_lines()),
            sources,
            vm: RefCell::new(Some(vm)),
        })
    }

    /// Return the `after_…` functions, by file and line.
    #[must_use]
    pub fn functions(&self) -> &[RuleFunction] {
        &self.functions
    }

    /// Return the SHA-256 of the rules' files, in hexadecimal.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Return the rules' files, the main one first.
    #[must_use]
    pub fn files(&self) -> Vec<RuleFile> {
        self.sources.files()
    }

    /// Return the texts of the rules' files as they were read, the main one first.
    #[must_use]
    pub fn texts(&self) -> Vec<RuleText> {
        self.sources.texts()
    }

    /// Return the names of the globals that the rules' files set when they ran, sorted.
    #[must_use]
    pub fn globals(&self) -> &[String] {
        &self.globals
    }

    /// Return whether the last call exceeded a limit of time, instructions or memory.
    #[must_use]
    pub fn was_stopped(&self) -> bool {
        self.vm.borrow().is_none()
    }

    /// Return the code lines of each file, and those of them that ran so far; empty unless lines are recorded.
    #[must_use]
    pub fn lines(&self) -> Vec<(String, BTreeSet<usize>, BTreeSet<usize>)> {
        if !self.options.notes_lines {
            return Vec::new();
        }
        let lua = mlua::Lua::new();
        let ran = self.lines.borrow();
        let file = |(chunk, text): (String, String)| {
            let compiled = lua.load(&text).set_mode(mlua::chunk::ChunkMode::Text).into_function().ok()?;
            let code = lines::of_code(&text, &compiled.dump(false))?;
            let ran = ran.get(&chunk).map(|ran| ran & &code).unwrap_or_default();
            Some((chunk, code, ran))
        };
        self.sources.chunks().into_iter().filter_map(file).collect()
    }

    /// Return the path of the rules file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.sources.main()
    }

    /// Return whether both engines have the same rules, module and options.
    pub(super) fn is_same(&self, other: &Engine) -> bool {
        (&self.hash, &self.module, &self.options) == (&other.hash, &other.module, &other.options)
    }

    /// Return the lines that the rules logged while they were loaded.
    #[must_use]
    pub fn log(&self) -> &[LogLine] {
        &self.log
    }

    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }
}

/// Return the warning about a join that was probably meant to be one by cycle: if the message has no cycle, `cycle = msg.cycle` sets
/// nothing.
fn without_cycle(answer: &ReturnedLaunches, misses_cycle: bool) -> Option<LogLine> {
    let join = answer.join.as_ref().filter(|join| misses_cycle && join.scope.is_none())?;
    let text = format!(
        "this message has no cycle, so the join {:?} is one without a cycle; it does not count messages that came before. If that is \
         meant, write cycle = msg.cycle or false",
        join.name.as_ref()?
    );
    Some(LogLine { level: Level::Warning, text })
}

/// Whether the virtual machine may serve the next call.
struct IsClean(bool);

impl Rules for Engine {
    fn call_after(&self, input: &RuleInput<'_>) -> RuleCallResult {
        self.call_function(format!("after_{}", input.message.source), input)
    }
}

impl Engine {
    /// Call an `after_…` function by its name. [`Rules::call_after`] calls it by the message's source.
    pub fn call_function(&self, function: String, input: &RuleInput<'_>) -> RuleCallResult {
        let vm = match self.vm.take().map_or_else(|| Vm::load(&self.options, &self.sources), Ok) {
            Ok(vm) => vm,
            Err(error) => {
                let text = format!("the rules could not be loaded again after a limit was passed: {error}");
                return RuleCallResult::new(Err(RuleError::Failed(text)));
            }
        };
        let (call, IsClean(is_clean)) = self.call_in_vm(&vm, function, input);
        // The missed key refers to the checklist, which could not be changed without a copy while a reference exists.
        drop(vm.take_missed());
        if self.options.notes_lines {
            let mut lines = self.lines.borrow_mut();
            vm.take_lines().into_iter().for_each(|(chunk, ran)| lines.entry(chunk).or_default().extend(ran));
        }
        if is_clean {
            self.vm.replace(Some(vm));
        }
        call
    }

    /// Call a function in a virtual machine, and return whether that may serve the next call.
    fn call_in_vm(&self, vm: &Vm, function: String, input: &RuleInput<'_>) -> (RuleCallResult, IsClean) {
        if !self.functions.iter().any(|known| known.name == function) {
            let result = Err(RuleError::NoFunction { function, module: self.module.clone() });
            return (RuleCallResult::new(result), IsClean(true));
        }
        let location = self.location_of(&function);
        let read = |call: &_, values| returned::read(call, &function, location.as_deref(), values);
        let returned = vm.call(&function, input, read);
        let is_clean = IsClean(!matches!(&returned, Err(error) if error.limit.is_some()));
        let result = match returned {
            Ok(answer) => {
                answer.map_err(|text| self.explained(self.with_location(&function, text), input.message, vm))
            }
            Err(error) => Err(self.describe(&function, input.message, vm, &error)),
        };
        let result = result.map_err(RuleError::Failed);
        let mut log = vm.take_log();
        let misses_cycle = vm.take_missing_cycle();
        log.extend(result.as_ref().ok().and_then(|answer| without_cycle(answer, misses_cycle)));
        let (keys_read, lacks_notes) = (vm.take_keys_read(), vm.take_lacks_notes());
        (RuleCallResult { log, result, location, keys_read, lacks_notes }, is_clean)
    }

    /// Format a rule's error: location, reason, traceback.
    fn describe(&self, function: &str, message: &Message, vm: &Vm, error: &LuaCallError) -> String {
        let mut traceback = error.traceback.clone();
        for known in &self.functions {
            traceback =
                traceback.replace(&format!("<{}:{}>", known.chunk, known.line), &format!("'{}'", known.name));
        }
        let text = match error.limit {
            Some(limit) => format!("{function} {}", vm.describe(limit, Limited::Rule)),
            None => error.text.clone(),
        };
        let has_location =
            error::place(&text).is_some_and(|(chunk, _, _)| self.sources.file_of(chunk).is_some());
        let text = match traceback.lines().next().and_then(error::place) {
            _ if has_location => text,
            Some((chunk, line, _)) => format!("{chunk}:{line}: {text}"),
            // A tail call, such as `return need(…)`, leaves its line out of the traceback.
            None => self.with_location(function, text),
        };
        let text = self.explained(text, message, vm);
        if traceback.is_empty() {
            text
        } else {
            format!("{text}\nstack traceback:\n  {}", traceback.replace('\n', "\n  "))
        }
    }

    /// Append the explanation of an error to its text.
    fn explained(&self, text: String, message: &Message, vm: &Vm) -> String {
        let place = error::place(&text);
        let code = place.and_then(|(chunk, line, _)| Some((self.sources.text_of(chunk)?, line)));
        let code = code.as_ref().map(|(text, line)| (text.as_str(), *line));
        let beneath = explain::beneath(&text, code, vm.take_missed().as_ref(), message);
        text + &beneath
    }

    /// Return the file and line where a function is defined.
    fn location_of(&self, function: &str) -> Option<String> {
        let known = self.functions.iter().find(|known| known.name == function)?;
        Some(format!("{}:{}", known.chunk, known.line))
    }

    /// Put the location of the function's definition before a text.
    fn with_location(&self, function: &str, text: String) -> String {
        match self.location_of(function) {
            Some(location) => format!("{location}: {text}"),
            None => text,
        }
    }
}
