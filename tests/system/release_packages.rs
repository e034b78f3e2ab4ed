//! `packaging/build` makes packages that can be installed, run and removed.
//!
//! They are made of the binary that is tested, which saves the build for a release; its commands are those of the packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::init::new_system;
use crate::support::system::NOWCAST;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Run a command that must succeed; return its output.
fn run(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?}: {text}");
    text
}

/// The packages.
fn build() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/build");
    run(Command::new(script).args(["--binary", NOWCAST]).arg(folder.path()));
    folder
}

/// The only file of a folder with this end of its name.
fn file(folder: &Path, end: &str) -> PathBuf {
    let files = fs::read_dir(folder).expect("a folder").map(|file| file.expect("readable").path());
    let mut found: Vec<PathBuf> = files.filter(|path| path.to_string_lossy().ends_with(end)).collect();
    assert_eq!(found.len(), 1, "{end}: {found:?}");
    found.remove(0)
}

/// Run a new system with an installed binary until it is idle.
fn runs_a_system(binary: &Path) {
    let version = run(Command::new(binary).arg("-V"));
    assert_eq!(version.trim_end(), format!("nowcast {VERSION}"));
    let system = new_system("minimal");
    let mut up = Command::new(binary);
    run(up.args(["up", "--launch", "get_obs", "--exit-when-idle"]).current_dir(system.path()));
    let runs = run(Command::new(binary).args(["runs", "--json"]).current_dir(system.path()));
    assert_eq!(runs.matches(r#""state": "succeeded""#).count(), 3, "{runs}");
}

#[test]
fn a_release_is_a_tarball_a_debian_package_a_wheel_and_a_list_of_components_with_checksums() {
    let packages = build();
    let folder = packages.path();
    let checked = run(Command::new("sha256sum").args(["--check", "SHA256SUMS"]).current_dir(folder));
    assert_eq!(checked.matches(": OK").count(), 4, "{checked}");

    tarball(folder);
    debian_package(&file(folder, ".deb"));

    let components = fs::read_to_string(file(folder, ".cdx.json")).expect("readable");
    let components: serde_json::Value = serde_json::from_str(&components).expect("JSON");
    let names: Vec<&str> = components["components"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|of| of["name"].as_str())
        .collect();
    let expected = ["mlua-sys", "libsqlite3-sys", "zeromq-src", "serde_norway"];
    assert!(expected.iter().all(|name| names.contains(name)), "{names:?}");

    let wheel = file(folder, ".whl");
    let listed = run(Command::new("python3").args(["-m", "zipfile", "--list"]).arg(wheel));
    assert!(listed.contains("nowcast_worker/__init__.py"), "{listed}");
}

fn tarball(folder: &Path) {
    let unpacked = tempfile::tempdir().expect("a folder");
    run(Command::new("tar").arg("xzf").arg(file(folder, ".tar.gz")).current_dir(unpacked.path()));
    let unpacked = unpacked.path().join(format!("nowcast-{VERSION}-x86_64-linux"));
    for name in ["LICENSE", "README.md", "docs/rules.md", "man/nowcast.1", "completions/nowcast.bash"] {
        assert!(unpacked.join(name).is_file(), "{name}");
    }
    runs_a_system(&unpacked.join("nowcast"));
}

/// Install it below a folder, so that the machine stays as it is.
fn debian_package(package: &Path) {
    let root = tempfile::tempdir().expect("a folder");
    let database = root.path().join("var/lib/dpkg");
    for folder in ["info", "updates"] {
        fs::create_dir_all(database.join(folder)).expect("a folder");
    }
    fs::write(database.join("status"), "").expect("a file");
    let dpkg = |arguments: &[&str]| {
        let mut command = Command::new("dpkg");
        command.arg("--root").arg(root.path()).args(["--force-not-root", "--force-bad-path"]).args(arguments);
        run(&mut command)
    };
    // The empty database lacks the libraries on which it depends; apt knows whether this machine has them.
    dpkg(&["--force-depends", "--install", package.to_str().expect("UTF-8")]);
    let depends = run(Command::new("dpkg-deb").args(["--field"]).arg(package).arg("Depends"));
    assert!(depends.contains("libc6 (>= 2."), "{depends}");
    let simulated = run(Command::new("apt-get").args(["install", "--simulate"]).arg(package));
    assert!(simulated.contains("Inst nowcast"), "{simulated}");

    let share = root.path().join("usr/share");
    for name in [
        "man/man1/nowcast.1.gz",
        "man/man1/nowcast-rules-check.1.gz",
        "bash-completion/completions/nowcast",
        "doc/nowcast/copyright",
        "doc/nowcast/CHANGELOG.md",
        "doc/nowcast/examples/forecast/rules/next_workers.lua",
    ] {
        assert!(share.join(name).is_file(), "{name}");
    }
    runs_a_system(&root.path().join("usr/bin/nowcast"));

    dpkg(&["--purge", "nowcast"]);
    let left =
        run(Command::new("find").arg(root.path()).args(["-type", "f", "-not", "-path", "*/var/lib/dpkg/*"]));
    assert_eq!(left, "");
}
