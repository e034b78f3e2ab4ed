//! What keeps every run of a rule the same, and how rules are loaded.

use nowcast_core::LogLine;

use super::*;

#[test]
fn the_clock_is_the_message_s() {
    assert_eq!(
        print("os.time(), os.date('%Y-%m-%d %H:%M:%S'), os.date('!%H')"),
        "1773490530 2026-03-14 05:15:30 12"
    );
    assert_eq!(
        print("os.date('*t').hour, os.date('*t').wday, os.date('*t').yday, os.date('*t').isdst"),
        "5 7 73 true"
    );
    assert_eq!(
        print("os.time{ year = 2026, month = 3, day = 14, hour = 5, min = 15, sec = 30 }"),
        "1773490530"
    );
    assert_eq!(print("os.date('%Y-%m-%d', 0)"), "1969-12-31");
    assert_eq!(
        print("os.time{ year = 2026, month = 15, day = 0 } == os.time{ year = 2027, month = 2, day = 28 }"),
        "true"
    );
}

#[test]
fn random_numbers_depend_on_the_message_alone() {
    let body = "print(math.random(1000000), math.random(1000000)) return {}";
    let first = Nowcast::rule(body);
    let numbers = first.said();
    assert_eq!(first.said(), numbers, "the same message, the same machine");
    assert_eq!(Nowcast::rule(body).said(), numbers, "the same message, another machine");
    assert_ne!(Nowcast::rule(body).payload(Value::Int(1)).said(), numbers, "another message");
    assert_ne!(numbers[0].split(' ').next(), numbers[0].split(' ').nth(1));
    assert_eq!(
        print(
            "(function() math.randomseed(7) local a = math.random(1e6 | 0) math.randomseed(7) return a == math.random(1e6 | 0) end)()"
        ),
        "true"
    );
    assert!(reason("math.randomseed()").starts_with("math.randomseed: give a number"));
}

#[test]
fn random_numbers_depend_on_all_of_the_message_and_on_no_version() {
    let numbers = |payload: Value| {
        let nowcast = Nowcast::rule("print(math.random(1000000), math.random(1000000)) return {}");
        nowcast.payload(payload).said().remove(0)
    };
    // What a manager of yesterday drew: a replay with another version must draw the same.
    assert_eq!(numbers(Value::Null), "692086 708970");
    assert_eq!(numbers(map([("run", Value::from("nowcast")), ("day", Value::Int(14))])), "540882 142085");
    // As many keys, other values.
    assert_ne!(
        numbers(map([("run", Value::from("nowcast"))])),
        numbers(map([("run", Value::from("forecast"))]))
    );
    assert_ne!(numbers(map([("a", Value::Int(1))])), numbers(map([("b", Value::Int(1))])));
}

#[test]
fn variables_keep_nothing_from_one_message_to_the_next() {
    let nowcast = Nowcast::new(
        "local count, kept, seen = 0, nil, {}
        local resumed = coroutine.wrap(function() for i = 1, 9 do coroutine.yield(i) end end)
        function after_sleep(msg)
          count = count + 1
          seen[#seen + 1] = msg
          print(count, kept == nil, #seen, resumed())
          kept = msg
          return {}
        end",
    );
    assert_eq!(nowcast.said(), ["1 true 1 1"]);
    assert_eq!(nowcast.said(), ["1 true 1 1"]);
}

#[test]
fn modules_keep_nothing_from_one_message_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("next_workers.lua");
    std::fs::write(folder.path().join("counter.lua"), "print('loaded') return { count = 0 }").unwrap();
    std::fs::write(
        &main,
        "local counter = require('counter')
        function after_sleep() counter.count = counter.count + 1 print(counter.count) return {} end",
    )
    .unwrap();
    let engine = Engine::load(&main, "next_workers", &EngineOptions::default()).unwrap();
    assert_eq!(engine.log()[0].text, "loaded");
    for _ in 0..2 {
        let message = Message::new("sleep", "success", Value::Null);
        let call = engine.call_after(&RuleInput {
            message: &message,
            config: &Map::new().into(),
            checklist: &Map::new().into(),
            cycles: None,
            now: &now(),
        });
        // What the files log is told once.
        assert_eq!(call.log.into_iter().map(|line| line.text).collect::<Vec<_>>(), ["1"]);
    }
}

#[test]
fn tables_have_a_fixed_order() {
    let body = "local t = {} for i = 1, 200 do t['key' .. i * 7 % 200] = i end t[3] = 1 t[1.5] = 2 t[true] = 3 t[false] = 4
                local s = {} for k in pairs(t) do s[#s + 1] = tostring(k) end print(table.concat(s, ' '))
                s = {} for k in next, t do s[#s + 1] = tostring(k) end print(table.concat(s, ' ')) return {}";
    let first = Nowcast::rule(body).said();
    assert_eq!(first[0], first[1]);
    assert!(first[0].starts_with("1.5 3 key0 key1 key10 key100 "), "{}", first[0]);
    assert!(first[0].ends_with(" key99 false true"), "{}", first[0]);
    for _ in 0..5 {
        assert_eq!(Nowcast::rule(body).said(), first);
    }
    assert_eq!(
        reason("for _ in pairs({ [{}] = 1, [print] = 2 }) do end"),
        "a table whose keys are tables, functions or coroutines has no fixed order; use texts or numbers as keys"
    );
    assert_eq!(
        said("for k, v in pairs({ [date('2026-03-15')] = 1, [date('2026-03-14')] = 2 }) do print(k, v) end"),
        ["2026-03-14 2", "2026-03-15 1"]
    );
}

#[test]
fn keys_with_the_same_text_have_no_order() {
    for (one, text) in [
        ("date('2026-03-14')", "2026-03-14"),
        ("worker('a', 'b')", "NextWorker(module='a', args=['b'], host='localhost')"),
    ] {
        let expected = format!(
            "a table with two keys that are both {text} has no fixed order; use texts or numbers as keys"
        );
        for walk in ["for _ in pairs(t) do end", "next(t)", "keys(t)"] {
            assert_eq!(reason(&format!("local t = {{ [{one}] = 1, [{one}] = 2, x = 3 }} {walk}")), expected);
        }
    }
}

/// Lua goes through a table in another order at each start; an error may not show that.
#[test]
fn errors_are_the_same_at_every_run() {
    for (body, expected) in [
        (
            "NextWorker('a', { x = 1, y = 2, z = 3, w = 4, [true] = 5 })",
            "NextWorker(\"a\"): args must be a list, but has the key \"w\"",
        ),
        (
            "NextWorker('a', { x = 1, y = 2, z = 3, w = 4, v = 5 })",
            "NextWorker(\"a\"): args must be a list, but has the key \"v\"",
        ),
        (
            "now():shift{ yaers = 1, dyas = 2, months = 'x', weeks = 1.5, horus = 4 }",
            "shift: there is no unit \"dyas\"; did you mean `days`?",
        ),
        (
            "now():shift{ years = 'a', months = 'b', weeks = 'c', days = 'd', hours = 'e' }",
            "shift: days must be a whole number",
        ),
        (
            "return {}, { [2.5] = true, [3.5] = true, [4.5] = true, [-1] = true, x = true }",
            "the second value that after_sleep returned has the number -1 as a name; names are text",
        ),
        (
            "return {}, { a = 1, b = true, [false] = true, [true] = true }",
            "the second value that after_sleep returned has false as a name; names are text",
        ),
        (
            "Join{ name = 'n', wait_for = { [true] = 1, [1.5] = 1, [now()] = 1, [print] = 1 } }",
            "Join: wait_for has a date as a key",
        ),
    ] {
        for _ in 0..10 {
            assert_eq!(reason(body), expected, "{body}");
        }
    }
}

#[test]
fn entries_may_be_cleared_while_they_are_walked() {
    assert_eq!(
        said(
            "local t = { a = 1, b = 2, c = 3 } for k in pairs(t) do print(k) t[k] = nil t.c = nil end print(next(t))"
        ),
        ["a", "b", "nil"]
    );
    assert_eq!(
        said(
            "local t = { a = 1, b = 2 } local k = next(t) while k do t[k] = nil print(k) k = next(t, k) end"
        ),
        ["a", "b"]
    );
    assert_eq!(reason("next({}, 'x')"), "next: the key \"x\" is not in the table");
}

#[test]
fn nothing_shows_an_address() {
    assert_eq!(
        print(
            "tostring({}), tostring(print), tostring(coroutine.create(print)), string.format('%s|%s', {}, print), NextWorker('a', { 'b' })"
        ),
        "table function thread table|function NextWorker(module='a', args=['b'], host='localhost')"
    );
}

#[test]
fn a_global_is_set_while_loading_and_never_after() {
    let rules = "limit = 3\nfunction after_sleep()\n  print(limit)\n  limit = limit + 1\nend";
    assert_eq!(
        Nowcast::new(rules).reason(),
        "the global \"limit\" cannot be set while a rule runs: write 'local' before it, and keep what the next rule needs \
         in the checklist"
    );
}

#[test]
fn globals_of_other_kinds_hide_no_function() {
    let constants: Vec<String> = (0..50).map(|number| format!("constant_{number} = {number}")).collect();
    let nowcast = Nowcast::new(&format!("{}\nfunction after_sleep() return {{}} end", constants.join("\n")));
    assert_eq!(nowcast.engine.functions().len(), 1);
}

#[test]
fn rules_may_log_while_they_are_loaded() {
    let nowcast = Nowcast::new("log.info('hello')");
    assert_eq!(nowcast.engine.log().len(), 1);
}

#[test]
fn rules_may_be_split_over_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("next_workers.lua");
    std::fs::create_dir(folder.path().join("rivers")).unwrap();
    std::fs::write(&path, "local rivers = require('rivers.list')\nrequire('rivers.list')\nfunction after_sleep() return { worker(rivers[1]) } end").unwrap();
    std::fs::write(
        folder.path().join("rivers/list.lua"),
        "function after_rivers() error('x') end\nreturn { 'fraser' }",
    )
    .unwrap();
    let engine = Engine::load(&path, "next_workers", &EngineOptions::default()).unwrap();
    let call = |source: &str| {
        let message = Message::new(source, "success", Value::Null);
        engine
            .call_after(&RuleInput {
                message: &message,
                config: &Value::Null,
                checklist: &Value::Null,
                cycles: None,
                now: &now(),
            })
            .result
    };
    assert_eq!(without_places(call("sleep").unwrap()).next_workers, [worker("fraser", &[])]);
    assert!(call("rivers").unwrap_err().to_string().starts_with("rivers/list.lua:1: x"));

    std::fs::write(folder.path().join("rivers/list.lua"), "return {\n  'fraser' 'x'\n}").unwrap();
    let error = Engine::load(&path, "next_workers", &EngineOptions::default()).unwrap_err();
    assert_eq!(error.file, folder.path().join("rivers/list.lua"));
    assert_eq!(error.line, Some(2));
    std::fs::write(folder.path().join("rivers/list.lua"), "return require('rivers.list')").unwrap();
    let error = Engine::load(&path, "next_workers", &EngineOptions::default()).unwrap_err();
    assert_eq!(error.reason, "require: \"rivers.list\" requires itself");
}

#[test]
fn a_failed_module_fails_in_the_same_way_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("next_workers.lua");
    std::fs::write(folder.path().join("broken.lua"), "error('no luck')").unwrap();
    std::fs::write(
        &main,
        "for _ = 1, 2 do print(select(2, pcall(require, 'broken'))) end
        local is_there = pcall(require, 'late')
        function after_sleep() print(is_there) return {} end",
    )
    .unwrap();
    let engine = Engine::load(&main, "next_workers", &EngineOptions::default()).unwrap();
    let texts = |log: &[LogLine]| log.iter().map(|line| line.text.clone()).collect::<Vec<_>>();
    assert_eq!(texts(engine.log()), ["broken.lua:1: no luck", "broken.lua:1: no luck"]);
    // A module that comes later belongs to other rules.
    std::fs::write(folder.path().join("late.lua"), "return 1").unwrap();
    let message = Message::new("sleep", "success", Value::Null);
    let call = engine.call_after(&RuleInput {
        message: &message,
        config: &Map::new().into(),
        checklist: &Map::new().into(),
        cycles: None,
        now: &now(),
    });
    assert_eq!(texts(&call.log), ["false"]);
}

#[test]
fn an_assigned_environment_ends_with_its_message() {
    let nowcast = Nowcast::new(
        "function after_sleep()
          local before = _ENV
          local count = (before.count or 0) + 1
          _ENV = before.setmetatable({ count = count }, { __index = before })
          before.print(count)
          return {}
        end
        function after_good() _ENV = nil return {} end",
    );
    nowcast.answer_of("good");
    assert_eq!(nowcast.said(), ["1"]);
    assert_eq!(nowcast.said(), ["1"]);
}

#[test]
fn weak_tables_show_nothing_of_the_garbage_collection() {
    let nowcast = Nowcast::rule(
        "local meta = {} local t = setmetatable({}, meta) meta.__mode = 'v'
        for i = 1, 3000 do t[i] = {} end
        local alive = 0 for i = 1, 3000 do if t[i] then alive = alive + 1 end end
        print(alive) return {}",
    );
    for _ in 0..200 {
        assert_eq!(nowcast.said(), ["3000"]);
    }
}

#[test]
fn two_parts_of_one_content_are_equal_wherever_they_stand() {
    let part = || map([("k", Value::Int(1))]);
    let shared = part();
    for checklist in [map([("a", shared.clone()), ("b", shared)]), map([("a", part()), ("b", part())])] {
        let nowcast = Nowcast::rule(
            "print(checklist.a == checklist.b, rawequal(checklist.a, checklist.b), checklist.a == checklist) return {}",
        );
        assert_eq!(nowcast.checklist(checklist).said(), ["true true false"]);
    }
}
