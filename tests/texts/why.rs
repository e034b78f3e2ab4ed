//! `nowcast why` of everything that there is in each situation: runs, messages, joins, holds, commands, events, workers.

use crate::program::assert_snapshot;
use crate::recorded::Recorded;
use crate::scenes;

const WORKERS: [&str; 7] = [
    "download_weather",
    "collect_rivers",
    "make_ssh_files",
    "make_forcing",
    "run_nemo",
    "make_plots",
    "clear_checklist",
];

/// Why everything that was counted after `first` is there, and why no worker runs.
fn everything(system: &mut Recorded, first: u64) -> String {
    system.at("12:00");
    let numbers = first..=system.last_number() + 1;
    let asked = numbers.map(|number| number.to_string()).chain(WORKERS.map(str::to_owned));
    asked.map(|what| system.run(&["why", &what])).collect::<Vec<_>>().join("\n")
}

/// What is new in a scene beside a good day's.
#[track_caller]
fn assert_why(name: &str, mut system: Recorded) {
    let first = scenes::fine().last_number() + 1;
    assert_snapshot(&format!("why_{name}"), &everything(&mut system, first));
}

#[test]
fn on_a_good_day() {
    assert_snapshot("why_fine", &everything(&mut scenes::fine(), 1));
}

#[test]
fn runs_failed() {
    assert_why("failed_runs", scenes::failed_runs());
}

#[test]
fn messages_are_parked_and_refused() {
    assert_why("bad_messages", scenes::bad_messages());
}

#[test]
fn joins_are_open_and_stuck() {
    assert_why("open_joins", scenes::open_joins());
    assert_why("stuck_join", scenes::stuck_join());
}

#[test]
fn launches_are_parked() {
    assert_why("parked_launches", scenes::parked_launches());
}

#[test]
fn launches_are_pending() {
    assert_why("pending_launches", scenes::pending_launches());
}

#[test]
fn workers_run() {
    assert_why("running", scenes::running());
}

#[test]
fn rules_are_refused_and_messages_late() {
    assert_why("refused_rules", scenes::refused_rules());
    assert_snapshot("why_late", &scenes::late().run(&["why", "collect_rivers"]));
}

#[test]
fn operators_have_intervened() {
    assert_why("operated", scenes::operated());
}

#[test]
fn as_json() {
    let mut failed = scenes::failed_runs();
    let failed_run = failed.run_of("download_weather").0.to_string();
    let pending = failed.pending_run_of("make_plots").0.to_string();
    let mut joins = scenes::open_joins();
    let join = joins.open_join().0.to_string();
    let mut parked = scenes::bad_messages();
    let message = parked.parked().0.to_string();
    let mut held = scenes::pending_launches();
    let hold = held.hold().0.to_string();
    let texts = [
        failed.run(&["why", "--json", &failed_run]),
        failed.run(&["why", "--json", &pending]),
        joins.run(&["why", "--json", &join]),
        joins.run(&["why", "--json", "make_forcing"]),
        parked.run(&["why", "--json", &message]),
        held.run(&["why", "--json", &hold]),
        held.run(&["why", "--json", "make_plots"]),
    ];
    assert_snapshot("why_json", &texts.join("\n"));
}
