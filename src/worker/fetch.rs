//! A download for a worker: with the patience of the peer's `get_web_data`, and never half a file under its name.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use ureq::Agent;
use ureq::http::Uri;

use crate::config::notify::url_problem;
use crate::net::{http, proxy};

/// How long a server may take to take the connection and to begin its answer.
const BEGIN: Duration = Duration::from_secs(60);

/// What to download, and how patiently.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// From where.
    pub url: String,
    /// To which file.
    pub file: PathBuf,
    /// Request headers: names and values.
    pub headers: Vec<(String, String)>,
    /// How long one try may take from its beginning to its end.
    pub timeout: Duration,
    /// The pauses between tries.
    pub pauses: Pauses,
}

/// The pauses between tries: each twice as long as the one before.
#[derive(Debug, Clone, Copy)]
pub struct Pauses {
    /// The first.
    pub first: Duration,
    /// The longest.
    pub longest: Duration,
    /// When they are longer than that together, the next try is the last.
    pub together: Duration,
}

impl Pauses {
    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = Duration> {
        // The peer counts the first one twice.
        let mut spent = self.first;
        let doubled = std::iter::successors(Some(self.first), |pause| pause.checked_mul(2));
        doubled.map(move |pause| pause.min(self.longest)).take_while(move |pause| {
            let is_left = spent < self.together;
            spent += *pause;
            is_left
        })
    }
}

/// Why nothing was downloaded.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Trying again cannot help.
    #[error("{0}")]
    Useless(String),
    /// It was tried so often.
    #[error("giving up; download from {url} failed {tries} times, at last: {last}")]
    GaveUp {
        /// From where.
        url: String,
        /// How often.
        tries: usize,
        /// Why the last time.
        last: String,
    },
}

impl Fetch {
    /// Downloads; what happens meanwhile is told to `say`. A server's refusal is a reason to try again, since
    /// what is not there yet may come. Answers how many bytes came.
    ///
    /// # Errors
    /// When the address is none, the environment's proxy or a header cannot be used, the file cannot be written, or patience
    /// is at its end.
    pub fn run(&self, say: &mut dyn FnMut(String)) -> Result<u64, FetchError> {
        let url = self.address()?;
        let proxy = proxy::from_environment(&url).map_err(|error| FetchError::Useless(error.to_string()))?;
        let agent: Agent = http::settings(proxy)
            .timeout_connect(Some(BEGIN))
            .timeout_recv_response(Some(BEGIN))
            .timeout_global(Some(self.timeout))
            .build()
            .into();
        let mut pauses = self.pauses.iter();
        let mut tries = 0;
        loop {
            tries += 1;
            let last = match self.once(&agent, &url)? {
                Ok(bytes) => return Ok(bytes),
                Err(reason) => reason,
            };
            let Some(pause) = pauses.next() else {
                return Err(FetchError::GaveUp { url: self.url.clone(), tries, last });
            };
            say(format!("received {last} from {}", self.url));
            say(format!("waiting {} seconds until retry {tries}", pause.as_secs_f64()));
            thread::sleep(pause);
        }
    }

    fn address(&self) -> Result<Uri, FetchError> {
        let refuse =
            || FetchError::Useless(format!("{:?} is no address; write it as https://host/path", self.url));
        url_problem(&self.url).map_err(|_| refuse())?;
        self.url.parse().map_err(|_| refuse())
    }

    /// One try: the bytes, or why there are none yet.
    fn once(&self, agent: &Agent, url: &Uri) -> Result<Result<u64, String>, FetchError> {
        let request =
            self.headers.iter().fold(agent.get(url), |request, (name, value)| request.header(name, value));
        let mut answer = match request.call() {
            Ok(answer) => answer,
            Err(ureq::Error::Http(error)) => {
                let text = format!("the request to {url} with these headers cannot be made: {error}");
                return Err(FetchError::Useless(text));
            }
            Err(error) => return Ok(Err(error.to_string())),
        };
        // A part, or word that nothing has changed, is not the file.
        if answer.status() != ureq::http::StatusCode::OK {
            return Ok(Err(format!("http status: {}", answer.status().as_u16())));
        }
        // What a link stands for is replaced, and not the link.
        let file = fs::canonicalize(&self.file).unwrap_or_else(|_| self.file.clone());
        let before = fs::metadata(&file).ok();
        if before.as_ref().is_some_and(|before| !before.is_file()) {
            return Err(FetchError::Useless(format!("{} is no regular file", self.file.display())));
        }
        let mode = before.map_or(0o666, |before| before.permissions().mode());
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let unwritable = |error: &io::Error| {
            FetchError::Useless(format!("{} cannot be written: {error}", self.file.display()))
        };
        let mut part = tempfile::Builder::new()
            .prefix(".nowcast-fetch-")
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(folder)
            .map_err(|error| unwritable(&error))?;
        let mut body = answer.body_mut().as_reader();
        let mut bytes = 0;
        let mut buffer = vec![0; 100 << 10];
        loop {
            match io::Read::read(&mut body, &mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    part.write_all(&buffer[..count]).map_err(|error| unwritable(&error))?;
                    bytes += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Ok(Err(error.to_string())),
            }
        }
        part.persist(&file).map_err(|error| unwritable(&error.error))?;
        Ok(Ok(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_are_the_peers() {
        let [first, longest, together] = [2, 256, 3_600].map(Duration::from_secs);
        let pauses = Pauses { first, longest, together };
        let pauses: Vec<u64> = pauses.iter().map(|pause| pause.as_secs()).collect();
        assert_eq!(pauses[..8], [2, 4, 8, 16, 32, 64, 128, 256]);
        assert!(pauses[8..].iter().all(|pause| *pause == 256));
        // As many as the peer's own loop makes.
        assert_eq!((pauses.len(), pauses.iter().sum::<u64>()), (21, 3_838));
    }
}
