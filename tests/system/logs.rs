//! `nowcast logs`: the log files of a system, whatever rotation has made of them.

use std::fs;
use std::io::Write;

use serde_json::Value;

use crate::detached::{Detached, prepared};
use crate::support::system::{System, system};

/// A system without a section `logging`, so with the default log files.
fn with_default_logs() -> Detached {
    let system = prepared(system());
    let text = fs::read_to_string(system.config()).expect("a configuration");
    let (begin, rest) = text.split_once("logging:\n").expect("the section");
    let (_, end) = rest.split_once("zmq:\n").expect("the next one");
    fs::write(system.config(), format!("{begin}zmq:\n{end}")).expect("written");
    system
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

/// Append a line to a log file as a program does.
fn append(system: &System, file: &str, line: &str) {
    let mut file = fs::File::options().append(true).create(true).open(system.path(file)).expect("a file");
    file.write_all(line.as_bytes()).expect("written");
}

#[test]
fn the_lines_of_all_programs_are_shown_and_can_be_selected() {
    let system = with_default_logs();
    system.operate(&["up", "--detach"]);
    system.works();
    let all = system.operate(&["logs"]);
    assert!(all.contains("INFO [message_broker] running in process"), "{all}");
    assert!(all.contains("INFO [manager] running in process") && !all.contains("DEBUG"), "{all}");
    let times = lines(&all).into_iter().filter_map(|line| line.split_once(',').map(|(second, _)| second));
    assert!(times.filter(|second| second.starts_with('2')).is_sorted(), "{all}");
    let manager = system.operate(&["logs", "manager", "--level", "debug", "-n", "3"]);
    assert_eq!(lines(&manager).len(), 3, "{manager}");
    assert!(
        manager.ends_with("DEBUG [manager] listening...\n") && !manager.contains("message_broker"),
        "{manager}"
    );

    // What a terminal would obey, and a text of several lines.
    append(&system, "logs/nowcast.log", "2099-01-01 00:00:00,000 ERROR [plot] a \u{1b}[31mred\n  second\n");
    let json: Value = serde_json::from_str(&system.operate(&["logs", "plot", "--json"])).expect("JSON");
    assert_eq!(json[0]["text"], "2099-01-01 00:00:00,000 ERROR [plot] a \u{1b}[31mred\n  second");
    assert_eq!((&json[0]["level"], &json[0]["name"]), (&40.into(), &"plot".into()));
    let shown = system.operate(&["logs", "--level", "error", "--since", "2026-01-01"]);
    assert_eq!(shown, "2099-01-01 00:00:00,000 ERROR [plot] a \\x1b[31mred\n  second\n");
    assert_eq!(system.operate(&["logs", "--until", "2020-01-01"]), "");
    // The checklist has a file of its own.
    append(&system, "logs/checklist.log", "2099-01-01 00:00:00,000 INFO [checklist] a: 1\n");
    assert!(!system.operate(&["logs"]).contains("[checklist]"));
    assert!(system.operate(&["logs", "checklist"]).ends_with("INFO [checklist] a: 1\n"));
}

#[test]
fn what_the_manager_logged_around_a_message_is_found_by_its_number() {
    let system = with_default_logs();
    system.operate(&["up", "--detach"]);
    system.works();
    system.works();
    let messages: Value = serde_json::from_str(&system.operate(&["messages", "--json"])).expect("JSON");
    let number = messages[1]["number"].to_string();
    let command = format!("nowcast logs --around {number}");
    assert!(system.operate(&["why", &number]).contains(&command));
    let text = system.operate(&["logs", "--around", &number, "-n", "4"]);
    let (before, after) = text.split_once(&format!("--- the decision of #{number} at ")).expect("the moment");
    let entries = lines(before).iter().filter(|line| !line.starts_with(' ')).count();
    assert_eq!(entries, 4, "{text}");
    assert!(after.contains("[manager]"), "{text}");
    assert!(!text.contains("[message_broker]"), "{text}");
    let (status, text) = system.operation(&["logs", "--around", "99999"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("nothing has the number #99999"), "{text}");
}

#[test]
fn following_survives_rotation() {
    let mut system = with_default_logs();
    fs::create_dir(system.path("logs")).expect("a folder");
    let line = |name: &str| format!("2026-03-14 04:40:12,500 INFO [manager] {name}\n");
    append(&system, "logs/nowcast.log.1", &line("rotated before"));
    append(&system, "logs/nowcast.log", &line("current"));
    let command = system.command(&["logs", "-f"]);
    system.spawn("follow", command);
    system.wait_for_log("follow", "current");
    append(&system, "logs/nowcast.log", &line("last of the file"));
    // Two rotations between two looks: files in the middle are read as well.
    let rename = |from: &str, to: &str| fs::rename(system.path(from), system.path(to)).expect("renamed");
    rename("logs/nowcast.log.1", "logs/nowcast.log.3");
    rename("logs/nowcast.log", "logs/nowcast.log.2");
    append(&system, "logs/nowcast.log.1", &line("in the middle"));
    append(&system, "logs/nowcast.log", &line("of the new file"));
    system.wait_for_log("follow", "of the new file");
    let names = system.log("follow");
    let names: Vec<&str> =
        names.lines().filter_map(|line| line.split_once("[manager] ")).map(|(_, name)| name).collect();
    assert_eq!(names, ["rotated before", "current", "last of the file", "in the middle", "of the new file"]);
}

#[test]
fn without_a_log_file_the_place_of_the_lines_is_named() {
    let system = prepared(system());
    let text = fs::read_to_string(system.config()).expect("a configuration");
    let text = text.replace("handlers: [console, nowcast_log]", "handlers: [console]");
    fs::write(system.config(), text).expect("written");
    let (status, text) = system.operation(&["logs"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("console only: see supervisorctl tail or journalctl"), "{text}");
    system.operate(&["up", "--detach"]);
    let (_, text) = system.operation(&["logs"]);
    assert!(text.contains(&format!("tail -f {}", system.path("logs/up.out").display())), "{text}");

    let none = with_default_logs();
    let (status, text) = none.operation(&["logs"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("the log file ") && text.contains("logs/nowcast.log does not exist yet"), "{text}");
}
