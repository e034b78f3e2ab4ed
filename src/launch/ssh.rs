//! The commands of `launcher: ssh`. Pure: it starts nothing.
//!
//! The worker's command line is the peer's, word for word, so nothing can be added to it by which the process
//! could be found again. It is found by its words, which the host's shell makes of the same line once more,
//! and by [`RUN_MARK`](super::on_host::RUN_MARK) where that comes through.

use super::launch_request::{LaunchError, LaunchRequest};
use super::on_host::{LaunchCommand, LauncherKind, RemoteCommands, over_ssh, quoted};
use crate::config::hosts::SSH_LOST;

/// Looks for the process among all of a Linux host's and sends it a signal; 0 only looks. It gets the signal, the line
/// that the host's shell was given (a shell that stays until the worker's end, or still reads the environment
/// file, is the run as well), and the worker's words.
///
/// The words are those of a process if they are its last ones. In front of them may stand an interpreter, and
/// the path of the first. Among processes with the same words the mark decides: another run's mark excludes. One
/// without a mark counts as there, so that nothing is started twice; but where marks come through, which the
/// script sees by its own, it is not ended.
///
/// Among the processes it must find itself, by the same ways as any other: where it cannot look, it says nothing.
///
/// It has no line ends, exclamation marks and single quotes, so that every shell hands it on in single quotes.
const SCRIPT: &str = r#"signal=$1; line=$2; shift 2; mine=$LC_NOWCAST_RUN; nl=$(printf "\n."); nl=${nl%.}; first=${1##*/}; key=$first; case $first in -m) key=$2;; esac; shift; want=$first; for word in "$@"; do want="$want$nl$word"; done; found=; self=; for file in $(grep -slFe "$key" /proc/[0-9]*/cmdline); do dir=${file%/cmdline}; words=$(tr "\000" "\n" 2>/dev/null <$file); case "$words" in *nowcast-ask*) case $dir in /proc/$$) self=$(printf "%s\n" "$words" | sed -n s/^nowcast-ask$/self/p);; esac; continue;; esac; case "$nl$words" in *"$nl$want"|*"/$want"|*"$nl$line") ;; *) continue;; esac; its=$(tr "\000" "\n" 2>/dev/null <$dir/environ | sed -n s/^LC_NOWCAST_RUN=//p); case "$its" in "$mine") ;; "") case $signal in 0) ;; *) continue;; esac;; *) continue;; esac; found="$found ${dir#/proc/}"; case $signal in 0) ;; *) group=$(sed "s/.*) . [0-9]* \([0-9]*\) .*/\1/" $dir/stat 2>/dev/null); kill -s $signal -- -$group 2>/dev/null;; esac; done; case $self in "") echo "the processes cannot be looked at: grep, tr, sed or /proc is missing" >&2; exit 1;; esac; case $found in "") printf "\nnowcast: gone\n";; *) printf "\nnowcast: there$found\n";; esac"#;

/// The peer's command line, word for word: the host's shell joins them, so `;` ends the `source`.
pub(super) fn command(request: &LaunchRequest) -> Result<LaunchCommand, LaunchError> {
    let envvars = request.need(request.host.envvars.as_ref(), "envvars")?;
    let words = request.words_there()?;
    let host = &request.worker.host;
    let source = ["source".to_owned(), envvars, ";".to_owned()];
    let host_line: Vec<String> = source.iter().chain(&words).cloned().collect();
    // `python` may be another program's name for it.
    let is_python = words.get(1).is_some_and(|word| word == "-m");
    let looked_for = if is_python { &words[1..] } else { &words[..] };
    let script = |signal: &str| {
        let script = ["sh", "-c", &quoted(SCRIPT), "nowcast-ask", signal, &quoted(&host_line.join(" "))];
        let script = script.map(str::to_owned);
        over_ssh(host, source.iter().cloned().chain(script).chain(looked_for.iter().cloned()))
    };
    Ok(LaunchCommand {
        argv: ["ssh".to_owned(), host.clone()].into_iter().chain(host_line.iter().cloned()).collect(),
        remote: Some(RemoteCommands {
            host: host.clone(),
            launcher: LauncherKind::Ssh,
            lost_status: vec![SSH_LOST],
            ask: Some(script("0")),
            terminate: Some(script("TERM")),
            kill: Some(script("KILL")),
        }),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;
    use crate::launch::answer::{HostAnswer, answer};
    use crate::launch::children::ending;
    use crate::launch::on_host::RUN_MARK;

    #[test]
    fn every_shell_hands_the_script_on() {
        assert!(!SCRIPT.contains(['\n', '!', '\'']));
    }

    /// What comes of the question for a `sleep` of so long, with these programs only.
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
            .env_remove(RUN_MARK)
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
    fn where_it_cannot_look_it_knows_nothing() {
        const ALL: [&str; 3] = ["grep", "tr", "sed"];
        let mut there =
            Command::new("sleep").arg("86399.25").env_remove(RUN_MARK).spawn().expect("a process");
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
