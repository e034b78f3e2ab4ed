//! `Join{ … }`: what a rule may wait for, and what it is told when that is none.

use jiff::SignedDuration;
use nowcast_core::cycles::NoteScope;
use nowcast_core::{JoinRequest, Requirement};

use super::*;

fn requirement(worker: &str, r#type: Option<&str>, count: u32) -> Requirement {
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
                    requirement("grib_to_netcdf", None, 1),
                    requirement("collect_river_data", None, 14),
                    requirement("make_ssh_files", Some("success nowcast"), 1),
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
            requirement("y", None, 1),
            requirement("x", None, 1),
            requirement("a", Some("success 06"), 3),
            requirement("b", Some("success"), 1),
            requirement("c", None, 4),
            requirement("z", None, 2),
        ]
    );
    assert_eq!(
        wait_for("{ a = 1.0, b = { type = 'x' } }"),
        [requirement("a", None, 1), requirement("b", Some("x"), 1)]
    );
    assert_eq!(wait_for("{ a = 100000 }"), [requirement("a", None, 100_000)]);
}

#[test]
fn a_list_of_the_checklist_will_do() {
    let checklist = map([("names", list(["b", "a"].map(Value::from)))]);
    let rule = "return {}, Join{ name = 'j', wait_for = checklist.names }";
    let join = Nowcast::rule(rule).checklist(checklist).answer().join.unwrap();
    assert_eq!(join.wait_for, [requirement("b", None, 1), requirement("a", None, 1)]);
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
            "there is no key \"an integer\"; the keys are name, wait_for, launch, timeout, cycle, since".into(),
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
        (format!("return {join}.wait_for"), "a Join has no \"wait_for\"; it has name, cycle and since"),
        (format!("setmetatable({join}, {{}})"), "setmetatable: a table was expected, got Join"),
        (format!("rawset({join}, 'name', 'k')"), "rawset: a table was expected, got Join"),
        (format!("for _ in pairs({join}) do end"), "pairs: a table was expected, got Join"),
        ("Join = nil".to_owned(), "the global \"Join\" cannot be set while a rule runs"),
    ] {
        hostile::expect_failure(&body, expected);
    }
}

fn scope(written: &str) -> Option<NoteScope> {
    let rule = format!("return {{}}, Join{{ name = 'j', wait_for = {{ 'a' }}, {written} }}");
    Nowcast::rule(&rule).cycle("2026-03-14").answer().join.expect("a join").scope
}

#[test]
fn a_join_by_cycle_has_a_label_as_launches_have() {
    for (written, label) in [
        ("cycle = msg.cycle", "2026-03-14"),
        ("cycle = 'hindcast-12'", "hindcast-12"),
        ("cycle = 20260314", "20260314"),
        ("cycle = date('2026-03-15')", "2026-03-15"),
    ] {
        assert_eq!(scope(written), Some(NoteScope::Cycle(cycle(label))), "{written}");
    }
    for written in ["cycle = false", "cycle = nil"] {
        assert_eq!(scope(written), None, "{written}");
    }
}

/// The message came at 05:15:30 in Vancouver, six days after the clock went from 02:00 to 03:00.
#[test]
fn since_is_the_last_time_of_day_a_date_or_a_span_before_the_message() {
    for (written, moment) in [
        ("'05:15'", "2026-03-14T05:15:00-07:00"),
        ("'05:15:30'", "2026-03-14T05:15:30-07:00"),
        ("'05:15:31'", "2026-03-13T05:15:31-07:00"),
        ("'06:00'", "2026-03-13T06:00:00-07:00"),
        ("'2026-03-12'", "2026-03-12T00:00:00-07:00"),
        ("'2026-03-07 06:00'", "2026-03-07T06:00:00-08:00"),
        ("'2026-03-12T06:00:00Z'", "2026-03-12T06:00:00+00:00"),
        ("date('2026-03-12')", "2026-03-12T00:00:00-07:00"),
        ("now():shift{ days = -7 }", "2026-03-07T05:15:30-08:00"),
        ("'6h'", "2026-03-13T23:15:30-07:00"),
        ("'1d 30m'", "2026-03-13T04:45:30-07:00"),
        ("90", "2026-03-14T05:14:00-07:00"),
    ] {
        let moment: jiff::Timestamp = moment.parse().unwrap();
        assert_eq!(scope(&format!("since = {written}")), Some(NoteScope::Since(moment)), "{written}");
    }
}

#[test]
fn a_time_of_day_means_the_first_of_two_and_is_later_where_the_clock_skips_it() {
    let since = |now: &str, time: &str| {
        let rule = format!("return {{}}, Join{{ name = 'j', wait_for = {{ 'a' }}, since = {time:?} }}");
        let nowcast = Nowcast::rule(&rule);
        let call = nowcast.engine.call_after(&RuleInput {
            message: &Message::new("sleep", "success", Value::Null),
            config: &nowcast.config,
            checklist: &nowcast.checklist,
            cycles: None,
            now: &now.parse().unwrap(),
        });
        match call.result.unwrap().join.unwrap().scope {
            Some(NoteScope::Since(moment)) => moment.to_string(),
            other => panic!("{other:?}"),
        }
    };
    let zone = "[America/Vancouver]";
    // 01:30 came at 08:30 and at 09:30 UTC.
    for now in ["2026-11-01T01:45:00-07:00", "2026-11-01T01:15:00-08:00", "2026-11-01T05:00:00-08:00"] {
        assert_eq!(since(&format!("{now}{zone}"), "01:30"), "2026-11-01T08:30:00Z", "{now}");
    }
    // 02:30 did not come; the clock showed 03:30 then.
    assert_eq!(since(&format!("2026-03-08T03:45:00-07:00{zone}"), "02:30"), "2026-03-08T10:30:00Z");
    assert_eq!(since(&format!("2026-03-08T03:15:00-07:00{zone}"), "02:30"), "2026-03-07T10:30:00Z");
}

#[test]
fn an_item_of_the_list_can_be_a_table() {
    let wait_for = |scope: &str, written: &str| {
        let rule = format!("return {{}}, Join{{ name = 'j', {scope} wait_for = {written} }}");
        Nowcast::rule(&rule).answer().join.expect("a join").wait_for
    };
    let of = |worker: &str, r#type: Option<&str>, count: u32, label: Option<&str>| Requirement {
        cycle: label.map(cycle),
        ..requirement(worker, r#type, count)
    };
    let items = "{ { worker = 'a', type = 'success' }, 'b', { worker = 'c', count = 3 }, d = { type = 'x', cycle = false } }";
    assert_eq!(
        wait_for("", items),
        [
            requirement("a", Some("success"), 1),
            requirement("b", None, 1),
            requirement("c", None, 3),
            requirement("d", Some("x"), 1)
        ]
    );
    let items = "{ 'a', { worker = 'a', type = 'success' }, { worker = 'a', type = 'success', cycle = '2026-03-13', count = 2 },
        { worker = 'b', cycle = '2026-03-14' }, c = { cycle = date('2026-03-12') } }";
    let expected = [
        of("a", None, 1, None),
        of("a", Some("success"), 1, None),
        of("a", Some("success"), 2, Some("2026-03-13")),
        // The join's own cycle goes without saying, so that equal requests are equal.
        of("b", None, 1, None),
        of("c", None, 1, Some("2026-03-12")),
    ];
    assert_eq!(wait_for("cycle = '2026-03-14',", items), expected);
    assert_eq!(
        wait_for("since = '1d',", "{ 'a', { worker = 'a', type = 'success' } }"),
        [requirement("a", None, 1), requirement("a", Some("success"), 1)]
    );
}

#[test]
fn a_join_says_where_in_the_rules_it_stands() {
    let location =
        |body: &str| Nowcast::rule(body).call("sleep").result.unwrap().join.and_then(|join| join.location);
    let lines = "local join = Join{\n  name = 'j', wait_for = { 'a' }, cycle = 'x',\n}\nreturn {}, join";
    assert_eq!(location(lines).as_deref(), Some("next_workers.lua:3"));
    assert_eq!(
        location(
            "-- a line\nlocal function j() return Join{ name = 'j', wait_for = { 'a' } } end\nreturn {}, j()"
        )
        .as_deref(),
        // A tail call leaves no line of its own.
        Some("next_workers.lua:5")
    );
    assert_eq!(location("return {}, { 'a' }"), None, "a race set has no place");
}

#[test]
fn a_wrong_cycle_or_moment_of_a_join_is_reported_at_its_line() {
    let label = "write a label of 1 to 64 letters, digits and the characters . _ : + -, as in \"2026-03-14\", a date, or false for none";
    let moment = "write a time of day as \"06:00\", a date as \"2026-03-14\" or \"2026-03-14 06:00\", a date object, or a span before the message as \"6h\"";
    let needs = "wait_for: a has a cycle, and the join has none; write cycle = … in the join as well";
    let cases = [
        (
            "Join{ name = 'j', wait_for = { 'a' }, cycle = 'a b' }",
            format!("the option cycle is the text \"a b\"; {label}"),
        ),
        (
            "Join{ name = 'j', wait_for = { 'a' }, cycle = {} }",
            format!("the option cycle is a table; {label}"),
        ),
        (
            "Join{ name = 'j', wait_for = { 'a' }, cycle = true }",
            format!("the option cycle is true; {label}"),
        ),
        (
            "Join{ name = 'j', wait_for = { 'a' }, cycle = 'x', since = '06:00' }",
            "it has both cycle and since; the messages of a cycle count whenever they came".into(),
        ),
        (
            "Join{ name = 'j', wait_for = { 'a' }, since = 'noon' }",
            format!("the option since is the text \"noon\"; {moment}"),
        ),
        (
            "Join{ name = 'j', wait_for = { 'a' }, since = '25:00:00' }",
            format!("the option since is the text \"25:00:00\"; {moment}"),
        ),
        (
            "Join{ name = 'j', wait_for = { 'a' }, since = -3 }",
            format!("the option since is the number -3; {moment}"),
        ),
        (
            "Join{ name = 'j', wait_for = { 'a' }, since = false }",
            format!("the option since is false; {moment}"),
        ),
        ("Join{ name = 'j', wait_for = { a = { cycle = 'x' } } }", needs.into()),
        ("Join{ name = 'j', wait_for = { { worker = 'a', cycle = 'x' } } }", needs.into()),
        ("Join{ name = 'j', wait_for = { { worker = 'a', cycle = 'x' } }, since = '06:00' }", needs.into()),
        (
            "Join{ name = 'j', wait_for = { { worker = 'a', cycle = 'a b' } }, cycle = 'x' }",
            format!("wait_for: a: the option cycle is the text \"a b\"; {label}"),
        ),
        (
            "Join{ name = 'j', wait_for = { 'b', { type = 'success' } } }",
            "wait_for[2] names no worker; write { worker = \"…\", type = \"success\" }".into(),
        ),
        (
            "Join{ name = 'j', wait_for = { { worker = 'a', typ = 'x' } } }",
            "wait_for[1]: there is no key \"typ\"; did you mean `type`?".into(),
        ),
        (
            "Join{ name = 'j', wait_for = { a = { worker = 'a' } } }",
            "a: there is no key \"worker\"; the keys are type, count, cycle".into(),
        ),
        (
            "Join{ name = 'j', wait_for = { 'a', { worker = 'a', type = 'success' } } }",
            "wait_for names \"a\" twice; for two messages of it write a = 2".into(),
        ),
        (
            "Join{ name = 'j', cycle = 'x', wait_for = { { worker = 'a', type = 'b' }, a = 'b' } }",
            "wait_for names a (b) twice; for two messages of it write count = 2".into(),
        ),
        (
            "Join{ name = 'j', cycle = 'x', wait_for = { { worker = 'a', cycle = 'x' }, 'a' } }",
            "wait_for names a twice; for two messages of it write count = 2".into(),
        ),
        (
            "Join{ name = 'j', cycle = 'x', wait_for = { a = 1001 } }",
            "wait_for: 1001 messages of a; a join with cycle or since counts at most 1000 of a worker".into(),
        ),
        (
            "Join{ name = 'j', since = '1d', wait_for = { { worker = 'a', type = 'b', count = 600 }, { worker = 'a', count = 500 } } }",
            "wait_for: 1100 messages of a; a join with cycle or since counts at most 1000 of a worker".into(),
        ),
    ];
    expect_reasons(&cases);
    let most = "return {}, Join{ name = 'j', cycle = 'x', wait_for = { a = 1000, b = 1000 } }";
    assert!(Nowcast::rule(most).answer().join.is_some());
    let error = load(
        "local join = Join{ name = 'j', wait_for = { 'a' }, since = '06:00' }",
        &EngineOptions::default(),
    );
    let error = error.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("Join: the option since needs a message, whose time zone it is in"), "{error}");
}

#[test]
fn an_identified_join_shows_what_identifies_it() {
    let by_cycle =
        "Join{ name = 'j', wait_for = { 'a', { worker = 'b', type = 'c', cycle = 'y' } }, cycle = 'x' }";
    assert_eq!(
        print(&format!("tostring({by_cycle}), {by_cycle}.cycle, {by_cycle}.since")),
        "Join(name=\"j\", cycle=x, wait_for=a, b (c) of cycle y) x nil"
    );
    let since = "Join{ name = 'j', wait_for = { 'a' }, since = '05:00' }";
    assert_eq!(
        print(&format!("tostring({since}), {since}.cycle, {since}.since")),
        "Join(name=\"j\", since=2026-03-14T12:00:00Z, wait_for=a) nil 2026-03-14T12:00:00+00:00"
    );
}

#[test]
fn a_join_that_gets_the_missing_cycle_of_its_message_is_warned_of() {
    let warnings = |nowcast: Nowcast| -> Vec<String> {
        let call = nowcast.call("sleep");
        call.result.unwrap_or_else(|error| panic!("{error}"));
        call.log.into_iter().map(|line| format!("{} {}", line.level, line.text)).collect()
    };
    let join = "return {}, Join{ name = 'tracks', wait_for = { 'a' }, cycle = msg.cycle }";
    assert_eq!(
        warnings(Nowcast::rule(join)),
        [
            "WARNING this message has no cycle, so the join \"tracks\" is one without a cycle; it does not count messages that came before. \
          If that is meant, write cycle = msg.cycle or false"
        ]
    );
    assert!(warnings(Nowcast::rule(join).cycle("x")).is_empty());
    for body in [
        "return {}, Join{ name = 'tracks', wait_for = { 'a' }, cycle = msg.cycle or false }",
        "return {}, Join{ name = 'tracks', wait_for = { 'a' }, cycle = msg.cycle or 'x' }",
        "return {}, Join{ name = 'tracks', wait_for = { 'a' }, since = msg.cycle or '06:00' }",
        "return {}, Join{ name = 'tracks', wait_for = { 'a' } }",
        "return {}, Join{ name = 'tracks', wait_for = { 'a' }, cycle = checklist.cycle }",
        "return { worker('a', msg.cycle or 'none') }",
        "return { worker('a', msg.cycle or 'none') }, { 'a' }",
    ] {
        assert!(warnings(Nowcast::rule(body)).is_empty(), "{body}");
    }
    // The next call begins without it.
    let nowcast = Nowcast::new(
        "function after_one(msg) return { worker('a', msg.cycle or 'none') } end
        function after_sleep() return {}, Join{ name = 'j', wait_for = { 'a' } } end",
    );
    nowcast.call("one");
    assert!(warnings(nowcast).is_empty());
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
