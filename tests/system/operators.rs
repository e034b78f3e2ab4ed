//! What operators can do to a running system.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use rustix::process::Signal;

use crate::support::system::{System, system};

const RULES: &str = "
function after_keyless(msg) return { NextWorker('awaken') } end
function after_awaken(msg) log.info('the rule heard ' .. msg.type) return {} end
";

/// The first number in a text: `#17`.
fn number(text: &str) -> String {
    let after = text.split('#').nth(1).unwrap_or_else(|| panic!("a number in {text:?}"));
    after.chars().take_while(char::is_ascii_digit).collect()
}

fn launches(system: &System) -> usize {
    system.log("manager").matches("launching NextWorker").count()
}

#[test]
fn a_worker_is_launched_with_its_arguments() {
    let system = system().start();
    let answer = system.operate(&["launch", "sleep", "--sleep-time", "0"]);
    assert!(answer.starts_with("sleep is launched as run #"), "{answer}");
    system.wait_for_log("manager", "INFO [sleep] slept for 0 seconds");
}

#[test]
fn the_json_of_an_answer_has_its_numbers() {
    let system = system().start();
    let answer: serde_json::Value =
        serde_json::from_str(&system.operate(&["launch", "--json", "awaken"])).expect("JSON");
    assert_eq!(answer["done"], true);
    assert_eq!(answer["numbers"].as_array().map(Vec::len), Some(1), "{answer}");
}

#[test]
fn launches_wait_behind_a_hold_also_over_a_restart_and_go_when_it_is_released() {
    let mut system = system().rules(RULES).start();
    let hold = number(&system.operate(&["hold", "--worker", "awaken", "--reason", "maintenance"]));
    system.works();
    system.works();
    system.signal("manager", Signal::KILL);
    system.wait_for_end("manager");
    system.start_manager(&[]);
    system.send("sleep", "success", "null");
    assert_eq!(launches(&system), 0, "{}", system.describe());
    system.operate(&["release", &hold]);
    system.wait_for_log_count("manager", "the rule heard success", 2);
    assert_eq!(launches(&system), 2);
}

#[test]
fn a_hold_ends_at_its_time() {
    let system = system().rules(RULES).start();
    system.operate(&["hold", "--all", "--until", "1s"]);
    system.works();
    system.wait_for_log("manager", "of all has ended");
    system.wait_for_log("manager", "the rule heard success");
}

#[test]
fn a_pending_launch_is_discarded() {
    let system = system().rules(RULES).start();
    let run = number(&system.operate(&["launch", "--delay", "1h", "awaken"]));
    assert!(system.operate(&["discard", &run]).contains("is discarded"));
    let (status, text) = system.operation(&["discard", &run]);
    assert_eq!(status, Some(1));
    assert!(text.contains("cannot be released or discarded"), "{text}");
    assert_eq!(launches(&system), 0);
}

#[test]
fn a_run_that_ignores_sigterm_is_killed_after_its_grace() {
    let script = "trap \"\" TERM; echo deaf > deaf; while :; do sleep 1; done";
    let system = system()
        .section(&format!("workers: {{awaken: {{command: [sh, -c, '{script}']}}}}"))
        .rules(RULES)
        .start();
    let run = number(&system.operate(&["launch", "awaken"]));
    system.wait_for("the run", || system.path("deaf").exists().then_some(()));
    system.operate(&["kill", &run]);
    // A second one skips the grace.
    system.operate(&["kill", &run]);
    system.wait_for_log("manager", "was killed by signal 9 without a report");
    system.wait_for_log("manager", "the rule heard crash");
}

#[test]
fn a_stopping_run_keeps_its_grace_under_the_next_manager() {
    let script =
        "trap \"touch told; sleep 2; touch well; exit 0\" TERM; touch ready; while :; do sleep 0.05; done";
    let mut system = system()
        .section(&format!("workers: {{awaken: {{command: [sh, -c, '{script}']}}}}"))
        .rules(RULES)
        .start();
    let run = number(&system.operate(&["launch", "awaken"]));
    system.wait_for("the run", || system.path("ready").exists().then_some(()));
    system.operate(&["kill", &run]);
    system.wait_for("its being told", || system.path("told").exists().then_some(()));
    system.signal("manager", Signal::KILL);
    system.wait_for_end("manager");
    system.start_manager(&[]);
    system.wait_for_log("manager", "exited with status 0 without a report");
    assert!(system.path("well").exists(), "{}", system.describe());
}

#[test]
fn a_message_whose_rule_failed_is_decided_again_after_the_repair() {
    let system = system().rules("function after_sleep(msg) error('not yet') end").start();
    assert_eq!(system.send("sleep", "success", "{sleep time: 5}"), "ack");
    // The line is written after the reply.
    system.wait_for_log("manager", "nowcast retry ");
    let log = system.log("manager");
    let parked = log.split("nowcast retry ").nth(1).and_then(|rest| rest.lines().next()).expect("a number");
    let (status, text) = system.operation(&["retry", parked]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("not yet"), "{text}");
    system.write_rules("function after_sleep(msg, config, checklist) return { NextWorker('awaken', { checklist.sleepyhead['sleep time'] }) } end\nfunction after_awaken() return {} end\nfunction after_keyless() return {} end\nfunction after_clear_checklist() return {} end\nfunction after_rotate_logs() return {} end");
    assert!(system.operate(&["retry", "--all"]).contains("is decided"));
    system.wait_for_log("manager", "launching NextWorker(module='awaken', args=['5'], host='localhost')");
    assert!(system.operate(&["retry", "--all"]).contains("no message is parked"));
}

#[test]
fn a_message_is_redecided_with_the_historical_or_the_current_checklist() {
    let system = system().rules("function after_sleep(msg) error('not yet') end").start();
    let send = |source: &str, payload: &str| assert_eq!(system.send(source, "success", payload), "ack");
    send("awaken", "{day: 1, hour: 6}");
    send("sleep", "{hour: 12}");
    send("sleep", "{hour: 18}");
    send("awaken", "{day: 2, hour: 0}");
    let log = system.log("manager");
    let parked: Vec<&str> =
        log.split("nowcast retry ").skip(1).filter_map(|rest| rest.lines().next()).collect();
    system.write_rules(
        "function after_sleep(msg, config, checklist)
           local now = checklist.sleepyhead
           log.info('day ' .. now.day .. ' hour ' .. now.hour .. ', told ' .. msg.payload.hour)
           return {}
         end
         function after_awaken() return {} end
         function after_keyless() return {} end
         function after_clear_checklist() return {} end
         function after_rotate_logs() return {} end",
    );
    assert!(system.operate(&["retry", "--checklist", "then", parked[0]]).contains("is decided"));
    system.wait_for_log("manager", "day 1 hour 12, told 12");
    assert!(system.operate(&["retry", parked[1]]).contains("is decided"));
    system.wait_for_log("manager", "day 2 hour 0, told 18");
    system.wait_for_checklist("{sleepyhead: {day: 2, hour: 0}}");
    let (status, text) = system.operation(&["retry", "--checklist", "then", "18446744073709551615"]);
    assert_eq!(status, Some(1));
    assert!(text.contains("is not a parked message"), "{text}");
}

#[test]
fn without_a_manager_a_command_says_so() {
    let system = system().prepare();
    let (status, text) = system.operation(&["kill", "5"]);
    assert_eq!(status, Some(1));
    assert!(text.contains("Is it running?"), "{text}");
}

#[test]
fn the_control_socket_is_for_the_managers_user_alone() {
    let system = system().start();
    let mode = fs::metadata(system.path("checklist.journal/control")).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// More of them than are closed for their silence within the timeout of a command.
#[test]
fn silent_connections_do_not_delay_an_operators_command() {
    const CONNECTIONS: usize = 900;
    let system = system().start();
    let socket = system.path("checklist.journal/control");
    let silent: Vec<UnixStream> = (0..CONNECTIONS)
        .map(|number| {
            let mut stream = UnixStream::connect(&socket).expect("the manager listens");
            // Every other one begins a request.
            let text: &[u8] = if number % 2 == 0 { b"" } else { b"{\"user\":" };
            stream.write_all(text).expect("written");
            stream
        })
        .collect();
    system.operate(&["hold", "--worker", "sleep"]);
    let (_, status) = system.operation(&["status"]);
    assert!(status.contains("2/2 daemons"), "{status}");
    drop(silent);
}

#[test]
fn a_second_manager_on_the_same_journal_names_the_first() {
    let system = system().start();
    let output = system.command(&["manager", "nowcast.yaml"]).output().expect("it runs");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains(&system.id("manager").to_string()), "{text}");
    system.works();
}
