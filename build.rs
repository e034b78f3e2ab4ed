//! Tells a release build from which commit it is made.
//!
//! Other builds have no commit: each new one would compile everything again.

use std::path::Path;
use std::process::Command;

/// What a release is made from.
const SOURCES: [&str; 5] = ["build.rs", "src", "crates", "Cargo.toml", "Cargo.lock"];

fn main() {
    println!("cargo::rerun-if-env-changed=NOWCAST_COMMIT");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    let given = std::env::var("NOWCAST_COMMIT").ok();
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let found = || is_release.then(|| commit(Path::new("."))).flatten();
    if let Some(commit) = given.or_else(found) {
        println!("cargo::rustc-env=NOWCAST_COMMIT={commit}");
    }
}

/// Return the commit of a folder's files, with `-modified` if they differ from it; `None` outside of a repository, as in the sources of a
/// release.
#[must_use]
pub fn commit(folder: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").current_dir(folder).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    // The repository around this folder can be another project's.
    git(&["ls-files", "--error-unmatch", "build.rs"])?;
    let log = folder.join(git(&["rev-parse", "--git-path", "logs/HEAD"])?);
    // Cargo would run this program each time for a file that is missing.
    if log.exists() {
        println!("cargo::rerun-if-changed={}", log.display());
    }
    git(&["describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=-modified"])
}
