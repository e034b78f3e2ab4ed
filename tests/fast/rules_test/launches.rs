//! How launches and joins are written in tests, and how what differs is shown.

use crate::rules_test::{failure, passes};

#[test]
fn launches_are_lines_tables_or_launch_objects() {
    passes(
        "message('sleep', 'failure')
         expect_launches{ 'keyless (delay 10m)' }
         expect_launches{ { 'keyless', delay = '10m' } }
         expect_launches{ { 'keyless', delay = 600 } }
         expect_launches{ worker('keyless'):with{ delay = '10m' } }",
    );
    passes(
        "message('sleep', 'success', { who = 'a b' })
         expect_launches{ 'awaken \"a b\"' }
         expect_launches{ \"  awaken   'a b' \" }
         expect_launches{ { 'awaken', args = { 'a b' } } }",
    );
    passes("message('sleep', 'success', { who = 'x' }) expect_launches{ { 'awaken x' } }");
}

#[test]
fn launches_that_differ_are_shown() {
    let text =
        failure("message('sleep', 'failure')\nexpect_launches{ { 'keyless', host = 'basin', retries = 3 } }");
    let expected = "
              - keyless on basin (retries 3)
              + keyless (delay 10m)
            after sleep (failure), decided by the rule in next_workers.lua:9
";
    assert!(text.contains(expected), "{text}");
    let text = failure("message('sleep', 'crash')\nexpect_launches{ 'awaken' }");
    assert!(text.contains("              - awaken\n            after sleep (crash), decided by the rule in next_workers.lua:9\n            its log:\n              WARNING sleep crashed\n"), "{text}");
}

#[test]
fn impossible_launches_are_reported() {
    for (launch, expected) in [
        (
            "5",
            "a launch is a line as \"make_plots nowcast\", a table as { \"make_plots\", args = { \"nowcast\" } }, or worker(…)",
        ),
        ("' '", "\"\" names no worker; a launch is a line as"),
        ("\"awaken 'x\"", "\"awaken 'x\": a quote is not closed"),
        ("{ args = { 'x' } }", "a launch: the worker: text was expected"),
        ("{ 'awaken', delya = '10m' }", "did you mean `delay`?"),
        ("{ 'awaken (delay 1h)' }", "\"(delay 1h)\": write the options as keys of the table"),
        ("{ 'awaken', args = 'x' }", "expect_launches: args: table was expected, got text"),
    ] {
        let text = failure(&format!("message('sleep', 'success')\nexpect_launches{{ {launch} }}"));
        assert!(text.contains(expected) && text.contains("          all.lua:3: "), "{launch}: {text}");
    }
}

#[test]
fn only_the_given_fields_of_a_join_are_compared() {
    let rules = "
function after_sleep()
  return {}, Join{ name = 'forcing', wait_for = { 'awaken', keyless = 14 }, launch = { worker('rotate_logs', 'x') }, timeout = '3h' }
end
";
    let outcome = |body: &str| {
        let tests = format!("it('a', function()\nmessage('sleep', 'success')\n{body}\nend)");
        let system =
            crate::support::system::system().rules(rules).file("rules/tests/all.lua", &tests).prepare();
        system.operation(&["rules", "test"])
    };
    let (status, text) = outcome(
        "expect_join{ name = 'forcing', wait_for = { 'awaken', keyless = 14 } }
         expect_join{ name = 'forcing' }
         expect_join{ launch = { 'rotate_logs x' }, timeout = '3h' }
         expect_join(Join{ name = 'forcing', wait_for = { keyless = 14, 'awaken' }, launch = { worker('rotate_logs', 'x') }, timeout = '3h' })",
    );
    assert_eq!(status, Some(0), "{text}");
    let (status, text) = outcome("expect_join{ name = 'forcing', wait_for = { 'awaken', keyless = 13 } }");
    assert_eq!(status, Some(1));
    let expected = "all.lua:3: the join is not as expected (- expected, + came):
             3 | expect_join{ name = 'forcing', wait_for = { 'awaken', keyless = 13 } }
                name forcing
              - waits for 13 × keyless
              + waits for 14 × keyless
                waits for awaken
";
    assert!(text.contains(expected), "{text}");
    let (_, text) = outcome("expect_join(nil)");
    assert!(text.contains("              + name forcing\n              + then rotate_logs x\n"), "{text}");
    let (_, text) = outcome("expect_join{ waitfor = { 'awaken' } }");
    assert!(text.contains("did you mean `wait_for`?"), "{text}");
}

#[test]
fn joins_by_cycle_and_since_a_moment_are_compared_with_what_identifies_them() {
    let rules = "
function after_sleep(msg)
  if msg.type == 'failure' then
    return {}, Join{ name = 'night', wait_for = { 'awaken' }, since = '21:00' }
  end
  local m = last('sleep', 'success', msg.cycle or false)
  return {}, Join{
    name = 'tracks', cycle = msg.cycle, launch = { worker('rotate_logs', m.payload) },
    wait_for = { 'awaken', { worker = 'awaken', type = 'success', cycle = '2026-03-13' } },
  }
end
function after_awaken() return {} end
function after_rotate_logs() return {} end
";
    let run = |body: &str| {
        let tests = format!("it('a', function()\n{body}\nend)");
        let system =
            crate::support::system::system().rules(rules).file("rules/tests/all.lua", &tests).prepare();
        system.operation(&["rules", "test"])
    };
    let (status, text) = run(
        "message{ source = 'sleep', type = 'success', payload = 7, cycle = date('2026-03-14') }
         expect_join{ name = 'tracks', cycle = '2026-03-14' }
         expect_join{ launch = { 'rotate_logs 7' } }
         expect_join{ cycle = date('2026-03-14'), wait_for = { 'awaken', { worker = 'awaken', type = 'success', cycle = '2026-03-13' } } }
         at('2026-03-14 05:00')
         message('sleep', 'failure')
         expect_join{ since = '21:00' }
         expect_join{ since = '2026-03-13 21:00' }
         expect_join{ since = '8h' }
         expect_join{ since = 8 * 3600 }",
    );
    assert_eq!(status, Some(0), "{text}");
    let (status, text) = run(
        "message{ source = 'sleep', type = 'success', payload = 7, cycle = 'x' }\nexpect_join{ cycle = 'y' }",
    );
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("              - cycle y\n              + cycle x\n"), "{text}");
    let (_, text) = run("message('sleep', 'success', 7) expect_join{ name = 'tracks', cycle = 'x' }");
    assert!(text.contains("wait_for: awaken has a cycle, and the join has none"), "{text}");
    let (_, text) = run("message{ source = 'sleep', type = 'success', cycle = {} }");
    assert!(text.contains("message: the cycle must be a label, a whole number or a date"), "{text}");
    let (_, text) = run("message('sleep', 'failure') expect_join{ since = 'noon' }");
    assert!(text.contains("expect_join: since: \"noon\" is not a time of day, a date or a span"), "{text}");
}

/// Two chains that meet: whichever ends first, the join counts the other one's message, and the tracks begin once.
#[test]
fn chains_that_meet_in_a_cycle_start_their_join_once_in_both_orders() {
    let rules = "
local function tracks(msg)
  return {}, Join{ name = 'tracks', cycle = msg.cycle, wait_for = { sleep = 'success', awaken = 'success' }, launch = { worker('rotate_logs', msg.cycle) } }
end
function after_sleep(msg) return tracks(msg) end
function after_awaken(msg) return tracks(msg) end
function after_rotate_logs(msg)
  local sleep, awaken = last('sleep', 'success', msg.cycle), last('awaken', 'success', msg.cycle)
  return { worker('keyless', sleep.time < awaken.time and 'sleep' or 'awaken') }
end
";
    let tests = "
for _, first in ipairs{ 'sleep', 'awaken' } do
  it(first .. ' ends first', function()
    local after = function(run) return { after = run.worker == first and '5m' or '10m' } end
    local day = run_day{
      start = { { 'sleep', cycle = 'a' }, { 'awaken', cycle = 'a' }, { 'awaken', cycle = 'b', at = '06:00' } },
      ends = { sleep = after, awaken = after },
    }
    day:expect_order{ 'rotate_logs a', 'keyless ' .. first }
    day:expect_times('rotate_logs', 1)
  end)
end
";
    let system = crate::support::system::system().rules(rules).file("rules/tests/all.lua", tests).prepare();
    let (status, text) = system.operation(&["rules", "test"]);
    assert_eq!(status, Some(0), "{text}");
}
