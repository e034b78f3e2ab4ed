//! A `StreamHandler`: `env_logger` writes to stdout or stderr in the configured format, and `RUST_LOG` narrows it.
//!
//! A console never panics: lines for a closed stream are lost.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use log::{LevelFilter, Log};

use super::format::Format;
use super::gather::is_gathering;
use super::output::{Complaint, Held, write_whole};
use super::record::LogRecord;

/// A stream of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// A handler for a stream.
#[derive(Debug)]
pub(super) struct Console {
    logger: env_logger::Logger,
    lines: SharedLines,
}

/// The target of `env_logger`, shared because the logger does not give it back.
#[derive(Debug, Clone)]
struct SharedLines(Arc<Mutex<StreamLines>>);

impl Console {
    /// Create a console. `narrow` are the filters of `RUST_LOG`, checked by [`narrowing`].
    pub fn new(stream: Stream, format: Arc<Format>, narrow: Option<&str>) -> Self {
        let mut builder = env_logger::Builder::new();
        match narrow {
            // By default `env_logger` shows errors only; here the configuration decides.
            None => builder.filter_level(LevelFilter::Trace),
            Some(filters) => builder.parse_filters(filters),
        };
        builder.write_style(env_logger::WriteStyle::Never);
        let lines = SharedLines(Arc::new(Mutex::new(StreamLines::new(stream))));
        builder.target(env_logger::Target::Pipe(Box::new(lines.clone())));
        builder.format(move |out, record| {
            out.write_all(format.line(&LogRecord::from_facade(record)).as_bytes())
        });
        Self { logger: builder.build(), lines }
    }

    /// Write a line.
    pub fn write(&self, record: &LogRecord<'_>) {
        record.with_facade(|facade| self.logger.log(facade));
    }

    /// Write the lines that are held back.
    pub fn write_held(&self) {
        let mut lines = self.lines.get();
        let held = std::mem::take(&mut lines.held);
        if held.lines > 0 {
            lines.show(&held.text, held.lines);
        }
    }
}

/// Check the value of `RUST_LOG` and return the filters for [`Console::new`]; `None` for an empty value.
///
/// # Errors
/// The value is invalid and must be ignored, for this reason.
pub(super) fn narrowing(rust_log: Option<&std::ffi::OsStr>) -> Result<Option<String>, String> {
    let Some(filters) = rust_log.filter(|filters| !filters.is_empty()) else { return Ok(None) };
    let Some(filters) = filters.to_str() else { return Err("it is not UTF-8".into()) };
    match env_filter::Builder::new().try_parse(filters) {
        Ok(_) => Ok(Some(filters.to_owned())),
        Err(error) => Err(error.to_string()),
    }
}

/// The lines for a stream. Each buffer is written whole; `println!` would panic when the stream is closed.
#[derive(Debug)]
struct StreamLines {
    stream: Stream,
    held: Held,
    /// A duplicate of the descriptor, to write without a buffer.
    file: io::Result<File>,
    complaint: Complaint,
}

impl StreamLines {
    fn new(stream: Stream) -> Self {
        let (descriptor, name) = match stream {
            Stream::Stdout => (io::stdout().as_fd().try_clone_to_owned(), "stdout"),
            Stream::Stderr => (io::stderr().as_fd().try_clone_to_owned(), "stderr"),
        };
        Self {
            stream,
            held: Held::default(),
            file: descriptor.map(File::from),
            complaint: Complaint::new(name.to_owned()),
        }
    }

    fn show(&mut self, text: &[u8], lines: u64) {
        let written = match &self.file {
            Ok(file) => write_whole(file, text, None).map_err(|unwritten| unwritten.error),
            Err(error) => Err(error.kind().into()),
        };
        match written {
            Ok(()) => self.complaint.worked(),
            Err(error) => self.complain(&error, lines),
        }
    }

    fn complain(&mut self, error: &io::Error, lines: u64) {
        // A complaint about stderr would go to stderr.
        if self.stream == Stream::Stdout {
            self.complaint.failed(error, lines);
        }
    }
}

impl SharedLines {
    /// Lock the lines, even if poisoned: a thread that panicked left half a line at worst.
    fn get(&self) -> MutexGuard<'_, StreamLines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for SharedLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut lines = self.get();
        if is_gathering() {
            lines.held.hold(line);
        } else {
            lines.show(line, 1);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn rust_log_is_checked_before_it_narrows() {
        assert_eq!(narrowing(None), Ok(None));
        assert_eq!(narrowing(Some(OsStr::new(""))), Ok(None));
        assert_eq!(narrowing(Some(OsStr::new("warn,sleep=debug"))), Ok(Some("warn,sleep=debug".into())));
        assert!(narrowing(Some(OsStr::new("manager=loud"))).unwrap_err().contains("loud"));
        assert!(narrowing(Some(OsStr::from_bytes(b"\xff"))).is_err());
    }
}
