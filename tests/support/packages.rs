//! Debian packages for the tests that need real servers, installed if they are missing.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use rustix::fs::{FlockOperation, flock};

/// Install a program with these packages if it is missing.
///
/// # Panics
/// If they cannot be installed.
pub fn install(program: &str, packages: &[&str]) {
    // One apt-get at a time. The lock is released when the file is closed.
    let lock = File::create(std::env::temp_dir().join("nowcast-test-packages")).expect("a lock file");
    flock(&lock, FlockOperation::LockExclusive).expect("the lock");
    if Path::new(program).exists() {
        return;
    }
    // Another program that installs packages may hold the lock of dpkg.
    let wait = ["-o", "DPkg::Lock::Timeout=300"];
    let install = [&["install", "-y", "-q", "--no-install-recommends"][..], packages].concat();
    for arguments in [&["update", "-q"][..], &install] {
        let mut command = Command::new("apt-get");
        let output = command.args(wait).args(arguments).env("DEBIAN_FRONTEND", "noninteractive").output();
        let output = output.expect("apt-get runs");
        assert!(output.status.success(), "{output:?}");
    }
    assert!(Path::new(program).exists(), "{packages:?} are installed and {program} is not there");
}
