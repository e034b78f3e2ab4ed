//! Reads the handlers of a logging dictionary by their Python class. This module never opens a file.

use std::sync::Arc;

use indexmap::IndexMap;

use super::{FilePlan, HandlerPlan, Target, mail, warn_of_filters};
use crate::console::Stream;
use crate::error::{SetupError, Warning, choose_from};
use crate::file::{Behaviour, Rotation};
use crate::format::Format;
use crate::level::Level;
use crate::section::Section;
use pyyaml::Value;

const STREAM: &str = "logging.StreamHandler";
const FILE: &str = "logging.FileHandler";
const NOTHING: &str = "logging.NullHandler";
const ROTATING: &str = "logging.handlers.RotatingFileHandler";
const WATCHED: &str = "logging.handlers.WatchedFileHandler";
const TIMED: &str = "logging.handlers.TimedRotatingFileHandler";
const MAIL: &str = "logging.handlers.SMTPHandler";
const PUBLISHER: &str = "zmq.log.handlers.PUBHandler";

/// The supported classes.
const KNOWN: [&str; 8] = [STREAM, FILE, NOTHING, ROTATING, WATCHED, TIMED, MAIL, PUBLISHER];

/// Python's other classes: the handler is skipped with a warning.
const NEVER: [&str; 9] = [
    "logging.handlers.BufferingHandler",
    "logging.handlers.DatagramHandler",
    "logging.handlers.HTTPHandler",
    "logging.handlers.MemoryHandler",
    "logging.handlers.NTEventLogHandler",
    "logging.handlers.QueueHandler",
    "logging.handlers.SocketHandler",
    "logging.handlers.SysLogHandler",
    "logging.Handler",
];

const COMMON_KEYS: [&str; 5] = ["class", "()", "level", "formatter", "filters"];
const FILE_KEYS: [&str; 5] = ["filename", "mode", "encoding", "errors", "delay"];
const ROTATING_KEYS: [&str; 2] = ["maxBytes", "backupCount"];
/// The keys of pyzmq's handler. They are accepted and ignored: the program chooses port and topic.
const PUBLISHER_KEYS: [&str; 3] = ["interface_or_socket", "context", "root_topic"];
const TIMED_KEYS: [&str; 5] = ["backupCount", "when", "interval", "utc", "atTime"];

pub(super) fn read_all(
    section: &Section<'_>,
    formats: &IndexMap<String, Arc<Format>>,
    warnings: &mut Vec<Warning>,
) -> Result<IndexMap<String, HandlerPlan>, SetupError> {
    let mut handlers = IndexMap::new();
    for entry in section.sections() {
        let (name, handler) = entry?;
        handlers.insert(name.to_owned(), read(&handler, formats, warnings)?);
    }
    Ok(handlers)
}

fn read(
    section: &Section<'_>,
    formats: &IndexMap<String, Arc<Format>>,
    warnings: &mut Vec<Warning>,
) -> Result<HandlerPlan, SetupError> {
    let target = target(section, warnings)?;
    if target != Target::Skipped {
        warn_of_filters(section, warnings);
    }
    let format = match section.text("formatter")? {
        None => Arc::new(Format::default()),
        Some(name) => Arc::clone(formats.get(name).ok_or_else(|| {
            let known = formats.keys().map(String::as_str);
            let what = format!("there is no formatter {name:?}");
            SetupError::new(&section.place_of("formatter"), what, choose_from(name, known))
        })?),
    };
    Ok(HandlerPlan {
        place: section.place().to_owned(),
        level: section.level("level")?.unwrap_or(Level::NOTSET),
        format,
        target,
    })
}

fn target(section: &Section<'_>, warnings: &mut Vec<Warning>) -> Result<Target, SetupError> {
    // Python also accepts a class under `()`, and `ext://` before either.
    let written = section.get("()").and_then(Value::as_str).map(without_prefix);
    let factory = written.filter(|class| KNOWN.contains(class));
    let class = match (factory.or(section.text("class")?.map(without_prefix)), section.get("()")) {
        (Some(class), _) => class,
        (None, Some(_)) => {
            let text = "handlers made by your own Python code cannot be used here; this one is passed over";
            warnings.push(Warning::new(section.place_of("()"), text));
            return Ok(Target::Skipped);
        }
        (None, None) => {
            let remedy = format!("write class: {STREAM} or {WATCHED}");
            return Err(SetupError::new(section.place(), "this handler has no class", remedy));
        }
    };
    let mut known =
        |more: &[&[&str]]| section.warn_of_others(&[&COMMON_KEYS[..], &more.concat()].concat(), warnings);
    match class {
        STREAM => {
            known(&[&["stream"]]);
            stream(section).map(Target::Stream)
        }
        NOTHING => Ok(Target::Nothing),
        FILE => {
            known(&[&FILE_KEYS]);
            file(section, Behaviour::Stay, warnings)
        }
        WATCHED => {
            known(&[&FILE_KEYS]);
            file(section, Behaviour::Watch, warnings)
        }
        TIMED => {
            known(&[&FILE_KEYS, &TIMED_KEYS]);
            let text = "rotation by time is not done here; the file is written to, and followed when another program rotates it";
            warnings.push(Warning::new(section.place_of("class"), text));
            file(section, Behaviour::Watch, warnings)
        }
        ROTATING => {
            known(&[&FILE_KEYS, &ROTATING_KEYS]);
            let backup_count = backup_count(section)?;
            let rotation = Rotation { max_bytes: section.count("maxBytes")?, backup_count };
            file(section, Behaviour::Rotate(rotation), warnings)
        }
        MAIL => {
            known(&[&mail::KEYS]);
            mail::read(section, warnings).map(|plan| Target::Mail(Box::new(plan)))
        }
        PUBLISHER => {
            known(&[&PUBLISHER_KEYS]);
            Ok(Target::Publisher)
        }
        other => skip_if_possible(other, section, warnings),
    }
}

fn without_prefix(class: &str) -> &str {
    class.strip_prefix("ext://").unwrap_or(class)
}

fn backup_count(section: &Section<'_>) -> Result<u32, SetupError> {
    // The count is limited because each rotation tries every number.
    const MOST: u32 = 10_000;
    let count = u32::try_from(section.count("backupCount")?).ok().filter(|count| *count <= MOST);
    count.ok_or_else(|| {
        let remedy = format!("write {MOST} or less");
        SetupError::new(
            &section.place_of("backupCount"),
            "this is more old log files than a handler keeps",
            remedy,
        )
    })
}

/// Skip a class that Python may have; refuse a class that looks misspelt.
fn skip_if_possible(
    class: &str,
    section: &Section<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<Target, SetupError> {
    let place = section.place_of("class");
    let third_party =
        class.contains('.') && !class.starts_with("logging.") && error_text::closest(class, KNOWN).is_none();
    if NEVER.contains(&class) || third_party {
        let text = format!("{class} cannot be used here; this handler is passed over");
        warnings.push(Warning::new(place, text));
        return Ok(Target::Skipped);
    }
    Err(SetupError::new(&place, format!("there is no handler class {class:?}"), choose_from(class, KNOWN)))
}

fn stream(section: &Section<'_>) -> Result<Stream, SetupError> {
    match section.text("stream")? {
        None | Some("ext://sys.stderr") => Ok(Stream::Stderr),
        Some("ext://sys.stdout") => Ok(Stream::Stdout),
        Some(other) => Err(SetupError::new(
            &section.place_of("stream"),
            format!("there is no stream {other:?}"),
            "write ext://sys.stdout or ext://sys.stderr",
        )),
    }
}

fn file(
    section: &Section<'_>,
    behaviour: Behaviour,
    warnings: &mut Vec<Warning>,
) -> Result<Target, SetupError> {
    let filename = section.text("filename")?.filter(|filename| !filename.is_empty()).ok_or_else(|| {
        SetupError::new(
            section.place(),
            "this handler writes to a file but has no filename",
            "write filename: and its path",
        )
    })?;
    let empty = match section.text("mode")?.unwrap_or("a") {
        "a" | "at" | "a+" => false,
        "w" | "wt" | "w+" => true,
        other => {
            let what = format!("a log file cannot be opened in mode {other:?}");
            return Err(SetupError::new(
                &section.place_of("mode"),
                what,
                "write 'a' to append or 'w' to begin an empty file",
            ));
        }
    };
    // As in Python, a file of limited size is appended to: a run must not delete the log of the previous one.
    let limited = matches!(behaviour, Behaviour::Rotate(Rotation { max_bytes: 1.., .. }));
    let encoding = section.text("encoding")?.unwrap_or("utf-8");
    if !["utf-8", "utf8", "utf_8"].contains(&encoding.to_lowercase().as_str()) {
        let text = format!("log files are written in utf-8, not in {encoding}");
        warnings.push(Warning::new(section.place_of("encoding"), text));
    }
    let delay = section.flag("delay", false)?;
    Ok(Target::File(FilePlan { filename: filename.to_owned(), behaviour, empty: empty && !limited, delay }))
}
