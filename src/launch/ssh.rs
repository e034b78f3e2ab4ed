//! The commands of `launcher: ssh`. Pure: it starts nothing.
//!
//! The worker's command line is NEMO_Nowcast's, word for word, after a statement that sets the cycle if there is one. So nothing is in it that identifies the process. Only words
//! that the host's shell would not take as they are, and that do not come from the configuration, are quoted.
//! The process is found by its words, which the host's shell expands from the same line again, and by [`RUN_TAG`](super::launch_command::RUN_TAG) where that arrives.

use super::launch_command::{LaunchCommand, LauncherKind, RemoteCommands, over_ssh, prefix, quoted};
use super::worker_argv::{LaunchError, LaunchRequest};
use crate::config::StartSettings;
use crate::config::hosts::SSH_LOST;
use nowcast_core::message::CYCLE;

/// Searches all processes of a Linux host for the run and sends it a signal; 0 only searches. Its arguments are the
/// signal, the line of the host's shell, and the worker's words. A shell that runs the line until the worker exits, or
/// that still reads the environment file, counts as the run.
///
/// A process matches if its command line ends with the words. An interpreter, and the path of the first word, may come
/// before them. Among matching processes the mark decides: a process with another run's mark does not match. A process
/// without a mark counts as present, so that nothing is started twice. It gets no signal on a host where marks arrive,
/// which the script knows from its own mark.
///
/// The script must find itself in the same way: if it cannot, it cannot search the processes, and gives no answer.
///
/// It has no line ends, exclamation marks and single quotes, so that every shell can pass it in single quotes.
const SCRIPT: &str = r#"signal=$1; line=$2; shift 2; mine=$LC_NOWCAST_RUN; nl=$(printf "\n."); nl=${nl%.}; first=${1##*/}; key=$first; case $first in -m) key=$2;; esac; shift; want=$first; for word in "$@"; do want="$want$nl$word"; done; want=$(printf "%s" "$want"); found=; self=; for file in $(grep -slFe "$key" /proc/[0-9]*/cmdline); do dir=${file%/cmdline}; words=$(tr "\000" "\n" 2>/dev/null <$file); case "$words" in *nowcast-ask*) case $dir in /proc/$$) self=$(printf "%s\n" "$words" | sed -n s/^nowcast-ask$/self/p);; esac; continue;; esac; case "$nl$words" in *"$nl$want"|*"/$want"|*"$nl$line") ;; *) continue;; esac; its=$(tr "\000" "\n" 2>/dev/null <$dir/environ | sed -n s/^LC_NOWCAST_RUN=//p); case "$its" in "$mine") ;; "") case $signal in 0) ;; *) continue;; esac;; *) continue;; esac; found="$found ${dir#/proc/}"; case $signal in 0) ;; *) group=$(sed "s/.*) . [0-9]* \([0-9]*\) .*/\1/" $dir/stat 2>/dev/null); kill -s $signal -- -$group 2>/dev/null;; esac; done; case $self in "") echo "the processes cannot be looked at: grep, tr, sed or /proc is missing" >&2; exit 1;; esac; case $found in "") printf "\nnowcast: gone\n";; *) printf "\nnowcast: there$found\n";; esac"#;

/// Return NEMO_Nowcast's command line: ssh joins the words for the host's shell, so `;` ends the `source`.
pub(super) fn command(request: &LaunchRequest) -> Result<LaunchCommand, LaunchError> {
    let envvars = request.require(request.host.envvars.as_ref(), "envvars")?;
    let file = request.remote_file()?;
    let words = shell_words(request.remote_words()?, request.worker.args.len());
    let prefix = prefix(&request.start_settings(&file), &request.remote_variables(&file));
    let host = &request.worker.host;
    let source = ["source".to_owned(), envvars, ";".to_owned()];
    // A statement of its own, since the words may be anything that the host's shell understands.
    let cycle = request.cycle.map(|cycle| ["export".to_owned(), format!("{CYCLE}={cycle}"), ";".to_owned()]);
    let statements = source.iter().cloned().chain(cycle.into_iter().flatten());
    let prefix = prefix.iter().map(|word| quoted(word));
    let host_line: Vec<String> = statements.chain(prefix).chain(words.iter().cloned()).collect();
    // The name of the Python program may differ in the process list.
    let is_python = words.get(1).is_some_and(|word| word == "-m");
    let searched_words = if is_python { &words[1..] } else { &words[..] };
    let script = |signal: &str| {
        let script = ["sh", "-c", &quoted(SCRIPT), "nowcast-ask", signal, &quoted(&host_line.join(" "))];
        let script = script.map(str::to_owned);
        over_ssh(host, source.iter().cloned().chain(script).chain(searched_words.iter().cloned()))
    };
    Ok(LaunchCommand {
        argv: ["ssh".to_owned(), host.clone()].into_iter().chain(host_line.iter().cloned()).collect(),
        exec: None,
        remote: Some(RemoteCommands {
            host: host.clone(),
            launcher: LauncherKind::Ssh,
            lost_status: vec![SSH_LOST],
            ask: Some(script("0")),
            terminate: Some(script("TERM")),
            kill: Some(script("KILL")),
        }),
        start: StartSettings::default(),
        argv_without_values: None,
    })
}

/// Quote the module and the last `given` words for the host's shell: they come from rules, so they may have any text of a message. The
/// configuration's words stay as they are, since the shell may be meant to expand them (`~`, `$HOME`).
fn shell_words(words: Vec<String>, given: usize) -> Vec<String> {
    let configured = words.len() - given;
    let is_python = words.get(1).is_some_and(|word| word == "-m");
    let shell_word = |(at, word): (usize, String)| {
        let is_from_rules = at >= configured || is_python && at == 2;
        if is_from_rules { quoted(&word) } else { word }
    };
    words.into_iter().enumerate().map(shell_word).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;
    use crate::launch::answer::{HostAnswer, answer};
    use crate::launch::launch_command::RUN_TAG;
    use crate::process::ending;

    #[test]
    fn every_shell_can_quote_the_script() {
        assert!(!SCRIPT.contains(['\n', '!', '\'']));
    }

    /// The answer for a `sleep` of that many seconds, where only these programs are installed.
    fn ask(shell: &str, seconds: &str, programs: &[&str]) -> HostAnswer {
        let folder = tempfile::tempdir().expect("a folder");
        for program in programs {
            let path = std::env::split_paths(&std::env::var_os("PATH").expect("a path"))
                .map(|path| path.join(program))
                .find(|path| path.exists());
            symlink(path.expect("it is there"), folder.path().join(program)).expect("a link");
        }
        let line = format!("source env.sh ; sleep {seconds}");
        let asked = Command::new(shell)
            .args(["-c", SCRIPT, "nowcast-ask", "0", &line, "sleep", seconds])
            .env("PATH", folder.path())
            .env_remove(RUN_TAG)
            .output()
            .expect("a shell");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        let remote = RemoteCommands {
            host: "robot".to_owned(),
            launcher: LauncherKind::Ssh,
            lost_status: vec![SSH_LOST],
            ask: None,
            terminate: None,
            kill: None,
        };
        answer(&remote, &ending(asked.status), &text(asked.stdout), &text(asked.stderr))
    }

    #[test]
    fn without_its_programs_the_script_gives_no_answer() {
        const ALL: [&str; 3] = ["grep", "tr", "sed"];
        let mut there = Command::new("sleep").arg("86399.25").env_remove(RUN_TAG).spawn().expect("a process");
        for shell in ["/bin/sh", "/bin/bash"] {
            for seconds in ["86399.25", "86399.75"] {
                for programs in [&ALL[..0], &ALL[..1], &ALL[..2], &ALL[1..]] {
                    let nothing = ask(shell, seconds, programs);
                    let why = "the processes cannot be looked at: grep, tr, sed or /proc is missing";
                    assert_eq!(nothing, HostAnswer::NoAnswer(why.to_owned()), "{shell} {programs:?}");
                }
            }
            assert_eq!(ask(shell, "86399.25", &ALL), HostAnswer::Present(format!("process {}", there.id())));
            assert_eq!(ask(shell, "86399.75", &ALL), HostAnswer::Gone(None));
        }
        there.kill().expect("killed");
        there.wait().expect("ended");
    }
}
