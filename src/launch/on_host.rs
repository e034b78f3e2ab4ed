//! [`LaunchCommand`]: the commands for one run: which starts it and, on another host, which ask for it and end
//! it there. It starts nothing.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use nowcast_core::RunId;

/// The environment variable by which a process on a host is known as a run's. Debian's ssh hands on `LC_*`, and its
/// sshd takes them, so it comes through with the peer's command line in many places; where it does not, the
/// process is found by its words alone.
pub const RUN_MARK: &str = "LC_NOWCAST_RUN";

/// The commands for one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchCommand {
    /// What is started here, and ends when the worker does.
    pub argv: Vec<String>,
    /// For a worker that runs elsewhere.
    pub remote: Option<RemoteCommands>,
}

impl From<Vec<String>> for LaunchCommand {
    fn from(argv: Vec<String>) -> Self {
        Self { argv, remote: None }
    }
}

/// How a run on another host is asked for, and ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteCommands {
    /// The host, as the rules name it.
    pub host: String,
    /// Who launches there.
    pub launcher: LauncherKind,
    /// Exit statuses of the launching command that do not say how the worker ended.
    pub lost_status: Vec<i32>,
    /// Asks whether it is there; [`super::answer`] reads what it says.
    pub ask: Option<Vec<String>>,
    /// Tells it to end.
    pub terminate: Option<Vec<String>>,
    /// Ends it.
    pub kill: Option<Vec<String>>,
}

/// Who launches on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LauncherKind {
    /// ssh.
    Ssh,
    /// Slurm.
    Slurm,
    /// Commands of the user's own.
    Template,
}

/// Where a run has its files, for those commands that name them.
#[derive(Debug, Clone, Copy)]
pub struct RunLocation<'a> {
    /// The run's folder, an absolute path.
    pub folder: &'a Path,
    /// This machine's name.
    pub machine: &'a str,
}

impl RunLocation<'_> {
    /// The name of the run's job: `nowcast-8812-1f3c9a`. The last part tells systems apart that share a queue, and that
    /// of a run of the same number in a journal that was begun anew.
    pub(super) fn job_name(&self, run: RunId) -> String {
        let mut hash = Sha256::new();
        hash.update(self.machine);
        hash.update([0]);
        hash.update(self.folder.as_os_str().as_encoded_bytes());
        let [a, b, c, ..] = <[u8; 32]>::from(hash.finalize());
        format!("nowcast-{}-{a:02x}{b:02x}{c:02x}", run.0)
    }

    /// The file that the output goes to.
    pub(super) fn output(&self) -> String {
        self.folder.join(super::run_folder::OUTPUT).to_string_lossy().into_owned()
    }
}

/// This machine's name.
#[must_use]
pub fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

/// A word as a shell takes it.
#[must_use]
pub fn quoted(word: &str) -> String {
    if !word.is_empty()
        && word.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_./=:,+@%".contains(letter))
    {
        return word.to_owned();
    }
    // In single quotes everything is itself but the quote.
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Words as one line for a shell.
pub(super) fn line<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> String {
    words.into_iter().map(|word| quoted(word.as_ref())).collect::<Vec<_>>().join(" ")
}

/// A worker's command line as one line for any shell, after its environment file if it has one.
pub(super) fn worker_line(words: &[String], envvars: Option<&str>) -> String {
    match envvars {
        None => line(words),
        Some(envvars) => {
            let script = format!("source {} ; exec {}", quoted(envvars), line(words));
            // Environment files are written for bash, and `sh` is another shell in many places.
            line(["bash", "-c", &script])
        }
    }
}

/// A question or an order over ssh: it never asks for a password and does not wait long for a connection. The
/// words stand for the host's shell.
#[must_use]
pub fn over_ssh(host: &str, words: impl IntoIterator<Item = String>) -> Vec<String> {
    let ssh = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", host].map(str::to_owned);
    ssh.into_iter().chain(words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_gets_the_words_back() {
        let words = ["a b", "it's", "", "$HOME;", "--x=1", "new\nline"];
        assert_eq!(shlex::split(&line(words)).unwrap(), words);
        let inner = worker_line(&["run it".to_owned()], Some("my env.sh"));
        let outer = shlex::split(&inner).unwrap();
        assert_eq!(outer[..2], ["bash", "-c"]);
        assert_eq!(outer[2], "source 'my env.sh' ; exec 'run it'");
    }

    #[test]
    fn a_job_has_a_name_that_another_systems_run_has_not() {
        let name = |folder: &str, machine: &str| {
            RunLocation { folder: Path::new(folder), machine }.job_name(nowcast_core::Number(7))
        };
        let one = name("/a/runs/2026-03-14/7", "salish");
        assert!(one.starts_with("nowcast-7-") && one.len() == 16, "{one}");
        assert_ne!(one, name("/b/runs/2026-03-14/7", "salish"));
        assert_ne!(one, name("/a/runs/2026-03-14/7", "skookum"));
    }
}
