//! `--help` of every command, taken from the definition of the command line: a new command gets its snapshot by itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::program::{assert_snapshot, command, transcript};

/// Return the words of every visible command, the program itself (no words) first.
fn commands() -> Vec<Vec<String>> {
    fn visit(command: &clap::Command, words: &[String], found: &mut Vec<Vec<String>>) {
        found.push(words.to_vec());
        for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
            visit(subcommand, &[words, &[subcommand.get_name().to_owned()]].concat(), found);
        }
    }
    let mut found = Vec::new();
    visit(&nowcast::cli::definition(), &[], &mut found);
    found
}

fn snapshot_name(words: &[String]) -> String {
    [&["help".to_owned()], words].concat().join("_")
}

#[test]
fn help_of_every_command() {
    let folder = tempfile::tempdir().expect("a folder");
    for words in commands() {
        let arguments: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
        assert_snapshot(&snapshot_name(&words), &transcript(command(folder.path(), &arguments)));
    }
}

#[test]
fn version() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = transcript(command(folder.path(), &["--version"]));
    let (own, libraries) = text.split_once("\nlibraries: ").expect("a line of libraries");
    let features =
        [("failpoints", cfg!(feature = "failpoints")), ("system-tests", cfg!(feature = "system-tests"))];
    let features: Vec<&str> = features.iter().filter(|(_, is_on)| *is_on).map(|(name, _)| *name).collect();
    let features = if features.is_empty() { "none".to_owned() } else { features.join(", ") };
    let expected =
        format!("$ nowcast --version\nnowcast {}\nfeatures: {features}", env!("CARGO_PKG_VERSION"));
    assert_eq!(own, expected);
    let libraries: Vec<&str> = libraries.trim_end().split(", ").collect();
    let begins = ["ZeroMQ 4.", "Lua 5.4", "SQLite 3."];
    assert!(libraries.iter().zip(begins).all(|(library, begin)| library.starts_with(begin)), "{libraries:?}");
}

#[test]
fn no_snapshot_is_left_of_a_command_that_is_gone() {
    let expected: BTreeSet<String> = commands().iter().map(|words| snapshot_name(words)).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/texts/snapshots");
    let found: BTreeSet<String> = fs::read_dir(folder)
        .expect("the folder of snapshots")
        .filter_map(|entry| {
            let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
            let name = name.strip_suffix(".snap")?;
            (name == "help" || name.starts_with("help_")).then(|| name.to_owned())
        })
        .collect();
    assert_eq!(found, expected);
}
