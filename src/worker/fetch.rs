//! [`Fetch`]: a download for a worker, with the retries of NEMO_Nowcast's `get_web_data`. It never leaves a partial
//! file, unless it is killed with SIGKILL: then the next download into that folder removes it.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use signal_hook::iterator::Signals;
use ureq::http::{Response, Uri};
use ureq::{Agent, Body};
use url::Url;

use crate::config::notify::url_problem;
use crate::net::redaction::{Redaction, shown_url};
use crate::net::{http, proxy};
use crate::process::machine;
use crate::signals::is_ignored;

/// The timeout for connecting, and for receiving the start of the response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);

/// The most redirects of one attempt.
const MAX_REDIRECTS: usize = 10;

/// How the names of incomplete files begin; the machine and the process follow.
const PART: &str = ".nowcast-fetch-";

/// A download, its timeout and its retries.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// The address.
    pub url: String,
    /// The file to write.
    pub file: PathBuf,
    /// The names and values of request headers.
    pub headers: Vec<(String, String)>,
    /// The most bytes of the file.
    pub max_size: u64,
    /// The timeout of one attempt, from start to end.
    pub timeout: Duration,
    /// The pauses between attempts.
    pub pauses: Pauses,
}

/// The pauses between attempts: each twice as long as the previous one.
#[derive(Debug, Clone, Copy)]
pub struct Pauses {
    /// The first pause.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// The limit of their sum: once it is reached, the next attempt is the last.
    pub total: Duration,
}

impl Pauses {
    /// Return the pauses in order.
    pub fn iter(self) -> impl Iterator<Item = Duration> {
        // NEMO_Nowcast counts the first pause twice.
        let mut spent = self.first;
        let doubled = std::iter::successors(Some(self.first), |pause| pause.checked_mul(2));
        doubled.map(move |pause| pause.min(self.longest)).take_while(move |pause| {
            let is_left = spent < self.total;
            spent += *pause;
            is_left
        })
    }
}

/// The reason why a download failed.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// A retry cannot succeed.
    #[error("{0}")]
    Permanent(String),
    /// All attempts failed.
    #[error("giving up; download from {url} failed {attempts} times, at last: {last}")]
    GaveUp {
        /// The address.
        url: String,
        /// The number of attempts.
        attempts: usize,
        /// The reason why the last attempt failed.
        last: String,
    },
}

impl Fetch {
    /// Download the file and return the number of bytes; `report` receives the log lines of each retry. A refusal by
    /// the server is retried, since the file may appear later.
    ///
    /// # Errors
    /// When the address, the environment's proxy or a header is invalid, the file cannot be written, or the last attempt
    /// failed.
    pub fn run(&self, report: &mut dyn FnMut(String)) -> Result<u64, FetchError> {
        let url = self.address()?;
        let proxy =
            proxy::from_environment(&url).map_err(|error| FetchError::Permanent(error.to_string()))?;
        let agent: Agent = http::settings(proxy)
            .timeout_connect(Some(RESPONSE_TIMEOUT))
            .timeout_recv_response(Some(RESPONSE_TIMEOUT))
            // Redirects are followed here, since headers must not reach another server.
            .max_redirects(0)
            .build()
            .into();
        let mut pauses = self.pauses.iter();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let last = match self.attempt(&agent, &url)? {
                Ok(bytes) => return Ok(bytes),
                Err(reason) => reason,
            };
            let Some(pause) = pauses.next() else {
                return Err(FetchError::GaveUp { url: shown_url(&self.url), attempts, last });
            };
            report(format!("received {last} from {}", shown_url(&self.url)));
            report(format!("waiting {} seconds until retry {attempts}", pause.as_secs_f64()));
            thread::sleep(pause);
        }
    }

    fn address(&self) -> Result<Uri, FetchError> {
        let refuse = || {
            FetchError::Permanent(format!(
                "invalid address {:?}; write it as https://host/path",
                shown_url(&self.url)
            ))
        };
        url_problem(&self.url).map_err(|_| refuse())?;
        self.url.parse().map_err(|_| refuse())
    }

    /// Send the request, and follow redirects. The given headers go to the first server only.
    fn request(&self, agent: &Agent, url: &Uri) -> Result<Result<Response<Body>, String>, FetchError> {
        let invalid = |error: url::ParseError| FetchError::Permanent(format!("invalid address: {error}"));
        let first = Url::parse(&url.to_string()).map_err(invalid)?;
        let mut url = first.clone();
        let end = Instant::now() + self.timeout;
        for _ in 0..=MAX_REDIRECTS {
            let headers = if url.origin() == first.origin() { self.headers.as_slice() } else { &[] };
            // Redirects do not prolong an attempt.
            let left = end.saturating_duration_since(Instant::now());
            let request = agent.get(url.as_str()).config().timeout_global(Some(left)).build();
            let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
            let answer = match request.call() {
                Ok(answer) => answer,
                Err(ureq::Error::Http(error)) => {
                    let text = format!(
                        "the request to {} with these headers cannot be made: {error}",
                        shown_url(&self.url)
                    );
                    return Err(FetchError::Permanent(text));
                }
                Err(error) => return Ok(Err(Redaction::of_credentials(&self.url).hide(&error.to_string()))),
            };
            let location = answer.headers().get("location").and_then(|location| location.to_str().ok());
            let Some(location) = location.filter(|_| answer.status().is_redirection()) else {
                return Ok(Ok(answer));
            };
            let next = match url.join(location) {
                Ok(next) => next,
                Err(error) => return Ok(Err(format!("a redirect to an invalid address: {error}"))),
            };
            if url.scheme() == "https" && next.scheme() != "https" {
                return Ok(Err(format!("a redirect from https to {}, which is not followed", next.scheme())));
            }
            url = next;
        }
        Ok(Err("too many redirects".to_owned()))
    }

    /// Make one attempt. The inner error is the reason for a retry; after the outer one a retry cannot succeed.
    fn attempt(&self, agent: &Agent, url: &Uri) -> Result<Result<u64, String>, FetchError> {
        let mut answer = match self.request(agent, url)? {
            Ok(answer) => answer,
            Err(reason) => return Ok(Err(reason)),
        };
        // A partial or unmodified response is not the file.
        if answer.status() != ureq::http::StatusCode::OK {
            return Ok(Err(format!("http status: {}", answer.status().as_u16())));
        }
        // The target of a symbolic link is replaced, not the link.
        let file = fs::canonicalize(&self.file).unwrap_or_else(|_| self.file.clone());
        let before = fs::metadata(&file).ok();
        if before.as_ref().is_some_and(|before| !before.is_file()) {
            return Err(FetchError::Permanent(format!("{} is not a regular file", self.file.display())));
        }
        let mode = before.map_or(0o666, |before| before.permissions().mode());
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let unwritable = |error: &io::Error| {
            FetchError::Permanent(format!("{} cannot be written: {error}", self.file.display()))
        };
        remove_old_parts(folder);
        // Locked until it is named: a signal that comes meanwhile waits.
        let mut named = part_file();
        let mut part = tempfile::Builder::new()
            .prefix(&format!("{}{}-", part_prefix(), std::process::id()))
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(folder)
            .map_err(|error| unwritable(&error))?;
        *named = Some(part.path().to_owned());
        drop(named);
        let _named = NamedPart;
        let mut body = answer.body_mut().as_reader();
        let mut bytes = 0;
        let mut buffer = vec![0; 100 << 10];
        loop {
            match io::Read::read(&mut body, &mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    part.write_all(&buffer[..count]).map_err(|error| unwritable(&error))?;
                    bytes += count as u64;
                    if bytes > self.max_size {
                        return Err(FetchError::Permanent(format!(
                            "{} has more than {} bytes; --max-size allows more",
                            shown_url(&self.url),
                            self.max_size
                        )));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Ok(Err(error.to_string())),
            }
        }
        part.persist(&file).map_err(|error| unwritable(&error.error))?;
        Ok(Ok(bytes))
    }
}

/// The incomplete file of this process, for the signal that ends it.
static PART_FILE: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Forgets the name of the incomplete file when there is none any more.
struct NamedPart;

impl Drop for NamedPart {
    fn drop(&mut self) {
        *part_file() = None;
    }
}

fn part_file() -> MutexGuard<'static, Option<PathBuf>> {
    PART_FILE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Remove the incomplete file when SIGINT, SIGTERM or SIGHUP comes, and then let the signal end this process.
///
/// # Errors
/// The operating system has no thread or descriptor left.
pub fn remove_part_on_signals() -> io::Result<()> {
    // Those that were ignored at the start stay so, as under `nohup`.
    let ending = [Signal::INT, Signal::TERM, Signal::HUP].into_iter().filter(|signal| !is_ignored(*signal));
    let mut signals = Signals::new(ending.map(Signal::as_raw))?;
    thread::Builder::new().spawn(move || {
        for signal in signals.forever() {
            // Held until the process ends, so that the file is not renamed meanwhile.
            let part = part_file();
            if let Some(part) = &*part {
                let _ = fs::remove_file(part);
            }
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    })?;
    Ok(())
}

/// Return how the names of incomplete files of this machine begin.
fn part_prefix() -> String {
    format!("{PART}{}-", machine())
}

/// Remove the incomplete files of processes that were killed.
fn remove_old_parts(folder: &Path) {
    let prefix = part_prefix();
    for file in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        let process =
            name.strip_prefix(&prefix).and_then(|rest| rest.split_once('-')).map(|(process, _)| process);
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _ = fs::remove_file(file.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_are_those_of_nemo_nowcast() {
        let [first, longest, total] = [2, 256, 3_600].map(Duration::from_secs);
        let pauses = Pauses { first, longest, total };
        let pauses: Vec<u64> = pauses.iter().map(|pause| pause.as_secs()).collect();
        assert_eq!(pauses[..8], [2, 4, 8, 16, 32, 64, 128, 256]);
        assert!(pauses[8..].iter().all(|pause| *pause == 256));
        // As many as NEMO_Nowcast's loop makes.
        assert_eq!((pauses.len(), pauses.iter().sum::<u64>()), (21, 3_838));
    }
}
