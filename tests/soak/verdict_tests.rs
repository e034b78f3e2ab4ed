//! What the verdict finds in ledgers that were written by hand.

use nowcast_core::record::{Outcome, Speaker};

use super::{Decided, idle, last_of, launches, messages_once, parked, started_twice, unanswered};
use crate::ledger::Entries;

fn ledger(lines: &[&str]) -> Entries {
    let entries = Entries::of(&lines.join("\n"));
    assert_eq!(entries.problems, Vec::<String>::new());
    entries
}

fn decided(id: &str, speaker: Speaker, outcome: Outcome) -> Decided {
    Decided { id: Some(id.to_owned()), speaker, outcome, source: "feeder".to_owned() }
}

fn once(id: &str) -> Decided {
    decided(id, Speaker::Worker, Outcome::Ruled)
}

/// An acknowledged message of a feeder that launches a worker.
const ACKNOWLEDGED: [&str; 2] = ["sent m1 feeder slot tick/t1", "ack m1"];

#[test]
fn a_launch_of_an_acknowledged_message_happens_once() {
    let started = |starts: &[&str]| launches(&ledger(&[&ACKNOWLEDGED[..], starts].concat()), false);
    assert_eq!(started(&["start tick t1 7"]), Vec::<String>::new());
    assert!(started(&[])[0].contains("tick t1: never"));
    assert!(started(&["start tick t1 7", "start tick t1 8"])[0].contains("tick t1: 2 times"));
    assert!(started(&["start tick t1 7", "start tick t2 8"])[0].contains("tick t2: 1 times"));
}

#[test]
fn without_a_reply_a_launch_may_happen_or_not() {
    let started = |starts: &[&str]| launches(&ledger(&[&ACKNOWLEDGED[..1], starts].concat()), false);
    assert_eq!(started(&[]), Vec::<String>::new());
    assert_eq!(started(&["start tick t1 7"]), Vec::<String>::new());
    assert!(started(&["start tick t1 7", "start tick t1 8"])[0].contains("2 times"));
}

#[test]
fn a_killed_worker_may_not_have_begun_and_a_flaky_one_is_retried() {
    let killed = ledger(&[&ACKNOWLEDGED[..], &["excuse t1 kill"]].concat());
    assert_eq!(launches(&killed, false), Vec::<String>::new());

    let flaky = ["sent m1 feeder slot flaky/f1", "ack m1", "start flaky f1 1", "start flaky f1 2"];
    assert!(launches(&ledger(&flaky), false)[0].contains("flaky f1: 2 times"));
    let whole = [&flaky[..], &["start flaky f1 3"]].concat();
    assert_eq!(launches(&ledger(&whole), false), Vec::<String>::new());
    let stopped = [&flaky[..], &["excuse f1 operator"]].concat();
    assert_eq!(launches(&ledger(&stopped), false), Vec::<String>::new());
}

#[test]
fn an_acknowledged_message_is_decided_once() {
    let entries = ledger(&ACKNOWLEDGED);
    assert_eq!(messages_once(&entries, &[once("m1")]), Vec::<String>::new());
    assert!(messages_once(&entries, &[])[0].contains("m1: 0 times"));
    assert!(messages_once(&entries, &[once("m1"), once("m1")])[0].contains("m1: 2 times"));
    let retried = [once("m1"), decided("m1", Speaker::Retry, Outcome::Ruled)];
    assert_eq!(messages_once(&entries, &retried), Vec::<String>::new());
    assert_eq!(messages_once(&entries, &[once("m1"), once("m2")]), ["m2 was never sent"]);
}

#[test]
fn a_run_starts_its_worker_once() {
    assert_eq!(started_twice(&ledger(&["start tick t1 7", "start tick t1 8"])), Vec::<String>::new());
    assert_eq!(started_twice(&ledger(&["start tick t1 7", "start tick t2 7"])).len(), 1);
}

#[test]
fn a_plain_worker_gets_its_reply_while_the_broker_lives() {
    let waited = ["sent m1 plain slot -", "gone m1"];
    assert_eq!(unanswered(&ledger(&waited)).len(), 1);
    let replaced = ["sent m1 plain slot -", "broker", "gone m1"];
    assert_eq!(unanswered(&ledger(&replaced)), Vec::<String>::new());
    let replaced_later = ["sent m1 plain slot -", "gone m1", "broker"];
    assert_eq!(unanswered(&ledger(&replaced_later)).len(), 1);
    let killed = ["sent m1 plain slot -", "excuse m1 kill", "gone m1"];
    assert_eq!(unanswered(&ledger(&killed)), Vec::<String>::new());
}

#[test]
fn a_message_is_parked_only_while_its_rule_is_broken() {
    let failed = [decided("m1", Speaker::Worker, Outcome::RuleFailed("an error".into()))];
    assert_eq!(parked(&ledger(&ACKNOWLEDGED), &failed).len(), 1);
    let broken = [&["broken"], &ACKNOWLEDGED[..], &["repaired"]].concat();
    assert_eq!(parked(&ledger(&broken), &failed), Vec::<String>::new());
    let repaired_before = [&["broken", "repaired"], &ACKNOWLEDGED[..]].concat();
    assert_eq!(parked(&ledger(&repaired_before), &failed).len(), 1);
}

#[test]
fn the_last_message_is_one_after_which_none_was_sent_for_certain() {
    let entries = ledger(&[
        "sent m1 feeder a -",
        "ack m1",
        "sent m2 feeder a -",
        "sent m3 feeder a -",
        "ack m3",
        "ack m2",
    ]);
    let mut last: Vec<&str> = last_of(&entries, &["m1", "m2", "m3"]).into_iter().collect();
    last.sort_unstable();
    assert_eq!(last, ["m2", "m3"]);
}

#[test]
fn a_soak_in_which_a_worker_does_nothing_proves_nothing() {
    let found = idle(&ledger(&ACKNOWLEDGED));
    assert!(found.iter().any(|line| line.starts_with("plain")), "{found:?}");
    assert!(!found.iter().any(|line| line.starts_with("feeder")), "{found:?}");
}

#[test]
fn a_line_that_no_one_writes_is_a_problem() {
    for line in ["refused m1 because", "ack m9", "start tick t1 seven", "repaired"] {
        assert_eq!(Entries::of(line).problems.len(), 1, "{line}");
    }
}
