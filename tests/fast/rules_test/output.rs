//! What is printed of tests, of what they leave out, and of files that have none.

use crate::rules_test::{failure, passes, run};
use crate::support::system::system;

#[test]
fn the_output_of_a_failed_test_is_shown() {
    let text = failure("print('seen', 1)\nlog.warning('two\\nlines')\nerror('no luck')");
    assert!(text.contains("\n             4 | error('no luck')\n            the test printed:\n              seen 1\n              two\n              lines\n"), "{text}");
    let (status, text) = run("it('a', function() print('seen') end)", &[]);
    assert_eq!(status, Some(0));
    assert!(!text.contains("seen"), "{text}");
}

#[test]
fn the_time_is_the_test_s() {
    passes(
        "expect_equal(now():format('%Y-%m-%d %H:%M'), '2026-03-14 05:00')
         at('2026-01-02 03:04')
         expect_equal(tostring(now()):startswith('2026-01-02T03:04:00'), true)",
    );
}

#[test]
fn sets_nulls_and_dates_are_yaml_s() {
    passes(
        "checklist{ seen = set{ 'b', 'a' }, none = set{}, null_in = { 1, null }, day = date('2026-03-14') }
         expect_checklist('seen', set{ 'a', 'b' })
         expect_checklist('none', set{})
         expect_checklist('null_in', { 1, null })
         expect_checklist('day', date('2026-03-14'))
         expect_checklist('nothing', nil)",
    );
    let text = failure("checklist{ day = date('2026-03-14') }\nexpect_checklist('day', '2026-03-14')");
    assert!(text.contains("              - '2026-03-14'\n              + 2026-03-14\n"), "{text}");
    let text = failure("set{ a = 1 }");
    assert!(text.contains("set: write its members in braces, as in set{ \"a\", \"b\" }"), "{text}");
}

#[test]
fn misplaced_calls_are_reported() {
    let text = failure("it('inner', function() end)");
    assert!(
        text.contains("all.lua:2: it: tests are told beside one another; this one stands inside of a test"),
        "{text}"
    );
    let (status, text) = run("message('sleep', 'success')", &[]);
    assert_eq!(status, Some(2));
    assert!(text.contains("all.lua:1: message: nothing happens outside of a test; write it inside of it(\"…\", function() … end)"), "{text}");
    let text = failure("message{ source = 'sleep', typ = 'success' }");
    assert!(
        text.contains(
            "message: there is no \"typ\" here; did you mean `type`?; the keys are: source, type, payload"
        ),
        "{text}"
    );
}

#[test]
fn files_without_tests_show_an_example() {
    let example = "describe(\"after sleep\", function()\n  it(\"launches what is next\", function()\n    at(\"2026-03-14 05:15\")\n    message(\"sleep\", \"success\")\n";
    let (status, text) = run("local x = 1", &[]);
    assert_eq!(status, Some(2));
    assert!(
        text.starts_with("there are no tests in ") && text.contains("rules/tests/all.lua; start with:\n\n"),
        "{text}"
    );
    assert!(text.contains(example), "{text}");
    let (status, text) = system().prepare().operation(&["rules", "test"]);
    assert_eq!(status, Some(2));
    assert!(text.contains("rules/tests/first.lua:\n\n") && text.contains(example), "{text}");
    let (status, text) = run("", &["--file", "nowhere.lua"]);
    assert_eq!(status, Some(2));
    assert!(text.contains("nowhere.lua"), "{text}");
}

#[test]
fn a_runaway_file_or_test_ends_with_its_place() {
    let (status, text) = run("it('a', function() end)\nwhile true do end", &[]);
    assert_eq!(status, Some(2));
    assert!(text.contains("all.lua:2"), "{text}");
    let (status, text) = run(
        "it('a', function()\nlocal t = {}\nwhile true do t[#t + 1] = ('x'):rep(1000) .. #t end\nend)\nit('b', function() end)",
        &[],
    );
    assert_eq!(status, Some(1));
    assert!(text.contains("MB (the memory limit of a test)") && text.contains("  ok      b\n"), "{text}");
}

const COVERED: &str = "local kinds = {
  success = 1,
}

function after_sleep(msg)
  if kinds[msg.type] then
    return {}
  elseif msg.type == 'failure' then
    return { worker('awaken') }
  end
  local list = {}

  for i = 1, 3 do
    list[i] = worker('awaken', i)
  end
  return list
end

function after_awaken() return {} end
";

#[test]
fn coverage_is_exact() {
    let tests = "it('a', function() message('sleep', 'success') end)";
    let system = system().rules(COVERED).file("rules/tests/all.lua", tests).prepare();
    let (status, text) = system.operation(&["rules", "test", "--coverage"]);
    assert_eq!(status, Some(0), "{text}");
    let coverage = text.split_once("\ncoverage\n").expect("coverage").1;
    let expected = "   64.7 %  next_workers.lua (11 of 17 lines)
             13 |   elseif msg.type == 'failure' then
             14 |     return { worker('awaken') }
             15 |   end
             16 |   local list = {}
             17 | 
             18 |   for i = 1, 3 do
             19 |     list[i] = worker('awaken', i)
             20 |   end
             21 |   return list
   64.7 %  in total
  message types that no test sends:
           sleep: failure, crash
";
    assert!(coverage.starts_with(expected), "{coverage}");
    let (_, text) = system.operation(&["rules", "test", "--coverage", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        (&report["passed"], &report["failed"], &report["coverage"]["percent"]),
        (&1.into(), &0.into(), &(1100.0 / 17.0).into())
    );
    let file = &report["coverage"]["files"][0];
    assert_eq!(
        (&file["lines"], &file["ran"], &file["percent"]),
        (&17.into(), &11.into(), &(1100.0 / 17.0).into())
    );
    assert_eq!(file["missed"], serde_json::json!([{ "from": 13, "to": 21 }]));
    assert_eq!(report["coverage"]["never_sent"][0], serde_json::json!(["sleep", "failure"]));
    let (status, _) = system.operation(&["rules", "test", "--min-coverage", "64"]);
    assert_eq!(status, Some(0));
}

#[test]
fn a_failure_has_its_line_for_programs() {
    let (status, text) = run("it('a', function()\nerror('no luck')\nend)", &["--json"]);
    assert_eq!(status, Some(1));
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&report["failed"], &report["tests"][0]["line"]), (&1.into(), &2.into()));
    assert_eq!(report["tests"][0]["error"], "all.lua:2: no luck\n   2 | error('no luck')");
}

#[test]
fn a_thousand_messages_are_one_test() {
    passes(
        "for i = 1, 1000 do message('sleep', 'success', { who = tostring(i) }) end expect_launches{ 'awaken 1000' } expect_checklist('sleepyhead', 'who', '1000')",
    );
}
