//! Orphans: processes whose parent has died and which the kernel gives to this one, because it is process 1 of a container
//! or a child subreaper (prctl(2)). They stay as zombies until they are reaped.
//!
//! Only this module reaps processes that this one has not started.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::LazyLock;

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, child_subreaper, getpid, wait};

/// Neither changes while this process runs: it never makes itself a subreaper.
static ARE_INHERITED: LazyLock<bool> =
    LazyLock::new(|| getpid().is_init() || child_subreaper().is_ok_and(|subreaper| subreaper.is_some()));

/// Whether the kernel gives orphans to this process.
#[must_use]
pub fn are_inherited() -> bool {
    *ARE_INHERITED
}

/// Reap every process that has exited, if orphans are inherited. `on_exit` gets each exit, since the process may be one that
/// this process has started.
pub fn reap(mut on_exit: impl FnMut(Pid, ExitStatus)) {
    if !are_inherited() {
        return;
    }
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => on_exit(pid, ExitStatus::from_raw(status.as_raw())),
            Err(Errno::INTR) => {}
            Ok(None) | Err(_) => return,
        }
    }
}
