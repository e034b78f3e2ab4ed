//! A message that makes the manager exit.
#![cfg(feature = "failpoints")]

use std::fs;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;

use nowcast::failpoint::LOADING_RULES;
use nowcast::store::History;
use rustix::process::Signal;

use crate::lost::failpoints::start_failing_manager;
use crate::support::system::{System, system};

/// What the watchdog logs.
const WATCHDOG: &str =
    "CRITICAL [manager] a rule, or loading the rules, does not return and cannot be stopped";
const KILLED_IN_A_RULE: &str = "manager: in a rule=return";
const ABORTS_IN_A_RULE: &str = "manager: in a rule=panic(on purpose)";

/// So many managers exit at a failpoint.
fn managers_exit(system: &mut System, failpoint: &str, count: usize) {
    for number in 0..count {
        start_failing_manager(system, failpoint);
        let status = system.wait_for_end("manager");
        assert!(!status.success(), "manager {number}: {}", system.describe());
    }
}

/// The numbers of the parked messages.
fn parked(system: &System) -> Vec<u64> {
    let history = History::open(&system.path("checklist.journal")).expect("the journal");
    history.open_now().expect("what is open").parked.iter().map(|parked| parked.id.0).collect()
}

fn expect_parked(system: &System, count: usize) {
    let alarm = "the manager exited several times while it decided this message, so its rule is not called again automatically";
    system.wait_for_log_count("manager", alarm, count);
    assert!(system.log("manager").contains("CRITICAL [manager] the rule for this message failed"));
    assert_eq!(parked(system).len(), count, "{}", system.describe());
}

/// Decides them again; each one's rule is called.
fn retry_each(system: &System) {
    for number in parked(system) {
        let text = system.operate(&["retry", &number.to_string()]);
        assert!(text.contains("is decided"), "{text}");
    }
    assert_eq!(parked(system), Vec::<u64>::new());
}

fn with_rule() -> System {
    let mut system = system()
        .rules("function after_sleep(msg) log.info('the rule heard ' .. msg.payload.day) return {} end")
        .prepare();
    system.start_broker();
    system
}

fn waiting_worker(system: &System) -> zmq::Socket {
    let worker = system.connect();
    worker.send("source: sleep\ntype: success\npayload: {day: 12}\n", 0).expect("sent");
    worker
}

#[test]
fn one_whose_rule_makes_two_managers_exit_is_parked_and_can_be_decided_again() {
    let mut system = with_rule();
    let worker = waiting_worker(&system);
    managers_exit(&mut system, ABORTS_IN_A_RULE, 2);
    system.start_manager(&[]);
    assert_eq!(system.receive(&worker).r#type, "ack");
    expect_parked(&system, 1);
    assert!(!system.log("manager").contains("the rule heard 12"));
    assert_eq!(system.send("sleep", "success", "{day: 13}"), "ack");
    system.wait_for_log("manager", "the rule heard 13");
    retry_each(&system);
    system.wait_for_log("manager", "the rule heard 12");
}

/// A manager that is killed within a rule need not be killed because of it.
#[test]
fn one_at_whose_rule_managers_are_killed_is_decided_by_the_fifth_and_parked_by_the_sixth() {
    let mut system = with_rule();
    let worker = waiting_worker(&system);
    managers_exit(&mut system, KILLED_IN_A_RULE, 4);
    system.start_manager(&[]);
    assert_eq!(system.receive(&worker).r#type, "ack");
    system.wait_for_log("manager", "the rule heard 12");
    assert_eq!(parked(&system), Vec::<u64>::new());
    system.signal("manager", Signal::TERM);
    system.wait_for_end("manager");
    let worker = waiting_worker(&system);
    managers_exit(&mut system, KILLED_IN_A_RULE, 5);
    system.start_manager(&[]);
    assert_eq!(system.receive(&worker).r#type, "ack");
    expect_parked(&system, 1);
}

#[test]
fn a_manager_that_aborts_within_a_rule_notes_that() {
    let mut system = with_rule();
    let worker = waiting_worker(&system);
    for number in 1..=2 {
        start_failing_manager(&mut system, "manager: in a rule=sleep(600000)");
        // By then it has cleared what the previous manager noted.
        system.wait_for_log_count("manager", "connected to localhost", number);
        system.wait_for("the call of the rule", || {
            let poison = fs::read_to_string(system.path("checklist.journal/poison")).ok()?;
            poison.starts_with("deciding").then_some(())
        });
        system.signal("manager", Signal::ABORT);
        assert_eq!(system.wait_for_end("manager").signal(), Some(6), "{}", system.describe());
    }
    system.start_manager(&[]);
    assert_eq!(system.receive(&worker).r#type, "ack");
    expect_parked(&system, 1);
}

#[test]
fn one_that_makes_one_manager_exit_is_decided_by_the_next() {
    let mut system = with_rule();
    let worker = waiting_worker(&system);
    for _ in 0..2 {
        managers_exit(&mut system, ABORTS_IN_A_RULE, 1);
        system.start_manager(&[]);
        assert_eq!(system.receive(&worker).r#type, "ack");
        assert_eq!(parked(&system), Vec::<u64>::new());
        system.signal("manager", Signal::TERM);
        system.wait_for_end("manager");
        worker.send("{source: sleep, type: success, payload: {day: 13}}", 0).expect("sent");
    }
}

/// The message was never decoded: its payload is not in the checklist, and its sender is known from its bytes only.
fn expect_parked_undecided(system: &System, reason: &str) -> String {
    system.wait_for_log("manager", "CRITICAL [manager] a message is parked undecided: sleep: (success)");
    system.wait_for_log("manager", reason);
    assert!(!system.log("manager").contains("the rule heard 12"));
    assert_eq!(system.checklist().get("sleepyhead"), None);
    let [number] = parked(system)[..] else { panic!("one parked message: {}", system.describe()) };
    let number = number.to_string();
    let status = system.operation(&["status"]).1;
    assert!(status.contains("sleep (success)") && status.contains("not decided: "), "{status}");
    let page = system.operate(&["why", &number]);
    assert!(page.contains("parked undecided") && page.contains(&format!("nowcast retry {number}")), "{page}");
    let list = system.operate(&["messages", "--parked"]);
    assert!(list.contains("undecided"), "{list}");
    number
}

#[test]
fn one_that_makes_two_managers_exit_while_they_decode_it_is_parked_by_the_third() {
    let mut system = with_rule();
    let worker = waiting_worker(&system);
    managers_exit(&mut system, "manager: decoding=return", 2);
    system.start_manager(&[]);
    assert_eq!(system.receive(&worker).r#type, "ack");
    let number = expect_parked_undecided(&system, "the manager exited twice while it decoded this message");
    assert_eq!(system.send("sleep", "success", "{day: 13}"), "ack");
    let text = system.operate(&["retry", &number]);
    assert!(text.contains("is decided"), "{text}");
    system.wait_for_log("manager", "the rule heard 12");
    system.wait_for_checklist("{sleepyhead: {day: 12}}");
    assert_eq!(parked(&system), Vec::<u64>::new());
}

/// A message that is decoded waits until the other work of the loop's turn is done, which may start runners and compile rules.
#[test]
fn one_that_was_decoded_is_decided_though_managers_are_killed_before_they_decide_it() {
    let mut system = with_rule();
    let worker = waiting_worker(&system);
    managers_exit(&mut system, "manager: received=return", 4);
    system.start_manager(&[]);
    assert_eq!(system.receive(&worker).r#type, "ack");
    system.wait_for_log("manager", "the rule heard 12");
    assert_eq!(parked(&system), Vec::<u64>::new());
}

/// The table in which the manager looks for the message's `id` is damaged, and repaired later.
#[test]
fn one_that_could_not_be_looked_up_in_the_journal_is_decided_once_the_journal_is_repaired() {
    let mut system = with_rule();
    system.start_manager(&[]);
    system.signal("manager", Signal::TERM);
    system.wait_for_end("manager");
    let path = system.path("checklist.journal/journal.sqlite");
    let database = rusqlite::Connection::open(&path).expect("the journal");
    let number = |query: &str| -> u64 {
        database.query_row(query, [], |row| row.get::<_, i64>(0)).expect("a number").cast_unsigned()
    };
    let size = number("PRAGMA page_size");
    let place = (number("SELECT rootpage FROM sqlite_schema WHERE name = 'message_ids'") - 1) * size;
    drop(database);
    let file = fs::File::options().read(true).write(true).open(&path).expect("the journal");
    let mut page = vec![0; usize::try_from(size).expect("a small number")];
    file.read_exact_at(&mut page, place).expect("the table");
    file.write_all_at(&vec![0xa5; page.len()], place).expect("damaged");

    let worker = system.connect();
    let message = "{source: sleep, type: success, payload: {day: 12}, id: '1'}";
    worker.send(message, 0).expect("sent");
    for number in 1..=5 {
        let command = system.command(&["manager", "nowcast.yaml"]);
        system.spawn("manager", command);
        assert!(!system.wait_for_end("manager").success(), "{}", system.describe());
        system.wait_for_log_count("manager", "CRITICAL [manager]", number);
    }
    file.write_all_at(&page, place).expect("repaired");
    system.start_manager(&[]);
    assert_eq!(system.receive(&worker).r#type, "ack");
    system.wait_for_log("manager", "the rule heard 12");
    assert_eq!(parked(&system), Vec::<u64>::new());
}

#[test]
fn one_that_was_parked_undecided_can_be_discarded_by_another_manager() {
    let mut system = with_rule();
    let worker = waiting_worker(&system);
    managers_exit(&mut system, "manager: decoding=return", 2);
    // The worker gets its reply though this manager dies before it sends it.
    managers_exit(&mut system, "manager: kept=return", 1);
    system.start_manager(&[]);
    assert_eq!(system.receive(&worker).r#type, "ack");
    let number = expect_parked_undecided(&system, "a message is parked undecided");
    system.operate(&["discard", &number]);
    assert_eq!(parked(&system), Vec::<u64>::new());
    system.works();
}

#[test]
fn one_that_makes_managers_exit_before_its_rule_is_parked_undecided() {
    let mut system = with_rule();
    let worker = waiting_worker(&system);
    // The third does not call its rule, which does not help.
    managers_exit(&mut system, "manager: deciding=panic(on purpose)", 3);
    system.start_manager(&[]);
    assert_eq!(system.receive(&worker).r#type, "ack");
    expect_parked_undecided(&system, "even without calling its rule");
    system.works();
}

#[test]
fn one_that_was_parked_undecided_and_comes_under_another_ticket_is_not_parked_again() {
    let mut system = with_rule();
    let message = "source: sleep\ntype: success\npayload: {day: 12}\nid: '1'\n";
    let worker = system.connect();
    worker.send(message, 0).expect("sent");
    managers_exit(&mut system, "manager: deciding=panic(on purpose)", 3);
    system.start_manager(&[]);
    assert_eq!(system.receive(&worker).r#type, "ack");
    expect_parked_undecided(&system, "even without calling its rule");
    // The broker was killed before the worker had that reply, so the worker sends its message again.
    system.kill("broker");
    system.start_broker();
    assert_eq!(system.send_raw(message).r#type, "ack");
    assert_eq!(parked(&system).len(), 1, "{}", system.describe());
}

#[test]
fn several_that_come_together_are_all_parked() {
    let mut system = system().prepare();
    system.start_broker();
    let workers: Vec<_> = ["sleep", "awaken", "rotate_logs"]
        .iter()
        .map(|source| {
            let worker = system.connect();
            worker
                .send(format!("{{source: {source}, type: success, payload: null}}").as_str(), 0)
                .expect("sent");
            worker
        })
        .collect();
    managers_exit(&mut system, ABORTS_IN_A_RULE, 2 * workers.len());
    system.start_manager(&[]);
    for worker in &workers {
        assert_eq!(system.receive(worker).r#type, "ack");
    }
    expect_parked(&system, workers.len());
    system.works();
    retry_each(&system);
}

#[test]
fn the_crash_that_is_made_for_a_run_is_parked_too() {
    let mut system = system()
        .worker("tick: {success: it went well, crash: it crashed}")
        .section("workers: {tick: {command: ['false']}}")
        .rules(
            "function after_keyless() return { NextWorker('tick') } end
             function after_tick(msg) log.info('the rule heard ' .. msg.type) return {} end",
        )
        .start();
    system.works();
    system.wait_for_log("manager", "launching");
    system.signal("manager", Signal::KILL);
    system.wait_for_end("manager");
    managers_exit(&mut system, ABORTS_IN_A_RULE, 2);
    system.start_manager(&[]);
    expect_parked(&system, 1);
    assert!(!system.log("manager").contains("the rule heard"));
    retry_each(&system);
    system.wait_for_log("manager", "the rule heard crash");
}

#[test]
fn a_rule_that_does_not_come_back_ends_the_manager() {
    let mut system = system().prepare();
    system.start_broker();
    let worker = system.connect();
    worker.send("{source: sleep, type: success, payload: {day: 12}}", 0).expect("sent");
    start_failing_manager(&mut system, "manager: in a rule=delay(600000)");
    let status = system.wait_for_end("manager");
    assert_eq!(status.signal(), Some(6), "{}", system.describe());
    assert!(system.log("manager").contains(WATCHDOG));
    system.start_manager(&[]);
    assert_eq!(system.receive(&worker).r#type, "ack");
    assert_eq!(parked(&system), Vec::<u64>::new());
}

#[test]
fn rules_that_do_not_come_back_while_they_are_loaded_end_the_manager() {
    let mut system = system().prepare();
    system.start_broker();
    start_failing_manager(&mut system, &format!("{LOADING_RULES}=delay(600000)"));
    let status = system.wait_for_end("manager");
    assert_eq!(status.signal(), Some(6), "{}", system.describe());
    assert!(system.log("manager").contains(WATCHDOG));
    system.start_manager(&[]);
    system.works();
}
