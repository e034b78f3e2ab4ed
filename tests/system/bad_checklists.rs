//! Whatever the checklist file holds, the manager starts, and what was there is kept.

use std::fs;

use crate::support::system::{System, system};

fn start_with(content: &[u8]) -> System {
    let system = system().file("checklist.yaml", content).start();
    system.wait_for_log("manager", "WARNING [manager] checklist load failed:");
    system.wait_for_log("manager", "WARNING [manager] running with empty checklist");
    assert_eq!(
        fs::read(system.path("checklist.yaml.damaged-1")).ok().as_deref(),
        Some(content),
        "{}",
        system.describe()
    );
    system.works();
    assert_eq!(system.send("sleep", "success", "{sleep time: 5}"), "ack");
    system.wait_for_checklist("{sleepyhead: {sleep time: 5}}");
    system
}

#[test]
fn one_cut_short_is_set_aside() {
    start_with(b"sleepyhead: {sleep time: 5, aw");
}

#[test]
fn an_empty_one_is_set_aside() {
    start_with(b"");
}

#[test]
fn a_binary_one_is_set_aside() {
    start_with(b"\x7fELF\x00\x01\xff\xfe");
}

#[test]
fn a_list_is_set_aside() {
    start_with(b"- sleepyhead\n");
}

#[test]
fn a_missing_one_is_said() {
    let system = system().start();
    system.wait_for_log("manager", "WARNING [manager] checklist load failed:");
    system.wait_for_log("manager", "WARNING [manager] running with empty checklist");
}

#[test]
fn a_good_one_is_read_and_shown() {
    let system = system().file("checklist.yaml", "b: {'00': 1}\na: 2026-03-14\n").start();
    system.wait_for_log("manager", "INFO [manager] checklist read from");
    system.wait_for_log(
        "manager",
        "INFO [manager] checklist:\n{'a': datetime.date(2026, 3, 14), 'b': {'00': 1}}",
    );
}

#[test]
fn it_is_ignored_on_demand() {
    let mut system = system().file("checklist.yaml", "sleepyhead: {old: true}\n").prepare();
    system.start_broker();
    system.start_manager(&["--ignore-checklist"]);
    system.send("sleep", "success", "{sleep time: 5}");
    system.wait_for_checklist("{sleepyhead: {sleep time: 5}}");
    assert!(!system.log("manager").contains("checklist read from"));
}

#[test]
fn its_mode_and_a_link_to_it_are_kept() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let system = system().file("web/checklist.yaml", "a: 1\n").prepare();
    let file = system.path("web/checklist.yaml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("a mode");
    symlink(&file, system.path("checklist.yaml")).expect("a link");
    let mut system = system;
    system.start_broker();
    system.start_manager(&[]);
    system.send("sleep", "success", "{sleep time: 5}");
    system.wait_for_checklist("{a: 1, sleepyhead: {sleep time: 5}}");
    assert!(fs::symlink_metadata(system.path("checklist.yaml")).expect("the link").is_symlink());
    assert_eq!(fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_folder_that_cannot_be_written_is_said_and_tried_again() {
    let mut system = system().prepare();
    fs::create_dir(system.path("checklist.yaml.new")).expect("something in the way");
    fs::write(system.path("checklist.yaml.new/x"), "").expect("something in the way");
    system.start_broker();
    system.start_manager(&[]);
    assert_eq!(system.send("sleep", "success", "{sleep time: 5}"), "ack");
    system.wait_for_log("manager", "CRITICAL [manager] the checklist file cannot be written");
    fs::remove_dir_all(system.path("checklist.yaml.new")).expect("the way is free");
    system.wait_for_log("manager", "the checklist file could be written again");
    system.wait_for_checklist("{sleepyhead: {sleep time: 5}}");
}

#[test]
fn a_pipe_in_its_place_does_not_stop_the_manager() {
    let mut system = system().prepare();
    let made = std::process::Command::new("mkfifo").arg(system.path("checklist.yaml")).status();
    assert!(made.is_ok_and(|status| status.success()));
    system.start_broker();
    system.start_manager(&[]);
    system.wait_for_log("manager", "it is not a regular file");
    system.works();
}

#[test]
fn a_link_to_a_file_that_is_not_there_yet_stays_a_link() {
    let mut system = system().prepare();
    std::os::unix::fs::symlink("later.yaml", system.path("checklist.yaml")).expect("a link");
    system.start_broker();
    system.start_manager(&[]);
    system.send("sleep", "success", "{sleep time: 5}");
    system.wait_for_checklist("{sleepyhead: {sleep time: 5}}");
    assert!(fs::symlink_metadata(system.path("checklist.yaml")).expect("the link").is_symlink());
    assert!(system.path("later.yaml").is_file());
}
