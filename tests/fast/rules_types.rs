//! `nowcast generate types`: what an editor shows is what rules have.

use std::collections::BTreeSet;
use std::fs;

use crate::support::system::{System, system};
use nowcast::rules::library;

fn generate(system: &System) -> String {
    let output = system.command(&["generate", "types", "-c"]).arg(system.config()).output().expect("ended");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_files_stand_beside_the_rules() {
    let system = system().prepare();
    let text = generate(&system);
    assert!(
        text.contains("rules/.types/nowcast.lua written\n")
            && text.contains("rules/.types/nowcast_tests.lua written\n")
            && text.contains("rules/.luarc.json written\n"),
        "{text}"
    );
    let types = fs::read_to_string(system.path("rules/.types/nowcast.lua")).expect("written");
    assert!(types.starts_with("---@meta\n"), "{types}");
    let types = fs::read_to_string(system.path("rules/.types/nowcast_tests.lua")).expect("written");
    assert_eq!(types, library::TEST_TYPES);
    let settings = fs::read_to_string(system.path("rules/.luarc.json")).expect("written");
    let settings: serde_json::Value = serde_json::from_str(&settings).expect("JSON");
    assert_eq!(settings["workspace.library"][0], ".types");
}

/// All names that rules write in quotes, and the types that the other declarations refer to.
#[test]
fn the_names_of_the_system_are_declared() {
    let system = system()
        .only_rules("function after_sleep() return {} end")
        .worker("'odd \"name\"': {success: done, success 06: done at six}")
        .section("run: {enabled hosts: {salish: , nibi: }}")
        .prepare();
    assert!(generate(&system).contains("rules/.types/system.lua written\n"));
    let names = fs::read_to_string(system.path("rules/.types/system.lua")).expect("written");
    let alias = |name: &str| -> Vec<String> {
        let values = names.split(&format!("---@alias {name}\n")).nth(1).expect("declared").lines();
        values.map_while(|line| line.strip_prefix("---| ")).map(str::to_owned).collect()
    };
    let workers = ["sleep", "awaken", "clear_checklist", "rotate_logs", "keyless", "odd \\\"name\\\""];
    assert_eq!(alias("WorkerName"), workers.map(|name| format!("\"{name}\"")));
    assert_eq!(alias("HostName"), ["\"salish\"", "\"nibi\"", "\"localhost\""]);
    let types = ["clear checklist", "crash", "failure", "need", "success", "success 06"];
    assert_eq!(alias("MessageType"), types.map(|name| format!("\"{name}\"")));
    let of_keyless = "---@class Message.keyless: Message\n---@field source \"keyless\"\n---@field type \"success\"|\"crash\"\n";
    assert!(names.contains(of_keyless), "{names}");
    let checklist =
        "---@class Checklist\n---@field [any] any\n---@field sleepyhead any\n---@field logs any\n";
    assert!(names.contains(checklist), "{names}");
    let all = [library::TYPES, library::TEST_TYPES, &names].concat();
    for name in ["WorkerName", "MessageType", "HostName", "Checklist", "Config", "Message"] {
        let declared = [format!("---@alias {name}"), format!("---@class {name}")];
        let count = all
            .lines()
            .filter(|line| declared.iter().any(|start| line.split(' ').take(2).eq(start.split(' '))));
        assert_eq!(count.count(), 1, "{name}");
        assert!(library::TYPES.contains(name), "{name}");
    }
}

#[test]
fn settings_of_the_user_s_own_are_left() {
    let system = system().file("rules/.luarc.json", "{}").prepare();
    assert!(generate(&system).contains("is unchanged; it needs"));
    assert_eq!(fs::read_to_string(system.path("rules/.luarc.json")).expect("there"), "{}");
}

/// A machine with other names than the declared ones does not start; this holds the methods and fields of objects.
#[test]
fn the_declared_fields_of_objects_are_there() {
    let types = library::TYPES;
    let fields = |class: &str| -> BTreeSet<String> {
        let declared = types.split(&format!("---@class {class}\n")).nth(1).expect("declared");
        let body = declared.lines().take_while(|line| line.starts_with("---"));
        let fields = body.filter_map(|line| line.strip_prefix("---@field ")?.split(' ').next());
        let methods = types
            .lines()
            .filter_map(|line| line.strip_prefix(&format!("function {class}Class:"))?.split('(').next());
        fields.chain(methods).map(str::to_owned).collect()
    };
    let rule = |object: &str, class: &str| {
        let reads: Vec<String> =
            fields(class).iter().map(|name| format!("if object.{name} == nil then end")).collect();
        format!("do local object = {object} {} end\n", reads.join(" "))
    };
    let launch = "NextWorker('a', {}, { delay = 1, at = now(), timeout = 1, retries = 1, retry_delay = 1, env = { A = 1 } })";
    let rules = format!(
        "function after_sleep()\n{}{}{} return {{}} end",
        rule("now()", "Date"),
        rule(launch, "NextWorker"),
        rule("Join{ name = 'all', wait_for = { 'sleep' } }", "Join"),
    );
    let system = system().rules(&rules).prepare();
    let output = system.operation(&["rules", "eval", "--worker", "sleep", "--type", "success"]);
    assert_eq!(output.0, Some(0), "{}", output.1);
    assert_eq!(fields("Date").len(), 9);
    // What the engine says there is, is declared.
    let join = "Join{ name = 'all', wait_for = { 'sleep' } }";
    for (object, class) in [("now()", "Date"), (launch, "NextWorker"), (join, "Join")] {
        system.write_rules(&format!("function after_sleep() return {object}.nothing end"));
        let (_, error) = system.operation(&["rules", "eval", "--worker", "sleep", "--type", "success"]);
        let known = error.split("it has ").nth(1).and_then(|rest| rest.lines().next()).expect("a list");
        let known: BTreeSet<String> = known.replace(" and ", ", ").split(", ").map(str::to_owned).collect();
        assert_eq!(fields(class), known);
    }
}

/// The engine's own test finds undeclared functions of tests; this one shows that the declared functions work.
#[test]
fn tests_of_rules_have_their_declared_functions() {
    let functions =
        library::TEST_TYPES.lines().filter_map(|line| line.strip_prefix("function ")?.split('(').next());
    let (methods, functions): (Vec<&str>, Vec<&str>) = functions.partition(|name| name.contains(':'));
    assert!(functions.len() > 10 && methods.len() > 3, "{functions:?} {methods:?}");
    let checks: Vec<String> =
        functions.iter().map(|name| format!("assert(type({name}) == 'function', '{name}')")).collect();
    let of_day = methods.iter().filter_map(|method| method.strip_prefix("DayClass:"));
    let fields = ["ran", "checklist", "errors"].into_iter().chain(of_day);
    let fields: Vec<String> = fields.map(|name| format!("assert(day.{name} ~= nil, '{name}')")).collect();
    let test = format!(
        "{}\nit('has a day', function()\n  local day = run_day{{ start = {{ 'sleep' }} }}\n  {}\nend)",
        checks.join("\n"),
        fields.join("\n  ")
    );
    let system =
        system().rules("function after_sleep() return {} end").file("rules/tests/all.lua", &test).prepare();
    let output = system.operation(&["rules", "test"]);
    assert_eq!(output.0, Some(0), "{}", output.1);
}

/// What the language server knows of Lua 5.4 and rules lack, as the manual has it.
#[test]
fn declared_names_that_rules_lack_are_in_the_manual() {
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rules.md");
    let manual = fs::read_to_string(manual).expect("there");
    let lacking = ["collectgarbage", "dofile", "loadfile", "warn", "coroutine.close", "string.dump"];
    for name in lacking {
        assert!(manual.contains(&format!("`{name}`")), "{name}");
    }
    let system = system().prepare();
    let is_marked = |name: &str| {
        system.write_rules(&format!("function after_sleep()\n  print({name})\n  return {{}}\nend"));
        let (_, text) = system.operation(&["rules", "check"]);
        let error = match name.split_once('.') {
            None => format!("error: there is no name `{name}`\n"),
            Some((library, member)) => format!("error: `{library}` has no `{member}`\n"),
        };
        text.contains(&error)
    };
    for name in lacking {
        assert!(is_marked(name), "{name}");
    }
    assert!(!is_marked("coroutine.wrap"));
}
