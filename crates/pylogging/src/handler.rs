//! A handler: a level, a format, and a place for the lines.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::console::{Console, Stream};
use super::file::LogFile;
use super::format::Format;
use super::level::Level;
use super::mail::Mailer;
use super::publishing::Publisher;
use super::record::LogRecord;

/// One handler of the configuration, ready to take lines.
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

    /// Writes the line, if it matters enough to this handler.
    pub fn handle(&self, record: &LogRecord<'_>) {
        if record.level < self.level {
            return;
        }
        match &self.sink {
            Sink::Console(console) => console.write(record),
            Sink::File { format, file } => {
                let mut line = String::new();
                format.render(record, &mut line);
                line.push('\n');
                locked(file).append(&line);
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

    /// Writes what is held back.
    pub fn write_held(&self) {
        match &self.sink {
            Sink::Console(console) => console.write_held(),
            Sink::File { file, .. } => locked(file).write_held(),
            Sink::Mail { .. } | Sink::Publisher(_) | Sink::Nothing => {}
        }
    }

    /// Waits for a moment until what others send for it has left.
    pub fn finish(&self) {
        match &self.sink {
            Sink::Mail { mailer, .. } => mailer.finish(),
            Sink::Publisher(publisher) => publisher.finish(),
            Sink::Console(_) | Sink::File { .. } | Sink::Nothing => {}
        }
    }

    /// Empties its file. Errors: those of the file system.
    pub fn empty(&self) -> io::Result<()> {
        match &self.sink {
            Sink::File { file, .. } => locked(file).empty(),
            _ => Ok(()),
        }
    }

    /// Its file, if that can be rotated.
    pub fn rotating_file(&self) -> Option<MutexGuard<'_, LogFile>> {
        match &self.sink {
            Sink::File { file, .. } => Some(locked(file)).filter(|file| file.rotates()),
            _ => None,
        }
    }
}

/// A thread that panicked while it wrote a line left at worst half a line.
fn locked(file: &Mutex<LogFile>) -> MutexGuard<'_, LogFile> {
    file.lock().unwrap_or_else(PoisonError::into_inner)
}
