//! [`StartedBy`]: what runs a manager that no `nowcast up` has started, and which command does there what `nowcast up` would do. It
//! changes nothing.

use std::fs;
use std::path::Path;

use crate::store::journal;
use crate::supervise::request::UpCommand;

/// What has started the manager of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StartedBy {
    /// No manager runs.
    NotRunning,
    /// Supervisor, in this group of programs.
    Supervisor { group: String },
    /// systemd, as this unit, of a user or of the machine.
    Systemd { unit: String, is_user: bool },
    /// A shell, or another program.
    Other { process: u64 },
}

impl StartedBy {
    pub(super) fn find(journal: &Path) -> Self {
        // 0 is not known, and to `kill` it is the caller's own group.
        let Some(process) = journal::holder(journal).filter(|process| *process > 0) else {
            return Self::NotRunning;
        };
        let read = |name: &str| fs::read(format!("/proc/{process}/{name}")).unwrap_or_default();
        let (environment, cgroup) = (read("environ"), read("cgroup"));
        let of_process = Self::of(&String::from_utf8_lossy(&environment), &String::from_utf8_lossy(&cgroup));
        of_process.unwrap_or(Self::Other { process })
    }

    /// Recognize it by the environment of the manager and the name of its control group.
    fn of(environment: &str, cgroup: &str) -> Option<Self> {
        let variable = |name: &str| {
            environment.split('\0').find_map(|line| line.split_once('=').filter(|(key, _)| *key == name))
        };
        if let Some((_, group)) = variable("SUPERVISOR_GROUP_NAME") {
            return Some(Self::Supervisor { group: group.to_owned() });
        }
        // Also what cron starts belongs to a unit, but only our own unit waits for a notification.
        variable("NOTIFY_SOCKET")?;
        let unit =
            cgroup.lines().next_back()?.rsplit('/').next().filter(|unit| unit.ends_with(".service"))?;
        Some(Self::Systemd { unit: unit.to_owned(), is_user: cgroup.contains("/user@") })
    }

    /// Return what to do instead of asking `nowcast up`.
    pub(super) fn instead_of(&self, command: &UpCommand) -> String {
        let (supervisor, systemd) = match command {
            UpCommand::Restart { .. } => ("restart", "restart"),
            UpCommand::Reload => ("signal HUP", "reload"),
            UpCommand::Shutdown => ("stop", "stop"),
        };
        match self {
            Self::NotRunning => "no manager runs either: start the system with \"nowcast up\"".to_owned(),
            Self::Supervisor { group } => {
                format!(
                    "its manager runs under Supervisor: use supervisorctl {supervisor} {group}, and the same for the other daemons"
                )
            }
            Self::Systemd { unit, is_user } => {
                let user = if *is_user { "--user " } else { "" };
                format!(
                    "its manager runs under systemd: use systemctl {user}{systemd} {unit}, and the same for the units of the other daemons"
                )
            }
            Self::Other { process } => {
                let signal = if *command == UpCommand::Reload { "HUP" } else { "TERM" };
                format!(
                    "its manager (process {process}) was started by hand: use kill -{signal} {process}, and the same for the other daemons"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supervisor_and_systemd_are_recognized_by_what_they_leave() {
        let group = "SUPERVISOR_ENABLED=1\0SUPERVISOR_GROUP_NAME=ocean\0HOME=/root";
        assert_eq!(
            StartedBy::of(group, "0::/user.slice"),
            Some(StartedBy::Supervisor { group: "ocean".to_owned() })
        );
        let unit = |is_user| Some(StartedBy::Systemd { unit: "nowcast-manager.service".to_owned(), is_user });
        let notified = "A=1\0NOTIFY_SOCKET=/run/systemd/notify";
        assert_eq!(StartedBy::of(notified, "0::/system.slice/nowcast-manager.service\n"), unit(false));
        let cgroup = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/nowcast-manager.service\n";
        assert_eq!(StartedBy::of(notified, cgroup), unit(true));
        // A job of cron, and a shell.
        assert_eq!(StartedBy::of("INVOCATION_ID=5", "0::/system.slice/cron.service"), None);
        assert_eq!(StartedBy::of(notified, "0::/user.slice/session-3.scope"), None);
    }

    #[test]
    fn each_command_has_one_there() {
        let supervisor = StartedBy::Supervisor { group: "manager".to_owned() };
        assert!(supervisor.instead_of(&UpCommand::Reload).contains("supervisorctl signal HUP manager,"));
        let systemd = StartedBy::Systemd { unit: "ocean.service".to_owned(), is_user: true };
        assert!(systemd.instead_of(&UpCommand::Shutdown).contains("systemctl --user stop ocean.service,"));
        let other = StartedBy::Other { process: 71 };
        assert!(other.instead_of(&UpCommand::Restart { daemons: Vec::new() }).contains("kill -TERM 71,"));
    }
}
