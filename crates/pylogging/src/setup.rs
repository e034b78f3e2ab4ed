//! From the `logging:` section to a configuration that can be put in force. This module never puts it in force.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::console::{self, Stream};
use super::error::{SetupError, Warning};
use super::file::{Behaviour, LogFile};
use super::format::{Format, Style};
use super::handler::Handler;
use super::level::Level;
use super::mail::Mailer;
use super::output::say;
use super::plan::{self, FilePlan, HandlerPlan, LoggerPlan, Plan, Target};
use super::publishing::{OpenPublisher, Opened, Publisher};
use super::section::Section;
use super::tree::{LoggerNode, Tree};
use pyyaml::Value;

/// The kind of the program, which changes the meaning of some handlers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A long-running program: rotating files are watched only, because a worker rotates them.
    Daemon,
    /// The log aggregator: a daemon that uses the part `aggregator` of a distributed configuration.
    Aggregator,
    /// The program that rotates the files of the log aggregator.
    Rotator,
    /// A worker.
    Worker {
        /// Whether the root's handler `console` shows all lines from DEBUG on and its other handlers are silent.
        debug: bool,
    },
}

/// The destination of the lines, for the first line of the program.
#[derive(Debug, PartialEq, Eq)]
enum Destination {
    Local,
    Published(String),
    /// A warning says where.
    Elsewhere,
}

/// A checked configuration with open files; [`super::install`] puts it in force.
#[derive(Debug)]
pub struct Setup {
    destination: Destination,
    pub(super) tree: Tree,
    /// Handlers of mode `w`: their files are truncated when the configuration comes into force.
    to_empty: Vec<Arc<Handler>>,
}

/// The keys of the parts of a distributed configuration.
const PUBLISHER: &str = "publisher";
const AGGREGATOR: &str = "aggregator";

/// The handler that shows all lines when a worker is debugged.
const CONSOLE: &str = "console";

/// The format of console lines that should have been published: the usual one of NEMO_Nowcast.
const CONSOLE_FORMAT: &str = "%(asctime)s %(levelname)s [%(name)s] %(message)s";

/// The level at which a handler accepts no line; users of NEMO_Nowcast turn handlers off with it.
const SILENT: Level = Level(100);

impl Setup {
    /// Read the `logging:` section, in which environment variables are already replaced, and open its files. The
    /// configuration in force does not change. Nothing is published; lines for a publisher go to the console.
    ///
    /// # Errors
    /// The first invalid part, or a file that cannot be opened.
    pub fn from_value(section: &Value, role: Role) -> Result<(Setup, Vec<Warning>), SetupError> {
        Self::with_rust_log(section, role, None, std::env::var_os("RUST_LOG").as_deref())
    }

    /// Read the section like [`Self::from_value`] for a program that publishes its lines: its publisher is opened if
    /// the section has a handler for it.
    ///
    /// # Errors
    /// As for [`Self::from_value`], and those of the publisher.
    pub fn publishing(
        section: &Value,
        role: Role,
        publishing: &dyn OpenPublisher,
    ) -> Result<(Setup, Vec<Warning>), SetupError> {
        Self::with_rust_log(section, role, Some(publishing), std::env::var_os("RUST_LOG").as_deref())
    }

    fn with_rust_log(
        section: &Value,
        role: Role,
        publishing: Option<&dyn OpenPublisher>,
        rust_log: Option<&OsStr>,
    ) -> Result<(Setup, Vec<Warning>), SetupError> {
        let mut warnings = Vec::new();
        let section = whole_section(section)?;
        let is_distributed = [PUBLISHER, AGGREGATOR].iter().any(|key| section.get(key).is_some());
        let part = match role {
            Role::Aggregator | Role::Rotator => Some(AGGREGATOR),
            _ => is_distributed.then_some(PUBLISHER),
        };
        let section = match part {
            None => section,
            Some(part) if section.get(part).is_some() => section.section(part)?,
            Some(part) => return Err(lacks(&section, part)),
        };
        let mut plan = plan::read(&section, &mut warnings)?;
        play(&mut plan, role);
        let (publisher, destination) = publisher(&mut plan, &section, publishing, &mut warnings)?;
        if role == (Role::Worker { debug: true }) && !plan.root.handlers.iter().any(|name| name == CONSOLE) {
            let text = "the root has no handler named console, so --debug has nothing to show lines on";
            warnings.push(Warning::new(section.place_of("root: handlers"), text));
        }
        let narrow = console::narrowing(rust_log).unwrap_or_else(|why| {
            warnings
                .push(Warning::new("environment variable RUST_LOG", format!("RUST_LOG is ignored: {why}")));
            None
        });
        let (tree, to_empty) = build(&plan, publisher.as_ref(), narrow.as_deref())?;
        Ok((Setup { destination, tree, to_empty }, warnings))
    }

    /// Let the program's own publisher have each line of this level or a higher one, whatever the configuration does with it.
    #[must_use]
    pub fn observed_by(mut self, level: Level, observer: Option<Arc<dyn Publisher>>) -> Self {
        self.tree.observer = observer.map(|observer| Handler::publisher(level, observer));
        self
    }

    /// Return the first line of a program, which says where its lines go; `None` if a warning says it. `lines` is the
    /// word for the lines, which differs between NEMO_Nowcast's programs.
    #[must_use]
    pub fn first_line(&self, lines: &str) -> Option<String> {
        match &self.destination {
            Destination::Local => Some(format!("writing {lines} to local file system")),
            Destination::Published(address) => Some(format!("publishing {lines} to {address}")),
            Destination::Elsewhere => None,
        }
    }

    /// Truncate the files of mode `w` and return the loggers.
    pub(super) fn into_tree(self) -> Tree {
        for handler in &self.to_empty {
            if let Err(error) = handler.empty() {
                say(&format!("a log file of mode w keeps its old lines: {error}"));
            }
        }
        self.tree
    }
}

/// Return the part of a distributed configuration that writes files, or the whole section.
pub(super) fn logging_part(section: Section<'_>) -> Result<Section<'_>, SetupError> {
    if section.get(AGGREGATOR).is_some() { section.section(AGGREGATOR) } else { Ok(section) }
}

pub(super) fn whole_section(section: &Value) -> Result<Section<'_>, SetupError> {
    const PLACE: &str = "logging";
    if section.is_null() {
        let remedy = "write version: 1, handlers: and root: below it";
        return Err(SetupError::new(PLACE, "the configuration has no logging section", remedy));
    }
    Section::new(PLACE.to_owned(), section)
}

fn lacks(section: &Section<'_>, part: &str) -> SetupError {
    let what = format!("the section has no {part}");
    let remedy = "write a logging dictionary there, with version: 1, handlers: and root:";
    SetupError::new(&section.place_of(part), what, remedy)
}

/// Open the publisher if a handler needs it. Return it with the destination of the lines.
fn publisher(
    plan: &mut Plan,
    section: &Section<'_>,
    publishing: Option<&dyn OpenPublisher>,
    warnings: &mut Vec<Warning>,
) -> Result<(Option<Arc<dyn Publisher>>, Destination), SetupError> {
    let is_publisher = |handler: &&mut HandlerPlan| handler.target == Target::Publisher;
    if !plan.handlers.values_mut().any(|handler| is_publisher(&handler)) {
        return Ok((None, Destination::Local));
    }
    match publishing.map(|publishing| publishing.open(section.place())).transpose()? {
        Some(Opened::At(publisher, address)) => {
            return Ok((Some(publisher), Destination::Published(address)));
        }
        Some(Opened::Waiting(publisher, warning)) => {
            warnings.push(warning);
            return Ok((Some(publisher), Destination::Elsewhere));
        }
        Some(Opened::Nowhere(warning)) => warnings.push(warning),
        None => {}
    }
    for handler in plan.handlers.values_mut().filter(is_publisher) {
        handler.target = Target::Skipped;
    }
    show_on_console(plan, section.place());
    Ok((None, Destination::Elsewhere))
}

/// Make the console show the lines that should have been published, unless a handler of the root shows them already. A
/// console that is turned off is turned on.
fn show_on_console(plan: &mut Plan, place: &str) {
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
        plan.handlers.insert(CONSOLE.to_owned(), new_console(place, level));
        CONSOLE.to_owned()
    };
    if !plan.root.handlers.contains(&name) {
        plan.root.handlers.push(name);
    }
}

fn new_console(place: &str, level: Level) -> HandlerPlan {
    HandlerPlan {
        place: place.to_owned(),
        level,
        format: Arc::new(Format::new(CONSOLE_FORMAT, Style::Percent, None, true).unwrap_or_default()),
        target: Target::Stream(Stream::Stdout),
    }
}

/// Apply the changes of a role.
fn play(plan: &mut Plan, role: Role) {
    match role {
        Role::Worker { debug: false } | Role::Rotator => {}
        Role::Worker { debug: true } => debug(plan),
        Role::Daemon | Role::Aggregator => {
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
    // NEMO_Nowcast silences the others with the console's level, which users set above DEBUG.
    let console = plan.handlers.get(CONSOLE).map(|console| console.level);
    let silent = console.filter(|level| *level != Level::NOTSET).unwrap_or(SILENT);
    // No port is bound, because the worker in production may need it.
    for handler in plan.handlers.values_mut().filter(|handler| handler.target == Target::Publisher) {
        handler.target = Target::Nothing;
    }
    for name in &plan.root.handlers {
        if let Some(handler) = plan.handlers.get_mut(name) {
            handler.level = if name == CONSOLE { Level::DEBUG } else { silent };
        }
    }
}

fn build(
    plan: &Plan,
    publisher: Option<&Arc<dyn Publisher>>,
    narrow: Option<&str>,
) -> Result<(Tree, Vec<Arc<Handler>>), SetupError> {
    let mut handlers: HashMap<&str, Arc<Handler>> = HashMap::new();
    let mut to_empty = Vec::new();
    for (name, planned) in &plan.handlers {
        let format = Arc::clone(&planned.format);
        let handler = match &planned.target {
            Target::Skipped => continue,
            Target::Publisher => match publisher {
                Some(publisher) => Arc::new(Handler::publisher(planned.level, Arc::clone(publisher))),
                None => continue,
            },
            Target::Mail(mail) => {
                Arc::new(Handler::mail(planned.level, format, Mailer::new(mail.as_ref().clone())))
            }
            Target::Nothing => Arc::new(Handler::nothing(planned.level)),
            Target::Stream(stream) => Arc::new(Handler::console(planned.level, *stream, format, narrow)),
            Target::File(file) => Arc::new(Handler::file(planned.level, format, open(&planned.place, file)?)),
        };
        if matches!(&planned.target, Target::File(file) if file.empty) {
            to_empty.push(Arc::clone(&handler));
        }
        handlers.insert(name, handler);
    }
    let node = |logger: &LoggerPlan| LoggerNode {
        level: logger.level,
        handlers: logger.handlers.iter().filter_map(|name| handlers.get(name.as_str()).cloned()).collect(),
        propagate: logger.propagate,
    };
    let loggers = plan.loggers.iter().map(|(name, logger)| (name.clone(), node(logger))).collect();
    Ok((Tree::new(node(&plan.root), loggers), to_empty))
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
