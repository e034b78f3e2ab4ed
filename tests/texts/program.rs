//! Runs the program and keeps what it prints.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::Path;
use std::process::{Command, Stdio};

use regex::Regex;

use crate::support::system::{NOWCAST, System};
use crate::support::wait::wait_for;

/// A command in `folder` whose output depends on nothing but its arguments and that folder.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(NOWCAST);
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).env_clear();
    for name in ["PATH", "HOME"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.env("USER", "ana").env("TZ", "UTC").env("LANG", "C.UTF-8");
    command
}

/// Return what a command prints and its exit status, below the command line itself. `meanwhile` is called again and
/// again until the command has ended.
pub fn transcript_while(mut command: Command, mut meanwhile: impl FnMut()) -> String {
    let mut captured = [(); 2].map(|()| tempfile::tempfile().expect("a file"));
    let [stdout, stderr] = captured.each_ref().map(|file| file.try_clone().expect("a second handle"));
    let mut child = command.stdout(stdout).stderr(stderr).spawn().expect("the program starts");
    let ended = || {
        let status = child.try_wait().expect("it can be waited for");
        if status.is_none() {
            meanwhile();
        }
        status
    };
    let status = wait_for("the command's end", ended, || format!("{command:?}"));
    let [stdout, stderr] = captured.each_mut().map(content);
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    let words = shlex::try_join(arguments.iter().map(AsRef::as_ref)).expect("no NUL");
    let mut text = format!("$ nowcast {words}\n{stdout}");
    for line in stderr.lines() {
        let _ = writeln!(text, "stderr: {line}");
    }
    if !status.success() {
        let _ = writeln!(text, "{status}");
    }
    text
}

/// The same of a command that needs nothing done meanwhile.
pub fn transcript(command: Command) -> String {
    transcript_while(command, || ())
}

fn content(file: &mut File) -> String {
    let mut text = String::new();
    file.rewind().and_then(|()| file.read_to_string(&mut text)).expect("UTF-8");
    text
}

/// A log with what differs from one start to the next written as a word.
pub fn redacted(system: &System, text: &str) -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("a host name");
    let text = text
        .replace(&system.path("").display().to_string(), "/srv/")
        .replace(NOWCAST, "/bin/nowcast")
        .replace(&format!(" on {}", host.trim()), " on HOST")
        .replace(&system.manager_port.to_string(), "4343")
        .replace(&system.workers_port.to_string(), "4344");
    // The manager listens again whenever it was woken up.
    let text = replaced(&text, r"(?m)^.* \[manager\] listening\.\.\.\n", "");
    let text = replaced(&text, r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ", "");
    let text = replaced(&text, r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME");
    let text = replaced(&text, r"\bprocess \d+", "process PID");
    let text = replaced(&text, r"limit of open files: \d+, \d+ ", "limit of open files: N, M ");
    replaced(&text, r"127\.0\.0\.1:\d+", "127.0.0.1:PORT")
}

pub fn replaced(text: &str, pattern: &str, replacement: &str) -> String {
    Regex::new(pattern).expect("a pattern").replace_all(text, replacement).into_owned()
}

/// Compare a text with the snapshot of that name.
#[track_caller]
pub fn assert_snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}
