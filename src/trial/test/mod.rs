//! Runs the user's tests of rules: Lua files beside the rules. Each test has a state of its own; the tests of a file share
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

/// What one test, and the reading of one file, may take.
fn limits() -> CallLimits {
    CallLimits { time: Duration::from_secs(60), instructions: 500_000_000, ..CallLimits::default() }
}

/// One test and how it went.
#[derive(Debug, Clone, Serialize)]
pub struct Tested {
    /// Its file.
    pub file: PathBuf,
    /// What it is about, from the outside in.
    pub name: Vec<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// The line of its file where it failed; `None` if it passed, or failed in a module.
    pub line: Option<usize>,
}

/// How all tests went.
#[derive(Debug, Serialize)]
pub struct TestReport {
    /// In the order in which they ran.
    pub tests: Vec<Tested>,
    /// What no test exercised, where that was asked for.
    pub coverage: Option<Coverage>,
}

impl TestReport {
    /// The tests for people, file by file, of those that are `wanted`.
    #[must_use]
    pub fn text(&self, wanted: impl Fn(&Tested) -> bool) -> String {
        let mut text = String::new();
        let mut before: Option<&Path> = None;
        for test in self.tests.iter().filter(|test| wanted(test)) {
            if before != Some(&test.file) {
                // Writing to a String cannot fail; so it is below.
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

    /// Those that failed, and how many there are of both kinds.
    #[must_use]
    pub fn text_of_failures(&self) -> String {
        format!("{}{}", self.text(|test| test.error.is_some()), self.summary())
    }

    /// `12 passed, 1 failed`
    #[must_use]
    pub fn summary(&self) -> String {
        format!("{} passed, {} failed", self.passed(), self.failed())
    }

    /// How many passed.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.tests.len() - self.failed()
    }

    /// How many failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.tests.iter().filter(|test| test.error.is_some()).count()
    }
}

/// Why the tests cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    /// The folder or a file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file of tests cannot be used.
    #[error(transparent)]
    File(#[from] RulesLoadError),
}

/// The test files of rules: all `.lua` files of the folder beside them, by name.
///
/// # Errors
/// The folder is there and cannot be read.
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

/// What a first test looks like, for the first worker whose message reaches a rule.
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

/// Runs the tests of these files whose names contain `filter`. `place` is the rules file that the configuration names.
/// With an engine that notes its lines, the report has the coverage.
///
/// # Errors
/// A file cannot be used.
pub fn run(
    config: &Arc<Config>,
    engine: Engine,
    place: &Path,
    files: &[PathBuf],
    filter: Option<&str>,
) -> Result<TestReport, TestError> {
    // What is expected of a day comes round each day: a test would have no end.
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
