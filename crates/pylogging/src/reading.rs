//! The log files of a configuration, for programs that show them. This module never opens a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::SetupError;
use super::file::absolute;
use super::format::Format;
use super::level::Level;
use super::line_head::LineHead;
use super::plan::{self, LoggerPlan, Plan, Target};
use super::setup::{logging_part, whole_section};
use pyyaml::Value;

/// A log file.
#[derive(Debug, Clone)]
pub struct ConfiguredFile {
    /// Its absolute path.
    pub path: PathBuf,
    /// The lowest level of its lines.
    pub level: Level,
    /// The logger whose lines it has with those of the loggers below it; `None` for the root logger.
    pub logger: Option<String>,
    format: Arc<Format>,
}

impl ConfiguredFile {
    /// Return the files of the loggers' handlers in a `logging:` section; of a distributed one, those of the log aggregator.
    ///
    /// # Errors
    /// The first invalid part of the section.
    pub fn all(section: &Value) -> Result<Vec<Self>, SetupError> {
        let section = whole_section(section)?;
        let plan = plan::read(&logging_part(section)?, &mut Vec::new())?;
        let mut files = of_logger(&plan, None, &plan.root);
        for (name, logger) in &plan.loggers {
            files.extend(of_logger(&plan, Some(name), logger));
        }
        Ok(files)
    }

    /// Read the beginning of a line. A line without a time belongs to the one before it.
    #[must_use]
    pub fn head(&self, line: &str) -> Option<LineHead> {
        self.format.head(line)
    }
}

fn of_logger(plan: &Plan, name: Option<&str>, logger: &LoggerPlan) -> Vec<ConfiguredFile> {
    let handlers = logger.handlers.iter().filter_map(|name| plan.handlers.get(name));
    let file = |handler: &plan::HandlerPlan| match &handler.target {
        Target::File(file) => Some(ConfiguredFile {
            path: absolute(Path::new(&file.filename)),
            level: handler.level.max(logger.level),
            logger: name.map(str::to_owned),
            format: Arc::clone(&handler.format),
        }),
        _ => None,
    };
    handlers.filter_map(file).collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::format::Style;

    fn file(format: &str, datefmt: Option<&str>) -> ConfiguredFile {
        let format = Arc::new(Format::new(format, Style::Percent, datefmt, true).unwrap());
        ConfiguredFile { path: PathBuf::new(), level: Level::DEBUG, logger: None, format }
    }

    fn time(text: &str) -> Timestamp {
        let civil: jiff::civil::DateTime = text.parse().unwrap();
        civil.to_zoned_datetime(TimeZone::system()).unwrap().timestamp()
    }

    #[test]
    fn the_head_of_a_line_is_read_by_its_format() {
        let at = time("2026-03-14T04:40:12.5");
        let second = time("2026-03-14T04:40:12");
        for (format, datefmt, line, time, level, name) in [
            (
                "%(asctime)s %(levelname)s [%(name)s] %(message)s",
                None,
                "2026-03-14 04:40:12,500 INFO [manager] a [b] c",
                at,
                Some(Level::INFO),
                Some("manager"),
            ),
            (
                "%(asctime)s %(levelname)s [%(logger_name)s] %(message)s",
                None,
                "2026-03-14 04:40:12,500 ERROR [scheduler] x",
                at,
                Some(Level::ERROR),
                Some("scheduler"),
            ),
            (
                "[%(levelname)-8s] %(asctime)s|%(name)s: %(message)s",
                Some("%d.%m.%Y %H:%M:%S"),
                "[WARNING ] 14.03.2026 04:40:12|a.b: c",
                second,
                Some(Level::WARNING),
                Some("a.b"),
            ),
            ("%(asctime)s %(message)s", None, "2026-03-14 04:40:12,500 x", at, None, None),
        ] {
            let head = LineHead { time, level, name: name.map(str::to_owned) };
            assert_eq!(file(format, datefmt).head(line), Some(head), "{line}");
        }
    }

    #[test]
    fn a_line_without_a_time_has_no_head() {
        let usual = file("%(asctime)s %(levelname)s [%(name)s] %(message)s", None);
        for line in [
            "",
            "  of a text",
            "2026-03-14",
            "Traceback (most recent call last):",
            "2026-03-14 04:40:12;500 INFO",
        ] {
            assert_eq!(usual.head(line), None, "{line}");
        }
        assert!(file("%(message)s", None).head("2026-03-14 04:40:12,500 x").is_none());
    }

    #[test]
    fn the_head_of_a_line_of_json_is_read_by_its_fields() {
        let head = |formatter: &str, line: &str| {
            let section = format!(
                "
version: 1
formatters:
  json: {{(): pythonjsonlogger.json.JsonFormatter, {formatter}}}
handlers:
  all: {{class: logging.FileHandler, filename: /logs/a.log, formatter: json}}
root: {{handlers: [all], level: DEBUG}}"
            );
            let files = ConfiguredFile::all(&pyyaml::read(&section).unwrap()).unwrap();
            files[0].head(line)
        };
        let at = |time: &str| LineHead {
            time: time.parse().unwrap(),
            level: Some(Level::ERROR),
            name: Some("manager".to_owned()),
        };
        let renamed = "fmt: '%(levelname)s %(name)s %(message)s', rename_fields: {levelname: level, name: logger}, timestamp: true, \
                       prefix: '@'";
        let line = r#"@{"level": "ERROR", "logger": "manager", "message": "\ud83d\ude00 {", "timestamp": "2026-03-14T11:40:12.769123+00:00"}"#;
        assert_eq!(head(renamed, line), Some(at("2026-03-14T11:40:12.769123Z")));
        assert_eq!(head(renamed, &line[1..]), None);
        assert_eq!(head(renamed, &line[..40]), None);
        let usual = "fmt: '%(asctime)s %(levelno)d %(name)s'";
        let line = r#"{"asctime": "2026-03-14 04:40:12,500", "levelno": 40, "name": "manager"}"#;
        let mut expected = at("2026-03-14T11:40:12Z");
        expected.time = time("2026-03-14T04:40:12.5");
        assert_eq!(head(usual, line), Some(expected));
        let created = "fmt: '%(created)f %(levelname)s %(name)s'";
        let line = r#"{"created": 1773488412.25, "levelname": "ERROR", "name": "manager"}"#;
        assert_eq!(head(created, line), Some(at("2026-03-14T11:40:12.25Z")));
        assert_eq!(head("fmt: '%(message)s'", r#"{"message": "x"}"#), None);
    }

    #[test]
    fn the_files_of_root_and_of_other_loggers_are_found() {
        let section = "
version: 1
handlers:
  console: {class: logging.StreamHandler}
  info: {class: logging.handlers.RotatingFileHandler, filename: /logs/a.log, level: INFO}
  all: {class: logging.FileHandler, filename: /logs/../logs/b.log}
  checklist: {class: logging.FileHandler, filename: /logs/c.log}
loggers: {checklist: {handlers: [checklist], level: INFO, propagate: false}}
root: {handlers: [console, info, all], level: DEBUG}";
        let section = pyyaml::read(section).unwrap();
        let found = |section: &Value| {
            let files = ConfiguredFile::all(section).unwrap().into_iter();
            files.map(|file| (file.path.display().to_string(), file.level, file.logger)).collect::<Vec<_>>()
        };
        let expected = [
            ("/logs/a.log".to_owned(), Level::INFO, None),
            ("/logs/b.log".to_owned(), Level::DEBUG, None),
            ("/logs/c.log".to_owned(), Level::INFO, Some("checklist".to_owned())),
        ];
        assert_eq!(found(&section), expected);
        let distributed: Value =
            [("aggregator", section), ("publisher", pyyaml::read("{version: 1}").unwrap())]
                .into_iter()
                .collect();
        assert_eq!(found(&distributed), expected);
    }
}
