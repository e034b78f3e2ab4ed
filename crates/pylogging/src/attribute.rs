//! The attributes of a line that a format can name, as in `%(levelname)s`. This module never writes a line.

use std::borrow::Cow;
use std::path::Path;
use std::sync::LazyLock;

use jiff::Timestamp;

use super::asctime::Asctime;
use super::record::LogRecord;
use super::spec::{Field, Kind};

/// The start of logging in this process, the zero of `relativeCreated`.
static STARTED: LazyLock<Timestamp> = LazyLock::new(Timestamp::now);

/// Start the clock of `relativeCreated`.
pub(super) fn start_clock() {
    LazyLock::force(&STARTED);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attribute {
    Asctime,
    Created,
    Filename,
    FuncName,
    LevelName,
    LevelNo,
    LineNo,
    LoggerName,
    Message,
    Module,
    Msecs,
    Name,
    PathName,
    Process,
    ProcessName,
    RelativeCreated,
    Thread,
    ThreadName,
}

/// Python's names, and `logger_name`, which a log aggregator adds: the program that published the line.
const NAMES: [(&str, Attribute); 19] = [
    ("asctime", Attribute::Asctime),
    ("created", Attribute::Created),
    ("filename", Attribute::Filename),
    ("funcName", Attribute::FuncName),
    ("levelname", Attribute::LevelName),
    ("levelno", Attribute::LevelNo),
    ("lineno", Attribute::LineNo),
    ("logger_name", Attribute::LoggerName),
    ("message", Attribute::Message),
    ("module", Attribute::Module),
    ("msecs", Attribute::Msecs),
    ("msg", Attribute::Message),
    ("name", Attribute::Name),
    ("pathname", Attribute::PathName),
    ("process", Attribute::Process),
    ("processName", Attribute::ProcessName),
    ("relativeCreated", Attribute::RelativeCreated),
    ("thread", Attribute::Thread),
    ("threadName", Attribute::ThreadName),
];

impl Attribute {
    pub fn from_name(name: &str) -> Option<Attribute> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, attribute)| *attribute)
    }

    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    pub fn kind(self) -> Kind {
        match self {
            Attribute::LevelNo | Attribute::LineNo | Attribute::Process | Attribute::Thread => Kind::Int,
            Attribute::Created | Attribute::Msecs | Attribute::RelativeCreated => Kind::Float,
            _ => Kind::Text,
        }
    }

    /// Return the value of the attribute for a line.
    pub fn of<'r>(self, record: &'r LogRecord<'_>, asctime: &Asctime) -> Field<'r> {
        let text = |text: &'r str| Field::Text(text.into());
        match self {
            Attribute::Asctime => Field::Text(asctime.text(record.created).into()),
            Attribute::Created => Field::Float(seconds(record.created)),
            Attribute::Filename => {
                Field::Text(Path::new(path(record)).file_name().unwrap_or_default().to_string_lossy())
            }
            // Rust does not know the calling function; Python writes this text when it does not know it either.
            Attribute::FuncName => text("(unknown function)"),
            Attribute::LevelName => Field::Text(record.level.name()),
            Attribute::LevelNo => Field::Int(record.level.0.into()),
            Attribute::LineNo => Field::Int(record.source.map_or(0, |(_, line)| line.into())),
            Attribute::LoggerName => text(record.publisher.as_ref().unwrap_or(&record.name)),
            Attribute::Message => text(&record.message),
            Attribute::Module => {
                Field::Text(Path::new(path(record)).file_stem().unwrap_or_default().to_string_lossy())
            }
            Attribute::Msecs => Field::Float(milliseconds(record.created)),
            Attribute::Name => text(&record.name),
            Attribute::PathName => text(path(record)),
            // On Linux the main thread has the number of the process.
            Attribute::Process | Attribute::Thread => Field::Int(std::process::id().into()),
            Attribute::ProcessName => text("MainProcess"),
            Attribute::RelativeCreated => {
                Field::Float((seconds(record.created) - seconds(*STARTED)) * 1000.0)
            }
            Attribute::ThreadName => Field::Text(thread_name()),
        }
    }
}

fn path<'r>(record: &LogRecord<'r>) -> &'r str {
    record.source.map_or("(unknown file)", |(path, _)| path)
}

/// Return the seconds since 1970.
#[allow(clippy::cast_precision_loss, reason = "microseconds since 1970 fit 53 bits until 2255")]
fn seconds(time: Timestamp) -> f64 {
    time.as_microsecond() as f64 / 1e6
}

/// Return the whole milliseconds since the last second, as a float as in Python.
pub(super) fn milliseconds(time: Timestamp) -> f64 {
    f64::from(time.subsec_millisecond())
}

fn thread_name<'r>() -> Cow<'r, str> {
    match std::thread::current().name() {
        None => "Thread".into(),
        Some("main") => "MainThread".into(),
        Some(name) => name.to_owned().into(),
    }
}
