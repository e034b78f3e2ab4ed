//! The meaning of what a host and its launching command return. Pure: it calls no host.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use super::launch_command::{LauncherKind, RemoteCommands};
use crate::process::ending;
use nowcast_core::Ending;

/// The state of the run that the exit of the launching command shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The run ended like this.
    Ended(Ending),
    /// The run never started, with the reason.
    NotStarted(String),
    /// Nothing: the host must be asked.
    Ask {
        /// How the run ended if the host knows nothing of it; `None` if that is unknown.
        if_gone: Option<Ending>,
    },
}

/// The answer of a host that was asked for a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostAnswer {
    /// The run exists, in the host's words.
    Present(String),
    /// The run does not exist; how it ended, if the host knows.
    Gone(Option<Ending>),
    /// The host did not answer, with the reason.
    NoAnswer(String),
}

/// Starts of ssh's last line when it never reached a shell on the host. When ssh loses a shell later, it writes other
/// lines (`client_loop: …`, `Connection to … closed by remote host.`, `Timeout, server … not responding.`). A line that
/// ssh writes in both cases (`Connection closed by …`) is not in this list: then the host is asked.
const NOT_REACHED: [&str; 8] = [
    "ssh: connect to host ",
    "ssh: Could not resolve hostname ",
    "Host key verification failed.",
    "kex_exchange_identification: ",
    "ssh_exchange_identification: ",
    "banner exchange: ",
    "Connection timed out during banner exchange",
    "Unable to negotiate with ",
];

/// Such a text in the middle of the line: `me@robot.nibi: Permission denied (publickey).`
const DENIED: &str = ": Permission denied (";

/// The output of the launching command and the worker.
#[derive(Debug, Clone, Copy)]
pub struct LauncherOutput<'a> {
    /// Its start.
    pub head: &'a str,
    /// Its end.
    pub tail: &'a str,
    /// Whether `tail` is the whole output.
    pub is_whole: bool,
}

/// Return what the end of the launching command shows about the run.
#[must_use]
pub fn verdict(remote: &RemoteCommands, ending: &Ending, output: &LauncherOutput) -> Verdict {
    // `sbatch` also exits with status 0 when its job was cancelled while it was pending.
    let is_sure = ending.is_success() && remote.launcher != LauncherKind::Slurm;
    if remote.ask.is_none() || is_sure {
        return Verdict::Ended(ending.clone());
    }
    let Ending::Status(status) = *ending else {
        // It was killed, or its exit status went to another process.
        return Verdict::Ask { if_gone: None };
    };
    let is_lost = remote.lost_status.contains(&status);
    let last = last_line(output.tail);
    match remote.launcher {
        LauncherKind::Ssh | LauncherKind::Slurm if is_lost && is_not_reached(output, last) => {
            Verdict::NotStarted(format!("{} was not reached: {last}", remote.host))
        }
        LauncherKind::Slurm if is_not_submitted(output, last) => Verdict::NotStarted(last.to_owned()),
        LauncherKind::Ssh if !is_lost => Verdict::Ended(ending.clone()),
        _ => Verdict::Ask { if_gone: Some(ending.clone()).filter(|_| !is_lost) },
    }
}

fn last_line(text: &str) -> &str {
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default()
}

/// Whether ssh reports that it reached no shell. A worker that calls ssh may write the same text, but its other lines
/// end without the carriage return of ssh's own lines.
fn is_not_reached(output: &LauncherOutput, last: &str) -> bool {
    let is_reported = NOT_REACHED.iter().any(|begin| last.starts_with(begin)) || last.contains(DENIED);
    is_reported && output.is_whole && output.tail.split_terminator('\n').all(|line| line.ends_with('\r'))
}

/// Whether `sbatch` reports that it submitted nothing. After a timeout it does not know.
fn is_not_submitted(output: &LauncherOutput, last: &str) -> bool {
    let is_sbatch = last.starts_with("sbatch: error: ") || last.starts_with("sbatch: fatal: ");
    let is_submitted = [output.head, output.tail].iter().any(|text| text.contains("Submitted batch job "));
    is_sbatch && !is_submitted && !last.contains("timed out")
}

/// Return a host's answer from the end of the command that asked, and its output.
#[must_use]
pub fn answer(remote: &RemoteCommands, ending: &Ending, output: &str, errors: &str) -> HostAnswer {
    let nothing = || {
        let last = last_line(errors);
        HostAnswer::NoAnswer(if last.is_empty() { format!("the question {ending}") } else { last.to_owned() })
    };
    if remote.launcher == LauncherKind::Ssh {
        // The environment file may write lines of its own.
        let line = output.lines().rev().find_map(|line| line.strip_prefix("nowcast: "));
        return match line.map(|line| line.split_once(' ').unwrap_or((line, ""))) {
            Some(("gone", _)) => HostAnswer::Gone(None),
            Some(("there", processes)) => HostAnswer::Present(format!("process {processes}")),
            _ => nothing(),
        };
    }
    let line = last_line(output);
    match (ending.is_success(), line, remote.launcher) {
        (false, ..) => nothing(),
        (true, "", _) => HostAnswer::Gone(None),
        (true, _, LauncherKind::Slurm) => job(line),
        (true, ..) => HostAnswer::Present(line.to_owned()),
    }
}

/// Return the answer for a job from a line of `squeue`: its state and its exit status as wait(2) encodes it.
fn job(line: &str) -> HostAnswer {
    /// States of a job that may run, or run again: squeue(1), JOB STATE CODES.
    const OPEN: [&str; 12] = [
        "PENDING",
        "CONFIGURING",
        "RUNNING",
        "SUSPENDED",
        "COMPLETING",
        "STAGE_OUT",
        "SIGNALING",
        "STOPPED",
        "RESIZING",
        "REQUEUED",
        "REQUEUE_HOLD",
        "REQUEUE_FED",
    ];
    let mut words = line.split_whitespace();
    let (state, status) =
        (words.next().unwrap_or_default(), words.next().and_then(|word| word.parse::<i32>().ok()));
    if OPEN.contains(&state) || state == "SPECIAL_EXIT" || state == "RESV_DEL_HOLD" {
        return HostAnswer::Present(state.to_owned());
    }
    HostAnswer::Gone(Some(match (state, status) {
        ("COMPLETED", _) => Ending::Status(0),
        ("FAILED", Some(status)) => ending(ExitStatus::from_raw(status)),
        _ => Ending::OnHost(format!("Slurm says that its job is {state}")),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::hosts::SSH_LOST;

    fn remote(launcher: LauncherKind, lost_status: &[i32]) -> RemoteCommands {
        let ask = Some(vec!["ask".to_owned()]);
        let (host, lost_status) = ("robot".to_owned(), lost_status.to_vec());
        RemoteCommands { host, launcher, lost_status, ask, terminate: None, kill: None }
    }

    fn whole(text: &str) -> LauncherOutput<'_> {
        LauncherOutput { head: text, tail: text, is_whole: true }
    }

    #[test]
    fn only_statuses_of_ssh_itself_are_not_the_workers() {
        let ssh = remote(LauncherKind::Ssh, &[SSH_LOST]);
        let verdict = |ending, output| verdict(&ssh, &ending, &whole(output));
        for ending in [Ending::Status(0), Ending::Status(1), Ending::Status(254)] {
            assert_eq!(verdict(ending.clone(), "ssh: connect to host x"), Verdict::Ended(ending));
        }
        for ending in [Ending::Status(255), Ending::Killed(9), Ending::Unknown] {
            assert_eq!(verdict(ending, "it goes well\n"), Verdict::Ask { if_gone: None });
        }
        for text in [
            "client_loop: send disconnect: Broken pipe\r\n",
            "Connection to robot closed by remote host.",
            "Timeout, server robot not responding.",
            "Connection closed by 127.0.0.1 port 22\r\n",
            "ssh: connect to host x port 22: Connection refused\nthen it went on",
            "it copies the results\nssh: connect to host x port 22: Connection refused\r\n",
            "it copies the results\nme@x: Permission denied (publickey).\r\n",
        ] {
            assert_eq!(verdict(Ending::Status(255), text), Verdict::Ask { if_gone: None }, "{text}");
        }
        for text in [
            "ssh: connect to host robot port 22: Connection refused\r\n",
            "Warning: x\r\nssh: Could not resolve hostname robot: Name or service not known\r\n",
            "me@robot: Permission denied (publickey,password).\r\n",
        ] {
            let never = verdict(Ending::Status(255), text);
            assert!(matches!(never, Verdict::NotStarted(why) if why.starts_with("robot was not")), "{text}");
            let cut = LauncherOutput { is_whole: false, ..whole(text) };
            let asked = super::verdict(&ssh, &Ending::Status(255), &cut);
            assert_eq!(asked, Verdict::Ask { if_gone: None });
        }
    }

    #[test]
    fn sbatch_shows_whether_it_submitted_a_job() {
        let slurm = remote(LauncherKind::Slurm, &[]);
        let verdict = |output: &str| verdict(&slurm, &Ending::Status(1), &whole(output));
        let down = "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)";
        assert_eq!(verdict(down), Verdict::NotStarted(down.to_owned()));
        let ask = Verdict::Ask { if_gone: Some(Ending::Status(1)) };
        assert_eq!(verdict("Submitted batch job 3\n"), ask);
        let then_down = format!("Submitted batch job 3\n{down}");
        assert_eq!(verdict(&then_down), ask);
        let long = LauncherOutput { head: "Submitted batch job 3\nit works", tail: down, is_whole: false };
        assert_eq!(super::verdict(&slurm, &Ending::Status(1), &long), ask);
        let good = super::verdict(&slurm, &Ending::Status(0), &whole("Submitted batch job 3"));
        assert_eq!(good, Verdict::Ask { if_gone: Some(Ending::Status(0)) });
        let late = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation";
        assert_eq!(verdict(late), ask);
    }

    #[test]
    fn a_template_host_is_asked_after_each_failure() {
        let template = remote(LauncherKind::Template, &[7]);
        let verdict = |status| verdict(&template, &Ending::Status(status), &whole(""));
        assert_eq!(verdict(0), Verdict::Ended(Ending::Status(0)));
        assert_eq!(verdict(1), Verdict::Ask { if_gone: Some(Ending::Status(1)) });
        assert_eq!(verdict(7), Verdict::Ask { if_gone: None });
        let without_ask = RemoteCommands { ask: None, ..template };
        let ended = super::verdict(&without_ask, &Ending::Status(7), &whole(""));
        assert_eq!(ended, Verdict::Ended(Ending::Status(7)));
    }

    #[test]
    fn answers_of_a_host_are_read() {
        let ssh = remote(LauncherKind::Ssh, &[SSH_LOST]);
        let read = |remote: &RemoteCommands, status, output| {
            answer(remote, &Ending::Status(status), output, "no route\n")
        };
        assert_eq!(read(&ssh, 0, "module loaded\nnowcast: gone\n"), HostAnswer::Gone(None));
        assert_eq!(read(&ssh, 0, "\nnowcast: there 7 8\n"), HostAnswer::Present("process 7 8".to_owned()));
        for (status, output) in [(0, ""), (255, ""), (127, "sh: not found"), (0, "gone")] {
            assert_eq!(read(&ssh, status, output), HostAnswer::NoAnswer("no route".to_owned()));
        }
        let template = remote(LauncherKind::Template, &[]);
        assert_eq!(read(&template, 0, " \n"), HostAnswer::Gone(None));
        assert_eq!(read(&template, 0, "pod/x\n"), HostAnswer::Present("pod/x".to_owned()));
        assert_eq!(read(&template, 1, ""), HostAnswer::NoAnswer("no route".to_owned()));
    }

    #[test]
    fn the_state_of_a_slurm_job_shows_how_it_ended() {
        let slurm = remote(LauncherKind::Slurm, &[]);
        let read = |output: &str| answer(&slurm, &Ending::Status(0), output, "");
        assert_eq!(read(""), HostAnswer::Gone(None));
        assert_eq!(read("PENDING   0  \n"), HostAnswer::Present("PENDING".to_owned()));
        assert_eq!(read("COMPLETED  0"), HostAnswer::Gone(Some(Ending::Status(0))));
        assert_eq!(read("FAILED     768"), HostAnswer::Gone(Some(Ending::Status(3))));
        assert_eq!(read("FAILED     11"), HostAnswer::Gone(Some(Ending::Killed(11))));
        let text = "Slurm says that its job is TIMEOUT".to_owned();
        assert_eq!(read("TIMEOUT    0"), HostAnswer::Gone(Some(Ending::OnHost(text))));
    }
}
