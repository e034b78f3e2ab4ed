//! The manager itself: signals, files, and when it ends.

use nowcast_core::Level;
use nowcast_core::record::RecordedEvent;
use nowcast_core::{Effect, Ending, Event, Signal};

use crate::decisions::story::{Heard, delayed, failed, join, launch, quiet, stop_of, story, worker};

/// A manager that ends when idle, has launched `weather` and hears this of it: its exit status.
fn status_after(r#type: &str, ending: Ending) -> Option<u8> {
    let mut manager = quiet("{}");
    manager.state.exit_when_idle = true;
    let run = manager.wants(worker("weather"));
    let heard = manager.hears("weather", r#type, "null");
    assert_eq!(stop_of(&heard), None, "the run is still open");
    stop_of(&manager.ends(run, ending))
}

#[test]
fn a_manager_that_ends_when_idle_says_whether_something_crashed() {
    assert_eq!(status_after("success", Ending::Status(0)), Some(0));
    assert_eq!(status_after("failure", Ending::Status(0)), Some(0));
    assert_eq!(status_after("crash", Ending::Status(0)), Some(1));
    assert_eq!(status_after("success", Ending::Status(3)), Some(1));
    assert_eq!(status_after("success", Ending::Killed(9)), Some(1));
}

#[test]
fn a_failed_rule_is_no_good_end() {
    let mut manager = story(|_, _| Err(failed()));
    manager.state.exit_when_idle = true;
    assert_eq!(stop_of(&manager.hears("weather", "success", "null")), Some(1));
}

#[test]
fn a_waiting_join_keeps_a_manager_up() {
    let mut manager = story(|_, _| Ok(join(&[], &["ssh"])));
    manager.state.exit_when_idle = true;
    manager.hears("weather", "success", "null");
    assert!(!manager.state.is_idle());
    let other = manager.hears("rivers", "success", "null");
    assert_eq!(stop_of(&other), None);
}

#[test]
fn a_launch_that_waits_for_its_time_keeps_a_manager_up() {
    let mut manager = quiet("{}");
    manager.state.exit_when_idle = true;
    let run = manager.wants(delayed("weather", 60));
    assert_eq!(manager.passes(60).runs, [run]);
    manager.hears_of(run, "weather", "success");
    assert_eq!(stop_of(&manager.ends(run, Ending::Status(0))), Some(0));
}

#[test]
fn a_manager_waits_for_the_crash_of_a_run_that_said_nothing() {
    let mut manager = story(|message, _| {
        assert_eq!(message.r#type, "crash");
        Ok(launch(&["upload"]))
    });
    manager.state.exit_when_idle = true;
    let run = manager.wants(worker("weather"));
    assert_eq!(stop_of(&manager.ends(run, Ending::Status(0))), None);
    assert_eq!(manager.passes(2).launched, ["upload"]);
    assert!(!manager.state.is_idle());
}

#[test]
fn signals_reload_or_end() {
    let mut manager = quiet("{}");
    let mut heard = |signal| -> Heard { manager.happens(Event::Signal(signal)) };
    let hangup = heard(Signal::Hangup);
    assert_eq!(hangup.log, ["INFO hangup signal (SIGHUP) received; reloading configuration"]);
    assert_eq!(hangup.others, [Effect::Reload]);
    assert_eq!(stop_of(&heard(Signal::Terminate)), Some(0));
    assert_eq!(stop_of(&heard(Signal::Interrupt)), Some(0));
}

#[test]
fn a_file_that_cannot_be_written_is_said_and_nothing_else() {
    let mut manager = quiet("{}");
    let heard = manager.happens(Event::ChecklistNotWritten { reason: "disk full".into() });
    assert!(heard.says(&Level::Critical.to_string(), "disk full"));
    assert!(heard.records.is_empty());
    assert!(manager.happens(Event::ChecklistWriteRecovered).says("WARNING", "written again"));
}

#[test]
fn a_checklist_that_was_edited_is_taken_over_and_kept() {
    let mut manager = quiet("{}");
    let read = |text: &str| pyyaml::read(text).expect("YAML").as_map().expect("a mapping").clone();
    let event = |text: &str| Event::ChecklistRead { checklist: read(text), why: "edited".into() };
    let heard = manager.happens(event("{rivers: 1}"));
    assert_eq!(heard.records[0].event, RecordedEvent::ChecklistRead { why: "edited".into() });
    assert_eq!(heard.others, [Effect::WriteChecklist]);
    assert_eq!(manager.state.checklist.entries(), &read("{rivers: 1}"));
    assert_eq!(manager.state.checklist_event, heard.records[0].number);
    let again = manager.happens(event("{rivers: 1}"));
    assert!(again.records.is_empty() && again.log.is_empty());
}
