//! [`LaunchCommand`]: the command that starts a run and, for a remote host, those that find and stop it. Pure: it starts
//! nothing.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::StartSettings;
use nowcast_core::RunId;

/// The environment variable that identifies a run's process on its host. Debian's ssh sends `LC_*` and its sshd accepts
/// them, so it often arrives with NEMO_Nowcast's unchanged command line. Where it does not, the process is found by
/// its command line alone.
pub const RUN_TAG: &str = "LC_NOWCAST_RUN";

/// The commands for one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchCommand {
    /// The command that this machine starts; it ends when the worker does.
    pub argv: Vec<String>,
    /// For a program of `exec:` on this machine, the worker for which its runner reports.
    pub exec: Option<ExecWorker>,
    /// For a remote host, how to find and stop the run there.
    pub remote: Option<RemoteCommands>,
    /// How the process starts on this machine; what starts one on a remote host has these settings in `argv`.
    pub start: StartSettings,
    /// `argv` without the values of environment variables, which can be secrets; `None` if it has none.
    pub argv_without_values: Option<Vec<String>>,
}

impl From<Vec<String>> for LaunchCommand {
    fn from(argv: Vec<String>) -> Self {
        Self { argv, exec: None, remote: None, start: StartSettings::default(), argv_without_values: None }
    }
}

impl LaunchCommand {
    /// Return the command line that does the same without a runner. `nowcast` is our binary.
    #[must_use]
    pub fn without_runner(&self, nowcast: &Path) -> Vec<String> {
        self.line_of(&self.argv, nowcast)
    }

    /// Return the same for the log, in which values of environment variables are not readable.
    #[must_use]
    pub fn for_log(&self, nowcast: &Path) -> Vec<String> {
        self.line_of(self.argv_without_values.as_ref().unwrap_or(&self.argv), nowcast)
    }

    fn line_of(&self, argv: &[String], nowcast: &Path) -> Vec<String> {
        let exec = self.exec.as_ref().map(|ExecWorker { name, config }| {
            let (nowcast, config) = (nowcast.to_string_lossy(), config.to_string_lossy());
            [&*nowcast, "exec", name, &*config, "--"].map(str::to_owned)
        });
        let words = exec.into_iter().flatten().chain(argv.iter().cloned());
        prefix(&self.start, &[]).into_iter().chain(words).collect()
    }
}

/// A worker whose program knows nothing of nowcast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecWorker {
    /// Its name in the message registry.
    pub name: String,
    /// The configuration file.
    pub config: PathBuf,
}

/// The commands that find and stop a run on a remote host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteCommands {
    /// The host, as the rules name it.
    pub host: String,
    /// The launcher.
    pub launcher: LauncherKind,
    /// Exit statuses of the launching command that do not say how the worker ended.
    pub lost_status: Vec<i32>,
    /// Asks whether the run exists; [`super::answer`] reads its output.
    pub ask: Option<Vec<String>>,
    /// Sends SIGTERM.
    pub terminate: Option<Vec<String>>,
    /// Sends SIGKILL.
    pub kill: Option<Vec<String>>,
}

/// The launcher of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LauncherKind {
    /// ssh.
    Ssh,
    /// Slurm.
    Slurm,
    /// Commands from the configuration.
    Template,
}

/// The folder of a run and the machine it is on, for the commands that name them.
#[derive(Debug, Clone, Copy)]
pub struct RunLocation<'a> {
    /// The run's folder, an absolute path.
    pub folder: &'a Path,
    /// This machine's name.
    pub machine: &'a str,
}

impl RunLocation<'_> {
    /// Return the name of the run's job: `nowcast-8812-1f3c9a`. The last part distinguishes systems that share a queue,
    /// and a run of the same number in an earlier journal.
    pub(super) fn job_name(&self, run: RunId) -> String {
        let mut hash = Sha256::new();
        hash.update(self.machine);
        hash.update([0]);
        hash.update(self.folder.as_os_str().as_encoded_bytes());
        let [a, b, c, ..] = <[u8; 32]>::from(hash.finalize());
        format!("nowcast-{}-{a:02x}{b:02x}{c:02x}", run.0)
    }

    /// Return the path of the run's output.
    pub(super) fn output(&self) -> String {
        self.folder.join(super::run_folder::OUTPUT).to_string_lossy().into_owned()
    }
}

/// Quote a word for a shell, unless it has only letters, digits and `_@%+=:,./-`.
#[must_use]
pub fn quoted(word: &str) -> String {
    if !word.is_empty()
        && word.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_./=:,+@%".contains(letter))
    {
        return word.to_owned();
    }
    // Between single quotes, only the quote itself is special.
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Return words as one line for a shell.
pub(super) fn line<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> String {
    words.into_iter().map(|word| quoted(word.as_ref())).collect::<Vec<_>>().join(" ")
}

/// Return a worker's command line as one line for any shell, preceded by its environment file if it has one.
pub(super) fn worker_line(words: &[String], envvars: Option<&str>) -> String {
    match envvars {
        None => line(words),
        Some(envvars) => {
            let script = format!("source {} ; exec {}", quoted(envvars), line(words));
            // Environment files are written for bash, and `sh` is often another shell.
            line(["bash", "-c", &script])
        }
    }
}

/// Return the words before a command line that give its process these settings and variables. Each program there executes the rest in its
/// own place, so the process has the same words.
pub(super) fn prefix(start: &StartSettings, environment: &[(String, String)]) -> Vec<String> {
    let word = str::to_owned;
    let mut words: Vec<String> = Vec::new();
    words.extend(start.nice.iter().flat_map(|nice| [word("nice"), word("-n"), nice.to_string()]));
    if !environment.is_empty() {
        words.push(word("env"));
        words.extend(environment.iter().map(|(name, value)| format!("{name}={value}")));
    }
    let mut script: Vec<String> = Vec::new();
    script.extend(start.umask.map(|umask| format!("umask {umask:04o}")));
    // In kB, see sh(1).
    script.extend(start.memory_limit.map(|limit| format!("ulimit -S -d {}", limit >> 10)));
    script.extend(start.folder.as_ref().map(|folder| format!("cd {}", quoted(folder))));
    if !script.is_empty() {
        script.push(word("exec \"$@\""));
        words.extend([word("sh"), word("-c"), script.join(" && "), word("sh")]);
    }
    words
}

/// Return a command that runs words in a host's shell by ssh. It never asks for a password, and its timeout for the
/// connection is short.
#[must_use]
pub fn over_ssh(host: &str, words: impl IntoIterator<Item = String>) -> Vec<String> {
    let ssh = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", host].map(str::to_owned);
    ssh.into_iter().chain(words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_splits_a_line_into_its_words() {
        let words = ["a b", "it's", "", "$HOME;", "--x=1", "new\nline"];
        assert_eq!(shlex::split(&line(words)).unwrap(), words);
        let inner = worker_line(&["run it".to_owned()], Some("my env.sh"));
        let outer = shlex::split(&inner).unwrap();
        assert_eq!(outer[..2], ["bash", "-c"]);
        assert_eq!(outer[2], "source 'my env.sh' ; exec 'run it'");
    }

    #[test]
    fn the_name_of_a_job_is_unique_to_its_system() {
        let name = |folder: &str, machine: &str| {
            RunLocation { folder: Path::new(folder), machine }.job_name(nowcast_core::Number(7))
        };
        let one = name("/a/runs/2026-03-14/7", "salish");
        assert!(one.starts_with("nowcast-7-") && one.len() == 16, "{one}");
        assert_ne!(one, name("/b/runs/2026-03-14/7", "salish"));
        assert_ne!(one, name("/a/runs/2026-03-14/7", "skookum"));
    }
}
