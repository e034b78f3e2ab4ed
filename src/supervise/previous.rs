//! The daemons of a `nowcast up` that was killed: they stop by themselves, and hold their ports and the journal until then.
//! It never stops them.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use zmq::{POLLIN, PollItem};

use super::{END_WITH, GRACE};
use crate::net::socket;
use crate::process::{self, ProcessIdentity};
use crate::signals::Signals;
use pylogging::Logger;

/// The interval between two looks at them.
const INTERVAL: Duration = Duration::from_millis(50);

/// A daemon that stops because its parent has exited.
struct StoppingDaemon {
    /// Its command: `broker`.
    command: String,
    process: ProcessIdentity,
}

/// Wait until the daemons that an earlier `nowcast up` left for this configuration file have stopped, for as long as it would
/// have waited itself. Return false if a signal ends the wait.
///
/// # Errors
/// When waiting for signals fails.
pub fn wait_for_previous(config: &Path, signals: &mut Signals, log: &Logger) -> io::Result<bool> {
    let end = Instant::now() + GRACE;
    let mut is_logged = false;
    loop {
        let left = stopping(config);
        if left.is_empty() {
            return Ok(true);
        }
        let names: Vec<String> = left
            .iter()
            .map(|daemon| format!("{} (process {})", daemon.command, daemon.process.pid))
            .collect();
        let names = names.join(", ");
        if Instant::now() >= end {
            log.warning(format_args!("daemons of an earlier \"nowcast up\" still run: {names}; starting"));
            return Ok(true);
        }
        if !is_logged {
            let seconds = GRACE.as_secs();
            log.info(format_args!(
                "waiting up to {seconds} s for daemons of an earlier \"nowcast up\" to stop: {names}"
            ));
            is_logged = true;
        }
        let mut items = [PollItem::from_fd(signals.as_raw_fd(), POLLIN)];
        socket::poll(&mut items, socket::milliseconds(INTERVAL)).map_err(io::Error::other)?;
        for signal in signals.take() {
            if signal.ends() {
                log.info(signal.log_text());
                return Ok(false);
            }
        }
    }
}

/// Return the daemons that have outlived their parent and use this configuration file.
fn stopping(config: &Path) -> Vec<StoppingDaemon> {
    let Ok(config) = config.canonicalize() else { return Vec::new() };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|process| process.file_name().to_str()?.parse().ok());
    numbers.filter_map(|pid| stopping_daemon(pid, &config)).collect()
}

fn stopping_daemon(pid: i32, config: &Path) -> Option<StoppingDaemon> {
    let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let mut words = words.split(|byte| *byte == 0).skip(1).map(String::from_utf8_lossy);
    let (command, file, option, parent) = (words.next()?, words.next()?, words.next()?, words.next()?);
    if option != END_WITH || process::parent_of(pid)? == parent.parse::<i32>().ok()? {
        return None;
    }
    let folder = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
    let file: PathBuf = folder.join(&*file);
    let process = ProcessIdentity::of(pid).ok().filter(|process| matches!(process.is_alive(), Ok(true)))?;
    let is_ours = file.canonicalize().is_ok_and(|file| file == config);
    is_ours.then(|| StoppingDaemon { command: command.into_owned(), process })
}
