//! Which parts of the checklist a rule looked at.

use super::*;

fn checklist() -> Value {
    map([
        ("weather forecast", map([("12", Value::from("2026-03-14")), ("06", Value::Null)])),
        (
            "NEMO run",
            map([("nowcast", map([("run date", Value::from("2026-03-14")), ("host", Value::from("nibi"))]))]),
        ),
        ("names", list([Value::from("a"), Value::from("b")])),
        ("runs", list([map([("id", Value::Int(1))]), map([("id", Value::Int(2))])])),
        ("flag", Value::Bool(true)),
    ])
}

fn call(body: &str) -> RuleCallResult {
    Nowcast::rule(body).checklist(checklist()).call("sleep")
}

/// What a rule with this body read.
fn read(body: &str) -> Vec<String> {
    let call = call(&format!("{body}\nreturn {{}}"));
    if let Err(error) = &call.result {
        panic!("{error}");
    }
    call.keys_read
}

#[test]
fn each_value_is_listed_once_with_its_path() {
    assert!(read("").is_empty());
    assert_eq!(read("local x = checklist['weather forecast']['12']"), ["weather forecast: 12"]);
    assert_eq!(
        read(
            "local x = checklist.flag, checklist['weather forecast']['06'], checklist.flag, checklist.names[2]"
        ),
        ["flag", "weather forecast: 06", "names: 2"]
    );
    assert_eq!(read("for i = 1, 100 do local x = checklist.flag end"), ["flag"]);
}

#[test]
fn missing_keys_are_listed_too() {
    assert_eq!(
        read("local x = checklist['weather forecast']['18'] or checklist.nothing or checklist.names[7]"),
        ["weather forecast: 18 (missing)", "nothing (missing)", "names: 7 (missing)"]
    );
    assert_eq!(read("local x = checklist['weather forecast'][12]"), ["weather forecast: 12 (missing)"]);
}

#[test]
fn a_step_on_the_way_is_folded_and_a_container_that_was_only_taken_is_not() {
    assert_eq!(
        read("local run = checklist['NEMO run'].nowcast local w = worker(run.host)"),
        ["NEMO run: nowcast: host"]
    );
    assert_eq!(
        read("local x = checklist['NEMO run'] and checklist['NEMO run'].nowcast"),
        ["NEMO run: nowcast"]
    );
    assert_eq!(
        read(
            "if checklist['NEMO run'] then local x = checklist.flag, checklist['NEMO run'].nowcast.host end"
        ),
        ["flag", "NEMO run: nowcast: host"]
    );
    assert_eq!(
        read("local run = need(checklist, 'NEMO run', 'nowcast', 'run date')"),
        ["NEMO run: nowcast: run date"]
    );
}

#[test]
fn a_walk_is_listed_by_its_container() {
    for body in [
        "for _ in pairs(checklist.names) do end",
        "for i, name in ipairs(checklist.names) do end",
        "for i = 1, #checklist.names do local x = checklist.names[i] end",
        "for _ in next, checklist.names do end",
        "keys(checklist.names)",
        "table.concat(checklist.names)",
        "local a, b = table.unpack(checklist.names)",
        "print(checklist.names)",
        "local n = rawlen(checklist.names)",
    ] {
        assert_eq!(read(body), ["names"], "{body}");
    }
    assert_eq!(read("for _ in pairs(checklist) do end"), ["(the whole checklist)"]);
    assert_eq!(
        read("for key, part in pairs(checklist['NEMO run']) do local x = part.host end"),
        ["NEMO run", "NEMO run: nowcast: host"]
    );
    assert_eq!(
        read("for _, run in ipairs(checklist.runs) do local x = run.id end"),
        ["runs", "runs: 1: id", "runs: 2: id"]
    );
}

#[test]
fn only_the_checklist_is_of_interest() {
    let nowcast =
        Nowcast::rule("local x = msg.payload.a, config.b, #msg.payload return {}").payload(checklist());
    assert!(nowcast.call("sleep").keys_read.is_empty());
}

#[test]
fn a_way_through_functions_and_coroutines_is_followed() {
    assert_eq!(
        read(
            "local part = checklist['NEMO run']
            local function host(run) return run.host end
            print(coroutine.wrap(function() return host(part.nowcast) end)(), pcall(host, part.other))"
        ),
        ["NEMO run: nowcast: host", "NEMO run: other (missing)"]
    );
}

#[test]
fn it_is_reported_after_an_error_and_after_a_limit() {
    let call = call("local x = checklist.flag error('x')");
    assert!(call.result.is_err());
    assert_eq!(call.keys_read, ["flag"]);
    let call = self::call("return { worker(checklist.weather.date) }");
    assert!(call.result.is_err());
    assert_eq!(call.keys_read, ["weather (missing)"]);
    let nowcast = Nowcast::rule("local x = checklist.flag while true do end").checklist(checklist());
    let call = nowcast.call("sleep");
    assert!(call.result.is_err());
    assert_eq!(call.keys_read, ["flag"]);
    let call = nowcast.call("good");
    assert!(call.result.is_ok() && call.keys_read.is_empty());
    let call = self::call("local x = checklist.flag local s = 'x' while true do s = s .. s end");
    assert!(call.result.unwrap_err().to_string().contains("memory limit"));
    assert_eq!(call.keys_read, ["flag"]);
}

#[test]
fn the_next_call_begins_without_reads() {
    let nowcast = Nowcast::new(
        "function after_one(_, _, checklist) local x = checklist.flag return {} end
        function after_two(_, _, checklist) local x = checklist.names return {} end",
    )
    .checklist(checklist());
    for _ in 0..3 {
        assert_eq!(nowcast.call("one").keys_read, ["flag"]);
        assert_eq!(nowcast.call("two").keys_read, ["names"]);
    }
}

#[test]
fn a_long_list_is_cut() {
    let list = read("for i = 1, 1000 do local x = checklist['key' .. i] end");
    assert_eq!(list.len(), 51);
    assert_eq!(
        (list[0].as_str(), list[49].as_str(), list[50].as_str()),
        ("key1 (missing)", "key50 (missing)", "… and more")
    );
    let list = read("for i = 1, 50 do local x = checklist['key' .. i] end");
    assert_eq!(list.len(), 50, "there is no more");
    let list = read("for i = 1, 20 do local x = checklist[('ä'):rep(100000) .. i] end");
    assert_eq!(list, [format!("{}… (missing)", "ä".repeat(200))]);
    assert_eq!(read("local x = checklist['a\\nb\\0']"), ["a b  (missing)"]);
    assert!(read("local x = checklist[{}], checklist[print]").is_empty());
}

#[test]
fn a_kept_view_notes_nothing_in_the_next_call() {
    let nowcast = Nowcast::new(
        "local kept
        function after_one(_, _, checklist) kept = checklist.names return {} end
        function after_two() print(pcall(function() return kept[1] end)) return {} end",
    )
    .checklist(checklist());
    assert_eq!(nowcast.call("one").keys_read, ["names"]);
    let call = nowcast.call("two");
    assert!(call.log[0].text.starts_with("false"), "{:?}", call.log);
    assert!(call.keys_read.is_empty(), "{:?}", call.keys_read);
}
