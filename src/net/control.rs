//! The control socket: operators' requests to the manager and its answers, a line of JSON each.
//!
//! It is a Unix socket that only the manager's own user can reach. Nothing here decides anything.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use zmq::{POLLIN, PollItem};

use crate::core::{Answer, CallId, Command};

/// The socket's name in the journal's folder.
const NAME: &str = "control";

/// The longest request that is read, in bytes.
const LONGEST: usize = 16_000_000;

/// How many operators can wait at once; more wait to be let in.
const CONNECTIONS: usize = 64;

/// How long nobody is let in after that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest text of an answer, in bytes: it goes out in one piece or not at all.
const LONGEST_ANSWER: usize = 64_000;

/// How long the manager may take to say that it works.
const WELL: Duration = Duration::from_secs(2);

/// How long an operator's command waits for the answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What an operator's command sends.
#[derive(Debug, Serialize, Deserialize)]
pub struct Call {
    /// The user's name.
    pub user: String,
    /// What is asked; nothing if only to know whether the manager works.
    pub command: Option<Command>,
}

/// The manager's end.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    connections: HashMap<CallId, Connection>,
    last: u64,
    /// When the next operators are let in, after that failed.
    again: Option<Instant>,
}

#[derive(Debug)]
struct Connection {
    stream: UnixStream,
    received: Vec<u8>,
}

impl Control {
    /// Opens the socket in the journal's folder. One that a manager before left there is removed: whoever
    /// has the journal's lock is the manager.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn bind(folder: &Path) -> io::Result<Self> {
        let (_handle, path) = reachable(folder)?;
        match fs::remove_file(folder.join(NAME)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(folder.join(NAME), fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, connections: HashMap::new(), last: 0, again: None })
    }

    /// What to wait for.
    #[must_use]
    pub fn poll_items(&self) -> Vec<PollItem<'static>> {
        let mut descriptors: Vec<RawFd> =
            self.connections.values().map(|connection| connection.stream.as_raw_fd()).collect();
        if self.connections.len() < CONNECTIONS && self.again.is_none_or(|again| again <= Instant::now()) {
            descriptors.push(self.listener.as_raw_fd());
        }
        descriptors.into_iter().map(|descriptor| PollItem::from_fd(descriptor, POLLIN)).collect()
    }

    /// The requests that have come. What is none is answered at once.
    pub fn receive(&mut self) -> Vec<(CallId, Call)> {
        self.let_in();
        let mut calls = Vec::new();
        let mut refused = Vec::new();
        self.connections.retain(|id, connection| match connection.receive() {
            Ok(None) => true,
            Ok(Some(line)) => {
                match serde_json::from_slice(&line) {
                    Ok(call) => calls.push((*id, call)),
                    Err(error) => refused.push((*id, error.to_string())),
                }
                true
            }
            Err(_) => false,
        });
        for (id, why) in refused {
            let text = format!("the manager does not understand this; is it of another version? {why}");
            self.answer(id, &Answer { done: false, text, numbers: Vec::new() });
        }
        calls.sort_by_key(|(id, _)| *id);
        calls
    }

    fn let_in(&mut self) {
        self.again = None;
        while self.connections.len() < CONNECTIONS {
            match self.listener.accept() {
                Ok((stream, _)) if stream.set_nonblocking(true).is_ok() => {
                    self.last += 1;
                    self.connections.insert(CallId(self.last), Connection { stream, received: Vec::new() });
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    // No descriptors left, most likely: to ask at once again would be to ask without end.
                    self.again = Some(Instant::now() + PAUSE);
                    return;
                }
            }
        }
    }

    /// Answers every request that has come with why nothing is done.
    pub fn refuse_all(&mut self, why: &str) {
        for (id, _) in self.receive() {
            self.answer(id, &Answer { done: false, text: why.to_owned(), numbers: Vec::new() });
        }
    }

    /// Answers a request. An operator who has gone, or does not read, misses it.
    pub fn answer(&mut self, id: CallId, answer: &Answer) {
        let Some(mut connection) = self.connections.remove(&id) else { return };
        let mut answer = answer.clone();
        if answer.text.len() > LONGEST_ANSWER {
            answer.text = answer.text.chars().take(LONGEST_ANSWER / 4).collect();
            answer.text.push_str("\n… and more, which the log has");
        }
        if let Ok(mut line) = serde_json::to_vec(&answer) {
            line.push(b'\n');
            // The journal has the answer, too.
            let _ = connection.stream.write_all(&line);
        }
    }
}

impl Connection {
    /// The request once its line is complete.
    fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = [0; 8_192];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.received.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if self.received.len() > LONGEST {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                self.received.truncate(end);
                return Ok(Some(std::mem::take(&mut self.received)));
            }
        }
    }
}

/// Why the manager could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody listens.
    #[error(
        "the manager cannot be reached at {}: {error}. Is it running? (nowcast up, or nowcast manager)",
        path.display()
    )]
    NoManager {
        /// The socket.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// The manager ended or does not answer.
    #[error(
        "the manager took the request and did not answer ({0}); nowcast status and its log say what came of it"
    )]
    NoAnswer(String),
}

/// Asks the manager whose journal is in `folder`.
///
/// # Errors
/// When it cannot be reached or does not answer.
pub fn call(folder: &Path, call: &Call) -> Result<Answer, CallError> {
    call_within(folder, call, PATIENCE)
}

fn call_within(folder: &Path, call: &Call, patience: Duration) -> Result<Answer, CallError> {
    let path = folder.join(NAME);
    let connect = || -> io::Result<UnixStream> {
        let (_handle, short) = reachable(folder)?;
        UnixStream::connect(short)
    };
    let mut stream = connect().map_err(|error| CallError::NoManager { path, error })?;
    let no_answer = |error: &dyn std::fmt::Display| CallError::NoAnswer(error.to_string());
    let mut line = serde_json::to_vec(call).map_err(|error| no_answer(&error))?;
    line.push(b'\n');
    stream.set_read_timeout(Some(patience)).map_err(|error| no_answer(&error))?;
    stream.write_all(&line).map_err(|error| no_answer(&error))?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(|error| no_answer(&error))?;
    serde_json::from_slice(&answer).map_err(|_| no_answer(&"it ended before it answered"))
}

/// Whether a manager listens whose journal is in `folder`; and if it does nothing at the moment, why.
#[must_use]
pub fn is_served(folder: &Path) -> (bool, Option<String>) {
    let listens = reachable(folder).and_then(|(_handle, short)| UnixStream::connect(short)).is_ok();
    if !listens {
        return (false, None);
    }
    match call_within(folder, &Call { user: String::new(), command: None }, WELL) {
        Ok(answer) => (true, (!answer.done).then_some(answer.text)),
        // It may be busy with a long batch.
        Err(_) => (true, None),
    }
}

/// The socket's path, short whatever the folder is: a socket's address has room for 107 bytes. Good
/// for as long as the handle lives.
fn reachable(folder: &Path) -> io::Result<(OwnedFd, PathBuf)> {
    let handle = OwnedFd::from(fs::File::open(folder)?);
    let path = PathBuf::from(format!("/proc/self/fd/{}/{NAME}", handle.as_raw_fd()));
    Ok((handle, path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Number;

    fn kill() -> Call {
        Call { user: "ana".into(), command: Some(Command::Kill { run: Number(7) }) }
    }

    /// Serves until one call has come.
    fn serve(control: &mut Control) -> Vec<(CallId, Call)> {
        loop {
            let mut items = control.poll_items();
            super::super::socket::poll(&mut items, 10_000).unwrap();
            let calls = control.receive();
            if !calls.is_empty() {
                return calls;
            }
        }
    }

    #[test]
    fn a_call_is_answered_also_in_a_folder_with_a_long_name() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("x".repeat(200));
        fs::create_dir(&folder).unwrap();
        let mut control = Control::bind(&folder).unwrap();
        let mode = fs::metadata(folder.join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let asked = std::thread::spawn(move || call(&folder, &kill()));
        let calls = serve(&mut control);
        assert_eq!(calls[0].1.command, kill().command);
        let answer = Answer { done: true, text: "told to end".into(), numbers: vec![Number(7)] };
        control.answer(calls[0].0, &answer);
        assert_eq!(asked.join().unwrap().unwrap(), answer);
    }

    #[test]
    fn without_a_manager_the_error_says_so() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(is_served(folder.path()), (false, None));
        let error = call(folder.path(), &kill()).unwrap_err().to_string();
        assert!(error.contains("Is it running?"), "{error}");
    }

    #[test]
    fn what_is_no_call_is_answered_and_disturbs_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let mut control = Control::bind(folder.path()).unwrap();
        let mut garbage = UnixStream::connect(folder.path().join(NAME)).unwrap();
        garbage.write_all(b"{\"user\": 5}\n").unwrap();
        let gone = UnixStream::connect(folder.path().join(NAME)).unwrap();
        drop(gone);
        let path = folder.path().to_owned();
        let asked = std::thread::spawn(move || call(&path, &kill()));
        let calls = serve(&mut control);
        control.answer(calls[0].0, &Answer { done: true, text: String::new(), numbers: Vec::new() });
        assert!(asked.join().unwrap().unwrap().done);
        let mut text = String::new();
        garbage.read_to_string(&mut text).unwrap();
        assert!(text.contains("does not understand"), "{text}");
    }
}
