//! Holds: held launches wait, in order, until an operator releases them.

use nowcast_core::hold::HoldTarget;
use nowcast_core::{Command, Ending, Number};

use crate::decisions::story::{configured, delayed, launch, nothing, quiet, story, worker};

#[test]
fn a_held_worker_waits_and_others_do_not() {
    let mut manager = story(|_, _| Ok(launch(&["rivers", "ssh"])));
    let hold = manager.holds(HoldTarget::Worker("rivers".into()));
    assert_eq!(manager.hears("weather", "success", "null").launched, ["ssh"]);
    assert!(manager.passes(3_600).launched.is_empty());
    let (answer, heard) = manager.asks(Command::Release { number: hold });
    assert_eq!(answer.text, format!("hold {hold} of worker rivers has ended"));
    assert_eq!(heard.launched, ["rivers"]);
}

#[test]
fn a_held_host_waits() {
    let mut manager = quiet("{}");
    let hold = manager.holds(HoldTarget::Host("robot.nibi".into()));
    let mut remote = worker("rivers");
    remote.host = "robot.nibi".into();
    let waits = manager.wants(remote);
    let goes = manager.wants(worker("rivers"));
    assert!(manager.state.runs[&goes].is_running() && !manager.state.runs[&waits].is_running());
    assert_eq!(manager.asks(Command::Release { number: hold }).1.runs, [waits]);
}

#[test]
fn held_launches_are_released_in_the_order_of_their_requests() {
    let mut manager = quiet("{}");
    let hold = manager.holds(HoldTarget::All);
    let requested: Vec<Number> =
        ["upload", "weather", "ssh", "weather"].into_iter().map(|name| manager.wants(worker(name))).collect();
    assert_eq!(manager.asks(Command::Release { number: hold }).1.runs, requested);
}

#[test]
fn a_hold_ends_at_its_time() {
    let mut manager = quiet("{}");
    let until = Some((&manager.now + jiff::SignedDuration::from_secs(7_200)).timestamp());
    let reason = Some("maintenance".to_owned());
    manager.asks(Command::Hold { target: HoldTarget::All, until, duration: None, reason });
    manager.wants(worker("weather"));
    assert!(manager.passes(7_199).launched.is_empty());
    let heard = manager.passes(1);
    assert_eq!(heard.launched, ["weather"]);
    assert!(heard.says("INFO", "of all has ended"));
    assert!(manager.state.holds.is_empty());
}

#[test]
fn every_hold_must_be_over() {
    let mut manager = quiet("{}");
    let holds = [manager.holds(HoldTarget::All), manager.holds(HoldTarget::Worker("weather".into()))];
    manager.wants(worker("weather"));
    assert!(manager.asks(Command::Release { number: holds[0] }).1.launched.is_empty());
    assert_eq!(manager.asks(Command::Release { number: holds[1] }).1.launched, ["weather"]);
}

#[test]
fn time_hold_and_limit_stand_together() {
    let mut manager = configured("{weather: {max running: 1}}", |_, _| Ok(nothing()));
    let running = manager.wants(worker("weather"));
    let hold = manager.holds(HoldTarget::Worker("weather".into()));
    let waits = manager.wants(delayed("weather", 60));
    let (answer, heard) = manager.asks(Command::Release { number: waits });
    assert!(answer.done && heard.launched.is_empty(), "that it waits for its time no more lifts no hold");
    assert!(manager.passes(120).launched.is_empty());
    assert!(manager.asks(Command::Release { number: hold }).1.launched.is_empty(), "one runs already");
    let hold = manager.holds(HoldTarget::All);
    assert!(manager.ends(running, Ending::Status(0)).launched.is_empty());
    assert_eq!(manager.asks(Command::Release { number: hold }).1.runs, [waits]);
}

#[test]
fn a_hold_ends_in_the_moment_in_which_a_run_is_out_of_time() {
    let mut manager = configured("{weather: {max running: 1, timeout: 1h}}", |_, _| Ok(nothing()));
    let late = manager.wants(worker("weather"));
    let until = Some((&manager.now + jiff::SignedDuration::from_secs(3_600)).timestamp());
    manager.asks(Command::Hold { target: HoldTarget::All, until, duration: None, reason: None });
    let waits = manager.wants(worker("weather"));
    let other = manager.wants(worker("ssh"));
    let heard = manager.passes(3_600);
    assert_eq!((heard.stop_requested, heard.runs), (vec![late], vec![other]));
    assert_eq!(manager.ends(late, Ending::Killed(15)).runs, [waits]);
}

#[test]
fn a_retry_is_held_too() {
    let mut manager = configured("{weather: {retries: 1}}", |_, _| Ok(nothing()));
    let run = manager.wants(worker("weather"));
    let hold = manager.holds(HoldTarget::All);
    manager.ends(run, Ending::Killed(9));
    assert!(manager.passes(60).launched.is_empty());
    assert_eq!(manager.asks(Command::Release { number: hold }).1.launched, ["weather"]);
}
