//! The rules of the house: who may import what, and how long a file may be.

#[path = "tidy/words.rs"]
mod words;

use std::fs;
use std::path::{Path, PathBuf};

/// Lines above which a file probably has two jobs.
const LONGEST_FILE: usize = 400;

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source file");
                files.push((path.strip_prefix(&root).expect("below src").to_owned(), text));
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

#[test]
fn the_core_is_pure() {
    let allowed = [
        "std",
        "self",
        "super",
        "crate",
        "serde",
        "indexmap",
        "jiff", // `jiff` for its types: the core reads no clock
        "nowcast_core",
        "nowcast_core::message",
        "pyyaml",
        "",
    ];
    let core = || sources().into_iter().filter(|(path, _)| path.starts_with("core"));
    let modules: Vec<_> =
        core().filter_map(|(path, _)| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    for (path, text) in core() {
        for import in imports(&text) {
            assert!(
                allowed.contains(&import.as_str()) || modules.contains(&import),
                "{}: the core must not import {import}",
                path.display()
            );
        }
        for effect in [
            "std::fs",
            "std::net",
            "std::process",
            "std::thread",
            "std::env",
            "Instant::now",
            "SystemTime",
            "::now()",
            "Logger",
        ] {
            assert!(
                !without_tests(&text).contains(effect),
                "{}: the core must not use {effect}",
                path.display()
            );
        }
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
fn rooms_that_stand_below_do_not_look_up() {
    let above = [
        "crate::manager",
        "crate::perform",
        "crate::broker",
        "crate::log_aggregator",
        "crate::supervise",
        "crate::cli",
    ];
    let below = ["config", "logging", "rules", "net", "notify", "launch", "store", "worker", "core"];
    for (path, text) in
        sources().into_iter().filter(|(path, _)| below.iter().any(|room| path.starts_with(room)))
    {
        for import in imports(&text) {
            assert!(!above.contains(&import.as_str()), "{} must not import {import}", path.display());
        }
    }
}

/// What rules would do is found out without a manager, and nothing is done on the way.
#[test]
fn trials_do_nothing() {
    let not = ["crate::manager", "crate::perform", "crate::supervise", "crate::cli"];
    let trial: Vec<_> = sources().into_iter().filter(|(path, _)| path.starts_with("trial")).collect();
    assert!(!trial.is_empty(), "src/trial is another room by now");
    for (path, text) in trial {
        for import in imports(&text) {
            assert!(!not.contains(&import.as_str()), "{} must not import {import}", path.display());
        }
    }
}

#[test]
fn main_is_short_and_no_file_has_two_jobs() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        let limit = if path == Path::new("main.rs") { 20 } else { LONGEST_FILE };
        assert!(lines <= limit, "{} has {lines} lines: look for its second job", path.display());
    }
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
