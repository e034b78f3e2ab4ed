//! What a rule may return, and what it is told when it returns something else.

use std::path::PathBuf;

use super::*;

#[test]
fn the_seed_s_rules_lead_from_sleep_to_awaken_to_rotate_logs() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("rules/next_workers.lua");
    let engine = Engine::load(&path, "next_workers", &EngineOptions::default()).unwrap();
    let next = |source: &str, r#type: &str| {
        let message = Message::new(source, r#type, Value::Null);
        let call = engine.call_after(&RuleInput {
            message: &message,
            config: &Value::Null,
            checklist: &Value::Null,
            cycles: None,
            now: &now(),
        });
        without_places(call.result.unwrap()).next_workers
    };
    assert_eq!(next("sleep", "success"), [worker("awaken", &[])]);
    assert_eq!(next("awaken", "success"), [worker("rotate_logs", &[])]);
    assert_eq!(next("rotate_logs", "success"), []);
    assert_eq!(next("clear_checklist", "success"), []);
    assert_eq!(next("sleep", "failure"), []);
    assert_eq!(next("sleep", "crash"), []);
    let names: Vec<&str> = engine.functions().iter().map(|function| function.name.as_str()).collect();
    assert_eq!(names, ["after_sleep", "after_awaken", "after_rotate_logs", "after_clear_checklist"]);
    assert_eq!(engine.functions()[0].chunk, "next_workers.lua");
    assert_eq!(engine.hash().len(), 64);
}

#[test]
fn arguments_become_texts() {
    let nowcast = Nowcast::rule(
        r#"return {
            NextWorker("a.b", { "12", 7, date("2026-03-14"), -3 }, { host = "arbutus.cloud" }),
            worker("c", "--debug", 2),
            worker_on("nibi", "d"),
            NextWorker("e", checklist.args),
        }"#,
    )
    .checklist(map([(
        "args",
        list([Value::from("00"), Value::Int(5), Value::Date(jiff::civil::date(2026, 1, 2))]),
    )]));
    let mut expected = [
        worker("a.b", &["12", "7", "2026-03-14", "-3"]),
        worker("c", &["--debug", "2"]),
        worker("d", &[]),
        worker("e", &["00", "5", "2026-01-02"]),
    ];
    expected[0].host = "arbutus.cloud".into();
    expected[2].host = "nibi".into();
    assert_eq!(nowcast.answer(), ReturnedLaunches { next_workers: expected.into(), join: None });
}

#[test]
fn worker_puts_the_package_before_a_bare_name() {
    let options = EngineOptions {
        limits: limits(),
        package: Some("nowcast.workers".into()),
        ..EngineOptions::default()
    };
    let rules = r#"function after_sleep() return { worker("a"), worker("x.b"), worker_on("h", "c"), NextWorker("d") } end"#;
    let modules: Vec<String> = Nowcast::with(rules, &options)
        .answer()
        .next_workers
        .into_iter()
        .map(|launch| launch.module)
        .collect();
    assert_eq!(modules, ["nowcast.workers.a", "x.b", "nowcast.workers.c", "d"]);
}

#[test]
fn a_second_list_is_the_race_set() {
    let both = |second: &str| {
        let answer = Nowcast::rule(&format!(r#"return {{ worker("a") }}, {second}"#)).answer();
        answer.join.map(|join| join.wait_for.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(both(r#"{ "b", "a", "b" }"#), Some(vec!["b".into(), "a".into()]));
    assert_eq!(both("{ x = true, b = true }"), Some(vec!["b".into(), "x".into()]));
    assert_eq!(both("{}"), Some(vec![]));
    assert_eq!(both("nil"), None);
}

#[test]
fn a_worker_without_a_name_is_waited_for_by_nobody() {
    for second in [r#"{ "" }"#, r#"{ "a", " " }"#, r#"{ [""] = true }"#] {
        let text = Nowcast::rule(&format!(r#"return {{ worker("a") }}, {second}"#)).error();
        assert!(
            text.contains("the second value that after_sleep returned has an empty name in it"),
            "{text}"
        );
    }
    let text = Nowcast::rule(r#"return {}, Join{ name = "j", wait_for = { "" } }"#).error();
    assert!(text.contains("a worker's name in wait_for is empty"), "{text}");
}

#[test]
fn a_wrong_answer_is_described() {
    let cases = [
        ("", "after_sleep returned nothing; return {} to launch nothing"),
        ("return nil", "after_sleep returned nothing; return {} to launch nothing"),
        ("return 5", "after_sleep returned an integer; return a list of NextWorkers"),
        ("return checklist", "after_sleep returned a table; return a list of NextWorkers"),
        ("return worker('a')", "after_sleep returned a single NextWorker; put it into a list: return { … }"),
        (
            "return { worker('a'), 'b' }",
            "the list that after_sleep returned has the text \"b\" at place 2; every item must be a NextWorker",
        ),
        (
            "return { worker('a'), nil, worker('b') }",
            "the list that after_sleep returned[2] is nil; is a name misspelt, or the checklist incomplete?",
        ),
        (
            "return { a = worker('a') }",
            "the list that after_sleep returned must be a list, but has the key \"a\"",
        ),
        (
            "return { { worker('a') }, { 'b' } }",
            "after_sleep returned one list that holds two; return them as two values: return { … }, { … }",
        ),
        (
            "return {}, { 'a', 3 }",
            "the second value that after_sleep returned has the number 3 at place 2; names are text",
        ),
        (
            "return {}, 'a'",
            "the second value that after_sleep returned must be a list of worker names, got the text \"a\"",
        ),
        (
            "return {}, { a = 1 }",
            "the second value that after_sleep returned must be a list of worker names, or a table { name = true }",
        ),
        (
            "return {}, {}, 1",
            "after_sleep returned more than two values; return a list of workers to launch, and a second list of \
             names, or a Join, if they must wait for one another",
        ),
    ];
    for (body, expected) in cases {
        let nowcast = Nowcast::rule(body);
        assert_eq!(nowcast.reason(), expected, "{body}");
        assert!(nowcast.error().starts_with("next_workers.lua:2: "), "{}", nowcast.error());
        nowcast.expect_well();
    }
}

#[test]
fn a_wrong_launch_is_reported_at_its_line() {
    let cases = [
        ("NextWorker()", "NextWorker: the worker's module must be text, got nil"),
        ("NextWorker('')", "NextWorker: the worker's module is empty"),
        ("NextWorker('a b')", "NextWorker: the worker's module is \"a b\"; a name has no spaces"),
        (
            "NextWorker('a', '--debug')",
            "NextWorker(\"a\"): args must be a list in braces, as in { \"--debug\" }, got text",
        ),
        (
            "NextWorker('a', { 'x', nil, 'y' })",
            "NextWorker(\"a\"): args[2] is nil; is a name misspelt, or the checklist incomplete?",
        ),
        (
            "NextWorker('a', { 2.5 })",
            "NextWorker(\"a\"): args[1] is the number 2.5; say how to write it, as in string.format(\"%.1f\", x), \
             or math.tointeger(x) for a whole one",
        ),
        (
            "NextWorker('a', { true })",
            "NextWorker(\"a\"): args[1] is true or false; an argument is text, an integer or a date",
        ),
        (
            "NextWorker('a', { {} })",
            "NextWorker(\"a\"): args[1] is a table; an argument is text, an integer or a date",
        ),
        ("NextWorker('a', { 'x\\0y' })", "NextWorker(\"a\"): args[1] has a zero byte in it"),
        (
            "NextWorker('a', {}, { hots = 'x' })",
            "NextWorker: there is no option \"hots\"; did you mean `host`?",
        ),
        (
            "NextWorker('a', {}, { q = 1 })",
            "NextWorker: there is no option \"q\"; the options are host, delay, at, timeout, retries, \
             retry_delay, env, cycle",
        ),
        ("NextWorker('a', {}, { host = 3 })", "NextWorker: the host must be text, got an integer"),
        (
            "NextWorker('a', {}, 'nibi')",
            "NextWorker: the options must be a table, as in { host = \"…\" }, got text",
        ),
        (
            "worker('a', 'x', nil)",
            "worker: argument 2 after the worker's name is nil; is a name misspelt, or the checklist incomplete?",
        ),
        ("worker_on(nil, 'a')", "worker_on: the host must be text, got nil"),
    ];
    for (expression, expected) in cases {
        let nowcast = Nowcast::rule(&format!("-- a line before\nreturn {{ {expression} }}"));
        assert_eq!(nowcast.reason(), expected, "{expression}");
        assert!(nowcast.error().starts_with("next_workers.lua:4: "), "{}", nowcast.error());
    }
}

#[test]
fn a_missing_function_is_an_outcome_of_its_own() {
    let error = Nowcast::rule("return {}").call("other").result.unwrap_err();
    assert_eq!(error.to_string(), "could not find after_other in next_workers module");
    let error = Nowcast::new("after_sleep = 5").call("sleep").result.unwrap_err();
    assert!(matches!(error, RuleError::NoFunction { .. }));
}
