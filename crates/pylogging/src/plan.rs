//! A logging dictionary, read and checked. This module never opens a file, so an invalid dictionary changes nothing.

use std::sync::Arc;

use indexmap::IndexMap;

use super::console::Stream;
use super::error::{SetupError, Warning, choose_from};
use super::file::{Behaviour, Rotation};
use super::format::{Format, Style};
use super::level::Level;
use super::mail::MailPlan;
use super::section::Section;
use super::tree::is_root;
use pyyaml::Value;

mod handler;
mod json;
mod mail;

/// The content of a dictionary.
#[derive(Debug)]
pub(super) struct Plan {
    pub handlers: IndexMap<String, HandlerPlan>,
    pub root: LoggerPlan,
    pub loggers: IndexMap<String, LoggerPlan>,
}

#[derive(Debug)]
pub(super) struct HandlerPlan {
    /// The keys that lead to the handler, for errors.
    pub place: String,
    pub level: Level,
    pub format: Arc<Format>,
    pub target: Target,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Stream(Stream),
    File(FilePlan),
    Mail(Box<MailPlan>),
    /// The program's own publisher.
    Publisher,
    /// Nowhere: lines are accepted and ignored.
    Nothing,
    /// Unsupported: the handler is left out.
    Skipped,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FilePlan {
    pub filename: String,
    pub behaviour: Behaviour,
    /// Whether the file is truncated when the configuration comes into force: mode `w`.
    pub empty: bool,
    /// Whether the file is opened at the first line only.
    pub delay: bool,
}

#[derive(Debug, Clone)]
pub(super) struct LoggerPlan {
    pub level: Level,
    pub handlers: Vec<String>,
    pub propagate: bool,
}

/// The key of the files that are rotated by size, by whichever program finds one full. Python ignores it, as any key of a dictionary that it
/// does not know.
const SELF_ROTATING: &str = "self rotating";

/// The known keys of a dictionary. `publisher` and `aggregator` are those of distributed logging in NEMO_Nowcast.
const KEYS: [&str; 11] = [
    "version",
    "disable_existing_loggers",
    "incremental",
    "formatters",
    "filters",
    "handlers",
    "loggers",
    "root",
    "publisher",
    "aggregator",
    SELF_ROTATING,
];

const SELF_ROTATING_KEYS: [&str; 2] = ["max bytes", "handlers"];

/// The known keys of a logger. `qualname` and `formatter` belong to Python's older `fileConfig` and to handlers; Python
/// ignores them here, and configurations of NEMO_Nowcast have them.
const LOGGER_KEYS: [&str; 6] = ["level", "handlers", "propagate", "filters", "qualname", "formatter"];

const FORMATTER_KEYS: [&str; 8] =
    ["format", "fmt", "datefmt", "style", "validate", "class", "()", "defaults"];

/// Read a dictionary. Return an error about the first invalid part.
pub(super) fn read(section: &Section<'_>, warnings: &mut Vec<Warning>) -> Result<Plan, SetupError> {
    check_version(section)?;
    section.warn_of_others(&KEYS, warnings);
    if section.flag("incremental", false)? {
        let text = "the whole section is used each time, so incremental is passed over";
        warnings.push(Warning::new(section.place_of("incremental"), text));
    }
    let formats = formats(&section.section("formatters")?, warnings)?;
    let mut handlers = handler::read_all(&section.section("handlers")?, &formats, warnings)?;
    share_files(&section.section(SELF_ROTATING)?, &mut handlers, warnings)?;
    let mut root = LoggerPlan { level: Level::WARNING, handlers: Vec::new(), propagate: false };
    let mut loggers = IndexMap::new();
    for entry in section.section("loggers")?.sections() {
        let (name, logger) = entry?;
        if is_root(name) {
            root = read_logger(&logger, &handlers, Level::WARNING, warnings)?;
        } else {
            loggers.insert(name.to_owned(), read_logger(&logger, &handlers, Level::NOTSET, warnings)?);
        }
    }
    if section.get("root").is_some() {
        root = read_logger(&section.section("root")?, &handlers, Level::WARNING, warnings)?;
    }
    Ok(Plan { handlers, root, loggers })
}

/// Let the files of these handlers rotate by themselves.
fn share_files(
    section: &Section<'_>,
    handlers: &mut IndexMap<String, HandlerPlan>,
    warnings: &mut Vec<Warning>,
) -> Result<(), SetupError> {
    section.warn_of_others(&SELF_ROTATING_KEYS, warnings);
    let max_bytes = section.count("max bytes")?;
    for name in section.names("handlers")? {
        let target = handlers.get_mut(name).map(|handler| &mut handler.target);
        let Some(Target::File(FilePlan { behaviour: behaviour @ Behaviour::Rotate(_), .. })) = target else {
            return Err(SetupError::new(
                &section.place_of("handlers"),
                format!("{name:?} is not a handler of class logging.handlers.RotatingFileHandler"),
                "name one that is",
            ));
        };
        if let Behaviour::Rotate(rotation) = *behaviour {
            *behaviour = Behaviour::Share(Rotation { max_bytes, ..rotation });
        }
    }
    Ok(())
}

fn check_version(section: &Section<'_>) -> Result<(), SetupError> {
    match section.get("version").map(Value::as_int) {
        None | Some(Some(1)) => Ok(()),
        Some(_) => Err(SetupError::new(
            &section.place_of("version"),
            "this version of logging dictionaries is not known",
            "write version: 1",
        )),
    }
}

fn read_logger(
    section: &Section<'_>,
    handlers: &IndexMap<String, HandlerPlan>,
    missing: Level,
    warnings: &mut Vec<Warning>,
) -> Result<LoggerPlan, SetupError> {
    section.warn_of_others(&LOGGER_KEYS, warnings);
    warn_of_filters(section, warnings);
    let mut chosen: Vec<String> = Vec::new();
    for name in section.names("handlers")? {
        if !handlers.contains_key(name) {
            return Err(SetupError::new(
                &section.place_of("handlers"),
                format!("there is no handler {name:?}"),
                choose_from(name, handlers.keys().map(String::as_str)),
            ));
        }
        if !chosen.iter().any(|known| known == name) {
            chosen.push(name.to_owned());
        }
    }
    Ok(LoggerPlan {
        level: section.level("level")?.unwrap_or(missing),
        handlers: chosen,
        propagate: section.flag("propagate", true)?,
    })
}

fn warn_of_filters(section: &Section<'_>, warnings: &mut Vec<Warning>) {
    if section.get("filters").is_some() {
        let text = "filters are not applied: every line passes them";
        warnings.push(Warning::new(section.place_of("filters"), text));
    }
}

fn formats(
    section: &Section<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<IndexMap<String, Arc<Format>>, SetupError> {
    section
        .sections()
        .map(|entry| entry.and_then(|(name, section)| Ok((name.to_owned(), format(&section, warnings)?))))
        .collect()
}

fn format(section: &Section<'_>, warnings: &mut Vec<Warning>) -> Result<Arc<Format>, SetupError> {
    if json::is_chosen(section) {
        return json::read(section, warnings);
    }
    section.warn_of_others(&FORMATTER_KEYS, warnings);
    for key in ["class", "()", "defaults"] {
        if section.get(key).is_some_and(|class| class.as_str() != Some("logging.Formatter")) {
            let text = "formatters of your own are Python code; the plain one takes its place. For lines of JSON, use \
                        pythonjsonlogger.json.JsonFormatter";
            warnings.push(Warning::new(section.place_of(key), text));
        }
    }
    let style = match section.text("style")? {
        None => Style::Percent,
        Some(text) => Style::from_text(text).ok_or_else(|| {
            let what = format!("the formatter style {text:?} is unknown");
            SetupError::new(&section.place_of("style"), what, "write '%', '{' or '$'")
        })?,
    };
    let key = if section.get("format").is_some() { "format" } else { "fmt" };
    let text = section.text(key)?.unwrap_or_default();
    let validate = section.flag("validate", true)?;
    let format = Format::new(text, style, section.text("datefmt")?, validate).map_err(|error| {
        SetupError::new(section.place(), format!("the format {text:?} is not valid"), error.remedy)
            .because(error.why)
    })?;
    Ok(Arc::new(format))
}
