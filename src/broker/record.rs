//! The recording of a broker: every request with its reply and the time, a line of JSON each.
//!
//! It never looks into a message, never stops the broker, and never changes lines that are in the file.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::ZonedDateTime;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use crate::net::{envelope, socket::Frames};
use pyyaml::base64;

/// The size in bytes at which pending lines are written though the broker is busy.
const BUFFER_SIZE: usize = 1 << 16;

/// A request and its reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedExchange {
    /// The time of the reply: the message was decided just before.
    pub at: ZonedDateTime,
    /// The number of the request at its broker, from 1.
    pub number: u64,
    /// The request's body, unchanged.
    pub request: Vec<u8>,
    /// The reply's body.
    pub reply: Vec<u8>,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct RecordedLine<'a> {
    at: ZonedDateTime,
    number: u64,
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    request: Option<Cow<'a, str>>,
    /// Instead of `request` if that is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request_base64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    reply: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply_base64: Option<String>,
}

impl RecordedExchange {
    /// Write it as a line, with the newline.
    ///
    /// # Errors
    /// None for what a broker writes: JSON can hold all of it.
    pub fn to_line(&self) -> io::Result<Vec<u8>> {
        let (request, request_base64) = text_or_base64(&self.request);
        let (reply, reply_base64) = text_or_base64(&self.reply);
        let line = RecordedLine {
            at: self.at.clone(),
            number: self.number,
            request,
            request_base64,
            reply,
            reply_base64,
        };
        let mut line = serde_json::to_vec(&line)?;
        line.push(b'\n');
        Ok(line)
    }

    /// Read a line; `None` if it is invalid or incomplete.
    #[must_use]
    pub fn from_line(line: &[u8]) -> Option<Self> {
        let line: RecordedLine<'_> = serde_json::from_slice(line).ok()?;
        Some(Self {
            request: bytes(line.request, line.request_base64)?,
            reply: bytes(line.reply, line.reply_base64)?,
            at: line.at,
            number: line.number,
        })
    }
}

fn text_or_base64(bytes: &[u8]) -> (Option<Cow<'_, str>>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(Cow::Borrowed(text)), None),
        Err(_) => (None, Some(base64::encode(bytes).replace('\n', ""))),
    }
}

fn bytes(text: Option<Cow<'_, str>>, base64: Option<String>) -> Option<Vec<u8>> {
    text.map(|text| text.into_owned().into_bytes()).or_else(|| base64::decode(&base64?))
}

/// Appends to the file.
pub(super) struct Recorder {
    path: PathBuf,
    file: File,
    pending: Vec<u8>,
}

impl Recorder {
    /// Open a file to append to it. An incomplete line that a killed broker left stays a line of its own.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        // It holds what the journal holds, and like that is readable by its owner only.
        let mut options = OpenOptions::new();
        // A pipe is opened without waiting, and then refused: it would make the broker wait for its reader.
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        options.read(true).append(true).create(true).mode(0o600).custom_flags(flags);
        let mut file = options.open(path)?;
        if file.metadata()?.file_type().is_fifo() {
            return Err(io::Error::other("it is a pipe"));
        }
        let mut pending = Vec::new();
        if file.metadata()?.len() > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                pending.push(b'\n');
            }
        }
        Ok(Self { path: path.to_owned(), file, pending })
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether lines are still to be written.
    pub(super) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Add an exchange. It is written with [`Self::flush`], or when [`BUFFER_SIZE`] is reached.
    pub(super) fn note(&mut self, number: u64, request: Frames, reply: &Frames) -> io::Result<()> {
        let body = |frames| envelope::open(frames).map(|(_, body)| body).unwrap_or_default();
        let exchange = RecordedExchange {
            at: ZonedDateTime::now(),
            number,
            request: body(request),
            reply: body(reply.clone()),
        };
        self.pending.extend(exchange.to_line()?);
        if self.pending.len() >= BUFFER_SIZE { self.flush() } else { Ok(()) }
    }

    /// Write the pending lines.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(&self.pending)?;
        self.pending.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_survives_its_line_whatever_its_bytes() {
        let at: ZonedDateTime = "2026-03-14T05:15:03.25-07:00[America/Vancouver]".parse().unwrap();
        for request in [&b"{source: sleep}\n"[..], b"\xff\x00\"", b"", "Gr\u{fc}\u{df}e \u{2028}".as_bytes()]
        {
            let exchange = RecordedExchange {
                at: at.clone(),
                number: 7,
                request: request.to_vec(),
                reply: b"ok".to_vec(),
            };
            let line = exchange.to_line().unwrap();
            assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            assert_eq!(RecordedExchange::from_line(&line), Some(exchange));
            assert_eq!(RecordedExchange::from_line(&line[..line.len() / 2]), None);
        }
        let line = RecordedExchange { at, number: 7, request: b"a".to_vec(), reply: b"\xff".to_vec() };
        assert_eq!(
            String::from_utf8(line.to_line().unwrap()).unwrap(),
            "{\"at\":\"2026-03-14T05:15:03.25-07:00[America/Vancouver]\",\"number\":7,\"request\":\"a\",\
             \"reply_base64\":\"/w==\"}\n"
        );
    }

    #[test]
    fn an_incomplete_line_stays_a_line_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recording.jsonl");
        std::fs::write(&path, "{\"at\":\"2026").unwrap();
        let mut recorder = Recorder::open(&path).unwrap();
        let frames = |body: &str| vec![b"worker".to_vec(), Vec::new(), body.into()];
        recorder.note(1, frames("a"), &frames("b")).unwrap();
        recorder.flush().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Option<RecordedExchange>> =
            text.lines().map(|line| RecordedExchange::from_line(line.as_bytes())).collect();
        assert!(matches!(lines.as_slice(), [None, Some(exchange)] if exchange.request == b"a"), "{text}");
    }
}
