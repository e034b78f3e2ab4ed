//! `Join{ … }`: what a rule may wait for, and what it is told when that is none.

use jiff::SignedDuration;
use nowcast_core::{JoinRequest, Requirement};

use super::*;

fn wanted(worker: &str, r#type: Option<&str>, count: u32) -> Requirement {
    Requirement { worker: worker.to_owned(), r#type: r#type.map(str::to_owned), count, cycle: None }
}

fn wait_for(written: &str) -> Vec<Requirement> {
    let rule = format!("return {{}}, Join{{ name = 'j', wait_for = {written} }}");
    Nowcast::rule(&rule).answer().join.expect("a join").wait_for
}

#[test]
fn all_of_it_is_read() {
    let nowcast = Nowcast::rule(
        r#"return { worker("a") }, Join{
            name = "plots of the day",
            wait_for = { "grib_to_netcdf", collect_river_data = 14, make_ssh_files = "success nowcast" },
            launch = { worker("b"), worker("c", 1):with{ delay = "10m" } },
            timeout = "3h",
        }"#,
    );
    let mut late = worker("c", &["1"]);
    late.options.delay = Some(SignedDuration::from_mins(10));
    assert_eq!(
        nowcast.answer(),
        ReturnedLaunches {
            next_workers: vec![worker("a", &[])],
            join: Some(JoinRequest {
                name: Some("plots of the day".into()),
                wait_for: vec![
                    wanted("grib_to_netcdf", None, 1),
                    wanted("collect_river_data", None, 14),
                    wanted("make_ssh_files", Some("success nowcast"), 1),
                ],
                launch: vec![worker("b", &[]), late],
                timeout: Some(SignedDuration::from_hours(3)),
                ..JoinRequest::default()
            }),
        }
    );
    let join = Nowcast::rule("return {}, Join{ name = 'j', wait_for = { 'a' } }").answer().join.unwrap();
    assert_eq!((join.launch, join.timeout), (vec![], None));
}

#[test]
fn list_items_come_first_and_then_the_keys_by_name() {
    assert_eq!(
        wait_for(
            "{ z = 2, 'y', b = 'success', 'x', a = { type = 'success 06', count = 3 }, c = { count = 4 } }"
        ),
        [
            wanted("y", None, 1),
            wanted("x", None, 1),
            wanted("a", Some("success 06"), 3),
            wanted("b", Some("success"), 1),
            wanted("c", None, 4),
            wanted("z", None, 2),
        ]
    );
    assert_eq!(
        wait_for("{ a = 1.0, b = { type = 'x' } }"),
        [wanted("a", None, 1), wanted("b", Some("x"), 1)]
    );
    assert_eq!(wait_for("{ a = 100000 }"), [wanted("a", None, 100_000)]);
}

#[test]
fn a_list_of_the_checklist_will_do() {
    let checklist = map([("names", list(["b", "a"].map(Value::from)))]);
    let rule = "return {}, Join{ name = 'j', wait_for = checklist.names }";
    let join = Nowcast::rule(rule).checklist(checklist).answer().join.unwrap();
    assert_eq!(join.wait_for, [wanted("b", None, 1), wanted("a", None, 1)]);
}

#[test]
fn a_wrong_join_is_reported_at_its_line() {
    let example = "Join{ name = \"…\", wait_for = { \"worker\", other_worker = 14 } }";
    let count = "write a whole number from 1 to 100000";
    let cases = [
        ("Join()", format!("write what it is in braces, as in {example}; got nil")),
        ("Join('x')", format!("write what it is in braces, as in {example}; got text")),
        ("Join(worker('x'))", format!("write what it is in braces, as in {example}; got a NextWorker")),
        ("Join{}", format!("it has no name; write {example}")),
        ("Join{ wait_for = { 'a' } }", format!("it has no name; write {example}")),
        ("Join{ name = '', wait_for = { 'a' } }", "its name is empty".into()),
        ("Join{ name = ' ', wait_for = { 'a' } }", "its name is empty".into()),
        ("Join{ name = 5, wait_for = { 'a' } }", "its name must be text, got the number 5".into()),
        ("Join{ name = 'a\\nb' }", "its name is \"a\\nb\"; it must be a single line".into()),
        ("Join{ name = ('x'):rep(1000) }", "its name has 1000 bytes; 200 are enough".into()),
        ("Join{ name = 'j' }", format!("it waits for nothing; write {example}")),
        ("Join{ name = 'j', wait_for = {} }", format!("it waits for nothing; write {example}")),
        (
            "Join{ name = 'j', wait_for = 'a' }",
            "wait_for is the text \"a\"; write the workers in braces, as in { \"worker\", other_worker = 14 }".into(),
        ),
        (
            "Join{ name = 'j', waitfor = { 'a' } }",
            "there is no key \"waitfor\"; did you mean `wait_for`?".into(),
        ),
        (
            "Join{ name = 'j', [1] = 'x' }",
            "there is no key \"an integer\"; the keys are name, wait_for, launch, timeout".into(),
        ),
        (
            "Join{ name = 'j', wait_for = { 'a', nil, 'b' } }",
            "wait_for[2] is nil; is a name misspelt, or the checklist incomplete?".into(),
        ),
        (
            "Join{ name = 'j', wait_for = { 3 } }",
            "a worker's name in wait_for must be text, got the number 3".into(),
        ),
        (
            "Join{ name = 'j', wait_for = { worker('a') } }",
            "a worker's name in wait_for must be text, got a NextWorker".into(),
        ),
        (
            "Join{ name = 'j', wait_for = { 'nowcast.workers.a' } }",
            "wait_for has \"nowcast.workers.a\"; write the worker's name in the message registry, as in \"a\"".into(),
        ),
        ("Join{ name = 'j', wait_for = { [{}] = 1 } }", "wait_for has a table as a key".into()),
        (
            "Join{ name = 'j', wait_for = { 'a', a = 2 } }",
            "wait_for names \"a\" twice; for two messages of it write a = 2".into(),
        ),
        (
            "Join{ name = 'j', wait_for = { 'a', 'a' } }",
            "wait_for names \"a\" twice; for two messages of it write a = 2".into(),
        ),
        (
            "Join{ name = 'j', wait_for = { a = 0 } }",
            format!("wait_for: the count of a is the number 0; {count}"),
        ),
        (
            "Join{ name = 'j', wait_for = { a = 100001 } }",
            format!("wait_for: the count of a is the number 100001; {count}"),
        ),
        (
            "Join{ name = 'j', wait_for = { a = { count = 1e18 } } }",
            format!("wait_for: the count of a is the number 1e18; {count}"),
        ),
        (
            "Join{ name = 'j', wait_for = { a = { count = '3' } } }",
            format!("wait_for: the count of a is the text \"3\"; {count}"),
        ),
        (
            "Join{ name = 'j', wait_for = { a = { typ = 'x' } } }",
            "a: there is no key \"typ\"; did you mean `type`?".into(),
        ),
        ("Join{ name = 'j', wait_for = { a = '' } }", "the type of a in wait_for is empty".into()),
        (
            "Join{ name = 'j', wait_for = { a = { type = 3 } } }",
            "the type of a in wait_for must be text, got the number 3".into(),
        ),
        (
            "Join{ name = 'j', wait_for = { a = true } }",
            "wait_for: a is true; write how many messages, their type, or { type = \"success\", count = 3 }".into(),
        ),
        (
            "Join{ name = 'j', wait_for = { a = 1.5 } }",
            "wait_for: a is the number 1.5; write how many messages, their type, or { type = \"success\", count = 3 }"
                .into(),
        ),
    ];
    expect_reasons(&cases);
}

#[test]
fn a_wrong_launch_or_timeout_of_a_join_is_reported_at_its_line() {
    let cases = [
        (
            "Join{ name = 'j', wait_for = { 'a' }, launch = worker('b') }",
            "launch is a single NextWorker; put it into a list: launch = { … }".into(),
        ),
        (
            "Join{ name = 'j', wait_for = { 'a' }, launch = 'b' }",
            "launch is the text \"b\"; write a list of NextWorkers, as in { NextWorker(\"…\") }".into(),
        ),
        (
            "Join{ name = 'j', wait_for = { 'a' }, launch = { 'b' } }",
            "launch has the text \"b\" at place 1; every item must be a NextWorker".into(),
        ),
        (
            "Join{ name = 'j', wait_for = { 'a' }, launch = { Join{ name = 'k', wait_for = { 'a' } } } }",
            "launch has a Join at place 1; a rule returns it behind its list: return { … }, Join{ … }".into(),
        ),
        (
            "Join{ name = 'j', wait_for = { 'a' }, timeout = 'soon' }",
            "the option timeout is the text \"soon\"; write a span of time, as in \"10m\" or \"1h 30m\", or a whole \
             number of seconds"
                .into(),
        ),
    ];
    expect_reasons(&cases);
}

fn expect_reasons(cases: &[(&str, String)]) {
    for (expression, expected) in cases {
        let nowcast = Nowcast::rule(&format!("-- a line before\nreturn {{}}, ({expression})"));
        assert_eq!(nowcast.reason(), format!("Join: {expected}"), "{expression}");
        assert!(nowcast.error().starts_with("next_workers.lua:4: "), "{}", nowcast.error());
    }
}

#[test]
fn a_join_in_the_wrong_place_is_refused_with_the_right_one() {
    let join = "Join{ name = 'j', wait_for = { 'a' } }";
    for (written, expected) in [
        ("return JOIN", "after_sleep returned a Join without a list before it; return {}, Join{ … }"),
        (
            "return { worker('b'), JOIN }",
            "the list that after_sleep returned has a Join at place 2; a rule returns it behind its list: return { … }, \
             Join{ … }",
        ),
        (
            "return {}, { JOIN }",
            "the second value that after_sleep returned is a list with a Join in it; return the Join without braces \
             around it",
        ),
        (
            "return {}, JOIN, JOIN",
            "after_sleep returned more than two values; return a list of workers to launch, and a second list of names, \
             or a Join, if they must wait for one another",
        ),
        (
            "return {}, worker('a')",
            "the second value that after_sleep returned must be a list of worker names, got a NextWorker",
        ),
    ] {
        let nowcast = Nowcast::rule(&written.replace("JOIN", join));
        assert_eq!(nowcast.reason(), expected, "{written}");
        nowcast.expect_well();
    }
}

#[test]
fn it_is_as_closed_as_a_next_worker() {
    let join = "Join{ name = 'j', wait_for = { 'a', b = 2 } }";
    assert_eq!(
        print(&format!("type({join}), getmetatable({join}), tostring({join}), {join}.name")),
        "Join false Join(name=\"j\", wait_for=a, 2 × b) j"
    );
    assert_eq!(
        print("type(worker('a')), getmetatable(worker('a')), type(Join)"),
        "NextWorker false function"
    );
    for (body, expected) in [
        (format!("{join}.name = 'k'"), "a Join cannot be changed; make another one"),
        (format!("return {join}.wait_for"), "a Join has no \"wait_for\"; it has name"),
        (format!("setmetatable({join}, {{}})"), "setmetatable: a table was expected, got Join"),
        (format!("rawset({join}, 'name', 'k')"), "rawset: a table was expected, got Join"),
        (format!("for _ in pairs({join}) do end"), "pairs: a table was expected, got Join"),
        ("Join = nil".to_owned(), "the global \"Join\" cannot be set while a rule runs"),
    ] {
        hostile::expect_failure(&body, expected);
    }
}

#[test]
fn a_metatable_is_not_asked() {
    let nowcast = Nowcast::rule(
        "local endless = function() while true do end end
        local meta = { __index = endless, __pairs = endless, __len = endless }
        local function m(t) return setmetatable(t, meta) end
        return {}, Join(m{ name = 'j', wait_for = m{ 'a', b = m{ count = 2 } }, launch = m{ worker('c') } })",
    );
    let join = nowcast.answer().join.unwrap();
    assert_eq!((join.wait_for.len(), join.launch.len()), (2, 1));
    hostile::expect_failure(
        "local t = {} for i = 1, 20000 do t[i] = 'w' .. i end Join{ name = 'j', wait_for = t }",
        "Join: wait_for has more than 10000 items",
    );
}
