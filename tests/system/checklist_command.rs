//! `nowcast checklist`: looked at in the journal, changed through the manager.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::support::system::{NOWCAST, system};

#[test]
fn it_is_shown_whole_and_in_parts() {
    let system = system().start();
    system.send(
        "sleep",
        "success",
        "{z: [a, {b: 2026-03-14}], '00': \"2026-03-14\", 12: half, text: yes please}",
    );
    assert_eq!(
        system.operate(&["checklist", "show"]),
        "sleepyhead:\n  z:\n  - a\n  - b: 2026-03-14\n  '00': '2026-03-14'\n  12: half\n  text: yes please\n"
    );
    assert_eq!(
        system.operate(&["checklist", "show", "--json"]).split_whitespace().collect::<String>(),
        "{\"sleepyhead\":{\"z\":[\"a\",{\"b\":\"2026-03-14\"}],\"00\":\"2026-03-14\",\"12\":\"half\",\"text\":\"yesplease\"}}"
    );
    for (keys, expected) in [
        (&["text"][..], "yes please\n"),
        (&["00"], "2026-03-14\n"),
        (&["12"], "half\n"),
        (&["z", "1", "b"], "2026-03-14\n"),
        (&["z"], "- a\n- b: 2026-03-14\n"),
    ] {
        assert_eq!(
            system.operate(&[&["checklist", "get", "sleepyhead"], keys].concat()),
            expected,
            "{keys:?}"
        );
    }
}

#[test]
fn a_key_that_is_not_there_is_status_1_with_those_that_are() {
    let system = system().start();
    system.send("sleep", "success", "{'00': 1, '06': [7]}");
    for (keys, expected) in [
        (&["weather"][..], "\"weather\" is not in the checklist; there are: sleepyhead"),
        (&["sleepyhead", "12"], "\"12\" is not in sleepyhead; there are: 00, 06"),
        (&["sleepyhead", "06", "1"], "\"1\" is not in sleepyhead: 06; there is a list: 0 to 0"),
        (
            &["sleepyhead", "00", "x"],
            "\"x\" is not in sleepyhead: 00; there is an integer, which has no keys",
        ),
    ] {
        let (status, text) = system.operation(&[&["checklist", "get"], keys].concat());
        assert_eq!((status, text.trim_end()), (Some(1), expected));
    }
}

#[test]
fn a_value_is_set_under_the_keys_that_are_there_or_new_ones() {
    let system = system().start();
    system.send("sleep", "success", "{12: half, list: [1]}");
    system.operate(&["checklist", "set", "sleepyhead", "12", "2026-03-14"]);
    system.operate(&["checklist", "set", "rivers", "06", "[a, b]"]);
    system.wait_for_checklist("{sleepyhead: {12: 2026-03-14, list: [1]}, rivers: {'06': [a, b]}}");
    let (status, text) = system.operation(&["checklist", "set", "sleepyhead", "list", "0", "5"]);
    assert_eq!(status, Some(1));
    assert!(text.contains("set the whole list"), "{text}");
    let (status, text) = system.operation(&["checklist", "set", "rivers", "{a"]);
    assert_eq!(status, Some(2));
    assert!(text.contains("the value is not valid YAML"), "{text}");
}

#[test]
fn clearing_while_a_run_is_open_is_refused_unless_it_is_forced() {
    let system = system().start();
    system.send("awaken", "success", "{a: 1}");
    system.operate(&["launch", "sleep", "--sleep-time", "1000"]);
    system.wait_for_log("manager", "launching NextWorker(module='sleep'");
    let (status, text) = system.operation(&["checklist", "clear"]);
    assert_eq!(status, Some(1));
    assert!(text.contains("sleep #"), "{text}");
    assert_eq!(system.operate(&["checklist", "get", "sleepyhead", "a"]), "1\n");
    system.operate(&["checklist", "clear", "--force"]);
    assert_eq!(system.operate(&["checklist", "show"]), "{}\n");
    let run: serde_json::Value = serde_json::from_str(&system.operate(&["runs", "--json"])).expect("JSON");
    system.operate(&["kill", &run[0]["number"].to_string()]);
}

/// The command on a terminal, with a typed answer.
fn clear_on_a_terminal(folder: &std::path::Path, answer: &str) -> String {
    let mut child = Command::new("python3")
        .args([
            "-c",
            "import pty, sys; pty.spawn(sys.argv[1:])",
            NOWCAST,
            "checklist",
            "clear",
            "-c",
            "nowcast.yaml",
        ])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    child.stdin.take().expect("a pipe").write_all(answer.as_bytes()).expect("typed");
    String::from_utf8_lossy(&child.wait_with_output().expect("it ends").stdout).into_owned()
}

#[test]
fn on_a_terminal_clearing_asks_and_names_the_open_runs() {
    let system = system().start();
    system.send("awaken", "success", "{a: 1}");
    system.operate(&["launch", "sleep", "--sleep-time", "1000"]);
    system.wait_for_log("manager", "launching NextWorker(module='sleep'");
    let text = clear_on_a_terminal(&system.path(""), "n\n");
    assert!(text.contains("sleep #") && text.contains("not cleared"), "{text}");
    assert_eq!(system.operate(&["checklist", "get", "sleepyhead", "a"]), "1\n");
    let text = clear_on_a_terminal(&system.path(""), "y\n");
    assert!(text.contains("checklist cleared"), "{text}");
    assert_eq!(system.operate(&["checklist", "show"]), "{}\n");
    let run: serde_json::Value = serde_json::from_str(&system.operate(&["runs", "--json"])).expect("JSON");
    system.operate(&["kill", &run[0]["number"].to_string()]);
}

#[test]
fn a_historical_checklist_is_a_file_that_the_manager_reads() {
    let system = system().start();
    system.send("sleep", "success", "{'00': \"2026-03-14\", 1: 2026-03-14}");
    let messages: serde_json::Value =
        serde_json::from_str(&system.operate(&["messages", "--json"])).expect("JSON");
    let number = messages[0]["number"].to_string();
    let before = "{sleepyhead: {'00': \"2026-03-14\", 1: 2026-03-14}}";
    system.wait_for_checklist(before);
    system.send("sleep", "success", "{'00': later}");
    system.wait_for_checklist("{sleepyhead: {'00': later, 1: 2026-03-14}}");
    let output = system.command(&["checklist", "at", &number]).output().expect("it runs");
    fs::write(system.path("checklist.yaml"), output.stdout).expect("written");
    system.signal("manager", Signal::HUP);
    system.wait_for("the historical checklist", || {
        let text = system.operate(&["checklist", "get", "sleepyhead", "00"]);
        (text == "2026-03-14\n").then_some(())
    });
    system.wait_for_checklist(before);
    let (status, text) = system.operation(&["checklist", "at", "9999"]);
    assert_eq!(status, Some(1));
    assert!(text.contains("there is no event #9999 yet"), "{text}");
}
