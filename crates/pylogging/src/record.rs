//! One line on its way to the handlers: Python's `LogRecord`.
//!
//! On its way through the `log` crate, a record loses only the part of its time below a microsecond.

use std::borrow::Cow;

use jiff::Timestamp;
use log::kv::{self, Key, Value, VisitSource};

use super::level::Level;

/// The key of Python's level number in a record of the `log` crate.
const LEVEL: &str = "level";
/// The key of the time at which a line was logged, in microseconds since 1970, so that every handler shows the same
/// time.
const CREATED: &str = "created";
/// The key of the program that published the line.
const PUBLISHER: &str = "publisher";
/// The key of a text whose line ends are the program's own.
const BLOCK: &str = "block";

/// A line with the data for all attributes of a format.
#[derive(Debug, Clone)]
pub struct LogRecord<'a> {
    /// The logger's name.
    pub name: Cow<'a, str>,
    /// The program that published the line, if it came from another one.
    pub publisher: Option<Cow<'a, str>>,
    /// The level.
    pub level: Level,
    /// The time at which it was logged.
    pub created: Timestamp,
    /// The text, of one line or several.
    pub message: Cow<'a, str>,
    /// Whether the line ends in the text are the program's own. Otherwise the lines after the first one are indented, so that none looks
    /// like a record.
    pub is_block: bool,
    /// The source file and line that logged it.
    pub source: Option<(&'a str, u32)>,
}

impl<'a> LogRecord<'a> {
    /// Convert a record of the `log` crate, made by [`Self::with_facade`] or by a library.
    pub(super) fn from_facade(record: &'a log::Record<'a>) -> Self {
        let numbers = record.key_values();
        let number = |key| numbers.get(Key::from_str(key)).and_then(|value: Value<'_>| value.to_i64());
        let level = number(LEVEL).and_then(|level| u32::try_from(level).ok()).map(Level);
        let created = number(CREATED).and_then(|time| Timestamp::from_microsecond(time).ok());
        Self {
            name: dotted(record.target()),
            publisher: numbers.get(Key::from_str(PUBLISHER)).map(|name: Value<'a>| {
                name.to_borrowed_str().map_or_else(|| name.to_string().into(), Cow::from)
            }),
            level: level.unwrap_or_else(|| record.level().into()),
            created: created.unwrap_or_else(Timestamp::now),
            message: record.args().as_str().map_or_else(|| record.args().to_string().into(), Cow::from),
            is_block: numbers.get(Key::from_str(BLOCK)).is_some(),
            source: record.file().zip(record.line()),
        }
    }

    /// Return a copy for another thread, without the source file.
    #[must_use]
    pub fn kept(&self) -> LogRecord<'static> {
        LogRecord {
            name: self.name.clone().into_owned().into(),
            publisher: self.publisher.clone().map(|name| name.into_owned().into()),
            level: self.level,
            created: self.created,
            message: self.message.clone().into_owned().into(),
            is_block: self.is_block,
            source: None,
        }
    }

    /// Call `take` with a record of the `log` crate that contains all of this one.
    pub(super) fn with_facade(&self, take: impl FnOnce(&log::Record<'_>)) {
        let numbers = Numbers {
            level: self.level,
            created: self.created,
            publisher: self.publisher.as_deref(),
            is_block: self.is_block,
        };
        take(
            &log::Record::builder()
                .args(format_args!("{}", self.message))
                .level(self.level.facade())
                .target(&self.name)
                .file(self.source.map(|(file, _)| file))
                .line(self.source.map(|(_, line)| line))
                .key_values(&numbers)
                .build(),
        );
    }
}

/// Return the logger's name for a target: a library's module path with dots.
pub(super) fn dotted(target: &str) -> Cow<'_, str> {
    if target.contains("::") { target.replace("::", ".").into() } else { target.into() }
}

struct Numbers<'a> {
    level: Level,
    created: Timestamp,
    publisher: Option<&'a str>,
    is_block: bool,
}

impl kv::Source for Numbers<'_> {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), kv::Error> {
        visitor.visit_pair(Key::from_str(LEVEL), Value::from(self.level.0))?;
        visitor.visit_pair(Key::from_str(CREATED), Value::from(self.created.as_microsecond()))?;
        if let Some(publisher) = self.publisher {
            visitor.visit_pair(Key::from_str(PUBLISHER), Value::from(publisher))?;
        }
        if self.is_block {
            visitor.visit_pair(Key::from_str(BLOCK), Value::from(true))?;
        }
        Ok(())
    }

    fn get(&self, key: Key<'_>) -> Option<Value<'_>> {
        match key.as_str() {
            LEVEL => Some(Value::from(self.level.0)),
            CREATED => Some(Value::from(self.created.as_microsecond())),
            PUBLISHER => self.publisher.map(Value::from),
            BLOCK => self.is_block.then(|| Value::from(true)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_the_log_crate() {
        let record = LogRecord {
            name: "worker.sleep".into(),
            publisher: Some("sleep".into()),
            level: Level(55),
            created: Timestamp::from_microsecond(1_589_570_575_769_123).unwrap(),
            message: "größer\n  zweite Zeile".into(),
            is_block: true,
            source: Some(("src/worker.rs", 7)),
        };
        record.with_facade(|facade| {
            assert_eq!(facade.level(), log::Level::Error);
            let back = LogRecord::from_facade(facade);
            assert_eq!(format!("{back:?}"), format!("{record:?}"));
        });
    }

    #[test]
    fn a_librarys_line_gets_pythons_level_and_a_dotted_name() {
        let args = format_args!("hello");
        let facade = log::Record::builder().args(args).level(log::Level::Trace).target("zmq::sys").build();
        let record = LogRecord::from_facade(&facade);
        assert_eq!((record.name.as_ref(), record.level), ("zmq.sys", Level::TRACE));
        assert_eq!(record.message, "hello");
    }
}
