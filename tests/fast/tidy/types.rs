//! Each type name is used once in the project, so that a reader who sees a name knows which type it is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use regex::Regex;

/// Names that may stand for several types: the arguments of each command, the README that rustdoc tests, and the level of
/// a log line, which is a number in pylogging as in Python and an enum in the core.
const REUSED: [&str; 3] = ["Args", "Level", "Readme"];

/// The names of the types that a file defines. Associated types are set in, so an alias counts only at the margin.
fn type_names(text: &str) -> BTreeSet<String> {
    let definition = Regex::new(
        r"(?m)^(?:\s*(?:pub(?:\([^)]*\))? )?(?:struct|enum|trait|union)|(?:pub(?:\([^)]*\))? )?type) ([A-Z]\w*)",
    );
    let definition = definition.expect("a regular expression");
    definition.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

#[test]
fn each_type_name_is_used_once() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec!["src".to_owned()];
    for entry in std::fs::read_dir(root.join("crates")).expect("the crates") {
        folders.push(format!("crates/{}/src", entry.expect("an entry").file_name().display()));
    }
    let mut files_of: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for folder in folders {
        for (path, text) in super::rust_files(&root.join(&folder)) {
            for name in type_names(&text) {
                files_of.entry(name).or_default().insert(format!("{folder}/{}", path.display()));
            }
        }
    }
    files_of.retain(|name, files| files.len() > 1 && !REUSED.contains(&name.as_str()));
    let double: Vec<String> = files_of
        .iter()
        .map(|(name, files)| {
            format!("{name}: {}", files.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
        })
        .collect();
    assert!(
        double.is_empty(),
        "rename to a specific noun, so that each name stands for one type:\n{}",
        double.join("\n")
    );
}

#[test]
fn definitions_are_found_and_associated_types_are_not() {
    let text = "struct A;\n    pub(super) enum B {}\npub type C = u8;\n    type D = u8;\n// a struct\n";
    assert_eq!(type_names(text), ["A", "B", "C"].map(str::to_owned).into());
}
