//! The rules of the house: which module may import which.

mod circles;
mod types;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

fn sources() -> Vec<(PathBuf, String)> {
    rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

/// The Rust files below a folder, with their paths inside it.
fn rust_files(root: &Path) -> Vec<(PathBuf, String)> {
    let mut folders = vec![root.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source file");
                files.push((path.strip_prefix(root).expect("below src").to_owned(), text));
            }
        }
    }
    files.sort();
    files
}

/// The part of a file that is not its tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

/// Every `crate::…` path in a file and every external crate that a `use` names.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in without_tests(text).lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        for (at, _) in line.match_indices("crate::") {
            let path = &line[at + "crate::".len()..];
            let name: String =
                path.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
            found.push(format!("crate::{name}"));
        }
        if let Some(path) = line.trim_start_matches("pub ").strip_prefix("use ") {
            let name: String =
                path.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
            found.push(name);
        }
    }
    found
}

/// The compiler holds most of it: nowcast-core depends on no crate that does I/O, and its clippy.toml disallows the
/// rest. This holds those two files.
#[test]
fn the_core_is_pure() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/nowcast-core");
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("the manifest of nowcast-core");
    let (_, dependencies) = manifest.split_once("[dependencies]").expect("it has dependencies");
    let dependencies: Vec<&str> = dependencies
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(['.', ' ']).map(|(name, _)| name))
        .collect();
    assert_eq!(dependencies, ["error-text", "indexmap", "jiff", "pyyaml", "serde", "thiserror"]);

    let lints = fs::read_to_string(root.join("clippy.toml")).expect("the lints of nowcast-core");
    for disallowed in [
        "std::fs::File",
        "std::fs::read",
        "std::net::TcpStream",
        "std::process::Command",
        "std::thread::spawn",
        "std::env::var",
        "std::time::Instant",
        "std::time::SystemTime",
        "jiff::Timestamp::now",
        "jiff::ZonedDateTime::now",
        "jiff::tz::TimeZone::get",
        "jiff::tz::TimeZone::system",
        "std::net::ToSocketAddrs::to_socket_addrs",
        "std::os::unix::fs::symlink",
    ] {
        assert!(lints.contains(&format!("\"{disallowed}\"")), "{disallowed} is allowed in nowcast-core");
    }
    // An `allow` would undo the list.
    for (path, text) in rust_files(&root.join("src")) {
        assert!(!text.contains("clippy::disallowed"), "{} allows what the core must not do", path.display());
    }
}

#[test]
fn the_network_does_not_know_messages() {
    for (path, text) in sources().into_iter().filter(|(path, _)| path.starts_with("net")) {
        assert!(
            !imports(&text).iter().any(|import| import == "nowcast_core"),
            "{} looks into messages",
            path.display()
        );
    }
}

#[test]
fn only_the_command_line_knows_the_command_line() {
    for (path, text) in
        sources().into_iter().filter(|(path, _)| !path.starts_with("cli") && path != Path::new("main.rs"))
    {
        assert!(
            !imports(&text).contains(&"crate::cli".to_owned()),
            "{} imports the command line",
            path.display()
        );
    }
}

#[test]
fn lower_modules_do_not_import_higher_ones() {
    let above =
        ["crate::manager", "crate::broker", "crate::log_aggregator", "crate::supervise", "crate::cli"];
    let below = ["control", "signals.rs", "config", "rules", "net", "notify", "launch", "store", "worker"];
    for (path, text) in
        sources().into_iter().filter(|(path, _)| below.iter().any(|module| path.starts_with(module)))
    {
        for import in imports(&text) {
            assert!(!above.contains(&import.as_str()), "{} must not import {import}", path.display());
        }
    }
}

/// What rules would do is found out without a manager, and nothing is done on the way.
#[test]
fn trials_do_nothing() {
    let not = ["crate::manager", "crate::supervise", "crate::cli"];
    let trial: Vec<_> = sources().into_iter().filter(|(path, _)| path.starts_with("trial")).collect();
    assert!(!trial.is_empty(), "src/trial is another module by now");
    for (path, text) in trial {
        for import in imports(&text) {
            assert!(!not.contains(&import.as_str()), "{} must not import {import}", path.display());
        }
    }
}

/// A forecast reads the journal. It shares the scheduler's plan, and nothing of it is a daemon.
#[test]
fn forecasts_do_nothing() {
    let not = [
        "crate::manager",
        "crate::broker",
        "crate::supervise",
        "crate::launch",
        "crate::control",
        "crate::net",
        "crate::notify",
        "crate::worker",
        "crate::cli",
    ];
    let forecast: Vec<_> = sources().into_iter().filter(|(path, _)| path.starts_with("forecast")).collect();
    assert!(!forecast.is_empty(), "src/forecast is another module by now");
    for (path, text) in forecast {
        for import in imports(&text) {
            assert!(!not.contains(&import.as_str()), "{} must not import {import}", path.display());
        }
        assert!(
            !text.contains("store::Journal;") && !text.contains("Journal::open"),
            "{} writes",
            path.display()
        );
    }
}

#[test]
fn main_is_short() {
    let main =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs")).expect("main.rs");
    assert!(main.lines().count() <= 20, "main parses, calls and returns the exit code");
}

#[test]
fn every_module_says_what_it_is_for() {
    for (path, text) in sources() {
        assert!(text.starts_with("//!"), "{} begins without a word about itself", path.display());
    }
}

/// What is kept on disk is kept for those who launch, not the other way round.
#[test]
fn the_store_does_not_know_of_launches() {
    for (path, text) in sources().into_iter().filter(|(path, _)| path.starts_with("store")) {
        assert!(!imports(&text).contains(&"crate::launch".to_owned()), "{} imports launch", path.display());
    }
}

#[test]
fn the_python_package_has_the_same_default_settings() {
    let text =
        |path: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a file");
    let ours = text("src/config/default_settings.yaml");
    assert_eq!(text("python/src/nowcast_worker/default_settings.yaml"), ours);
}
