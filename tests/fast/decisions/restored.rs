//! A journal that was restored from a backup: what may have happened since does not begin by itself.

use nowcast_core::hold::HoldTarget;
use nowcast_core::parked::ParkedItem;
use nowcast_core::{Command, Ending, RunId};

use crate::decisions::story::{Story, delayed, quiet, worker};

fn restore(manager: &mut Story, is_latest: bool, launched_since: Vec<RunId>) -> String {
    let command = Command::Restore { file: "backup.sqlite".to_owned(), is_latest, launched_since };
    let (answer, heard) = manager.asks(command);
    assert!(answer.done && heard.launched.is_empty(), "{answer:?}");
    answer.text
}

/// The parked launches, with the reason.
fn parked(manager: &Story) -> Vec<(String, usize)> {
    let of = |parked: &nowcast_core::parked::Parked| match &parked.item {
        ParkedItem::Launches { launches, .. } => Some((parked.reason.clone(), launches.len())),
        ParkedItem::Message { .. } => None,
    };
    manager.state.parked.values().filter_map(of).collect()
}

#[test]
fn pending_launches_are_parked_and_later_ones_held_until_an_operator_releases_them() {
    let mut manager = quiet("{}");
    let running = manager.wants(worker("weather"));
    let since = manager.wants(delayed("rivers", 60));
    manager.wants(delayed("upload", 60));
    let text = restore(&mut manager, false, vec![since]);
    assert!(text.contains("1 run was running, 2 pending launches are parked"), "{text}");
    let reasons = parked(&manager);
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons[0].0.starts_with("was launched after the backup"), "{reasons:?}");
    assert!(reasons[1].0.contains("perhaps launched since"), "{reasons:?}");
    assert!(manager.state.runs[&running].is_restored);
    assert!(manager.passes(3_600).launched.is_empty());
    let released = *manager.state.parked.keys().next().expect("parked");
    let (answer, heard) = manager.asks(Command::Release { number: released });
    assert!(answer.numbers[0] > released && heard.launched.is_empty(), "{answer:?}");
    let hold = manager.state.holds.values().next().expect("a hold");
    assert_eq!(hold.target, HoldTarget::Restored);
    let number = hold.id;
    let (_, heard) = manager.asks(Command::Release { number });
    assert_eq!(heard.launched.len(), 0, "its delay of a minute begins with its release");
    assert_eq!(manager.passes(60).launched.len(), 1);
}

#[test]
fn the_latest_backup_goes_on_but_for_what_was_launched_since() {
    let mut manager = quiet("{}");
    let since = manager.wants(delayed("rivers", 60));
    manager.wants(delayed("upload", 60));
    let text = restore(&mut manager, true, vec![since]);
    assert!(text.contains("1 pending launch is parked"), "{text}");
    assert!(manager.state.holds.is_empty());
    assert_eq!(manager.passes(60).launched.len(), 1);
}

#[test]
fn the_checklist_counts_as_changed_by_the_restore() {
    let mut manager = quiet("{}");
    manager.hears("weather", "success", "{day: 12}");
    let (before, changed_by) = (manager.state.checklist.to_value(), manager.state.checklist_event);
    restore(&mut manager, false, Vec::new());
    assert_eq!(manager.state.checklist.to_value(), before);
    assert!(manager.state.checklist_event > changed_by);
}

#[test]
fn a_retry_of_a_run_that_was_running_is_held() {
    let mut manager = quiet("{weather: {retries: 1}}");
    let running = manager.wants(worker("weather"));
    restore(&mut manager, false, Vec::new());
    manager.ends(running, Ending::NotStarted("its folder is not here".to_owned()));
    assert!(manager.passes(3_600).launched.is_empty());
    let retry = manager.state.runs.values().find(|run| run.retry_of == Some(running));
    assert!(retry.is_some_and(|retry| !retry.is_restored), "{retry:?}");
}
