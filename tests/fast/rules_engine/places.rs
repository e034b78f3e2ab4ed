//! Where a launch was made: the line in the rules, however they came there.

use super::*;

fn place_of(rules: &str) -> Option<String> {
    let nowcast = Nowcast::new(rules);
    let call = nowcast.call("sleep");
    call.result.unwrap_or_else(|error| panic!("{error}")).next_workers.remove(0).location
}

fn expect(rules: &str, line: usize) {
    assert_eq!(place_of(rules), Some(format!("next_workers.lua:{line}")), "{rules}");
}

#[test]
fn it_is_the_line_that_made_it() {
    for call in ["NextWorker('a')", "worker('a')", "worker_on('h', 'a')", "worker('a'):with{ delay = 1 }"] {
        expect(&format!("function after_sleep()\n  return {{\n    {call},\n  }}\nend"), 3);
    }
    let nowcast = Nowcast::new(
        "function after_sleep()\n  return { worker('a'),\n    worker('b') }, Join{\n name = 'j', wait_for = { 'x' },\n launch = { worker('c') } }\nend",
    );
    let answer = nowcast.call("sleep").result.unwrap();
    let join = answer.join.unwrap();
    let places: Vec<_> = answer
        .next_workers
        .iter()
        .chain(&join.launch)
        .map(|worker| worker.location.clone().unwrap())
        .collect();
    assert_eq!(places, ["next_workers.lua:2", "next_workers.lua:3", "next_workers.lua:5"]);
}

#[test]
fn with_keeps_the_line_of_the_first() {
    expect(
        "function after_sleep()\n  local first = worker('a')\n  return { first:with{ delay = 1 } }\nend",
        2,
    );
    expect("local first = worker('a')\nfunction after_sleep()\n  return { first }\nend", 1);
}

#[test]
fn a_helper_s_line_counts() {
    expect(
        "local function helper()\n  local made = worker('a')\n  return made\nend\nfunction after_sleep() return { helper() } end",
        2,
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("next_workers.lua");
    std::fs::create_dir(folder.path().join("lib")).unwrap();
    std::fs::write(folder.path().join("lib/help.lua"), "return function()\n\n  return (worker('a'))\nend")
        .unwrap();
    std::fs::write(&path, "local help = require('lib.help')\nfunction after_sleep() return { help() } end")
        .unwrap();
    let engine = Engine::load(&path, "next_workers", &EngineOptions::default()).unwrap();
    let call = engine.call_after(&RuleInput {
        message: &Message::new("sleep", "success", Value::Null),
        config: &Value::Null,
        checklist: &Value::Null,
        cycles: None,
        now: &now(),
    });
    assert_eq!(call.result.unwrap().next_workers[0].location.as_deref(), Some("lib/help.lua:3"));
}

#[test]
fn pcall_and_coroutines_are_seen_through() {
    expect(
        "function after_sleep()\n  local _, made = pcall(function()\n    return (worker('a'))\n  end)\n  return { made }\nend",
        3,
    );
    expect("function after_sleep()\n  local _, made = pcall(worker, 'a')\n  return { made }\nend", 2);
    expect(
        "function after_sleep()\n  local make = coroutine.wrap(function()\n    coroutine.yield(worker('a'))\n  end)\n  return { make() }\nend",
        3,
    );
}

#[test]
fn where_no_line_is_left_it_is_the_function() {
    // A tail call leaves no trace of its line; the line that called the helper is there.
    expect(
        "local function helper()\n  return worker('a')\nend\nfunction after_sleep()\n  return { helper() }\nend",
        5,
    );
    expect("\nfunction after_sleep()\n  return { coroutine.wrap(worker)('a') }\nend", 2);
    expect(
        "\nfunction after_sleep()\n  return { coroutine.wrap(function() return worker('a') end)() }\nend",
        2,
    );
}

#[test]
fn loaded_text_has_no_line_of_its_own() {
    expect("function after_sleep()\n  return {\n    load('return (worker(\"a\"))')() }\nend", 3);
}

#[test]
fn a_deep_stack_of_loaded_text_is_climbed_to_a_limit() {
    expect(
        "function after_sleep()\n  local f = load('local f, n = ... if n == 0 then return (worker(\"a\")) end return (f(f, n - 1))')\n  return { f(f, 100) }\nend",
        1,
    );
}
