//! What was acknowledged is there after `kill -9`, and one manager at a time has the journal.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nowcast::store::{History, Journal, JournalError};
use nowcast_core::Number;
use pyyaml::Value;

use crate::journal::day::Day;
use crate::journal::recovery::{assert_recovers, state_of};

/// The environment variable that names the journal's folder to the process that is killed.
const FOLDER: &str = "NOWCAST_JOURNAL_TEST_FOLDER";

/// A process that commits until it is killed: this test executable once more.
fn start(folder: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this executable"))
        .args(["--exact", "journal::durability::commits_until_it_is_killed", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("started")
}

#[test]
#[ignore = "the process that the other test kills"]
fn commits_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let mut journal = Journal::open(Path::new(&folder)).expect("the journal");
    let recovered = journal.load().expect("readable");
    let mut day = Day::new();
    day.state = state_of(&recovered);
    let mut count = count(&recovered.checklist);
    loop {
        for _ in 0..=count % 7 {
            count += 1;
            day.message("weather", "success", &format!("{{count: {count}, rule: launch}}"));
        }
        let last = day.records.last().expect("some").number;
        journal.commit(&std::mem::take(&mut day.records)).expect("kept");
        println!("kept {last} {count}");
        std::io::stdout().flush().expect("said");
        journal.tidy(&day.state.checklist.to_value(), &day.state.cycles, None).expect("tidied");
    }
}

fn count(checklist: &pyyaml::Map) -> i64 {
    let entry = checklist.get(&Value::from("weather forecast"));
    entry.and_then(|entry| entry.get("count")).and_then(Value::as_int).unwrap_or_default()
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    for lines in [1, 2, 40, 150, 3] {
        let mut child = start(folder.path());
        let mut output = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut said = Vec::new();
        while said.len() < lines {
            let line = output.next().expect("it is alive").expect("text");
            said.extend(line.strip_prefix("kept #").map(str::to_owned));
        }
        child.kill().expect("killed");
        child.wait().expect("gone");
        said.extend(
            output.map_while(Result::ok).filter_map(|line| line.strip_prefix("kept #").map(str::to_owned)),
        );

        let journal = Journal::open(folder.path()).expect("the lock went with the process");
        let recovered = journal.load().expect("readable");
        let history = History::open(folder.path()).expect("readable");
        // The last line may be cut off.
        for line in said.iter().filter(|line| line.split(' ').count() == 2) {
            let number: u64 =
                line.split(' ').next().and_then(|number| number.parse().ok()).expect("a number");
            assert!(history.event(Number(number)).expect("readable").is_some(), "{number} was acknowledged");
        }
        let last: i64 =
            said[lines - 1].split(' ').nth(1).and_then(|count| count.parse().ok()).expect("a count");
        assert!(count(&recovered.checklist) >= last);
    }
}

#[test]
fn the_error_of_a_second_manager_names_the_first_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = start(folder.path());
    let mut output = BufReader::new(child.stdout.take().expect("its output")).lines();
    assert!(output.any(|line| line.is_ok_and(|line| line.starts_with("kept #"))));
    let error = Journal::open(folder.path()).expect_err("it is taken");
    assert!(
        matches!(&error, JournalError::Locked { folder: there, pid } if there == folder.path() && *pid == Some(child.id()))
    );
    let text = error.to_string();
    let pid = format!("(process {})", child.id());
    assert!(text.contains(&pid) && text.contains("journal: folder:"), "{text}");
    // Beside it, the history can be read.
    assert!(!History::open(folder.path()).expect("readable").open_now().expect("readable").runs.is_empty());
    child.kill().expect("killed");
    child.wait().expect("gone");
}

#[test]
fn what_a_manager_starts_does_not_keep_the_lock() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = Journal::open(folder.path()).expect("a new journal");
    let mut worker =
        Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("a long process");
    drop(journal);
    let journal = Journal::open(folder.path()).expect("the lock was released");
    assert_recovers(&journal, &Day::new());
    drop(worker.stdin.take());
    worker.wait().expect("gone");
}
