//! The examples of the documentation do what it says.

use std::path::PathBuf;

use super::*;

/// The Lua examples of docs/rules.md.
fn examples() -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/rules.md");
    let text = std::fs::read_to_string(path).unwrap();
    text.split("```lua\n").skip(1).map(|part| part.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn every_example_runs() {
    let examples = examples();
    assert_eq!(examples.len(), 3);
    for example in examples {
        if example.starts_with("function after_") {
            let nowcast = Nowcast::new(&example);
            let source = example.split(['_', '(']).skip(1).take_while(|part| !part.contains("msg"));
            let call = nowcast.call(&source.collect::<Vec<_>>().join("_"));
            assert!(!call.result.unwrap_or_else(|error| panic!("{error}")).next_workers.is_empty());
        } else {
            let launches: Vec<&str> = example.lines().collect();
            let answer = Nowcast::rule(&format!("return {{ {} }}", launches.join(", "))).answer();
            assert_eq!(answer.next_workers.len(), launches.len());
        }
    }
}

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
