//! From the `logging:` section to a configuration that can be put in force.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::Level;
use super::console::{self, Stream};
use super::error::{SetupError, Warning};
use super::file::{Behaviour, LogFile};
use super::format::{Format, Style};
use super::handler::Handler;
use super::output::say;
use super::plan::{self, FilePlan, HandlerPlan, LoggerPlan, Plan, Target};
use super::section::Section;
use super::tree::{Node, Tree};
use crate::yaml::Value;

/// Who logs; it changes what some handlers mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Message broker, manager and the like: rotating files are only watched, because a worker rotates them.
    Daemon,
    /// A worker.
    Worker {
        /// With `--debug` the root's handler `console` shows everything from DEBUG and the root's other
        /// handlers fall silent.
        debug: bool,
    },
}

/// A checked configuration whose files are open; [`super::install`] puts it in force.
#[derive(Debug)]
pub struct Setup {
    /// Whether the section asks for lines to be published (`publisher:`), which is not done yet.
    pub publishing: bool,
    tree: Tree,
    /// Handlers of mode `w`: their files are emptied when the configuration comes into force.
    to_empty: Vec<Arc<Handler>>,
}

/// The name of the handler that `--debug` is about.
const CONSOLE: &str = "console";

/// How a console shows lines that should have been published; the peer's usual format.
const CONSOLE_FORMAT: &str = "%(asctime)s %(levelname)s [%(name)s] %(message)s";

/// At this level a handler takes no line: that is how the peer's users turn one off.
const SILENT: Level = Level(100);

impl Setup {
    /// Reads the `logging:` section, with environment variables already replaced, and opens its files.
    /// What is in force stays in force.
    ///
    /// # Errors
    /// The first thing that cannot be meant, or a file that cannot be opened.
    pub fn from_value(section: &Value, role: Role) -> Result<(Setup, Vec<Warning>), SetupError> {
        Self::with_rust_log(section, role, std::env::var_os("RUST_LOG").as_deref())
    }

    fn with_rust_log(
        section: &Value,
        role: Role,
        rust_log: Option<&OsStr>,
    ) -> Result<(Setup, Vec<Warning>), SetupError> {
        let mut warnings = Vec::new();
        let section = whole_section(section)?;
        let publishing = ["publisher", "aggregator"].iter().any(|key| section.get(key).is_some());
        let section = if publishing { section.section("publisher")? } else { section };
        let mut plan = plan::read(&section, &mut warnings)?;
        play(&mut plan, role);
        if publishing {
            let text = "log messages are not published yet; they go to the console";
            warnings.push(Warning::new(section.place(), text));
            show_on_console(&mut plan);
        }
        if role == (Role::Worker { debug: true }) && !plan.root.handlers.iter().any(|name| name == CONSOLE) {
            let text = "the root has no handler named console, so --debug has nothing to show lines on";
            warnings.push(Warning::new(section.place_of("root: handlers"), text));
        }
        let narrow = console::narrowing(rust_log).unwrap_or_else(|why| {
            warnings
                .push(Warning::new("environment variable RUST_LOG", format!("RUST_LOG is ignored: {why}")));
            None
        });
        Ok((build(&plan, publishing, narrow.as_deref())?, warnings))
    }

    /// The loggers, with the files of mode `w` emptied.
    pub(super) fn into_tree(self) -> Tree {
        for handler in &self.to_empty {
            if let Err(error) = handler.empty() {
                say(&format!("a log file of mode w keeps its old lines: {error}"));
            }
        }
        self.tree
    }
}

fn whole_section(section: &Value) -> Result<Section<'_>, SetupError> {
    const PLACE: &str = "logging";
    if section.is_null() {
        let remedy = "write version: 1, handlers: and root: below it";
        return Err(SetupError::new(PLACE, "the configuration has no logging section", remedy));
    }
    Section::new(PLACE.to_owned(), section)
}

/// Lines that should have been published must not vanish: unless the root has a handler that shows them,
/// or if its console is turned off, the console shows what the root lets through.
fn show_on_console(plan: &mut Plan) {
    let of_root = |name: &str| plan.root.handlers.iter().any(|handler| handler == name);
    let shows = |handler: &HandlerPlan| {
        handler.level < SILENT && matches!(handler.target, Target::Stream(_) | Target::File(_))
    };
    let console_off = plan
        .handlers
        .values()
        .any(|handler| matches!(handler.target, Target::Stream(_)) && handler.level >= SILENT);
    let root_shows = plan.handlers.iter().any(|(name, handler)| of_root(name) && shows(handler));
    if root_shows && !console_off {
        return;
    }
    let level = plan.root.level;
    let console = plan.handlers.iter_mut().find(|(name, handler)| {
        matches!(handler.target, Target::Stream(_)) && (*name == CONSOLE || handler.level >= SILENT)
    });
    let name = if let Some((name, handler)) = console {
        handler.level = level;
        name.clone()
    } else {
        plan.handlers.insert(CONSOLE.to_owned(), new_console(level));
        CONSOLE.to_owned()
    };
    if !plan.root.handlers.contains(&name) {
        plan.root.handlers.push(name);
    }
}

fn new_console(level: Level) -> HandlerPlan {
    HandlerPlan {
        place: "logging: publisher".to_owned(),
        level,
        format: Arc::new(Format::new(CONSOLE_FORMAT, Style::Percent, None, true).unwrap_or_default()),
        target: Target::Stream(Stream::Stdout),
    }
}

/// What the role changes.
fn play(plan: &mut Plan, role: Role) {
    match role {
        Role::Worker { debug: false } => {}
        Role::Worker { debug: true } => debug(plan),
        Role::Daemon => {
            for handler in plan.handlers.values_mut() {
                if let Target::File(FilePlan { behaviour: behaviour @ Behaviour::Rotate(_), .. }) =
                    &mut handler.target
                {
                    *behaviour = Behaviour::Watch;
                }
            }
        }
    }
}

fn debug(plan: &mut Plan) {
    // The peer silences the others with the console's level, which its users set above DEBUG.
    let console = plan.handlers.get(CONSOLE).map(|console| console.level);
    let silent = console.filter(|level| *level != Level::NOTSET).unwrap_or(SILENT);
    for name in &plan.root.handlers {
        if let Some(handler) = plan.handlers.get_mut(name) {
            handler.level = if name == CONSOLE { Level::DEBUG } else { silent };
        }
    }
}

fn build(plan: &Plan, publishing: bool, narrow: Option<&str>) -> Result<Setup, SetupError> {
    let mut handlers: HashMap<&str, Arc<Handler>> = HashMap::new();
    let mut to_empty = Vec::new();
    for (name, planned) in &plan.handlers {
        let format = Arc::clone(&planned.format);
        let handler = match &planned.target {
            Target::Skipped => continue,
            Target::Nothing => Arc::new(Handler::nothing(planned.level)),
            Target::Stream(stream) => Arc::new(Handler::console(planned.level, *stream, format, narrow)),
            Target::File(file) => Arc::new(Handler::file(planned.level, format, open(&planned.place, file)?)),
        };
        if matches!(&planned.target, Target::File(file) if file.empty) {
            to_empty.push(Arc::clone(&handler));
        }
        handlers.insert(name, handler);
    }
    let node = |logger: &LoggerPlan| Node {
        level: logger.level,
        handlers: logger.handlers.iter().filter_map(|name| handlers.get(name.as_str()).cloned()).collect(),
        propagate: logger.propagate,
    };
    let loggers = plan.loggers.iter().map(|(name, logger)| (name.clone(), node(logger))).collect();
    Ok(Setup { publishing, tree: Tree::new(node(&plan.root), loggers), to_empty })
}

fn open(place: &str, plan: &FilePlan) -> Result<LogFile, SetupError> {
    let mut file = LogFile::new(Path::new(&plan.filename), plan.behaviour);
    if !plan.delay {
        file.open().map_err(|error| cannot_open(place, file.path(), &error))?;
    }
    Ok(file)
}

fn cannot_open(place: &str, path: &Path, error: &io::Error) -> SetupError {
    let folder = path.parent().unwrap_or(path).display();
    let text = path.display().to_string();
    let unset = text.split_once("$(NOWCAST.ENV.").and_then(|(_, rest)| rest.split_once(')'));
    let remedy = match (unset, error.kind()) {
        (Some((variable, _)), _) => format!("set the environment variable {variable}"),
        (None, io::ErrorKind::NotFound) => format!("create the folder {folder}, or name another one"),
        (None, io::ErrorKind::PermissionDenied) => {
            format!("make it writable for this user, or name a file elsewhere than in {folder}")
        }
        (None, io::ErrorKind::IsADirectory) => "name a file in it".to_owned(),
        (None, _) => "name another file".to_owned(),
    };
    SetupError::new(&format!("{place}: filename"), format!("cannot open the log file {text}"), remedy)
        .because(error)
}

#[cfg(test)]
mod tests;
