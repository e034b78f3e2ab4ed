//! What is nested as deeply as it may be is kept and read again; what is nested deeper is refused.

use std::fs;

use rustix::process::Signal;

use crate::support::system::{System, system};

fn nested(depth: usize) -> String {
    "[".repeat(depth) + &"]".repeat(depth)
}

/// Another manager, which has only what was kept; the checklist file must say the same as the journal.
fn starts_again(system: &mut System) {
    let known = system.operate(&["checklist", "show"]);
    system.signal("manager", Signal::KILL);
    system.wait_for_end("manager");
    let _ = fs::remove_file(system.path("checklist.journal/checklist-file"));
    let _ = fs::remove_file(system.path("checklist.yaml"));
    system.start_manager(&[]);
    system.wait_for("the checklist file", || system.path("checklist.yaml").exists().then_some(()));
    assert_eq!(system.operate(&["checklist", "show"]), known);
    let read = pyyaml::write(&system.checklist(), pyyaml::Keys::AsGiven);
    assert!(read == known, "the file is another one");
    system.works();
}

#[test]
fn a_payload_that_could_not_be_read_again_is_refused() {
    let mut system = system().start();
    for depth in [501, 512] {
        let (status, text) = system.operation(&["send", "sleep", "success", &nested(depth)]);
        assert_eq!(status, Some(1), "{text}");
        assert!(
            text.contains(&format!("the payload is nested {depth} deep, and the limit is 500")),
            "{text}"
        );
    }
    system.operate(&["send", "sleep", "success", &nested(500)]);
    starts_again(&mut system);
}

#[test]
fn what_a_worker_sends_as_deeply_as_a_message_can_be_is_read_again() {
    let mut system = system()
        .only_rules("function after_sleep() error('broken') end function after_keyless() return {} end")
        .start();
    assert_eq!(system.send("sleep", "success", &nested(511)), "ack");
    assert_ne!(system.send("sleep", "success", &nested(512)), "ack", "an invalid message");
    starts_again(&mut system);
    assert_eq!(system.send("sleep", "need", "sleepyhead"), "ack");
    let parked = system.operation(&["retry", "--all"]).1;
    assert!(parked.contains("broken"), "{parked}");
    starts_again(&mut system);
}

#[test]
fn a_place_in_the_checklist_that_could_not_be_read_again_is_refused() {
    let mut system = system().start();
    let set = |system: &System, keys: usize, depth: usize| {
        let keys = (0..keys).map(|key| format!("k{key}"));
        let words = ["checklist", "set"].map(str::to_owned).into_iter().chain(keys).chain([nested(depth)]);
        let words: Vec<String> = words.collect();
        system.operation(&words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    for (keys, depth) in [(501, 0), (300, 201), (1, 500), (40_000, 1)] {
        let (status, text) = set(&system, keys, depth);
        assert_eq!(status, Some(1), "{text}");
        let expected = format!("is nested {} deep, and the limit is 500", keys + depth);
        assert!(text.contains(&expected), "{keys} keys: {text}");
    }
    for (keys, depth) in [(499, 1), (300, 200), (1, 499)] {
        let (status, text) = set(&system, keys, depth);
        assert_eq!(status, Some(0), "{text}");
        starts_again(&mut system);
    }
}
