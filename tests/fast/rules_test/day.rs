//! What whole days can be told, and what is wrong in them.

use crate::support::system::system;

const RULES: &str = "
function after_sleep(msg) return { worker('awaken') } end
function after_awaken(msg) return {} end
function after_keyless(msg) if msg.type == 'crash' then return { worker('awaken', 'late') } end return {} end
";

/// The outcome of a day at 04:00 with these fields, and of the text after it.
fn day(fields: &str, then: &str) -> (Option<i32>, String) {
    let tests = format!(
        "it('a', function()\nat('2026-03-14 04:00')\nlocal day = run_day{{ {fields} }}\n{then}\nend)"
    );
    let system = system().rules(RULES).file("rules/tests/day.lua", &tests).prepare();
    system.operation(&["rules", "test"])
}

#[test]
fn first_launches_are_lines_or_tables_with_a_time() {
    let (status, text) = day(
        "start = { { 'sleep', args = { 'b' }, at = '06:00' }, { 'sleep a', host = 'localhost', at = '2026-03-14 05:00' } }",
        "day:expect_ran{ 'sleep a', 'awaken', { 'sleep', args = { 'b' } }, 'awaken' }",
    );
    assert_eq!(status, Some(0), "{text}");
    let (_, text) = day("start = { { 'sleep', at = '03:00' } }", "");
    assert!(text.contains("day.lua:3: run_day: start: sleep is to start before the day begins, which is at 2026-03-14 04:00\n"), "{text}");
}

#[test]
fn misspelt_names_are_reported() {
    for (fields, expected) in [
        (
            "start = {}, endz = {}",
            "run_day: there is no \"endz\" here; did you mean `ends`?; the keys are: start, ends, hours, errors_expected",
        ),
        (
            "start = {}, ends = { slep = {} }",
            "run_day: ends: slep is not in the message registry; did you mean `sleep`?; the workers there are: ",
        ),
        (
            "start = { 'sleep' }, ends = { sleep = { typ = 'success' } }",
            "run_day: ends: sleep: there is no \"typ\" here; did you mean `type`?; the keys are: type, payload, after, exit",
        ),
        (
            "start = { 'sleep' }, ends = { sleep = { type = 'sucess' } }",
            "run_day: ends: sleep has no message type \"sucess\" in the message registry; did you mean `success`?",
        ),
        (
            "start = { 'sleep' }, ends = { sleep = 'success' }",
            "run_day: ends: sleep: write a table as { type = \"success\", after = \"12m\" }, or a function that returns one",
        ),
        ("start = { 'sleep' }, ends = { sleep = { after = 'soon' } }", "run_day: ends: sleep: after: "),
        (
            "start = { 'sleep' }, ends = { sleep = { exit = 'x' } }",
            "run_day: ends: sleep: exit: a status is a whole number",
        ),
        ("start = {}, hours = '24h'", "run_day: `hours` is a whole number"),
        ("ends = {}", "run_day: start: table was expected, got nil"),
    ] {
        let (status, text) = day(fields, "");
        assert_eq!(status, Some(1), "{fields}: {text}");
        assert!(text.contains(&format!("day.lua:3: {expected}")), "{fields}: {text}");
    }
}

#[test]
fn runs_are_counted_and_compared() {
    for (then, expected) in [
        ("day:expect_times('awaken', 2)", "awaken ran once, not 2 times as expected; what ran:"),
        ("day:expect_never('sleep')", "sleep ran once, not never as expected; what ran:"),
        ("day:expect_never('slep')", "slep is not in the message registry; did you mean `sleep`?"),
        ("day:expect_ran{ 'awaken', 'sleep' }", "what ran is not as expected (- expected, + came):"),
    ] {
        let (status, text) = day("start = { 'sleep' }", then);
        assert_eq!(status, Some(1), "{then}");
        assert!(text.contains(&format!("day.lua:4: {expected}")), "{then}: {text}");
    }
}

#[test]
fn a_test_sends_the_crash_of_a_worker_without_a_report() {
    let tests = "it('a', function() run_day{ start = { 'keyless' }, ends = { keyless = { exit = 1 } } }:expect_ran{ 'keyless', 'awaken late' } end)";
    let system = system().rules(RULES).file("rules/tests/day.lua", tests).prepare();
    let (status, text) = system.operation(&["rules", "test", "--coverage"]);
    assert_eq!(status, Some(0), "{text}");
    let never = text.split_once("that no test sends:\n").expect("types").1;
    assert!(
        !never.lines().any(|line| line.trim().starts_with("keyless:") && line.contains("crash")),
        "{text}"
    );
}

#[test]
fn a_day_can_be_read_and_may_fail_on_purpose() {
    let rules = "function after_sleep() error('no luck') end";
    let tests = "it('a', function()
  local day = run_day{ start = { 'sleep' }, errors_expected = true }
  expect_equal(#day.errors, 1)
  expect_equal(day.ran, { 'sleep' })
  expect_equal(day.checklist, {})
end)";
    let system = system().rules(rules).file("rules/tests/day.lua", tests).prepare();
    let (status, text) = system.operation(&["rules", "test"]);
    assert_eq!(status, Some(0), "{text}");
}

#[test]
fn a_message_without_a_rule_fails_a_day() {
    for (start, expected) in [
        ("awaken", "could not find after_awaken in next_workers module"),
        ("nosuchworker x", "nosuchworker is not in the message registry"),
    ] {
        let tests = format!("it('a', function() run_day{{ start = {{ '{start}' }} }} end)");
        let only = "function after_sleep() return {} end";
        let system = system().only_rules(only).file("rules/tests/day.lua", &tests).prepare();
        let (status, text) = system.operation(&["rules", "test"]);
        assert_eq!(status, Some(1), "{text}");
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn a_day_has_no_errors_but_its_own() {
    let tests = "it('a', function()
  message('sleep', 'failure')
  expect_error('no luck')
  local first = run_day{ start = { 'sleep' } }
  local second = run_day{ start = { 'sleep' } }
  second:expect_ran{ 'sleep' }
end)
it('too much', function()
  local t = { 1 }
  for i = 1, 26 do t = { t, t } end
  message('sleep', 'success', t)
end)";
    let rules = "function after_sleep(msg) if msg.type == 'failure' then error('no luck') end return {} end";
    let system = system().rules(rules).file("rules/tests/day.lua", tests).prepare();
    let (status, text) = system.operation(&["rules", "test"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("ok      a\n"), "{text}");
    assert!(text.contains("a table has more than 1000000 entries at all depths"), "{text}");
}
