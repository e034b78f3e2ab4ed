//! Text from outside that would forge a line of a log, or control a terminal.

use crate::support::system::system;

/// Clears the screen, begins a line that looks like the manager's, and turns the direction of writing.
const HOSTILE: &str = r"a\e[2J\n2026-03-14 04:40:12,000 CRITICAL [manager] forged\u202e\x9b31m\r";

/// What of it would be obeyed, or taken for a record.
fn expect_harmless(what: &str, text: &str) {
    assert!(text.contains("forged"), "{what}: {text}");
    for letter in ['\x1b', '\r', '\u{9b}', '\u{202e}'] {
        assert!(!text.contains(letter), "{what}: {letter:?} in {text:?}");
    }
    assert!(!text.lines().any(|line| line.starts_with("2026-03-14 04:40:12,000")), "{what}: {text}");
}

#[test]
fn no_text_of_a_message_forges_a_line_or_controls_a_terminal() {
    let system = system().rules("function after_sleep(msg) error(msg.payload) end").start();
    system.send_raw(format!("{{source: \"{HOSTILE}\", type: success, payload: null}}"));
    system.send_raw(format!("{{source: sleep, type: \"{HOSTILE}\", payload: null}}"));
    system.send_raw(format!("{{source: sleep, type: success, payload: \"{HOSTILE}\"}}"));
    system.works();
    expect_harmless("console", &system.log("manager"));
    let file = std::fs::read_to_string(system.path("nowcast.log")).expect("the log");
    expect_harmless("file", &file);
    assert!(
        file.contains("message received from unregistered worker: a\\x1b[2J\n  2026-03-14 04:40:12,000"),
        "{file}"
    );
    for arguments in [&["messages"][..], &["why", "2"], &["why", "3"], &["why", "4"], &["checklist", "show"]]
    {
        let (_, text) = system.operation(arguments);
        expect_harmless(&arguments.join(" "), &text);
    }
    // One line of the rule's error: its end is cut off.
    let (_, text) = system.operation(&["status"]);
    assert!(text.contains(r"rule failed: next_workers.lua:6: a\x1b[2J") && !text.contains('\x1b'), "{text}");
}

#[test]
fn the_output_of_a_worker_does_not_control_a_terminal_unless_it_is_asked_for() {
    let system = system()
        .worker("shown: {success: it is shown, failure: it is not, crash: it crashed}")
        .rules("function after_shown() return {} end")
        .section("workers: {shown: {exec: [cat, '{folder}/hostile']}}")
        .file("hostile", "a\x1b[2J\u{202e}\u{9b}31mforged\r\n")
        .start();
    system.operate(&["launch", "shown"]);
    system.wait_for_log("manager", "received message from shown: (success)");
    let text = system.operate(&["tail", "shown"]);
    expect_harmless("tail", &text);
    assert!(text.contains(r"a\x1b[2J\u202e\x9b31mforged"), "{text}");
    let raw = system.operate(&["tail", "--raw", "shown"]);
    assert!(raw.contains("a\x1b[2J\u{202e}\u{9b}31mforged\r\n"), "{raw:?}");
}

#[test]
fn the_last_line_of_a_failed_run_does_not_control_a_terminal() {
    let system = system()
        .worker("shown: {success: it is shown, failure: it is not, crash: it crashed}")
        .only_rules("function after_shown() return {} end function after_sleep() return {} end function after_keyless() return {} end")
        .section("workers: {shown: {exec: [sh, -c, 'cat \"$0\"; exit 1', '{folder}/hostile']}}")
        .file("hostile", "a\x1b]0;title\x07\x1b[2J\u{202e}\u{9b}31mforged\n")
        .start();
    system.operate(&["launch", "shown"]);
    system.wait_for_log("manager", "received message from shown: (crash)");
    system.wait_for("the failed run", || system.operation(&["status"]).1.contains("FAILED").then_some(()));
    for arguments in [&["status"][..], &["status", "--json"], &["why", "shown"]] {
        expect_harmless(&arguments.join(" "), &system.operation(arguments).1);
    }
}
