//! Rules and tests of rules in the documentation.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::blocks::{Block, of_kind, root};
use super::configuration::{base, write};

/// Run a command of ours in a folder; its exit status, what it printed and its standard error.
fn nowcast(folder: &Path, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nowcast"));
    command.args(arguments).current_dir(folder).env("TZ", "America/Vancouver").env("NOWCAST_LOGS", folder);
    command.env_remove("NOWCAST_YAML").env_remove("NOWCAST_ENV").env_remove("RUST_LOG");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("nowcast starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("nowcast reads");
    let output = child.wait_with_output().expect("nowcast ends");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Each registered worker with its message types.
fn registry() -> Vec<(String, Vec<String>)> {
    let base = base();
    let workers = base.get("message registry").and_then(|registry| registry.get("workers"));
    let workers = workers.and_then(pyyaml::Value::as_map).expect("workers are registered");
    let text = |value: &pyyaml::Value| value.as_str().expect("a name").to_owned();
    let types = |entry: &pyyaml::Value| {
        let keys = entry.as_map().expect("a worker's entry").keys().map(text);
        keys.filter(|key| key != "checklist key").collect()
    };
    workers.iter().map(|(name, entry)| (text(name), types(entry))).collect()
}

/// The system of the examples, with rules that launch nothing and these behind them.
fn system(lua: &str) -> TempDir {
    let folder = TempDir::with_prefix("nowcast-").expect("a temporary folder");
    write(folder.path(), &base());
    let mut rules = String::new();
    for (worker, _) in registry() {
        let _ = writeln!(rules, "function after_{worker}() return {{}} end");
    }
    fs::create_dir(folder.path().join("rules")).expect("a folder");
    fs::write(folder.path().join("rules/next_workers.lua"), rules + lua).expect("the rules are written");
    folder
}

/// What the rules of a block return for each type of each worker that they have a function for.
fn answers(folder: &Path, lua: &str) -> Vec<(String, Json)> {
    let cases: Vec<(String, String)> = registry()
        .into_iter()
        .filter(|(worker, _)| lua.contains(&format!("function after_{worker}(")))
        .flat_map(|(worker, types)| types.into_iter().map(move |r#type| (worker.clone(), r#type)))
        .collect();
    let input = cases.iter().fold(String::new(), |mut input, (worker, r#type)| {
        let _ = writeln!(
            input,
            "{}",
            json!({ "msg": { "source": worker, "type": r#type, "payload": null, "cycle": "2026-03-14" } })
        );
        input
    });
    let (status, output, errors) = nowcast(folder, &["rules", "eval"], &input);
    assert_eq!(status, Some(0), "{output}{errors}");
    let answers: Vec<Json> =
        output.lines().map(|line| serde_json::from_str(line).expect("an answer in JSON")).collect();
    assert_eq!(answers.len(), cases.len(), "{output}{errors}");
    cases.into_iter().map(|(worker, r#type)| format!("{worker} ({type})")).zip(answers).collect()
}

fn has_launches(answer: &Json) -> bool {
    let is_list = |value: &Json| value.as_array().is_some_and(|launches| !launches.is_empty());
    // A join by cycle or since a moment counts messages that came before, so it needs no launches beside it.
    let join = &answer["join"];
    let is_identified = join.get("cycle").is_some() || join.get("since").is_some();
    is_list(&answer["next_workers"]) || is_identified && is_list(&join["launch"])
}

/// Panic unless the rules are flawless, launch something, and open no join where they launch nothing.
fn assert_good(block: &Block, lua: &str) {
    let folder = system(lua);
    let (status, output, errors) = nowcast(folder.path(), &["rules", "check", "--strict"], "");
    assert_eq!(status, Some(0), "{block}: {output}{errors}");
    let answers = answers(folder.path(), lua);
    assert!(answers.iter().any(|(_, answer)| has_launches(answer)), "{block} launches nothing: {answers:?}");
    for (message, answer) in &answers {
        assert_eq!(answer.get("error"), None, "{block} fails after {message}");
        let opens_join = !answer["race"].is_null() || answer.get("join").is_some_and(|join| !join.is_null());
        assert!(
            has_launches(answer) || !opens_join,
            "{block} opens a join after {message} that nothing it launches can complete"
        );
    }
}

#[test]
fn rules_pass_the_check_and_open_no_join_that_never_completes() {
    for block in of_kind("lua") {
        assert_good(&block, &block.text);
    }
}

#[test]
#[should_panic(expected = "opens a join after sleep (failure)")]
fn a_rule_that_opens_its_join_after_a_failure_is_found() {
    let lua = "function after_sleep(msg)
  local launches = {}
  if msg.type == 'success' then
    add(launches, worker('awaken'))
  end
  return launches, { 'awaken' }
end";
    let block = Block { file: "here".to_owned(), line: 1, info: "lua".to_owned(), text: lua.to_owned() };
    assert_good(&block, lua);
}

/// Such a block shows launches, one a line.
#[test]
fn each_line_of_launches_is_one() {
    for block in of_kind("lua launches") {
        let launches: Vec<&str> = block.text.lines().collect();
        let lua = format!("function after_sleep() return {{ {} }} end", launches.join(", "));
        assert_good(&block, &lua);
        for (_, answer) in answers(system(&lua).path(), &lua) {
            assert_eq!(answer["next_workers"].as_array().map(Vec::len), Some(launches.len()), "{block}");
        }
    }
}

/// Such a block is a file of tests for the rules of `examples/forecast`.
#[test]
fn tests_of_rules_pass() {
    let example = root().join("examples/forecast");
    for block in of_kind("lua test") {
        let folder = TempDir::with_prefix("nowcast-").expect("a temporary folder");
        fs::copy(example.join("nowcast.yaml"), folder.path().join("nowcast.yaml")).expect("copied");
        fs::create_dir_all(folder.path().join("rules/tests")).expect("a folder");
        for entry in fs::read_dir(example.join("rules")).expect("the example's rules") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                let name = path.file_name().expect("a name");
                fs::copy(&path, folder.path().join("rules").join(name)).expect("copied");
            }
        }
        fs::write(folder.path().join("rules/tests/block.lua"), &block.text).expect("the test is written");
        let (status, output, errors) = nowcast(folder.path(), &["rules", "test"], "");
        assert_eq!(status, Some(0), "{block}: {output}{errors}");
    }
}

/// Such a block shows a case for `nowcast rules eval`, and the answer, with the rules that are shipped.
#[test]
fn eval_gives_the_answer_that_is_shown() {
    for block in of_kind("json eval") {
        let lines: Vec<&str> = block.text.lines().collect();
        let [case, expected] = lines[..] else { panic!("{block} is not a case and its answer") };
        let (status, output, errors) = nowcast(root(), &["rules", "eval"], &format!("{case}\n"));
        assert_eq!(status, Some(0), "{block}: {output}{errors}");
        let read = |text: &str| {
            serde_json::from_str::<Json>(text).unwrap_or_else(|error| panic!("{block}: {error}"))
        };
        assert_eq!(read(&output), read(expected), "{block}");
    }
}
