//! Lines before there is a configuration: they go to stderr. This module never reads the configuration in force.

use std::sync::Arc;

use super::console::{Console, Stream};
use super::format::{Format, Style};
use super::record::LogRecord;

/// The format of NEMO_Nowcast.
const FORMAT: &str = "%(asctime)s %(levelname)s [%(name)s] %(message)s";

/// Write a line to stderr, no matter what the configuration in force says.
pub fn show_on_stderr(record: &LogRecord<'_>) {
    let format = Format::new(FORMAT, Style::Percent, None, true).unwrap_or_default();
    Console::new(Stream::Stderr, Arc::new(format), None).write(record);
}
