//! A log file that several daemons and workers write rotates by itself.

use std::collections::HashMap;
use std::fs;

use regex::Regex;
use rustix::process::Signal;

use crate::support::system::{System, system};

/// The size at which the file rotates: far below what the test writes.
const MAX_BYTES: usize = 4_000;

/// The rounds of the test, and the workers that write at the same time in each.
const ROUNDS: usize = 6;
const WORKERS: usize = 6;

fn self_rotating() -> System {
    let system = system().section("scheduled workers:\n  - sleep: {every: day, at: '05:15'}").prepare();
    let text = fs::read_to_string(system.config()).expect("a configuration");
    let text = text
        .replace(
            "logging:\n",
            &format!("logging:\n  self rotating: {{max bytes: {MAX_BYTES}, handlers: [nowcast_log]}}\n"),
        )
        .replace("/nowcast.log, backupCount: 3", "/nowcast.log, backupCount: 10000");
    fs::write(system.config(), text).expect("written");
    system
}

/// The files, the oldest first.
fn files(system: &System) -> Vec<String> {
    let rotated =
        (1..).map(|number| system.path(&format!("nowcast.log.{number}"))).take_while(|file| file.exists());
    let mut files: Vec<_> = std::iter::once(system.path("nowcast.log")).chain(rotated).collect();
    files.reverse();
    files.iter().map(|file| fs::read_to_string(file).expect("a log file")).collect()
}

#[test]
fn no_line_of_several_daemons_is_lost_or_torn_while_the_file_rotates() {
    let mut system = self_rotating();
    system.start_broker();
    system.start_scheduler(&[]);
    let mut workers = Vec::new();
    for round in 0..ROUNDS {
        system.start_manager(&[]);
        for worker in 0..WORKERS {
            let name = format!("worker-{round}-{worker}");
            let command = system.command(&["worker", "clear_checklist"]);
            system.spawn(&name, command);
            workers.push(name);
        }
        for name in &workers[round * WORKERS..] {
            assert!(system.wait_for_end(name).success(), "{}", system.describe());
        }
        // Also while it rotates the file.
        system.signal("manager", Signal::KILL);
        system.wait_for_end("manager");
    }
    let files = files(&system);
    let heads = Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ \[").expect("a pattern");
    assert!(files.len() > ROUNDS, "{} files", files.len());
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for line in files.iter().flat_map(|file| file.lines()) {
        *counts.entry(line).or_default() += 1;
        // A checklist in the log has lines without a time.
        assert!(heads.find_iter(line).all(|head| head.start() == 0), "torn: {line}");
    }
    // Each program writes the same lines to its console.
    for name in workers.iter().map(String::as_str).chain(["message_broker", "scheduler"]) {
        let console = system.log(if name == "message_broker" { "broker" } else { name });
        assert!(!console.is_empty(), "{name}");
        for line in console.lines() {
            let count = counts.get(line).copied().unwrap_or_default();
            // Programs that start at the same moment may write equal lines.
            assert!(count >= 1, "{name}: lost: {line}");
        }
    }
    let by_number = |name: &str| {
        counts.iter().filter(|(line, _)| line.contains(name)).map(|(_, count)| count).sum::<usize>()
    };
    assert_eq!(by_number("[clear_checklist] running in process "), ROUNDS * WORKERS);
    let longest = files[..files.len() - 1].iter().map(String::len).max().unwrap_or_default();
    assert!(longest <= MAX_BYTES + 2_000, "{longest} bytes");
}
