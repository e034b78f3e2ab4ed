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

const HUGE: u64 = 200 << 30;

fn put_huge(system: &System) {
    let file = fs::File::create(system.path("huge")).expect("a file");
    // A sparse file takes no room.
    file.set_len(HUGE).expect("a length");
    fs::rename(system.path("huge"), system.path("checklist.yaml")).expect("in place");
}

/// Read whole, it would take all memory.
#[test]
fn a_huge_one_is_set_aside_also_at_a_hangup() {
    let mut system = system().prepare();
    put_huge(&system);
    let problem = "is not a checklist: it has more than 1073741824 bytes; it is kept as";
    let is_kept = |number: u32, system: &System| {
        system.wait_for_log_count("manager", problem, number.try_into().expect("small"));
        let kept = fs::metadata(system.path(&format!("checklist.yaml.damaged-{number}")));
        assert!(kept.is_ok_and(|kept| kept.len() == HUGE), "{}", system.describe());
    };
    system.start_broker();
    system.start_manager(&[]);
    is_kept(1, &system);
    system.works();
    put_huge(&system);
    system.signal("manager", rustix::process::Signal::HUP);
    is_kept(2, &system);
    assert_eq!(system.send("sleep", "success", "{sleep time: 5}"), "ack");
    system.wait_for_checklist("{sleepyhead: {sleep time: 5}}");
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
fn an_unwritable_folder_is_reported_and_the_write_retried() {
    let mut system = system().prepare();
    block_writing(&system);
    system.start_broker();
    system.start_manager(&[]);
    assert_eq!(system.send("sleep", "success", "{sleep time: 5}"), "ack");
    system.wait_for_log("manager", "CRITICAL [manager] cannot write the checklist file");
    fs::remove_dir_all(system.path("checklist.yaml.new")).expect("the way is free");
    system.wait_for_log("manager", "the checklist file can be written again");
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

/// Puts something in the way of every write of the checklist file.
fn block_writing(system: &System) {
    fs::create_dir(system.path("checklist.yaml.new")).expect("something in the way");
    fs::write(system.path("checklist.yaml.new/x"), "").expect("something in the way");
}

fn needs(system: &System, key: &str) -> pyyaml::Value {
    system.send_raw(format!("{{source: sleep, type: need, payload: {key}}}")).payload
}

#[test]
fn a_reload_does_not_go_back_to_a_file_that_could_not_be_written() {
    let system = system().start();
    system.send("sleep", "success", "{first: 1}");
    system.wait_for_checklist("{sleepyhead: {first: 1}}");
    block_writing(&system);
    system.send("sleep", "success", "{second: 2}");
    system.signal("manager", rustix::process::Signal::HUP);
    system.wait_for_log("manager", "the checklist file is not read, since it cannot be written");
    assert!(needs(&system, "sleepyhead").get("second").is_some(), "{}", system.describe());
    fs::remove_dir_all(system.path("checklist.yaml.new")).expect("the way is free");
    system.wait_for_checklist("{sleepyhead: {first: 1, second: 2}}");
}

#[test]
fn a_reload_without_a_file_keeps_the_checklist_in_memory_and_writes_it() {
    let system = system().start();
    system.send("sleep", "success", "{sleep time: 5}");
    system.wait_for_checklist("{sleepyhead: {sleep time: 5}}");
    fs::remove_file(system.path("checklist.yaml")).expect("deleted");
    system.signal("manager", rustix::process::Signal::HUP);
    system.wait_for_log("manager", "running with the checklist in memory, and writing it");
    system.wait_for("the file", || system.path("checklist.yaml").is_file().then_some(()));
    system.wait_for_checklist("{sleepyhead: {sleep time: 5}}");
}

#[test]
fn a_large_checklist_that_is_cleared_and_grows_again_is_whole() {
    let system = system().start();
    let text = "x".repeat(1_500_000);
    for round in 0..3 {
        assert_eq!(system.send("sleep", "success", &format!("{{text: {text}}}")), "ack");
        assert_eq!(system.send("clear_checklist", "clear checklist", "null"), "checklist cleared");
        for number in 0..20 {
            assert_eq!(system.send("sleep", "success", &format!("{{'{number}': {round}}}")), "ack");
        }
    }
    let expected = (0..20).map(|number| format!("'{number}': 2")).collect::<Vec<_>>().join(", ");
    system.wait_for_checklist(&format!("{{sleepyhead: {{{expected}}}}}"));
    assert!(!system.log("manager").contains("CRITICAL"), "{}", system.describe());
}

#[test]
fn a_failed_write_of_a_large_checklist_is_reported_and_retried() {
    let system = system().start();
    let text = "x".repeat(1_500_000);
    system.send("sleep", "success", &format!("{{text: {text}}}"));
    system.wait_for("the large file", || system.checklist().get("sleepyhead").map(|_| ()));
    block_writing(&system);
    system.send("sleep", "success", "{more: 1}");
    system.wait_for_log("manager", "CRITICAL [manager] cannot write the checklist file");
    fs::remove_dir_all(system.path("checklist.yaml.new")).expect("the way is free");
    system.wait_for_log("manager", "the checklist file can be written again");
    assert!(system.checklist().get("sleepyhead").is_some_and(|entry| entry.get("more").is_some()));
}

/// Web servers read the file by its group. Giving a file to another group needs root.
#[cfg(feature = "system-tests")]
#[test]
fn its_group_is_kept() {
    use std::os::unix::fs::{MetadataExt, chown};
    let mut system = system().file("checklist.yaml", "a: 1\n").prepare();
    chown(system.path("checklist.yaml"), None, Some(33)).expect("another group");
    system.start_broker();
    system.start_manager(&[]);
    system.send("sleep", "success", "{sleep time: 5}");
    system.wait_for_checklist("{a: 1, sleepyhead: {sleep time: 5}}");
    assert_eq!(fs::metadata(system.path("checklist.yaml")).expect("the file").gid(), 33);
}

/// A full disk: nothing stops, and the file is written when there is room. Mounting needs root.
#[cfg(feature = "system-tests")]
#[test]
fn a_full_disk_is_said_and_the_checklist_is_written_when_there_is_room() {
    use std::process::Command;
    let mut system = system().prepare();
    let disk = system.path("disk");
    fs::create_dir(&disk).expect("a folder");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&disk).status();
    assert!(mounted.is_ok_and(|status| status.success()), "a small disk");
    let unmount = || Command::new("umount").args(["-l"]).arg(&disk).status();
    std::os::unix::fs::symlink(disk.join("checklist.yaml"), system.path("checklist.yaml")).expect("a link");
    fs::write(disk.join("filler"), vec![0; 60_000]).expect("a full disk");
    system.start_broker();
    system.start_manager(&[]);
    let text = "x".repeat(20_000);
    assert_eq!(system.send("sleep", "success", &format!("{{text: {text}}}")), "ack");
    system.wait_for_log("manager", "CRITICAL [manager] cannot write the checklist file");
    system.works();
    fs::remove_file(disk.join("filler")).expect("room");
    system.wait_for_log("manager", "the checklist file can be written again");
    assert!(system.checklist().get("sleepyhead").is_some());
    assert!(unmount().is_ok_and(|status| status.success()));
}
