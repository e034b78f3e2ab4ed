//! The checklist file against the journal, when managers come and go.

use std::fs;

use rustix::process::Signal;

use crate::support::system::{System, system};

fn kill_manager(system: &mut System) {
    system.signal("manager", Signal::KILL);
    system.wait_for_end("manager");
}

/// A system with two keys in its checklist.
fn start() -> System {
    let system = system().start();
    assert_eq!(system.send("sleep", "success", "{day: 12, hour: 4}"), "ack");
    assert_eq!(system.send("rotate_logs", "success", "{files: [a]}"), "ack");
    system.wait_for_checklist(BOTH);
    // Written after the file.
    system.wait_for("the note", || system.path(NOTE).exists().then_some(()));
    system
}

/// The file in which the manager notes what it wrote last.
const NOTE: &str = "checklist.journal/checklist-file";

const NEXT_DAY: &str = "{sleepyhead: {day: 13, hour: 4}, logs: {files: [a]}}";

const BOTH: &str = "{sleepyhead: {day: 12, hour: 4}, logs: {files: [a]}}";

/// Changes the file as a person does with an editor.
fn edit(system: &System, from: &str, to: &str) {
    let text = fs::read_to_string(system.path("checklist.yaml")).expect("the file");
    assert!(text.contains(from), "{text}");
    fs::write(system.path("checklist.yaml"), text.replace(from, to)).expect("written");
}

/// Has the manager read everything again, and waits until it has.
fn reload(system: &System) {
    let before = system.log("manager").matches("reloading configuration").count();
    system.signal("manager", Signal::HUP);
    system.wait_for_log_count("manager", "reloading configuration", before + 1);
    // Answered after that.
    system.works();
}

/// What the manager knows, not the file.
fn needs(system: &System, key: &str) -> String {
    let reply = system.send_raw(format!("{{source: sleep, type: need, payload: {key}}}"));
    let text = pyyaml::write(&reply.payload, pyyaml::Keys::AsGiven);
    // What ends a document that is a single word.
    text.trim_end_matches("...\n").to_owned()
}

/// The first line says which event the file knows of, and is right.
fn expect_seal(system: &System) {
    system.wait_for("a file that is as the manager wrote it", || {
        let text = fs::read(system.path("checklist.yaml")).ok()?;
        nowcast::store::Seal::read(&text).filter(|seal| seal.is_whole)
    });
}

#[test]
fn a_file_that_is_older_than_the_journal_is_written_again() {
    let mut system = start();
    let older = fs::read(system.path("checklist.yaml")).expect("the file");
    let note = fs::read(system.path(NOTE)).expect("the note");
    assert_eq!(system.send("sleep", "success", "{day: 13}"), "ack");
    system.wait_for_checklist(NEXT_DAY);
    kill_manager(&mut system);
    // As a manager leaves it that is killed after its commit.
    fs::write(system.path("checklist.yaml"), older).expect("written");
    fs::write(system.path(NOTE), note).expect("written");
    system.start_manager(&[]);
    system.wait_for_checklist(NEXT_DAY);
    expect_seal(&system);
    let log = system.log("manager");
    assert!(!log.contains("edited by hand") && !log.contains("is a copy"), "{}", system.describe());
    assert!(!system.path("checklist.yaml.restored-1").exists());
}

/// A copy of the file that was made before the day became 13.
fn backup(system: &System) -> Vec<u8> {
    let backup = fs::read(system.path("checklist.yaml")).expect("the file");
    assert_eq!(system.send("sleep", "success", "{day: 13}"), "ack");
    system.wait_for_checklist(NEXT_DAY);
    backup
}

/// The journal's checklist is used, the backup is kept, and the log says how to use it.
fn expect_restored_is_kept(system: &System, backup: &[u8]) {
    system.wait_for_log("manager", "WARNING [manager] ");
    system.wait_for_log("manager", "is a copy of the file after event ");
    assert_eq!(needs(system, "sleepyhead"), "day: 13\nhour: 4\n");
    system.wait_for_checklist(NEXT_DAY);
    expect_seal(system);
    assert_eq!(fs::read(system.path("checklist.yaml.restored-1")).expect("it is kept"), backup);
    let log = system.log("manager");
    let (_, hint) = log.split_once("To go back to the copy: ").expect("a command");
    let command = hint.split(", then SIGHUP").next().expect("a command");
    let status = std::process::Command::new("sh").args(["-c", command]).status().expect("it runs");
    assert!(status.success(), "{command}");
    reload(system);
    system.wait_for_checklist(BOTH);
    assert_eq!(needs(system, "sleepyhead"), "day: 12\nhour: 4\n");
    // Until the manager has written the file, it is the copy.
    expect_seal(system);
}

#[test]
fn a_backup_that_is_restored_while_no_manager_runs_is_kept_and_the_log_says_how_to_use_it() {
    let mut system = start();
    let backup = backup(&system);
    kill_manager(&mut system);
    fs::write(system.path("checklist.yaml"), &backup).expect("written");
    system.start_manager(&[]);
    expect_restored_is_kept(&system, &backup);
    // Another manager has nothing to say.
    kill_manager(&mut system);
    system.start_manager(&[]);
    assert_eq!(system.log("manager").matches("is a copy of the file after event ").count(), 1);
}

#[test]
fn a_backup_that_is_restored_before_sighup_is_kept_too() {
    let system = start();
    let backup = backup(&system);
    fs::write(system.path("checklist.yaml"), &backup).expect("written");
    reload(&system);
    expect_restored_is_kept(&system, &backup);
}

#[test]
fn a_changed_file_that_is_in_the_way_of_a_write_is_kept() {
    let system = start();
    edit(&system, "hour: 4", "hour: 5");
    let edited = fs::read(system.path("checklist.yaml")).expect("the file");
    assert_eq!(system.send("sleep", "success", "{day: 13}"), "ack");
    system.wait_for_checklist(NEXT_DAY);
    system.wait_for_log("manager", "was changed by another program, and then the checklist changed");
    let copy = system.path("checklist.yaml.changed-1");
    assert_eq!(fs::read(&copy).expect("it is kept"), edited);
    fs::copy(&copy, system.path("checklist.yaml")).expect("put back");
    reload(&system);
    system.wait_for_checklist("{sleepyhead: {day: 13, hour: 5}, logs: {files: [a]}}");
    // A file that is only touched, or replaced by the same, has no changes.
    expect_seal(&system);
    let same = fs::read(system.path("checklist.yaml")).expect("the file");
    fs::remove_file(system.path("checklist.yaml")).expect("removed");
    fs::write(system.path("checklist.yaml"), same).expect("written");
    assert_eq!(system.send("sleep", "success", "{day: 14}"), "ack");
    system.wait_for_checklist("{sleepyhead: {day: 14, hour: 5}, logs: {files: [a]}}");
    assert!(!system.path("checklist.yaml.changed-2").exists());
}

#[test]
fn an_edit_while_no_manager_is_there_is_taken_over_and_what_is_newer_is_kept() {
    let mut system = start();
    let older = fs::read(system.path("checklist.yaml")).expect("the file");
    assert_eq!(system.send("sleep", "success", "{day: 13}"), "ack");
    assert_eq!(system.send("keyless", "success", "null"), "ack");
    kill_manager(&mut system);
    fs::write(system.path("checklist.yaml"), older).expect("written");
    edit(&system, "hour: 4", "hour: 5");
    system.start_manager(&[]);
    system.wait_for_log("manager", "WARNING [manager] ");
    system.wait_for_log("manager", "was edited by hand after event");
    system.wait_for_checklist("{sleepyhead: {day: 13, hour: 5}, logs: {files: [a]}}");
    expect_seal(&system);
    // It is in the journal, so a later manager knows it, too, and says nothing more.
    kill_manager(&mut system);
    system.start_manager(&[]);
    assert_eq!(needs(&system, "sleepyhead"), "day: 13\nhour: 5\n");
    assert_eq!(system.log("manager").matches("was edited by hand").count(), 1);
}

#[test]
fn an_edit_while_the_manager_runs_is_taken_over_at_sighup() {
    let system = start();
    edit(&system, "files:\n", "added: true\n  files:\n");
    reload(&system);
    let with_edit = "{sleepyhead: {day: 12, hour: 4}, logs: {added: true, files: [a]}}";
    system.wait_for_checklist(with_edit);
    assert!(system.log("manager").contains("was edited by hand after event"), "{}", system.describe());
    expect_seal(&system);
    reload(&system);
    assert_eq!(system.log("manager").matches("was edited by hand").count(), 1);
}

#[test]
fn a_key_that_is_removed_by_hand_stays_removed() {
    let mut system = start();
    edit(&system, "logs:", "other:");
    reload(&system);
    system.wait_for_checklist("{sleepyhead: {day: 12, hour: 4}, other: {files: [a]}}");
    kill_manager(&mut system);
    system.start_manager(&[]);
    assert_eq!(needs(&system, "logs"), "null\n");
}

#[test]
fn a_file_that_nemo_nowcast_wrote_wins() {
    let mut system = start();
    kill_manager(&mut system);
    fs::write(system.path("checklist.yaml"), "sleepyhead: {day: 14}\n").expect("written");
    system.start_manager(&[]);
    system.wait_for_log("manager", "was not written by this system's manager and replaces the checklist");
    assert_eq!(needs(&system, "sleepyhead"), "day: 14\n");
    assert_eq!(needs(&system, "logs"), "null\n");
    system.wait_for_checklist("{sleepyhead: {day: 14}}");
    expect_seal(&system);
}

#[test]
fn an_invalid_checklist_file_is_set_aside_and_the_journal_wins() {
    for content in [&b""[..], b"\x00\xff\x80", b"sleepyhead: {day: 12", b"- a list\n", b"\n"] {
        let mut system = start();
        kill_manager(&mut system);
        fs::write(system.path("checklist.yaml"), content).expect("written");
        system.start_manager(&[]);
        system.wait_for_checklist(BOTH);
        expect_seal(&system);
        let kept = fs::read(system.path("checklist.yaml.damaged-1")).expect("it is kept");
        assert_eq!(kept, content);
        system.wait_for_log("manager", "running with the checklist of the journal, and writing it");
        fs::write(system.path("checklist.yaml"), content).expect("written");
        reload(&system);
        system.wait_for_checklist(BOTH);
        assert_eq!(needs(&system, "logs"), "files:\n- a\n");
    }
}

#[test]
fn a_file_that_is_removed_empties_the_checklist_and_the_journal_keeps_it() {
    let mut system = start();
    kill_manager(&mut system);
    fs::remove_file(system.path("checklist.yaml")).expect("removed");
    system.start_manager(&[]);
    let log = system.log("manager");
    let hint =
        log.lines().find(|line| line.contains("the checklist file is missing")).expect("a line about it");
    assert!(hint.contains("WARNING [manager]"), "{hint}");
    assert!(hint.contains("nowcast checklist at "), "{hint}");
    assert_eq!(needs(&system, "sleepyhead"), "null\n");
    system.wait_for_checklist("{}");
    let number =
        hint.split("checklist at ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a number");
    let number = number.trim_start_matches('#').parse::<u64>().expect("a number");
    let history = nowcast::store::History::open(&system.path("checklist.journal")).expect("the journal");
    let before = history.checklist_before(nowcast_core::Number(number + 1)).expect("the checklist");
    assert_eq!(pyyaml::Value::from(before), pyyaml::read(BOTH).expect("YAML"));
}

#[test]
fn a_manager_with_ignore_checklist_starts_with_an_empty_one() {
    let mut system = start();
    kill_manager(&mut system);
    system.start_manager(&["--ignore-checklist"]);
    assert_eq!(needs(&system, "sleepyhead"), "null\n");
    assert_eq!(system.send("sleep", "success", "{day: 15}"), "ack");
    system.wait_for_checklist("{sleepyhead: {day: 15}}");
    kill_manager(&mut system);
    system.start_manager(&[]);
    assert_eq!(needs(&system, "sleepyhead"), "day: 15\n");
    assert_eq!(needs(&system, "logs"), "null\n");
}

#[test]
fn a_file_of_another_name_that_is_not_there_yet_takes_the_checklist_over() {
    let mut system = start();
    kill_manager(&mut system);
    let config = fs::read_to_string(system.config()).expect("the configuration");
    let moved = config.replace("/checklist.yaml\n", "/moved.yaml\njournal: {folder: checklist.journal}\n");
    assert_ne!(moved, config);
    fs::write(system.config(), moved).expect("written");
    system.start_manager(&[]);
    assert_eq!(needs(&system, "logs"), "files:\n- a\n");
    system.wait_for("the new file", || {
        let text = fs::read(system.path("moved.yaml")).ok()?;
        (pyyaml::read_bytes(&text).ok()? == pyyaml::read(BOTH).ok()?).then_some(())
    });
}
