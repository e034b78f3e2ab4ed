//! The virtual environment of the tests, with the real `PyYAML`, pyzmq, Supervisor and others.

use std::env;
use std::fs::{self, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FlockOperation, flock};

/// The packages and their versions.
const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/requirements.txt");

/// The Python interpreter of the tests' virtual environment under `target/`.
///
/// The first test that asks for it makes it, while the others wait; it is made again when the requirements
/// change or an earlier attempt was interrupted.
///
/// # Panics
///
/// If it cannot be made: there is no `python3`, or no package index in reach.
#[must_use]
pub fn venv() -> PathBuf {
    // Beside target/debug and target/release, for both.
    let test = env::current_exe().expect("the path of the test program");
    let target = test
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").exists())
        .expect("Cargo marks the target folder, in which the test program lies");
    let folder = target.join("test-venv");
    let python = folder.join("bin/python");
    // The lock is released when the file is closed, also when the process dies.
    let lock = OpenOptions::new()
        .create(true)
        .append(true)
        .open(target.join("test-venv.lock"))
        .expect("a lock file");
    flock(&lock, FlockOperation::LockExclusive).expect("the lock on the virtual environment");
    let marker = folder.join("complete");
    let expected = fingerprint(&folder);
    if fs::read_to_string(&marker).is_ok_and(|found| found == expected) && python.exists() {
        return python;
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("the folder of an earlier attempt can be removed");
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
    run(Command::new(&python).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
        REQUIREMENTS,
    ]));
    fs::write(&marker, expected).expect("the marker of a complete environment");
    python
}

/// The source of the environment: the packages and the place.
fn fingerprint(folder: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    fs::read_to_string(REQUIREMENTS).expect("the list of packages").hash(&mut hasher);
    folder.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
