//! Debian's packages for the tests that need real servers; installed where they are missing.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use rustix::fs::{FlockOperation, flock};

/// Sees to it that a program is there, which these packages have.
///
/// # Panics
/// If they cannot be installed.
pub fn install(program: &str, packages: &[&str]) {
    // Let go when the file is closed: apt-get runs once at a time.
    let lock = File::create(std::env::temp_dir().join("nowcast-test-packages")).expect("a lock file");
    flock(&lock, FlockOperation::LockExclusive).expect("the lock");
    if Path::new(program).exists() {
        return;
    }
    let install = [&["install", "-y", "-q", "--no-install-recommends"][..], packages].concat();
    for arguments in [&["update", "-q"][..], &install] {
        let mut command = Command::new("apt-get");
        let output = command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").output();
        let output = output.expect("apt-get runs");
        assert!(output.status.success(), "{output:?}");
    }
    assert!(Path::new(program).exists(), "{packages:?} are installed and {program} is not there");
}
