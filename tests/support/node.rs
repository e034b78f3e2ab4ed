//! The language server with which editors check YAML, from npm.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FlockOperation, flock};

use super::packages;

/// The last version that runs on the Node.js of Debian 12.
const SERVER: &str = "yaml-language-server@1.19.2";

/// Return the program of the language server. The first test that asks for it installs it, while the others wait.
///
/// # Panics
/// If it cannot be installed.
pub fn yaml_language_server() -> PathBuf {
    packages::install("/usr/bin/npm", &["nodejs", "npm"]);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("node");
    fs::create_dir_all(&folder).expect("a folder");
    // The lock is released when the file is closed.
    let lock = File::create(folder.join("lock")).expect("a lock file");
    flock(&lock, FlockOperation::LockExclusive).expect("the lock");
    let marker = folder.join("complete");
    if !fs::read_to_string(&marker).is_ok_and(|installed| installed == SERVER) {
        let mut npm = Command::new("/usr/bin/npm");
        npm.args(["install", "--no-save", "--no-audit", "--no-fund", "--prefix"]).arg(&folder).arg(SERVER);
        let output = npm.output().expect("npm runs");
        assert!(output.status.success(), "{output:?}");
        fs::write(marker, SERVER).expect("the marker of a complete installation");
    }
    folder.join("node_modules/.bin/yaml-language-server")
}
