//! Parts of `nowcast.yaml`, and JSON, in the documentation.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use pyyaml::{Keys, Map, Value};
use serde_json::Value as Json;
use tempfile::TempDir;

use super::blocks::{Block, of_kind};

/// The configuration that the parts belong to.
pub fn base() -> Value {
    pyyaml::read(include_str!("nowcast.yaml")).expect("the base configuration is YAML")
}

/// Write a configuration into a folder.
pub fn write(folder: &Path, config: &Value) {
    fs::write(folder.join("nowcast.yaml"), pyyaml::write(config, Keys::AsGiven))
        .expect("the configuration is written");
}

/// Put a part into a configuration: mappings are merged, all else replaces what is there.
fn merge(into: &mut Value, part: &Value) {
    match (&mut *into, part) {
        (Value::Map(whole), Value::Map(part)) => {
            let whole: &mut Map = Arc::make_mut(whole);
            for (key, value) in part.iter() {
                merge(whole.entry(key.clone()).or_default(), value);
            }
        }
        _ => *into = part.clone(),
    }
}

/// The base configuration with a block in it.
fn with(block: &Block) -> Value {
    let part = pyyaml::read(&block.text).unwrap_or_else(|error| panic!("{block}: {error}"));
    assert!(part.as_map().is_some_and(|part| !part.is_empty()), "{block} is not a part of a configuration");
    let mut whole = base();
    // The two forms of this section exclude each other.
    if part.get("logging").is_some_and(|logging| logging.get("aggregator").is_some())
        && let Value::Map(sections) = &mut whole
    {
        Arc::make_mut(sections).shift_remove(&Value::Str("logging".into()));
    }
    merge(&mut whole, &part);
    whole
}

/// What `nowcast config check` finds in a configuration that it can use.
fn problems(place: &str, config: &Value) -> Vec<Json> {
    let folder = TempDir::with_prefix("nowcast-").expect("a temporary folder");
    write(folder.path(), config);
    fs::create_dir(folder.path().join("rules")).expect("a folder");
    fs::write(folder.path().join("rules/next_workers.lua"), "").expect("empty rules");
    let mut command = Command::new(env!("CARGO_BIN_EXE_nowcast"));
    command.args(["config", "check", "--json"]).current_dir(folder.path());
    command.env_remove("NOWCAST_YAML").env_remove("RUST_LOG").env("NOWCAST_LOGS", folder.path());
    for name in ["ALERT_TOKEN", "SMTP_PASSWORD", "SLACK_DAILY_PROGRESS"] {
        command.env(name, "secret");
    }
    for name in ["MATTERMOST_URL", "HEALTHCHECK_URL", "SLACK_DAILY_PROGRESS"] {
        command.env(name, "https://example.org/hook");
    }
    let output = command.output().expect("nowcast ends");
    let report: Json = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{place}: {error}: {}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(report["is_usable"], true, "{place}: {report:#}");
    report["problems"].as_array().expect("a list of problems").clone()
}

/// The programs, folders and modules that examples name are on the machines of those who read them.
fn is_about_a_program(problem: &Json) -> bool {
    let key =
        problem["key"].as_str().unwrap_or_default().trim_end_matches(|letter: char| !letter.is_alphabetic());
    let text = problem["text"].as_str().unwrap_or_default();
    key.ends_with("command")
        || key.ends_with("exec")
        || text.contains("cannot find module")
        || text.contains("working folder")
}

#[test]
fn parts_of_the_configuration_pass_the_check() {
    let expected = problems("the base configuration", &base());
    for block in of_kind("yaml") {
        let mut found = problems(&block.to_string(), &with(&block));
        found.retain(|problem| problem["severity"] != "note" && !is_about_a_program(problem));
        found.retain(|problem| !expected.iter().any(|other| other["text"] == problem["text"]));
        assert!(found.is_empty(), "{block}: {found:#?}");
    }
}

#[test]
fn each_line_of_json_is_read() {
    for block in of_kind("json") {
        for line in block.text.lines() {
            serde_json::from_str::<Json>(line).unwrap_or_else(|error| panic!("{block}: {error}: {line}"));
        }
    }
}
