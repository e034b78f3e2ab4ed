//! The listeners' end of a control socket: operators' requests and the answers of the manager, or of `nowcast up`, a line of JSON each.
//!
//! It is a Unix socket that only the listener's own user can reach; [`call`] is the other end. It never decides anything,
//! and no connection makes the others wait.

pub mod call;

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, sockopt};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use zmq::{POLLIN, PollItem};

use crate::private_folder::is_foreign;
use crate::version::version;
use call::short_path;
pub use call::{Call, CallError, Listener, Response};
use nowcast_core::{Answer, CallId};

/// The size limit of a request in bytes.
const MAX_REQUEST: usize = 16_000_000;

/// The most connections at once. For a further one, the oldest that has sent no whole request is closed.
const MAX_CONNECTIONS: usize = 64;

/// The most connections that are accepted before all are read: the request of a new connection is read before the connection can be the
/// oldest.
const ACCEPTED_PER_TURN: usize = MAX_CONNECTIONS / 2;

/// The time until connections are accepted again after that failed.
const ACCEPT_INTERVAL: Duration = Duration::from_secs(1);

/// The size limit of an answer's text in bytes: it is sent with one write or not sent.
const MAX_ANSWER: usize = 64_000;

/// The most bytes that are read from one connection before the manager's loop continues.
const TURN: usize = 1_000_000;

/// The timeout for a connection to send its request. The commands send it at once.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The interval at which the socket's file is checked: it may have been removed.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A listener's end of its control socket.
#[derive(Debug)]
pub struct Control {
    folder: PathBuf,
    of: Listener,
    listener: UnixListener,
    /// The device and inode of the socket's file.
    identity: (u64, u64),
    /// When the socket's file was last checked.
    checked_at: Instant,
    /// The socket's file is missing and cannot be made.
    is_lost: bool,
    connections: HashMap<CallId, OperatorConnection>,
    last: u64,
    /// When connections are accepted again, after that failed.
    accept_again_at: Option<Instant>,
}

#[derive(Debug)]
struct OperatorConnection {
    stream: UnixStream,
    since: Instant,
    received: Vec<u8>,
    /// Its request is complete.
    has_request: bool,
}

impl Control {
    /// Make the socket in the journal's folder. The socket of a previous listener is removed: only the one that holds
    /// its lock comes here.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn bind(folder: &Path, of: Listener) -> io::Result<Self> {
        remove_left_folders(folder, of);
        let (listener, identity) = listen(folder, of)?;
        Ok(Self {
            folder: folder.to_owned(),
            of,
            listener,
            identity,
            checked_at: Instant::now(),
            is_lost: false,
            connections: HashMap::new(),
            last: 0,
            accept_again_at: None,
        })
    }

    /// Once a second, make the socket again if it was removed, and close connections that send no request. Return what is
    /// to be reported: that the socket was made again, or why it cannot be made.
    pub fn maintain(&mut self) -> Option<io::Result<()>> {
        if self.checked_at.elapsed() < CHECK_INTERVAL {
            return None;
        }
        self.checked_at = Instant::now();
        self.connections
            .retain(|_, connection| connection.has_request || connection.since.elapsed() < REQUEST_TIMEOUT);
        let path = self.folder.join(self.of.socket());
        if fs::symlink_metadata(path).is_ok_and(|found| identity(&found) == self.identity) {
            self.is_lost = false;
            return None;
        }
        match listen(&self.folder, self.of) {
            Ok((listener, identity)) => {
                (self.listener, self.identity, self.is_lost) = (listener, identity, false);
                Some(Ok(()))
            }
            // It is reported once.
            Err(_) if self.is_lost => None,
            Err(error) => {
                self.is_lost = true;
                Some(Err(error))
            }
        }
    }

    /// Return the items that a loop waits for.
    #[must_use]
    pub fn poll_items(&self) -> Vec<PollItem<'static>> {
        let mut descriptors: Vec<RawFd> =
            self.connections.values().map(|connection| connection.stream.as_raw_fd()).collect();
        if self.has_room() && self.accept_again_at.is_none_or(|again| again <= Instant::now()) {
            descriptors.push(self.listener.as_raw_fd());
        }
        descriptors.into_iter().map(|descriptor| PollItem::from_fd(descriptor, POLLIN)).collect()
    }

    /// Return the requests that have come. Invalid ones are answered at once.
    pub fn receive<C: DeserializeOwned>(&mut self) -> Vec<(CallId, Call<C>)> {
        self.accept();
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
            let text =
                format!("{} cannot read the request; are the versions of both the same? {why}", self.of);
            self.answer(id, &Answer::refused(text));
        }
        calls.sort_by_key(|(id, _)| *id);
        calls
    }

    fn accept(&mut self) {
        self.accept_again_at = None;
        for _ in 0..ACCEPTED_PER_TURN {
            if !self.has_room() {
                return;
            }
            match self.listener.accept() {
                Ok((stream, _)) if is_allowed(&stream) && stream.set_nonblocking(true).is_ok() => {
                    if self.connections.len() >= MAX_CONNECTIONS
                        && let Some(oldest) = self.oldest_without_request()
                    {
                        self.connections.remove(&oldest);
                    }
                    self.last += 1;
                    let (since, received) = (Instant::now(), Vec::new());
                    let connection = OperatorConnection { stream, since, received, has_request: false };
                    self.connections.insert(CallId(self.last), connection);
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    // Probably no descriptor is left. An immediate retry would be a busy loop.
                    self.accept_again_at = Some(Instant::now() + ACCEPT_INTERVAL);
                    return;
                }
            }
        }
    }

    /// Whether a connection can be accepted. Only those that wait for an answer are never closed for another one.
    fn has_room(&self) -> bool {
        self.connections.len() < MAX_CONNECTIONS || self.oldest_without_request().is_some()
    }

    fn oldest_without_request(&self) -> Option<CallId> {
        self.connections.iter().filter(|(_, connection)| !connection.has_request).map(|(id, _)| *id).min()
    }

    /// Refuse every request that has come, with a reason.
    pub fn refuse_all(&mut self, why: &str) {
        for (id, _) in self.receive::<IgnoredAny>() {
            self.answer(id, &Answer { is_undecided: true, ..Answer::refused(why) });
        }
    }

    /// Answer a request.
    pub fn answer(&mut self, id: CallId, answer: &Answer) {
        let mut answer = answer.clone();
        if answer.text.len() > MAX_ANSWER {
            answer.text = answer.text.chars().take(MAX_ANSWER / 4).collect();
            answer.text.push_str("\n… (the rest is in the log)");
        }
        self.send(id, &Response { answer, version: Some(version()) });
    }

    /// Send an answer. An operator's command that has gone, or does not read, does not get it.
    pub fn send(&mut self, id: CallId, answer: &impl Serialize) {
        let Some(mut connection) = self.connections.remove(&id) else { return };
        if let Ok(mut line) = serde_json::to_vec(answer) {
            line.push(b'\n');
            let _ = connection.stream.write_all(&line);
        }
    }
}

impl OperatorConnection {
    /// Read the request; return it once its line is complete.
    fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = [0; 16_384];
        let mut turn = 0;
        // The rest is read in the next turn of the loop.
        while turn < TURN {
            let count = match self.stream.read(&mut bytes) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            turn += count;
            let new = &bytes[..count];
            if let Some(end) = memchr::memchr(b'\n', new) {
                self.received.extend_from_slice(&new[..end]);
                self.has_request = true;
                return Ok(Some(std::mem::take(&mut self.received)));
            }
            self.received.extend_from_slice(new);
            if self.received.len() > MAX_REQUEST {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Ok(None)
    }
}

/// Whether the other end is of this user or of root. The file's mode says the same, but a connection could have been made before it was set.
fn is_allowed(stream: &UnixStream) -> bool {
    getsockopt(stream, sockopt::PeerCredentials).is_ok_and(|credentials| !is_foreign(credentials.uid()))
}

fn listen(folder: &Path, of: Listener) -> io::Result<(UnixListener, (u64, u64))> {
    // Bound in a folder that only this user can reach: until its mode is set, the socket has that of the umask.
    let private = tempfile::Builder::new()
        .prefix(&private_folder(of))
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir_in(folder)?;
    let (_handle, path) = short_path(private.path(), of.socket())?;
    let listener = UnixListener::bind(path)?;
    let bound = private.path().join(of.socket());
    fs::set_permissions(&bound, fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    let file = folder.join(of.socket());
    // This replaces the socket of an earlier listener.
    fs::rename(bound, &file)?;
    Ok((listener, identity(&fs::symlink_metadata(file)?)))
}

/// Return how the name of the folder begins in which a socket is bound.
fn private_folder(of: Listener) -> String {
    format!(".{}-", of.socket())
}

/// Remove the private folders of listeners that were killed while they made their socket.
fn remove_left_folders(folder: &Path, of: Listener) {
    for file in fs::read_dir(folder).into_iter().flatten().flatten() {
        if file.file_name().to_string_lossy().starts_with(&private_folder(of)) {
            let _ = fs::remove_dir_all(file.path());
        }
    }
}

fn identity(file: &fs::Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;

    use rustix::fs::inotify;

    use super::call::{Service, call, service};
    use super::*;
    use nowcast_core::{Command, Number};

    const OF: Listener = Listener::Manager;

    fn kill() -> Call {
        Call { user: "ana".into(), command: Some(Command::Kill { run: Number(7) }) }
    }

    /// A connection that has sent this.
    fn connected(folder: &Path, text: &[u8]) -> UnixStream {
        let mut stream = UnixStream::connect(folder.join(OF.socket())).unwrap();
        stream.write_all(text).unwrap();
        stream
    }

    /// Serve until a request has come.
    fn serve(control: &mut Control) -> Vec<(CallId, Call)> {
        loop {
            let mut items = control.poll_items();
            crate::net::socket::poll(&mut items, 10_000).unwrap();
            let calls: Vec<(CallId, Call)> = control.receive();
            if !calls.is_empty() {
                return calls;
            }
        }
    }

    #[test]
    fn a_request_is_answered_also_in_a_folder_with_a_long_name() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("x".repeat(200));
        fs::create_dir(&folder).unwrap();
        let mut control = Control::bind(&folder, OF).unwrap();
        let mode = fs::metadata(folder.join(OF.socket())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let calling = std::thread::spawn(move || call(&folder, &kill()));
        let calls = serve(&mut control);
        assert_eq!(calls[0].1.command, kill().command);
        let answer = Answer::done("stop requested", vec![Number(7)]);
        control.answer(calls[0].0, &answer);
        assert_eq!(calling.join().unwrap().unwrap(), answer);
    }

    #[test]
    fn an_error_says_that_no_manager_runs() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(service(folder.path()).0, Service::NotRunning);
        let error = call(folder.path(), &kill()).unwrap_err().to_string();
        assert!(error.contains("Is it running?"), "{error}");
    }

    #[test]
    fn an_invalid_request_is_answered_and_does_not_affect_others() {
        let folder = tempfile::tempdir().unwrap();
        let mut control = Control::bind(folder.path(), OF).unwrap();
        let mut garbage = UnixStream::connect(folder.path().join(OF.socket())).unwrap();
        garbage.write_all(b"{\"user\": 5}\n").unwrap();
        let closed = UnixStream::connect(folder.path().join(OF.socket())).unwrap();
        drop(closed);
        let path = folder.path().to_owned();
        let calling = std::thread::spawn(move || call(&path, &kill()));
        let calls = serve(&mut control);
        control.answer(calls[0].0, &Answer::done("", Vec::new()));
        assert!(calling.join().unwrap().unwrap().done);
        let mut text = String::new();
        garbage.read_to_string(&mut text).unwrap();
        assert!(text.contains("cannot read the request"), "{text}");
    }

    #[test]
    fn a_socket_that_is_removed_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(OF.socket());
        let mut control = Control::bind(folder.path(), OF).unwrap();
        let maintain = |control: &mut Control| {
            control.checked_at = Instant::now().checked_sub(CHECK_INTERVAL).unwrap();
            control.maintain().map(|made| made.is_ok())
        };
        assert_eq!(maintain(&mut control), None, "the socket exists");
        fs::remove_file(&path).unwrap();
        assert_eq!(maintain(&mut control), Some(true));
        UnixStream::connect(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(maintain(&mut control), Some(false));
        assert_eq!(maintain(&mut control), None, "it is reported once");
        fs::remove_dir(&path).unwrap();
        assert_eq!(maintain(&mut control), Some(true));
    }

    #[test]
    fn connections_without_a_request_are_closed_and_those_that_wait_for_an_answer_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut control = Control::bind(folder.path(), OF).unwrap();
        let connect = |text: &[u8]| connected(folder.path(), text);
        let _half: Vec<UnixStream> = (0..MAX_CONNECTIONS - 1).map(|_| connect(b"{\"user\":")).collect();
        let _whole = connect(b"{\"user\": \"ana\", \"command\": null}\n");
        assert_eq!(serve(&mut control).len(), 1);
        let all = control.connections.len();
        assert_eq!(all, MAX_CONNECTIONS);
        for connection in control.connections.values_mut() {
            connection.since = Instant::now().checked_sub(REQUEST_TIMEOUT).unwrap();
        }
        control.checked_at = Instant::now().checked_sub(CHECK_INTERVAL).unwrap();
        control.maintain();
        assert_eq!(control.connections.len(), 1);
    }

    #[test]
    fn silent_connections_and_half_requests_do_not_delay_a_request() {
        let folder = tempfile::tempdir().unwrap();
        let mut control = Control::bind(folder.path(), OF).unwrap();
        let connect = |text: &[u8]| connected(folder.path(), text);
        let waiting: Vec<UnixStream> =
            (0..10).map(|_| connect(b"{\"user\": \"ana\", \"command\": null}\n")).collect();
        let first = serve(&mut control);
        let _silent: Vec<UnixStream> =
            (0..100).flat_map(|_| [connect(b""), connect(b"{\"user\":")]).collect();
        let path = folder.path().to_owned();
        let calling = std::thread::spawn(move || call(&path, &kill()));
        let calls = serve(&mut control);
        assert_eq!(calls[0].1.command, kill().command);
        assert_eq!(control.connections.len(), MAX_CONNECTIONS);
        control.answer(calls[0].0, &Answer::done("stop requested", Vec::new()));
        assert!(calling.join().unwrap().unwrap().done);
        // Those that wait for an answer get it.
        assert_eq!(first.len(), waiting.len());
        for ((id, _), mut stream) in first.into_iter().zip(waiting) {
            control.answer(id, &Answer::done("here", Vec::new()));
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            assert!(text.contains("here"), "{text}");
        }
    }

    #[test]
    fn a_long_request_is_read_in_turns() {
        let folder = tempfile::tempdir().unwrap();
        let mut control = Control::bind(folder.path(), OF).unwrap();
        let mut stream = UnixStream::connect(folder.path().join(OF.socket())).unwrap();
        let user = "x".repeat(5 * TURN);
        let line = format!("{{\"user\": \"{user}\", \"command\": null}}\n");
        let writing = std::thread::spawn(move || stream.write_all(line.as_bytes()).map(|()| stream));
        let (mut turns, mut before) = (0, 0);
        let calls = loop {
            let calls: Vec<(CallId, Call)> = control.receive();
            if !calls.is_empty() {
                break calls;
            }
            let read = control.connections.values().map(|connection| connection.received.len()).sum();
            assert!(read - before < TURN + 16_384, "{before} and then {read}");
            turns += usize::from(read > before);
            before = read;
            let mut items = control.poll_items();
            crate::net::socket::poll(&mut items, 10_000).unwrap();
        };
        assert!(turns >= 4 && calls[0].1.user == user);
        writing.join().unwrap().unwrap();
    }

    /// With its own name from the beginning, others could reach it before it has its mode.
    #[test]
    fn the_socket_comes_from_a_private_folder() {
        let folder = tempfile::tempdir().unwrap();
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        let flags = inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
        inotify::add_watch(&watch, folder.path(), flags).unwrap();
        let _control = Control::bind(folder.path(), OF).unwrap();
        let mut buffer = [MaybeUninit::uninit(); 4_096];
        let mut reader = inotify::Reader::new(&watch, &mut buffer);
        let mut made = Vec::new();
        while let Ok(event) = reader.next() {
            let name = event.file_name().unwrap().to_str().unwrap();
            made.push((event.events().contains(inotify::ReadFlags::CREATE), name.to_owned()));
        }
        assert!(made[0].0 && made[0].1.starts_with(&private_folder(OF)), "{made:?}");
        assert_eq!(made[1..], [(false, OF.socket().to_owned())]);
    }

    /// Only root can become another user.
    #[cfg(feature = "system-tests")]
    #[test]
    fn another_user_gets_no_answer_whatever_the_modes_of_folder_and_socket_are() {
        const ASK: &str = r#"
import socket, sys
control = socket.socket(socket.AF_UNIX)
control.connect(sys.argv[1])
try:
    control.sendall(b'{"user": "ana", "command": null}\n')
    print(control.recv(1000))
except OSError:
    print("closed")
"#;
        let folder = tempfile::tempdir().unwrap();
        let mut control = Control::bind(folder.path(), OF).unwrap();
        let socket = folder.path().join(OF.socket());
        for (path, mode) in [(folder.path(), 0o711), (&socket, 0o666)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let mut other = std::process::Command::new("setpriv")
            .args(["--reuid", "65534", "--clear-groups", "--", "/usr/bin/python3", "-c", ASK])
            .arg(&socket)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        while other.try_wait().unwrap().is_none() {
            crate::net::socket::poll(&mut control.poll_items(), 50).unwrap();
            assert!(control.receive::<Command>().is_empty());
        }
        let output = other.wait_with_output().unwrap();
        assert!(output.status.success());
        let output = String::from_utf8_lossy(&output.stdout);
        assert!(output == "b''\n" || output == "closed\n", "{output}");
    }
}
