//! [`LaunchedRun`]: the state of a run that has not ended, and how it is requested to stop.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::launch_command::LaunchCommand;
use super::run_folder::RunFolder;
use super::runner;
use super::watched_processes::{Environment, WatchedProcesses};
use crate::process::ProcessIdentity;
use nowcast_core::RunId;

/// The time that a runner has beyond the grace period to end its run.
const RUNNER_TIME: Duration = Duration::from_secs(2);

/// A run that has not ended.
#[derive(Debug)]
pub(super) struct LaunchedRun {
    pub(super) folder: RunFolder,
    /// The commands for it, or the reason why the run has no commands.
    pub(super) command: Result<LaunchCommand, String>,
    pub(super) environment: Environment,
    /// How many times a runner was started.
    pub(super) starts: u32,
    /// How many runners died after they had adopted the run.
    pub(super) dead_adopters: u32,
    /// A runner has or had the run, so its worker may have run.
    pub(super) claim_seen: bool,
    pub(super) watching: Watching,
    pub(super) stop_requested: bool,
    pub(super) contact: HostContact,
    /// When the stop request is repeated, which kills the worker: the runner has died, or it is stopped.
    pub(super) kill_at: Option<Instant>,
}

/// The host of a run, and the contact with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostContact {
    /// On this machine.
    Local,
    /// On a remote host.
    Remote,
    /// On a remote host, and the log says that contact is lost.
    Lost,
}

/// The process whose exit is awaited.
#[derive(Debug)]
pub(super) enum Watching {
    /// There is no process yet, or the operating system refused it or its watch, which is retried.
    Nothing,
    /// A runner that this process started, to claim the run or to adopt it. It may die before that.
    StartedRunner { process: Pid, is_adoption: bool },
    /// A runner that has claimed the run; an earlier manager may have started it.
    Runner,
    /// The worker, because its runner has died.
    Worker(ProcessIdentity),
}

impl LaunchedRun {
    pub(super) fn new(
        folder: RunFolder,
        command: Result<LaunchCommand, String>,
        environment: Environment,
    ) -> Self {
        let watching = Watching::Nothing;
        // The host may have been removed from the configuration since the launch.
        let is_remote = command.as_ref().map_or_else(
            |_| !matches!(folder.remote_commands(), Ok(None)),
            |command| command.remote.is_some(),
        );
        Self {
            folder,
            command,
            environment,
            starts: 0,
            dead_adopters: 0,
            claim_seen: false,
            watching,
            stop_requested: false,
            contact: if is_remote { HostContact::Remote } else { HostContact::Local },
            kill_at: None,
        }
    }

    /// Request the run to stop. The grace period of a worker without a runner began with the first request, perhaps
    /// under an earlier manager.
    pub(super) fn request_stop(&mut self, run: RunId, processes: &WatchedProcesses<RunId>) {
        match &self.watching {
            Watching::StartedRunner { .. } | Watching::Runner => {
                processes.signal(&run, Signal::TERM);
                if self.stop_requested {
                    self.insist(run, processes);
                }
                self.folder.note_stop_request();
                // A runner that is stopped cannot count the grace period.
                self.kill_at = (!self.stop_requested && self.contact == HostContact::Local)
                    .then(|| Instant::now() + self.until(runner::GRACE + RUNNER_TIME));
            }
            Watching::Worker(worker) => {
                let signal = if self.stop_requested { Signal::KILL } else { Signal::TERM };
                self.folder.note_stop_request();
                self.kill_at = (!self.stop_requested).then(|| Instant::now() + self.until(runner::GRACE));
                // The worker is alive, so the number still belongs to its group.
                if let Some(group) = worker.raw().filter(|_| worker.is_alive().is_ok_and(|is_alive| is_alive))
                {
                    let _ = kill_process_group(group, signal);
                }
            }
            // The request is repeated when the run is watched.
            Watching::Nothing => {}
        }
        self.stop_requested = true;
    }

    /// Expect a runner that was requested to stop by an earlier manager to end the run.
    pub(super) fn expect_end(&mut self) {
        if self.contact == HostContact::Local {
            self.kill_at = Some(Instant::now() + self.until(runner::GRACE + RUNNER_TIME));
        }
    }

    /// Return how much is left of a time that began with the first stop request.
    fn until(&self, length: Duration) -> Duration {
        length.saturating_sub(self.folder.time_since_stop_request().unwrap_or_default())
    }

    /// Make sure that a second request ends the run though its runner does not act: SIGSTOP may have stopped it.
    fn insist(&self, run: RunId, processes: &WatchedProcesses<RunId>) {
        // What happens on a remote host, only the runner can know.
        let worker = self.folder.live_process().ok().flatten();
        let worker = worker.filter(|_| self.contact == HostContact::Local);
        if let Some(group) = worker.and_then(|worker| worker.raw()) {
            // A runner that is stopped cannot reap the worker, so the number still belongs to its group.
            let _ = kill_process_group(group, Signal::KILL);
        }
        processes.signal(&run, Signal::CONT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::launch_command::{LauncherKind, RemoteCommands};

    #[test]
    fn a_run_stays_on_its_host_when_that_leaves_the_configuration() {
        let root = tempfile::tempdir().expect("a folder");
        let is_remote = |name: &str, command: Result<LaunchCommand, String>| {
            let folder = RunFolder::new(root.path().join(name), name.to_owned());
            LaunchedRun::new(folder, command, Environment::default()).contact == HostContact::Remote
        };
        let remote = RemoteCommands {
            host: "robot".to_owned(),
            launcher: LauncherKind::Ssh,
            lost_status: vec![255],
            ask: None,
            terminate: None,
            kill: None,
        };
        let folder = root.path().join("remote");
        std::fs::create_dir(&folder).expect("a folder");
        RunFolder::new(folder, "remote".to_owned()).write_remote_commands(&remote).expect("written");
        let no_host = || Err("there is no such host".to_owned());
        assert!(is_remote("remote", no_host()) && !is_remote("local", no_host()));
        let command = LaunchCommand { remote: Some(remote), ..Vec::new().into() };
        assert!(is_remote("new", Ok(command)) && !is_remote("local", Ok(Vec::new().into())));
    }
}
