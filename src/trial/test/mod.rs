//! Runs the user's tests of rules: Lua files beside the rules. Each test has its own state; the tests of a file share
//! its Lua variables.

mod arguments;
mod coverage;
mod day;
mod diff;
mod functions;
mod line;
mod scene;
mod world;

use std::cell::RefCell;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

pub use self::coverage::{Coverage, FileCoverage, Range};
use self::scene::Sent;
use self::world::TestWorld;
use crate::config::Config;
use crate::rules::{CallLimits, Engine, EngineOptions, RulesLoadError, Script};

/// The folder of the tests beside the rules file.
pub const FOLDER: &str = "tests";

/// Return the limits of one test, and of loading one file.
fn limits() -> CallLimits {
    CallLimits { time: Duration::from_secs(60), instructions: 500_000_000, ..CallLimits::default() }
}

/// A test and its result.
#[derive(Debug, Clone, Serialize)]
pub struct Tested {
    /// Its file.
    pub file: PathBuf,
    /// The names of its groups, from the outside in, and its own.
    pub name: Vec<String>,
    /// The reason why it failed.
    pub error: Option<String>,
    /// The line in its file where it failed; `None` if it passed, or failed in a module.
    pub line: Option<usize>,
}

/// The results of all tests.
#[derive(Debug, Serialize)]
pub struct TestReport {
    /// The tests, in the order in which they ran.
    pub tests: Vec<Tested>,
    /// The coverage, if it was requested.
    pub coverage: Option<Coverage>,
}

impl TestReport {
    /// Return the selected tests for people, file by file.
    #[must_use]
    pub fn text(&self, is_selected: impl Fn(&Tested) -> bool) -> String {
        let mut text = String::new();
        let mut before: Option<&Path> = None;
        for test in self.tests.iter().filter(|test| is_selected(test)) {
            if before != Some(&test.file) {
                // Writing to a String cannot fail, here and below.
                let _ = writeln!(text, "{}", test.file.display());
            }
            before = Some(&test.file);
            let outcome = if test.error.is_some() { "FAILED" } else { "ok" };
            let _ = writeln!(text, "  {outcome:6}  {}", test.name.join(" > "));
            for line in test.error.iter().flat_map(|error| error.lines()) {
                let _ = writeln!(text, "          {line}");
            }
        }
        text
    }

    /// Return the failed tests and the summary for people.
    #[must_use]
    pub fn text_of_failures(&self) -> String {
        format!("{}{}", self.text(|test| test.error.is_some()), self.summary())
    }

    /// Return the numbers of tests, such as `12 passed, 1 failed`.
    #[must_use]
    pub fn summary(&self) -> String {
        format!("{} passed, {} failed", self.passed(), self.failed())
    }

    /// Return the number of tests that passed.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.tests.len() - self.failed()
    }

    /// Return the number of tests that failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.tests.iter().filter(|test| test.error.is_some()).count()
    }
}

/// The reason why the tests cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    /// The folder or a file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// A file of tests cannot be loaded.
    #[error(transparent)]
    File(#[from] RulesLoadError),
}

/// Return the test files of rules: all `.lua` files in the folder beside them, sorted by name.
///
/// # Errors
/// When the folder exists and cannot be read.
pub fn files(rules: &Path) -> Result<Vec<PathBuf>, TestError> {
    let folder = rules.parent().unwrap_or(Path::new("")).join(FOLDER);
    let unreadable = |error| TestError::Unreadable { path: folder.clone(), error };
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(unreadable)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|end| end == "lua") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Return an example of a test, for the first worker whose message reaches a rule.
#[must_use]
pub fn example(config: &Config) -> String {
    let types = config.registry.workers.iter().flat_map(|(worker, registered)| {
        registered.messages.keys().map(move |r#type| (worker.as_str(), r#type.as_str()))
    });
    let mut types = types.filter(|(_, r#type)| coverage::reaches_rule(r#type));
    let (worker, r#type) = types.next().unwrap_or(("sleep", "success"));
    format!(
        "describe(\"after {worker}\", function()
  it(\"launches what is next\", function()
    at(\"2026-03-14 05:15\")
    message(\"{worker}\", \"{type}\")
    expect_launches{{ \"make_plots nowcast\" }}
  end)
end)
"
    )
}

/// Run the tests of these files whose names contain `filter`. `place` is the rules file that the configuration names.
/// With an engine that records lines, the report has the coverage.
///
/// # Errors
/// When a file cannot be loaded.
pub fn run(
    config: &Arc<Config>,
    engine: Engine,
    place: &Path,
    files: &[PathBuf],
    filter: Option<&str>,
) -> Result<TestReport, TestError> {
    // Expectations recur each day, so a test with them would never end.
    let config = &Arc::new(Config { expect: Vec::new(), ..(**config).clone() });
    let engine = Rc::new(engine);
    let sent = Sent::default();
    let mut tests = Vec::new();
    for file in files {
        run_file(config, &engine, place, file, filter, &sent, &mut tests)?;
    }
    let coverage = coverage::of(&engine, config, &sent.borrow());
    Ok(TestReport { tests, coverage })
}

fn run_file(
    config: &Arc<Config>,
    engine: &Rc<Engine>,
    place: &Path,
    file: &Path,
    filter: Option<&str>,
    sent: &Sent,
    tests: &mut Vec<Tested>,
) -> Result<(), TestError> {
    let options = EngineOptions {
        limits: limits(),
        package: config.registry.workers_package.clone(),
        ..EngineOptions::default()
    };
    let load = || {
        let world = Rc::new(RefCell::new(TestWorld::new(config, engine, sent)));
        Script::load(file, place, &options, functions::functions(&world))
    };
    let mut script = load()?;
    for number in 0..script.tests().len() {
        let name = script.tests()[number].name.clone();
        if filter.is_some_and(|filter| !name.join(" ").contains(filter)) {
            continue;
        }
        let error = script.run(number).err();
        if error.as_ref().is_some_and(|error| error.is_broken) {
            script = load()?;
        }
        let line = error.as_ref().and_then(|error| error.line);
        tests.push(Tested { file: file.to_owned(), name, error: error.map(|error| error.text), line });
    }
    Ok(())
}
