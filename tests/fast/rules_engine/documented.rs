//! The examples of the documentation do what it says.

use std::path::PathBuf;

use super::*;

#[test]
fn every_option_is_in_the_table() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/rules.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let options: Vec<&str> = rows.map(|(written, _)| written).filter(|row| row.contains(" = ")).collect();
    let reason = reason("NextWorker('a', {}, { q = 1 })");
    let known = reason.rsplit_once("the options are ").unwrap().1;
    for option in known.split(", ") {
        let row = options.iter().find(|row| row.starts_with(&format!("{option} = ")));
        let written = row.unwrap_or_else(|| panic!("{option} is not documented"));
        Nowcast::rule(&format!("return {{ worker('a'):with{{ {written} }} }}")).answer();
    }
}
