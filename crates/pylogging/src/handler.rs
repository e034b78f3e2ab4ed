//! A handler: a level, a format, and a sink for the lines. A handler never reads the configuration in force.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::console::{Console, Stream};
use super::file::LogFile;
use super::format::Format;
use super::level::Level;
use super::mail::Mailer;
use super::publishing::Publisher;
use super::record::LogRecord;

/// A handler of the configuration.
#[derive(Debug)]
pub(super) struct Handler {
    pub level: Level,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    Console(Console),
    File { format: Arc<Format>, file: Mutex<LogFile> },
    Mail { format: Arc<Format>, mailer: Mailer },
    Publisher(Arc<dyn Publisher>),
    Nothing,
}

impl Handler {
    pub fn console(level: Level, stream: Stream, format: Arc<Format>, narrow: Option<&str>) -> Self {
        Self { level, sink: Sink::Console(Console::new(stream, format, narrow)) }
    }

    pub fn file(level: Level, format: Arc<Format>, file: LogFile) -> Self {
        Self { level, sink: Sink::File { format, file: Mutex::new(file) } }
    }

    pub fn mail(level: Level, format: Arc<Format>, mailer: Mailer) -> Self {
        Self { level, sink: Sink::Mail { format, mailer } }
    }

    pub fn publisher(level: Level, publisher: Arc<dyn Publisher>) -> Self {
        Self { level, sink: Sink::Publisher(publisher) }
    }

    pub fn nothing(level: Level) -> Self {
        Self { level, sink: Sink::Nothing }
    }

    /// Write the line, if it has the handler's level or a higher one.
    pub fn handle(&self, record: &LogRecord<'_>) {
        if record.level < self.level {
            return;
        }
        match &self.sink {
            Sink::Console(console) => console.write(record),
            Sink::File { format, file } => {
                locked(file).append(&format.line(record));
            }
            Sink::Mail { format, mailer } => {
                let mut text = String::new();
                format.render(record, &mut text);
                mailer.send(text);
            }
            Sink::Publisher(publisher) => publisher.publish(record),
            Sink::Nothing => {}
        }
    }

    /// Write the lines that are held back.
    pub fn write_held(&self) {
        match &self.sink {
            Sink::Console(console) => console.write_held(),
            Sink::File { file, .. } => locked(file).write_held(),
            Sink::Mail { .. } | Sink::Publisher(_) | Sink::Nothing => {}
        }
    }

    /// Wait for a limited time until mails and published lines are sent.
    pub fn finish(&self) {
        match &self.sink {
            Sink::Mail { mailer, .. } => mailer.finish(),
            Sink::Publisher(publisher) => publisher.finish(),
            Sink::Console(_) | Sink::File { .. } | Sink::Nothing => {}
        }
    }

    /// Truncate the file, if there is one. Return an error if the file system does.
    pub fn empty(&self) -> io::Result<()> {
        match &self.sink {
            Sink::File { file, .. } => locked(file).empty(),
            _ => Ok(()),
        }
    }

    /// Return the file, if it is a rotating one.
    pub fn rotating_file(&self) -> Option<MutexGuard<'_, LogFile>> {
        match &self.sink {
            Sink::File { file, .. } => Some(locked(file)).filter(|file| file.rotates()),
            _ => None,
        }
    }
}

/// Lock a file, even if poisoned: a thread that panicked left half a line at worst.
fn locked(file: &Mutex<LogFile>) -> MutexGuard<'_, LogFile> {
    file.lock().unwrap_or_else(PoisonError::into_inner)
}
