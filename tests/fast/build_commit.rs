//! The commit that a release build tells.

#[expect(dead_code, reason = "main is Cargo's")]
#[path = "../../build.rs"]
mod build;

use std::fs;
use std::path::Path;
use std::process::Command;

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args([
        "-c",
        "user.name=test",
        "-c",
        "user.email=test@localhost",
        "-c",
        "init.defaultBranch=main",
    ]);
    let output = command.args(arguments).current_dir(folder).output().expect("git");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

#[test]
fn a_build_is_named_by_its_commit_and_whether_files_differ_from_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    fs::write(folder.join("build.rs"), "one").expect("written");
    assert_eq!(build::commit(folder), None, "no repository");
    git(folder, &["init", "--quiet"]);
    assert_eq!(build::commit(folder), None, "a repository of another project around the sources");
    git(folder, &["add", "build.rs"]);
    git(folder, &["commit", "--quiet", "--message", "one"]);
    git(folder, &["tag", "v1"]);
    let commit = git(folder, &["rev-parse", "--short=12", "HEAD"]);
    assert_eq!(build::commit(folder), Some(commit.clone()));
    fs::write(folder.join("build.rs"), "two").expect("written");
    assert_eq!(build::commit(folder), Some(format!("{commit}-modified")));
}
