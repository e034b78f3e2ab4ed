//! Runs the program and keeps what it prints.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

const NOWCAST: &str = env!("CARGO_BIN_EXE_nowcast");

/// A command in `folder` whose output depends on nothing but its arguments and that folder.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(NOWCAST);
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).env_clear();
    for name in ["PATH", "HOME"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.env("USER", "ana").env("TZ", "UTC");
    command
}

/// Return what a command printed and its exit status, below the command line itself.
pub fn transcript(mut command: Command) -> String {
    let output = command.output().expect("the command runs");
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    let words = shlex::try_join(arguments.iter().map(AsRef::as_ref)).expect("no NUL");
    let mut text = format!("$ nowcast {words}\n{}", String::from_utf8_lossy(&output.stdout));
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        let _ = writeln!(text, "stderr: {line}");
    }
    if !output.status.success() {
        let _ = writeln!(text, "{}", output.status);
    }
    text
}

/// Compare a text with the snapshot of that name.
#[track_caller]
pub fn assert_snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}
