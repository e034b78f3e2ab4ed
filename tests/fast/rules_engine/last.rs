//! `last(worker, type[, cycle])`: the latest message, of any cycle or of one.

use super::*;

fn payload() -> Value {
    map([("files", list(["a.nc", "b.nc"].map(Value::from))), ("day", Value::Int(14))])
}

/// A rule with this body, and two messages of `watch_NEMO`: that of yesterday's cycle came last.
fn noted(body: &str) -> Nowcast {
    Nowcast::rule(body).notes(&[
        ("watch_NEMO", "success", Some("2026-03-14"), "2026-03-14T10:00:00Z", payload()),
        ("watch_NEMO", "success", Some("2026-03-13"), "2026-03-14T11:30:00Z", Value::Int(13)),
        ("find_seed", "success", None, "2026-03-08T09:30:00Z", Value::Null),
    ])
}

fn printed(expression: &str) -> String {
    noted(&format!("print({expression}) return {{}}")).said().remove(0)
}

#[test]
fn it_gives_the_time_the_cycle_and_the_payload_of_the_latest_message() {
    let of =
        |call: &str| printed(&format!("{call}.time, {call}.cycle, {call}.payload, type({call}), {call}"));
    assert_eq!(
        of("last('watch_NEMO', 'success')"),
        "2026-03-14T04:30:00-07:00 2026-03-13 13 LastMessage watch_NEMO success"
    );
    let of_today = "last('watch_NEMO', 'success', '2026-03-14')";
    assert_eq!(
        printed(&format!("{of_today}.time, {of_today}.payload.day, {of_today}.payload.files[2], {of_today}")),
        "2026-03-14T03:00:00-07:00 14 b.nc watch_NEMO success (2026-03-14)"
    );
    assert_eq!(printed("last('watch_NEMO', 'success', date('2026-03-13')).payload"), "13");
    assert_eq!(printed("last('watch_NEMO', 'success', false).payload"), "13", "of any cycle");
    assert_eq!(
        of("last('find_seed', 'success')"),
        "2026-03-08T01:30:00-08:00 nil nil LastMessage find_seed success"
    );
    for missing in [
        "last('watch_NEMO', 'failure')",
        "last('watch_ROMS', 'success')",
        "last('watch_NEMO', 'success', '2026-03-15')",
        "last('find_seed', 'success', '2026-03-14')",
    ] {
        assert_eq!(printed(missing), "nil", "{missing}");
    }
}

#[test]
fn its_time_is_in_the_zone_of_the_decision() {
    // A day later the clock is another one: an hour was skipped between.
    assert_eq!(
        printed(
            "last('find_seed', 'success').time:shift{ days = 1 }, now() - last('watch_NEMO', 'success').time < 0.1"
        ),
        "2026-03-09T01:30:00-07:00 true"
    );
}

#[test]
fn what_was_asked_is_among_what_the_rule_read() {
    let call = noted(
        "local x = last('watch_NEMO', 'success', '2026-03-14'), last('watch_NEMO', 'success'), checklist.flag
        for i = 1, 3 do x = last('watch_NEMO', 'success', '2026-03-14') end
        x = last('a\\nb', 'success'), last('watch_NEMO', 'success', '2026-03-15') return {}",
    )
    .call("sleep");
    call.result.unwrap();
    assert_eq!(
        call.keys_read,
        [
            "flag (missing)",
            "last: watch_NEMO success (2026-03-14)",
            "last: watch_NEMO success",
            "last: a b success (missing)",
            "last: watch_NEMO success (2026-03-15) (missing)",
        ]
    );
    assert!(!call.lacks_notes);
    let call = noted("for i = 1, 1000 do last('w' .. i, 'success') end return {}").call("sleep");
    assert_eq!((call.keys_read.len(), call.keys_read[50].as_str()), (51, "… and more"));
    let nowcast = noted("last('w', 'success') error('x')");
    assert_eq!(nowcast.call("sleep").keys_read, ["last: w success (missing)"]);
    assert!(nowcast.call("good").keys_read.is_empty());
}

#[test]
fn a_call_says_whether_it_lacked_the_notes() {
    let nowcast = Nowcast::rule("print(last('watch_NEMO', 'success')) return {}");
    let call = nowcast.call("sleep");
    assert!(call.lacks_notes && call.result.is_ok());
    assert_eq!(call.log[0].text, "nil");
    assert!(!nowcast.call("good").lacks_notes, "it did not ask");
}

#[test]
fn a_payload_that_was_too_large_to_be_noted_is_an_error_where_it_is_read() {
    let large: Value = "x".repeat(70_000).into();
    let rule = |body: &str| {
        Nowcast::rule(body).notes(&[(
            "watch_NEMO",
            "success",
            Some("x"),
            "2026-03-14T10:00:00Z",
            large.clone(),
        )])
    };
    assert_eq!(rule("print(last('watch_NEMO', 'success').cycle) return {}").said(), ["x"]);
    let nowcast =
        rule("local message = last('watch_NEMO', 'success')\nreturn { worker('a', message.payload) }");
    assert_eq!(
        nowcast.reason(),
        "last: the payload of watch_NEMO success is too large to be noted; read it from the checklist"
    );
    assert!(nowcast.error().starts_with("next_workers.lua:4: "), "{}", nowcast.error());
    nowcast.expect_well();
}

#[test]
fn a_wrong_argument_is_reported_at_its_line() {
    let example = "write last(\"watch_NEMO\", \"success\")";
    for (written, expected) in [
        ("last()", format!("the worker's name is missing; {example}")),
        ("last('a')", format!("the message type is missing; {example}")),
        ("last(nil, 'success')", format!("the worker's name must be text, got nil; {example}")),
        ("last('', 'success')", format!("the worker's name is empty; {example}")),
        ("last('a', 5)", format!("the message type must be text, got the number 5; {example}")),
        ("last(('a'):rep(1000), 'success')", "the worker's name has 1000 bytes; 200 are enough".into()),
        ("last('a\\xff', 'success')", "the worker's name is not UTF-8".into()),
        (
            "last('a', 'success', msg.cycle)",
            "the cycle is nil; does the message have none? Leave the cycle out, or write false, for the latest message of any cycle"
                .into(),
        ),
        (
            "last('a', 'success', {})",
            "the option cycle is a table; write a label of 1 to 64 letters, digits and the characters . _ : + -, as in \
             \"2026-03-14\", a date, or false for none"
                .into(),
        ),
        ("last('a', 'success', 'x', 1)", "4 arguments are too many; write last(worker, type, cycle)".into()),
    ] {
        let nowcast = noted(&format!("-- a line before\nlocal x = {written}\nreturn {{}}"));
        assert_eq!(nowcast.reason(), format!("last: {expected}"), "{written}");
        assert!(nowcast.error().starts_with("next_workers.lua:4: "), "{}", nowcast.error());
    }
    let error = load("local x = last('a', 'success')", &EngineOptions::default()).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("last: there is no message yet; call it inside a rule"), "{error}");
}

#[test]
fn it_is_as_closed_as_a_view() {
    let message = "last('watch_NEMO', 'success', '2026-03-14')";
    assert_eq!(printed(&format!("getmetatable({message}), type(last)")), "false function");
    for (body, expected) in [
        (
            format!("{message}.time = 1"),
            "a message of last() is read-only; copy what you need into a local table",
        ),
        (
            format!("return {message}.type"),
            "a message of last() has no \"type\"; it has time, cycle and payload",
        ),
        (
            format!("{message}.payload.day = 1"),
            "the message, the configuration and the checklist are read-only",
        ),
        (format!("for _ in pairs({message}) do end"), "pairs: a table was expected, got LastMessage"),
        ("last = nil".to_owned(), "the global \"last\" cannot be set while a rule runs"),
    ] {
        let nowcast = noted(&body);
        assert!(nowcast.reason().starts_with(expected), "{body}: {}", nowcast.reason());
        nowcast.expect_well();
    }
}

/// With a reference that a call keeps, the next message could not be noted without a copy of all notes.
#[test]
fn a_call_keeps_no_reference_to_the_notes() {
    let nowcast = Nowcast::new(
        "local kept
        function after_sleep() kept = last('watch_NEMO', 'success', '2026-03-14') print(kept.payload.day) return {} end
        function after_failing() kept = last('watch_NEMO', 'success', '2026-03-14') error('x') end
        function after_stopped() kept = last('watch_NEMO', 'success', '2026-03-14') while true do end end",
    );
    let notes = noted("").cycles.unwrap();
    for source in ["sleep", "failing", "stopped", "nobody"] {
        let message = Message::new(source, "success", Value::Null);
        let given = notes.clone();
        let call = nowcast.engine.call_after(&RuleInput {
            message: &message,
            config: &nowcast.config,
            checklist: &nowcast.checklist,
            cycles: Some(&given),
            now: &now(),
        });
        assert_eq!(call.result.is_ok(), source == "sleep", "{source}");
        drop(given);
        assert_eq!(notes.references(), 1, "{source}");
    }
}

#[test]
fn the_messages_count_with_their_memory() {
    let nowcast =
        noted("local t = {} for i = 1, 1000000 do t[i] = last('watch_NEMO', 'success') end return {}");
    assert!(nowcast.reason().contains("the memory limit of the rules"), "{}", nowcast.reason());
    nowcast.expect_well();
    let nowcast = noted("for i = 1, 20000 do local x = last('watch_NEMO', 'success').payload end return {}");
    nowcast.answer();
}

#[test]
fn the_same_notes_give_the_same_result() {
    let body = "local m = last('watch_NEMO', 'success', '2026-03-14')
        return { worker('a', m.payload.day, m.time, m.payload.files[1]) }";
    let first = noted(body).answer();
    assert_eq!(first.next_workers, [worker("a", &["14", "2026-03-14T03:00:00-07:00", "a.nc"])]);
    for _ in 0..3 {
        assert_eq!(noted(body).answer(), first);
    }
}
