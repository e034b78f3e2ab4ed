//! [`OpenRun`]: what is known of a run that has not ended, and how it is told to end.

use std::fmt::Display;
use std::hash::Hash;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process_group};

use super::children::{Children, Environment};
use super::on_host::LaunchCommand;
use super::run_folder::RunFolder;
use super::runner;
use crate::process::ProcessIdentity;

/// A run that has not ended.
#[derive(Debug)]
pub(super) struct OpenRun {
    pub(super) folder: RunFolder,
    /// The commands for it, or why there are none.
    pub(super) command: Result<LaunchCommand, String>,
    pub(super) environment: Environment,
    /// How often a runner was started.
    pub(super) starts: u32,
    /// Some runner had the run, so its worker may have run.
    pub(super) claimed: bool,
    pub(super) watching: Watching,
    pub(super) stop_requested: bool,
    pub(super) contact: HostContact,
    /// When a worker without a runner, which was told to end, is killed.
    pub(super) kill_at: Option<Instant>,
}

/// Where it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostContact {
    /// On this machine.
    Local,
    /// On another host.
    Remote,
    /// There, and it was said that contact with it is lost.
    Lost,
}

/// Whose end is waited for.
#[derive(Debug)]
pub(super) enum Watching {
    /// Nobody's: the operating system did not allow it. It is tried again.
    Nobody,
    /// A runner that was started here. It may die before it has claimed the run.
    OurRunner,
    /// A runner that has the run, whoever started it.
    Claimant,
    /// The worker, as its runner is dead.
    Worker(ProcessIdentity),
}

impl OpenRun {
    pub(super) fn new(
        folder: RunFolder,
        command: Result<LaunchCommand, String>,
        environment: Environment,
    ) -> Self {
        let watching = Watching::Nobody;
        // Its host may have left the configuration since it was launched.
        let is_remote = command
            .as_ref()
            .map_or_else(|_| folder.remote_commands().is_some(), |command| command.remote.is_some());
        Self {
            folder,
            command,
            environment,
            starts: 0,
            claimed: false,
            watching,
            stop_requested: false,
            contact: if is_remote { HostContact::Remote } else { HostContact::Local },
            kill_at: None,
        }
    }

    /// Tells it to end. A worker without a runner gets what is left of the grace that began when it was first told,
    /// under another manager perhaps.
    pub(super) fn request_stop<Key: Copy + Eq + Hash + Display>(
        &mut self,
        run: Key,
        watched: &Children<Key>,
    ) {
        match &self.watching {
            Watching::OurRunner | Watching::Claimant => {
                watched.signal(&run, Signal::TERM);
                self.folder.note_stop_request();
            }
            Watching::Worker(worker) => {
                let signal = if self.stop_requested { Signal::KILL } else { Signal::TERM };
                self.folder.note_stop_request();
                let ago = self.folder.time_since_stop_request().unwrap_or(Duration::ZERO);
                self.kill_at =
                    (!self.stop_requested).then(|| Instant::now() + runner::GRACE.saturating_sub(ago));
                // Alive, so the number is still that of its group.
                if let Some(group) = worker.raw().filter(|_| worker.is_alive()) {
                    let _ = kill_process_group(group, signal);
                }
            }
            // It is told when it is taken on.
            Watching::Nobody => {}
        }
        self.stop_requested = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::on_host::{LauncherKind, RemoteCommands};

    #[test]
    fn a_run_stays_on_its_host_when_that_leaves_the_configuration() {
        let place = tempfile::tempdir().expect("a folder");
        let is_remote = |name: &str, command: Result<LaunchCommand, String>| {
            let folder = RunFolder::new(place.path().join(name), name.to_owned());
            OpenRun::new(folder, command, Environment::default()).contact == HostContact::Remote
        };
        let remote = RemoteCommands {
            host: "robot".to_owned(),
            launcher: LauncherKind::Ssh,
            lost_status: vec![255],
            ask: None,
            terminate: None,
            kill: None,
        };
        let far = place.path().join("far");
        std::fs::create_dir(&far).expect("a folder");
        RunFolder::new(far, "far".to_owned()).write_remote_commands(&remote).expect("written");
        let no_host = || Err("there is no such host".to_owned());
        assert!(is_remote("far", no_host()) && !is_remote("here", no_host()));
        let command = LaunchCommand { argv: Vec::new(), remote: Some(remote) };
        assert!(is_remote("new", Ok(command)) && !is_remote("here", Ok(Vec::new().into())));
    }
}
