//! Runs a command with a timeout and returns its output. It never leaves the command running.

use std::io::{self, Read, Seek};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// The maximum number of bytes of output that are read.
const MAX_OUTPUT: u64 = 16 * 1024 * 1024;

/// Return the standard output of a command. If it fails, return the last line of its standard error, or its exit status.
///
/// The command is killed after `limit`.
pub(super) fn run(argv: &[String], limit: Duration) -> Result<String, String> {
    let (status, output, errors) = call(argv, limit).map_err(|error| error.to_string())?;
    if status == Some(0) {
        return Ok(output);
    }
    let last = errors.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned);
    Err(match status {
        None => format!("no answer within {} s", limit.as_secs()),
        Some(status) => last.unwrap_or_else(|| format!("{} exited with status {status}", argv[0])),
    })
}

/// Return the exit status (`None` if it was killed), standard output and standard error.
fn call(argv: &[String], limit: Duration) -> io::Result<(Option<i32>, String, String)> {
    let (program, words) =
        argv.split_first().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "an empty command"))?;
    let (mut output, mut errors) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(errors.try_clone()?)
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
    let seconds = i64::try_from(limit.as_secs()).unwrap_or(i64::MAX);
    let timeout = Timespec { tv_sec: seconds, tv_nsec: limit.subsec_nanos().into() };
    let wait = || -> io::Result<usize> {
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
        Ok(poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout))?)
    };
    if !matches!(wait(), Ok(1..)) {
        child.kill()?;
    }
    let status = child.wait()?.code();
    Ok((status, text(&mut output)?, text(&mut errors)?))
}

fn text(file: &mut std::fs::File) -> io::Result<String> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(MAX_OUTPUT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> Result<String, String> {
        run(&["sh", "-c", script].map(str::to_owned), limit)
    }

    #[test]
    fn a_failed_command_returns_the_reason() {
        let long = Duration::from_secs(60);
        assert_eq!(sh("echo it", long), Ok("it\n".to_owned()));
        assert_eq!(sh("echo why >&2; exit 3", long), Err("why".to_owned()));
        assert_eq!(sh("exit 3", long), Err("sh exited with status 3".to_owned()));
        assert_eq!(sh("exec sleep 1000", Duration::from_secs(0)), Err("no answer within 0 s".to_owned()));
        let missing = run(&["/no/such/program".to_owned()], long).unwrap_err();
        assert!(missing.starts_with("/no/such/program: "), "{missing}");
    }
}
