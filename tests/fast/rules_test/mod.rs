//! `nowcast rules test`, by the real program: what tests can say, and how they fail.

mod day;
mod launches;
mod output;
use crate::support::system::{System, system};

const RULES: &str = r#"
local names = require("names")

function after_sleep(msg, config, checklist)
  if msg.type == "success" then
    return { worker("awaken", msg.payload and msg.payload.who or names.nobody) }
  elseif msg.type == "failure" then
    return { worker("keyless"):with{ delay = "10m" } }, { "awaken", "keyless" }
  end
  log.warning("sleep crashed" .. (msg.cycle and " in " .. msg.cycle or ""))
  return {}
end

function after_awaken(msg, config, checklist)
  return { worker("rotate_logs", need(checklist, "sleepyhead", "name")) }
end
"#;

/// A system whose rules have these tests.
fn tested(tests: &str) -> System {
    system()
        .rules(RULES)
        .file("rules/names.lua", "return { nobody = 'nobody' }")
        .file("rules/tests/all.lua", tests)
        .prepare()
}

/// The exit status and what `nowcast rules test` prints of these tests.
fn run(tests: &str, arguments: &[&str]) -> (Option<i32>, String) {
    tested(tests).operation(&[&["rules", "test"], arguments].concat())
}

/// A test with this body, and its text.
fn failure(body: &str) -> String {
    let (status, text) = run(&format!("it(\"fails\", function()\n{body}\nend)"), &[]);
    assert_eq!(status, Some(1), "{text}");
    text
}

fn passes(body: &str) {
    let (status, text) = run(&format!("it(\"passes\", function()\n{body}\nend)"), &[]);
    assert_eq!(status, Some(0), "{text}");
}

#[test]
fn tests_are_collected_and_counted() {
    let tests = "local seen = {}
describe('after sleep', function()
  before_each(function() seen[#seen + 1] = 'outer' end)
  it('wakes up', function() message('sleep', 'success') expect_launches{ 'awaken nobody' } end)
  describe('in bed', function()
    before_each(function() seen[#seen + 1] = 'inner' end)
    it('runs what stands before', function() expect_equal(seen, { 'outer', 'outer', 'inner' }) end)
  end)
  it('is alone again', function() expect_equal(#seen, 4) end)
end)
it('fails', function() error('no luck') end)";
    let (status, text) = run(tests, &[]);
    let (file, rest) = text.split_once('\n').expect("lines");
    assert!(file.ends_with("rules/tests/all.lua"), "{text}");
    assert_eq!(
        rest,
        "  ok      after sleep > wakes up\n  ok      after sleep > in bed > runs what stands before\n  ok      after sleep > is alone \
         again\n  FAILED  fails\n          all.lua:11: no luck\n            11 | it('fails', function() error('no luck') end)\n\n\
         3 passed, 1 failed\n"
    );
    assert_eq!(status, Some(1));
    let (status, text) = run(tests, &["--filter", "in bed"]);
    assert_eq!(status, Some(1), "what is filtered does not run, so nothing stands before: {text}");
    let (status, text) = run(tests, &["--filter", "wakes", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        (status, &report["tests"][0]["name"][1], &report["tests"][0]["error"]),
        (Some(0), &"wakes up".into(), &serde_json::Value::Null)
    );
    assert_eq!(
        run(tests, &["--filter", "banana"]),
        (Some(2), "no test has \"banana\" in its name\n".to_owned())
    );
}

#[test]
fn messages_checklist_time_and_configuration_are_the_test_s() {
    passes(
        "message{ source = 'sleep', type = 'success', payload = { who = 'ana' } }
            expect_launches{ worker('awaken', 'ana') }
            expect_checklist('sleepyhead', 'who', 'ana')
            expect_equal(checklist(), { sleepyhead = { who = 'ana' } })",
    );
    passes(
        "checklist('sleepyhead: {name: x}') message('awaken', 'success') expect_launches{ 'rotate_logs x' }",
    );
    passes(
        "message('sleep', 'failure') expect_launches{ 'keyless (delay 10m)' } expect_join{ 'awaken', 'keyless' }",
    );
    passes("message('sleep', 'crash') expect_launches{} expect_join(nil) expect_log('sleep crashed')");
    passes(
        "message{ source = 'sleep', type = 'crash', cycle = '2026-03-14' } expect_log('sleep crashed in 2026-03-14')",
    );
    let text = failure("message{ source = 'sleep', type = 'crash', cycle = 'a b' }");
    assert!(text.contains("message: invalid cycle \"a b\": use 1 to 64 letters"), "{text}");
    passes("message('awaken', 'success') expect_error('there is no key \"sleepyhead\"')");
    passes(
        "config{ zmq = { host = 'there' } } expect_equal(config().zmq.host, 'there') expect_equal(config().zmq.ports.manager ~= nil, true)",
    );
    // What waits in a join goes when it is complete.
    passes("message('sleep', 'failure') checklist{ sleepyhead = { name = 'x' } } message('awaken', 'success') expect_launches{}
            message('keyless', 'success') expect_launches{ 'rotate_logs x' }");
}

#[test]
fn failures_show_what_came() {
    let text = failure("message('sleep', 'success')\nexpect_launches{ 'awaken', 'x' }");
    let expected = "  FAILED  fails
          all.lua:3: the launches are not as expected (- expected, + came):
             3 | expect_launches{ 'awaken', 'x' }
              - awaken
              - x
              + awaken nobody
            after sleep (success), decided by the rule in next_workers.lua:";
    assert!(text.contains(expected), "{text}");
    for (body, expected) in [
        (
            "message('slep', 'success')",
            "slep is not in the message registry; did you mean `sleep`?; the workers there are: sleep, awaken",
        ),
        (
            "message('sleep', 'succes')",
            "sleep has no message type \"succes\" in the message registry; did you mean `success`?; its types are: success",
        ),
        ("expect_launches{}", "there was no message yet; write message(…) before"),
        (
            "message('awaken', 'success')",
            "the rule failed, and no expect_error says that it was to:\n              next_workers.lua:",
        ),
        (
            "message('awaken', 'success')\nmessage('sleep', 'success')",
            "the rule failed, and no expect_error says",
        ),
        (
            "message('awaken', 'success') expect_error('banana')",
            "the rule failed otherwise than with \"banana\":",
        ),
        (
            "message('sleep', 'success') expect_error('banana')",
            "the rule was to fail with \"banana\", and did not",
        ),
        ("message('sleep', 'crash') expect_log('banana')", "nothing in the log contains \"banana\""),
        ("message('sleep', 'failure') expect_join{ 'awaken' }", "+ waits for keyless"),
        (
            "checklist{ a = { b = 1 } } expect_checklist('a', 'b', 2)",
            "the checklist's a: b is not as expected (- expected, + came):",
        ),
        ("checklist(5)", "checklist: write a table, or YAML text of a mapping"),
        ("at('soon')", "\"soon\" is not a time; write it as"),
        ("message('sleep', 'failure') expect_nothing_waits()", "the join of sleep needs awaken, keyless"),
        (
            "while true do end",
            "the test took more than 500000000 instructions (the instruction limit of a test)",
        ),
        ("return io.open('/etc/passwd')", "attempt to index a nil value (global 'io')"),
    ] {
        let text = failure(body);
        assert!(text.contains(expected), "{body}: {text}");
    }
}

#[test]
fn a_day_is_simulated() {
    let rules = "
function after_sleep(msg, config, checklist)
  if msg.type ~= 'success' then return {} end
  return { worker('awaken', '1'), worker('awaken', '2'), worker('keyless'):with{ delay = '2h' } },
    Join{ name = 'all', wait_for = { awaken = 2 }, launch = { worker('rotate_logs') } }
end
function after_awaken(msg) return {} end
function after_keyless(msg) if msg.type == 'crash' then return { worker('sleep', 'again') } end return {} end
";
    let tests = "
it('ends', function()
  at('2026-03-14 04:00')
  local day = run_day{
    start = { 'sleep first', { 'sleep late', at = '09:00' } },
    ends = {
      sleep = function(run)
        return { type = run.args[1] == 'first' and 'success' or 'failure', after = '5m', payload = { began = run.at } }
      end,
      keyless = { exit = 3 },
    },
  }
  day:expect_ran{ 'sleep first', 'awaken 1', 'awaken 2', 'rotate_logs', 'keyless (delay 2h)', 'sleep again', 'sleep late' }
  day:expect_order{ 'awaken 1', 'keyless (delay 2h)' }
  day:expect_times('awaken', 2)
  day:expect_never('clear_checklist')
  expect_equal(day.checklist.sleepyhead.began, '2026-03-14 09:00:00')
  expect_nothing_waits()
end)
it('is cut off', function()
  at('2026-03-14 04:00')
  local day = run_day{ start = { 'sleep first' }, hours = 1 }
  day:expect_never('keyless')
end)
it('orders', function()
  run_day{ start = { 'sleep first' } }:expect_order{ 'rotate_logs', 'awaken 1' }
end)
";
    let system = system().rules(rules).file("rules/tests/day.lua", tests).prepare();
    let (status, text) = system.operation(&["rules", "test"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("ok      ends\n") && text.contains("ok      is cut off\n"), "{text}");
    assert!(
        text.contains(
            "\"awaken 1\" did not run where it was expected; what ran:\n            26 |   run_day"
        ),
        "{text}"
    );
}

#[test]
fn retries_limits_and_broken_rules_are_the_manager_s_in_a_day() {
    let rules = "
function after_sleep(msg, config, checklist) if msg.type == 'failure' then error('no luck') end return { worker('awaken') } end
function after_awaken(msg) return { worker('sleep') } end
";
    let tests = "
it('tries again', function()
  local tried = 0
  local day = run_day{ start = { 'sleep' }, hours = 1, ends = {
    sleep = function(run) tried = tried + 1 return { type = tried < 3 and 'crash' or 'success', after = '10m' } end,
    awaken = { after = '2h' },
  } }
  day:expect_times('sleep', 3)
end)
it('fails with its rules', function() run_day{ start = { 'sleep' }, ends = { sleep = { type = 'failure' } } } end)
it('never ends', function() run_day{ start = { 'sleep' }, hours = 100000, ends = { sleep = { after = 1 }, awaken = { after = 1 } } } end)
";
    let section = "workers: {sleep: {retries: 2, retry delay: 1m}}";
    let system = system().rules(rules).section(section).file("rules/tests/day.lua", tests).prepare();
    let (_, text) = system.operation(&["rules", "test"]);
    assert!(text.contains("ok      tries again\n"), "{text}");
    assert!(text.contains("of the day:") && text.contains("next_workers.lua:7: no luck"), "{text}");
    assert!(
        text.contains("more than 20000 events: do rules launch one another without end? At 2026-03-"),
        "{text}"
    );
}

#[test]
fn uncovered_lines_and_types_are_shown() {
    let tests = "it('a', function() message('sleep', 'success') end) it('b', function() message('sleep', 'crash') end)";
    let (status, text) = run(tests, &["--coverage"]);
    assert_eq!(status, Some(0), "{text}");
    let coverage = text.split_once("\ncoverage\n").expect("coverage").1;
    assert!(
        coverage.contains(
            "    return { worker(\"keyless\"):with{ delay = \"10m\" } }, { \"awaken\", \"keyless\" }\n"
        ),
        "{coverage}"
    );
    assert!(
        coverage
            .contains("  return { worker(\"rotate_logs\", need(checklist, \"sleepyhead\", \"name\")) }\n"),
        "{coverage}"
    );
    assert!(!coverage.contains("sleep crashed"), "{coverage}");
    assert!(coverage.contains("  100.0 %  names.lua (1 of 1 lines)\n"), "{coverage}");
    assert!(
        coverage.contains("           sleep: failure\n") && !coverage.contains("sleep: failure, crash"),
        "{coverage}"
    );
    let never = coverage.split_once("that no test sends:\n").expect("types").1;
    assert!(!never.contains("need") && !never.contains("clear checklist"), "{never}");
    let (status, text) = run(tests, &["--min-coverage", "95"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains(" % of the rules' lines, less than 95 %\n"), "{text}");
    let (_, text) = run(tests, &["--coverage", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(report["coverage"]["files"][1]["file"], "names.lua");
}

#[test]
fn unusable_files_are_reported() {
    let (status, text) = run("it('a', function(", &[]);
    assert_eq!(status, Some(2));
    assert!(text.contains("rules/tests/all.lua:1: ") && text.contains("   1 | it('a', function("), "{text}");
    let (status, text) = run("it('a', 5)", &[]);
    assert_eq!(status, Some(2));
    assert!(text.contains("all.lua:1: it \"a\": function was expected, got an integer"), "{text}");
    let (status, text) = system().prepare().operation(&["rules", "test"]);
    assert_eq!(status, Some(2));
    assert!(
        text.contains("there are no tests in") && text.contains("describe(\"after sleep\", function()"),
        "{text}"
    );
    let system = tested("it('a', function() end)");
    std::fs::write(system.path("bad.lua"), "function (").expect("written");
    let bad = system.path("bad.lua");
    let (status, text) = system.operation(&["rules", "test", "--rules", bad.to_str().expect("text")]);
    assert_eq!(status, Some(2));
    assert!(text.contains("cannot load the rules: ") && text.contains("bad.lua:1: "), "{text}");
}

#[test]
fn the_worked_example_is_covered_completely() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/forecast/nowcast.yaml");
    let output = std::process::Command::new(crate::support::system::NOWCAST)
        .args(["rules", "test", "-c", example, "--min-coverage", "100", "--json"])
        .output()
        .expect("ended");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["coverage"]["never_sent"], serde_json::json!([]));
}

#[test]
fn every_documented_name_exists() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/trying-rules.md");
    let text = std::fs::read_to_string(path).expect("the documentation");
    let part = text
        .split("## Tests of your own")
        .nth(1)
        .and_then(|rest| rest.split("\n## ").next())
        .expect("the part");
    let rows = part.lines().filter_map(|line| line.strip_prefix("| `")?.split(['(', '{']).next());
    let names: Vec<&str> = rows.filter(|name| !name.starts_with("--")).collect();
    assert_eq!(names.len(), 12, "{names:?}");
    let checks: Vec<String> =
        names.iter().map(|name| format!("assert(type({name}) == 'function', '{name}')")).collect();
    passes(&checks.join("\n"));
}

#[test]
fn globals_of_one_test_are_no_other_s() {
    let (status, text) = run("helper = 5 it('a', function() expect_equal(helper, 5) G = 1 end)", &[]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("the global \"G\" cannot be set"), "{text}");
}
