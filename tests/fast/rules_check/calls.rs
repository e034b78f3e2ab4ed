//! What calls of the rules tell.

use super::{OTHERS, check, with_rules};

#[test]
fn without_a_system_only_made_up_cases_exist() {
    let rules = format!(
        "function after_sleep(msg, config, checklist)\n  return {{ worker(\"awaken\", checklist.sleepyhead.time) }}\nend\n\
         function after_awaken() return {{}} end\n{OTHERS}"
    );
    let (status, text) = check(&with_rules(&rules).prepare(), &[]);
    let expected = r#"warning: attempt to index a nil value (field 'sleepyhead')
 --> rules/next_workers.lua:2:39
2 |   return { worker("awaken", checklist.sleepyhead.time) }
  |                                       ^^^^^^^^^^
  = the checklist has no "sleepyhead"; the table is empty
  = the message was sleep (success)
  = it fails with no payload when the checklist is empty, as after `clear checklist`

"#;
    assert!(text.contains(expected), "{text}");
    assert_eq!(status, 0);
}

#[test]
fn the_system_s_data_find_more_errors() {
    let rules = format!(
        r#"function after_sleep(msg, config, checklist)
  if msg.type == "failure" then return {{}} end
  return {{ worker("awaken", checklist.logs.file) }}
end
function after_awaken(msg) if msg.payload then return {{ worker("keyless", msg.payload.n + 1) }} end return {{}} end
{OTHERS}"#
    );
    let system = with_rules(&rules).start();
    assert_eq!(system.send("rotate_logs", "success", "{file: a.log, size: 3}"), "ack");
    assert_eq!(system.send("sleep", "success", "{slept: 1}"), "ack");
    let (status, text) = check(&system, &[]);
    assert_eq!(status, 0, "{text}");
    let lacks = "warning: attempt to index a nil value (field 'logs')\n --> rules/next_workers.lua:3:39\n";
    assert!(text.contains(lacks), "{text}");
    assert!(text.contains("= it fails with the payload of message #"), "{text}");
    assert!(text.contains(" when the checklist is empty, as after `clear checklist`\n"), "{text}");
    let file = "warning: worker: argument 1 after the worker's name is nil";
    assert!(text.contains(file), "{text}");
    assert!(text.contains(" when the checklist lacks `logs: file`, as after `clear checklist`\n"), "{text}");
    assert!(text.contains(", 2 recorded messages: 0 errors, 3 warnings\n"), "{text}");

    // What has come once can come again: now it is an error.
    assert_eq!(system.send("awaken", "success", "{other: 1}"), "ack");
    let (status, text) = check(&system, &[]);
    assert_eq!(status, 1, "{text}");
    assert!(text.contains("error: attempt to perform arithmetic on a nil value (field 'n')\n"), "{text}");
    assert!(text.contains("= the message was awaken (success), payload {'other': 1}\n"), "{text}");
    assert!(text.contains(" as it was recorded\n"), "{text}");
    assert!(text.contains(", 3 recorded messages: 1 error, 2 warnings\n"), "{text}");
    assert_eq!(text, check(&system, &[]).1, "the same again");
}

#[test]
fn a_recorded_message_is_tried_with_the_messages_that_had_come_by_then() {
    let rules = format!(
        r#"function after_sleep() return {{}} end
function after_awaken()
  local before = last("sleep", "success")
  return {{ worker("keyless", before and before.payload.n + 1 or 0) }}
end
{OTHERS}"#
    );
    let system = with_rules(&rules).start();
    assert_eq!(system.send("sleep", "success", "{n: 1}"), "ack");
    assert_eq!(system.send("awaken", "success", "null"), "ack");
    assert_eq!(system.send("sleep", "success", "{other: 1}"), "ack");
    let (_, text) = check(&system, &[]);
    assert!(!text.contains(" as it was recorded"), "{text}");
    // This one failed. A later message does not repair that.
    assert_eq!(system.send("awaken", "success", "null"), "ack");
    assert_eq!(system.send("sleep", "success", "{n: 2}"), "ack");
    let (status, text) = check(&system, &[]);
    assert!(text.contains(" as it was recorded"), "{text}");
    assert_eq!(status, 1, "{text}");
}

#[test]
fn the_checklist_file_stands_in_for_the_journal() {
    let rules = format!(
        "function after_sleep(msg, config, checklist) return {{ worker('awaken', need(checklist, 'logs', 'file')) }} end\n\
         function after_awaken() return {{}} end\n{OTHERS}"
    );
    let system = with_rules(&rules).file("checklist.yaml", "logs: {file: a.log}\n").prepare();
    let (_, text) = check(&system, &[]);
    assert!(text.contains(r#"there is no key "logs""#), "{text}");
    assert!(text.contains(r#"there is no key "file" under logs;"#), "{text}");
    std::fs::write(system.path("checklist.yaml"), "[").expect("written");
    let (status, text) = check(&system, &[]);
    assert!(text.contains("warning: the checklist file "), "{text}");
    assert!(text.contains("= so the rules were called with less than the running system has\n"), "{text}");
    assert_eq!(status, 0);
}

#[test]
fn launches_and_joins_that_lead_nowhere_are_found() {
    let rules = format!(
        r#"function after_sleep(msg)
  return {{ worker("awakn"), worker_on("nibii", "awaken"), worker_on("localhost", "awaken") }}
end
function after_awaken(msg)
  return {{}}, Join{{ name = "all", wait_for = {{ slep = 2, sleep = "succes", clear_checklist = "clear checklist" }} }}
end
{OTHERS}"#
    );
    let system =
        with_rules(&rules).section("run: {enabled hosts: {nibi: {envvars: e, python: p, config file: c}}}");
    let (status, text) = check(&system.prepare(), &[]);
    let expected = r#"warning: `awakn` is launched and not registered: its messages will be refused
 --> rules/next_workers.lua:2:20
2 |   return { worker("awakn"), worker_on("nibii", "awaken"), worker_on("localhost", "awaken") }
  |                    ^^^^^
  = did you mean `awaken`?
  = after sleep (success)

error: `awaken` is to be launched on `nibii`, which is not an enabled host
 --> rules/next_workers.lua:2:40
2 |   return { worker("awakn"), worker_on("nibii", "awaken"), worker_on("localhost", "awaken") }
  |                                        ^^^^^
  = did you mean `nibi`?
  = after sleep (success)

error: a join waits for `clear_checklist` (clear checklist), which counts in no join, and will never be complete
 --> rules/next_workers.lua:5
5 |   return {}, Join{ name = "all", wait_for = { slep = 2, sleep = "succes", clear_checklist = "clear checklist" } }
  = the manager answers that message itself; wait for another type
  = after awaken (success)

error: a join waits for `sleep` (succes), which is not a message type of that worker, and will never be complete
 --> rules/next_workers.lua:5
5 |   return {}, Join{ name = "all", wait_for = { slep = 2, sleep = "succes", clear_checklist = "clear checklist" } }
  = did you mean `success`?
  = after awaken (success)

error: a join waits for `slep`, which is not registered, and will never be complete
 --> rules/next_workers.lua:5
5 |   return {}, Join{ name = "all", wait_for = { slep = 2, sleep = "succes", clear_checklist = "clear checklist" } }
  = did you mean `sleep`?
  = after awaken (success)

5 rules, 14 message types, 28 calls, 0 recorded messages: 4 errors, 1 warning
"#;
    assert_eq!((status, text.as_str()), (1, expected));
}

#[test]
fn rules_without_end_are_errors_and_the_check_ends() {
    let rules = format!(
        "function after_sleep() while true do end end\n\
         function after_awaken() local t = {{}} while true do t = {{ t, ('x'):rep(15000000) .. #t }} end end\n{OTHERS}"
    );
    let (status, text) = check(&with_rules(&rules).prepare(), &[]);
    // A slow machine may come to the limit of time first.
    for rule in ["error: after_sleep ", "error: after_awaken "] {
        let line = text.lines().find(|line| line.starts_with(rule)).expect(&text);
        assert!(line.contains(" limit of "), "{text}");
    }
    assert!(text.contains(": 2 errors, 0 warnings\n"), "{text}");
    assert_eq!(status, 1);
}

#[test]
fn the_number_of_calls_is_bounded() {
    use std::fmt::Write;
    let (mut rules, mut workers) = (String::new(), Vec::new());
    for number in 0..120 {
        let _ = writeln!(
            rules,
            "function after_w{number}(msg, config, checklist) for i = 1, 49 do local x = checklist['k' .. i] end return {{}} end"
        );
        workers.push(format!("w{number}: {{success: a, failure: b, crash: c}}"));
    }
    let mut system = with_rules(&format!(
        "{rules}function after_sleep() return {{}} end\nfunction after_awaken() return {{}} end\n{OTHERS}"
    ));
    for worker in &workers {
        system = system.worker(worker);
    }
    let keys = (1..50).map(|number| format!("k{number}: 1\n")).collect::<Vec<_>>().concat();
    let (status, text) = check(&system.file("checklist.yaml", keys).prepare(), &[]);
    let closing = ", 20,000 calls, 0 recorded messages (there was more to call; the rest was left out): 0 errors, 0 warnings\n";
    assert!(text.ends_with(closing), "{text}");
    assert_eq!(status, 0);
}

#[test]
fn a_join_that_waits_for_itself_is_found() {
    let rules = r#"
function after_sleep()
  return { worker("awaken") }, Join{ name = "all", wait_for = { "awaken", "keyless", rotate_logs = "success" }, launch = { worker("rotate_logs") } }
end
function after_awaken() return { worker("keyless") } end
function after_keyless() return {} end
function after_rotate_logs() return {} end
function after_clear_checklist() return {}, { "clear_checklist" } end
"#;
    let (status, text) = check(&with_rules(rules).prepare(), &[]);
    let expected = r"warning: the join `all` waits for `keyless`, which is launched only when that join is complete
 --> rules/next_workers.lua:2
2 | function after_sleep()
  = it is launched after awaken (success, failure, crash), which counts in the join, so that the launch waits there
  = launch it before the join is opened, or by a message that the join does not wait for
  = after sleep (success)

warning: the join `all` waits for `rotate_logs`, which is launched only when that join is complete
 --> rules/next_workers.lua:2
2 | function after_sleep()
  = it is launched by the join itself
  = launch it before the join is opened, or by a message that the join does not wait for
  = after sleep (success)

5 rules, 14 message types, 28 calls, 0 recorded messages: 0 errors, 2 warnings
";
    assert_eq!((status, text.as_str()), (0, expected));
    let scheduled = "scheduled workers:\n  - nowcast.workers.rotate_logs: {every: day, at: '05:15'}\n  - keyless: {every: day, at: '05:15'}\n";
    let (_, text) = check(&with_rules(rules).section(scheduled).prepare(), &[]);
    assert!(text.ends_with(": 0 errors, 0 warnings\n"), "{text}");
}

#[test]
fn options_that_come_to_nothing_are_found() {
    let rules = format!(
        r#"function after_sleep()
  return {{ worker("awaken", {{}}, {{ retry_delay = "5m" }}), worker("keyless", {{}}, {{ retry_delay = "5m" }}),
    NextWorker("awaken", {{}}, {{ at = "2999-01-01 05:15" }}), NextWorker("awaken", {{}}, {{ at = "1999-01-01 05:15", retry_delay = 1, retries = 1 }}) }}
end
function after_awaken() return {{}} end
{OTHERS}"#
    )
    .replace(r#"worker("awaken", {}, "#, r#"NextWorker("awaken", {}, "#)
    .replace(r#"worker("keyless", {}, "#, r#"NextWorker("keyless", {}, "#);
    let system = with_rules(&rules).section("workers: {keyless: {command: ['true'], retries: 2}}");
    let (status, text) = check(&system.prepare(), &[]);
    let unused = "warning: `awaken` has a `retry_delay` and no `retries`: it is never launched again\n --> rules/next_workers.lua:2:";
    assert!(text.contains(unused), "{text}");
    assert!(text.contains("warning: `awaken` is to be launched at 2999-"), "{text}");
    assert!(text.ends_with(": 0 errors, 2 warnings\n"), "{text}");
    assert_eq!(status, 0);
}

#[test]
fn a_rule_that_always_fails_is_an_error_without_a_system() {
    let rules = format!(
        r#"function after_sleep() local missing return missing() end
function after_awaken() return {{ NextWorker("sleep", {{}}, {{ hots = "x" }}) }} end
{OTHERS}"#
    );
    let (status, text) = check(&with_rules(&rules).prepare(), &[]);
    assert!(text.contains("error: attempt to call a nil value (local 'missing')\n"), "{text}");
    assert!(text.contains("there is no option \"hots\"; did you mean `host`?"), "{text}");
    assert!(text.ends_with(": 2 errors, 0 warnings\n"), "{text}");
    assert_eq!(status, 1);
}

#[test]
fn a_failure_is_tried_without_payload() {
    let rules = format!(
        "function after_sleep(msg)\n  local time = msg.payload.time\n  return {{}}\nend\nfunction after_awaken() return {{}} end\n{OTHERS}"
    );
    let system = with_rules(&rules).file("checklist.yaml", "logs: {file: a.log}\n");
    let (status, text) = check(&system.prepare(), &[]);
    assert!(text.contains("error: attempt to index a nil value (field 'payload')\n"), "{text}");
    assert!(text.contains("= it fails with no payload and the current checklist\n"), "{text}");
    assert!(text.ends_with(": 1 error, 0 warnings\n"), "{text}");
    assert_eq!(status, 1);
}

#[test]
fn a_failure_for_want_of_the_last_message_is_a_warning() {
    let rules = format!(
        "function after_sleep(msg)\n  if msg.type == 'failure' then return {{ worker('awaken', last('awaken', 'success').payload) }} end\n  return {{}}\nend\nfunction after_awaken() return {{}} end\n{OTHERS}"
    );
    let (status, text) = check(&with_rules(&rules).prepare(), &[]);
    assert!(
        text.starts_with("warning: attempt to index a nil value\n --> rules/next_workers.lua:2"),
        "{text}"
    );
    assert!(text.contains("\n  = it asks for last(…), which finds no message in this check\n"), "{text}");
    assert_eq!(status, 0, "{text}");
}

/// What its rule returns beside it does not wait in a join by cycle, and yesterday's message comes without it.
#[test]
fn a_join_by_cycle_waits_for_itself_only_by_its_own_launches() {
    let rules = |wait_for: &str| {
        format!(
            "function after_sleep() return {{ worker('awaken') }}, Join{{ name = 'all', cycle = 'x', wait_for = {wait_for}, launch = {{ worker('rotate_logs') }} }} end
            function after_awaken() return {{ worker('keyless') }} end\n{OTHERS}"
        )
    };
    let (status, text) = check(
        &with_rules(&rules("{ 'awaken', 'keyless', { worker = 'rotate_logs', cycle = 'w' } }")).prepare(),
        &[],
    );
    assert!(status == 0 && text.ends_with(": 0 errors, 0 warnings\n"), "{text}");
    let (_, text) = check(&with_rules(&rules("{ 'awaken', 'rotate_logs' }")).prepare(), &[]);
    assert!(text.starts_with("warning: the join `all` waits for `rotate_logs`, which is launched only when that join is complete\n"), "{text}");
}
