//! What a rule sees of the message, the configuration and the checklist.

use std::sync::Arc;

use pyyaml::{DateTime, Set};

use super::*;

fn forecast() -> Value {
    map([
        ("zebra", Value::Int(1)),
        ("apple", Value::Float(2.0)),
        ("nothing", Value::Null),
        ("yes", Value::Bool(true)),
        ("run", map([("date", Value::from("2026-03-14")), ("hour", Value::from("00"))])),
        ("items", list([Value::from("a"), Value::Null, Value::Int(3)])),
        ("day", Value::Date(jiff::civil::date(2026, 3, 14))),
        ("names", Value::from(["x", "y"].into_iter().map(Value::from).collect::<Set>())),
        ("bytes", Value::Bytes(vec![0xff, 0].into())),
        ("big", Value::BigInt(std::sync::Arc::new("123456789012345678901".parse().unwrap()))),
    ])
}

fn said(body: &str) -> Vec<String> {
    Nowcast::rule(&format!("{body}\nreturn {{}}")).checklist(forecast()).said()
}

fn print(expression: &str) -> String {
    said(&format!("print({expression})")).remove(0)
}

#[test]
fn they_look_like_tables() {
    assert_eq!(
        print("type(checklist), type(msg), type(config), type(checklist.items)"),
        "table table table table"
    );
    assert_eq!(print("tostring(checklist), math.type(checklist)"), "table nil");
    assert_eq!(print("msg.source, msg.type, msg.payload"), "sleep success nil");
    assert_eq!(
        print("checklist.zebra, math.type(checklist.zebra), math.type(checklist.apple)"),
        "1 integer float"
    );
    assert_eq!(print("checklist.nothing, checklist.missing, checklist.yes"), "nil nil true");
    assert_eq!(print("checklist.run.date, type(checklist.run.hour)"), "2026-03-14 string");
    assert_eq!(print("checklist['run']['hour'] == '00'"), "true");
    assert_eq!(print("#checklist.bytes, checklist.bytes:byte(1)"), "2 255");
    assert_eq!(print("checklist.big"), "123456789012345678901");
    assert_eq!(print("getmetatable(checklist)"), "false");
    assert_eq!(print("checklist.run == checklist.run, checklist.run == checklist.items"), "true false");
}

#[test]
fn lists_count_from_one_and_keep_their_nulls() {
    assert_eq!(
        print("#checklist.items, checklist.items[1], checklist.items[0], checklist.items[4]"),
        "3 a nil nil"
    );
    assert_eq!(
        print("checklist.items[2], checklist.items[2] == null, type(null), null == nil"),
        "null true null false"
    );
    assert_eq!(print("checklist.items[3.0], checklist.items['1']"), "3 nil");
    assert_eq!(said("for i, v in ipairs(checklist.items) do print(i, v) end"), ["1 a", "2 null", "3 3"]);
    assert_eq!(said("for i, v in pairs(checklist.items) do print(i, v) end"), ["1 a", "2 null", "3 3"]);
    assert_eq!(print("table.unpack(checklist.items)"), "a null 3");
    assert_eq!(print("select('#', table.unpack(checklist.items, 2))"), "2");
    assert_eq!(print("#{ table.unpack(checklist.items) }"), "3");
}

#[test]
fn pairs_and_next_follow_the_order_that_was_written() {
    let order = "zebra apple nothing yes run items day names bytes big";
    assert_eq!(print("table.concat(keys(checklist), ' ')"), order);
    assert_eq!(
        said("local k = next(checklist) while k do print(k) k = next(checklist, k) end").join(" "),
        order
    );
    assert_eq!(print("next(checklist)"), "zebra 1");
    assert_eq!(said("for k, v in pairs(checklist.run) do print(k, v) end"), ["date 2026-03-14", "hour 00"]);
    assert_eq!(said("for k, v in next, checklist.run do print(k, v) end"), ["date 2026-03-14", "hour 00"]);
    assert_eq!(print("next(checklist.run, 'hour')"), "nil");
}

#[test]
fn sets_iterate_as_members_and_index_as_true() {
    assert_eq!(
        said("for member, flag in pairs(checklist.names) do print(member, flag) end"),
        ["x true", "y true"]
    );
    assert_eq!(print("checklist.names.x, checklist.names.z, #checklist.names"), "true nil 2");
}

#[test]
fn keys_of_any_type_are_found() {
    let date = jiff::civil::date(2026, 3, 14);
    let time = DateTime { civil: date.at(5, 15, 0, 0), offset: None };
    let entries = [
        (Value::Int(1), "one"),
        (Value::Float(2.0), "two"),
        (Value::Float(2.5), "half"),
        (Value::Bool(false), "no"),
        (Value::Date(date), "day"),
        (Value::DateTime(time), "time"),
        (Value::Null, "null"),
        (Value::Bytes(b"raw".as_slice().into()), "bytes"),
        (Value::BigInt(Arc::new("-123456789012345678901".parse().unwrap())), "big"),
    ];
    let checklist: Value = entries.into_iter().map(|(key, text)| (key, Value::from(text))).collect();
    let print = |expression: &str| {
        Nowcast::rule(&format!("print({expression}) return {{}}"))
            .checklist(checklist.clone())
            .said()
            .remove(0)
    };
    assert_eq!(print("checklist[1], checklist[1.0], checklist[2], checklist[2.5]"), "one one two half");
    assert_eq!(print("checklist[false], checklist[true], checklist[null]"), "no nil null");
    assert_eq!(print("checklist[date('2026-03-14')], checklist[date('2026-03-14T05:15')]"), "day time");
    assert_eq!(print("#checklist"), "2");
    assert_eq!(print("next(checklist, date('2026-03-14'))"), "2026-03-14T05:15:00 time");
    assert_eq!(
        print("checklist.raw, checklist['-123456789012345678901'], checklist['0123']"),
        "bytes big nil"
    );
    assert_eq!(print("next(checklist, 'raw')"), "-123456789012345678901 big");
    assert_eq!(print("next(checklist, '-123456789012345678901')"), "nil");
}

#[test]
fn keys_that_look_alike_to_lua_end_an_iteration() {
    let raw = (Value::Bytes(b"a".as_slice().into()), Value::Int(2));
    let checklist: Value = [(Value::from("a"), Value::Int(1)), raw].into_iter().collect::<Map>().into();
    let said = |body: &str| Nowcast::rule(&format!("{body} return {{}}")).checklist(checklist.clone()).said();
    assert_eq!(
        said("for k, v in pairs(checklist) do print(k, v) end print(checklist.a)"),
        ["a 1", "a 2", "1"]
    );
    assert_eq!(said("for k, v in next, checklist do print(k, v) end"), ["a 1"]);
}

#[test]
fn dates_are_date_objects() {
    assert_eq!(
        print("type(checklist.day), checklist.day, checklist.day.year, checklist.day.month"),
        "date 2026-03-14 2026 3"
    );
    assert_eq!(print("checklist.day == date('2026-03-14')"), "true");
}

#[test]
fn writing_is_an_error_with_a_remedy() {
    let writes = [
        "checklist.x = 1",
        "checklist.run.date = nil",
        "rawset(checklist, 'x', 1)",
        "table.insert(checklist.items, 1)",
        "table.remove(checklist.items)",
        "table.sort(checklist.items)",
        "add(checklist.items, 1)",
        "table.move({ 1 }, 1, 1, 1, checklist.items)",
        "setmetatable(checklist, {})",
    ];
    for body in writes {
        let nowcast = Nowcast::rule(body).checklist(forecast());
        let reason = nowcast.reason();
        assert!(
            reason.starts_with("the message, the configuration and the checklist are read-only"),
            "{body}: {reason}"
        );
        assert!(reason.contains("copy what you need into a local table"), "{reason}");
        assert!(nowcast.error().starts_with("next_workers.lua:3: "), "{}", nowcast.error());
    }
}

#[test]
fn library_functions_take_them() {
    assert_eq!(print("table.concat(checklist.run.list or { 'a', 2 }, '-')"), "a-2");
    assert_eq!(
        print("rawget(checklist, 'zebra'), rawlen(checklist.items), rawequal(checklist, checklist)"),
        "1 3 true"
    );
    assert_eq!(print("string.format('%s %s', checklist, checklist.day)"), "table 2026-03-14");
    assert_eq!(print("('zebra apple'):gsub('%w+', checklist)"), "1 2.0 2");
    assert_eq!(print("checklist.run"), r#"{date = "2026-03-14", hour = "00"}"#);
    assert_eq!(print("#table.move(checklist.items, 1, 3, 1, {})"), "3");
}

#[test]
fn a_list_of_texts_is_joined() {
    let nowcast = Nowcast::rule("print(table.concat(msg.payload, ',', 2)) return {}").payload(list([
        Value::from("a"),
        Value::from("b"),
        Value::Int(3),
    ]));
    assert_eq!(nowcast.said(), ["b,3"]);
    let reason = Nowcast::rule("return table.concat(checklist.items)").checklist(forecast()).reason();
    assert_eq!(reason, "table.concat: item 2 is null; only texts and numbers can be joined");
}

#[test]
fn errors_about_them_speak_of_tables() {
    assert_eq!(
        Nowcast::rule("return checklist()").reason(),
        "attempt to call a table value (local 'checklist')"
    );
    assert_eq!(Nowcast::rule("return checklist.a.b").reason(), "attempt to index a nil value (field 'a')");
    let reason = Nowcast::rule("return 'x' .. checklist").reason();
    assert_eq!(reason, "attempt to concatenate a table value (local 'checklist')");
}

#[test]
fn yaml_types_that_are_not_used_elsewhere_stay_reachable() {
    // The list of types is closed: a new one must be given its place in the views.
    let kinds = [Value::Null, Value::Bool(true), Value::Int(1), Value::Float(1.5), Value::from("x")];
    let nowcast = Nowcast::rule("for i = 1, 5 do print(msg.payload[i]) end return {}").payload(list(kinds));
    assert_eq!(nowcast.said(), ["null", "true", "1", "1.5", "x"]);
}

/// The next payload is merged into the checklist in place only if no view holds a part of it.
#[test]
fn nothing_of_the_checklist_is_held_after_the_call() {
    for rule in ["local _ = checklist.run.x return {}", "return checklist.run.x.y", "return checklist.run.x"]
    {
        let run = map([("id", Value::Int(1))]);
        let nowcast = Nowcast::rule(rule).checklist(map([("run", run.clone())]));
        nowcast.call("sleep");
        let (Value::Map(checklist), Value::Map(run)) = (&nowcast.checklist, &run) else {
            panic!("no mappings")
        };
        assert_eq!((Arc::strong_count(checklist), Arc::strong_count(run)), (1, 2), "{rule}");
    }
}
