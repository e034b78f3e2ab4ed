//! `nowcast backup`: a whole journal in one file, whatever happens meanwhile.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::lost::load::counting;
use crate::support::system::{System, system};

/// Write a backup; return its JSON.
pub fn back_up(system: &System, file: &str) -> Value {
    serde_json::from_str(&system.operate(&["backup", file, "--json"])).expect("JSON")
}

/// Send messages of one worker until the end; return how many were acknowledged.
fn send_until(system: &System, end: &AtomicBool) -> u64 {
    let mut sent = 0;
    while !end.load(Ordering::Relaxed) {
        assert_eq!(system.send("w0", "success", &format!("{{n: {sent}, m{sent}: true}}")), "ack");
        sent += 1;
    }
    sent
}

/// Do something while messages come all the time.
pub fn under_load<T>(system: &System, act: impl FnOnce() -> T) -> T {
    let end = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let load = scope.spawn(|| send_until(system, &end));
        let done = act();
        end.store(true, Ordering::Relaxed);
        assert!(load.join().expect("each message was answered") > 0);
        done
    })
}

fn expect_whole(file: &Path) {
    assert_eq!(fs::metadata(file).expect("the backup").permissions().mode() & 0o7777, 0o600);
    let database = rusqlite::Connection::open(file).expect("a database");
    let text = |pragma: &str| database.query_row(pragma, [], |row| row.get::<_, String>(0)).expect("a row");
    assert_eq!(text("PRAGMA integrity_check"), "ok");
    assert_eq!(text("PRAGMA journal_mode"), "delete", "it is one file without a log");
}

#[test]
fn backups_under_load_are_whole_and_each_has_what_was_acknowledged_before() {
    let system = counting().start();
    let last = under_load(&system, || {
        let mut last = 0;
        for number in 0..5 {
            let before = system.log("manager").matches("received message from w0").count();
            system.wait_for_log_count("manager", "received message from w0", before + 3);
            let name = format!("backup-{number}.sqlite");
            let backup = back_up(&system, &name);
            let event = backup["last_event"]["number"].as_u64().expect("a number");
            assert!(event > last, "{backup}");
            last = event;
            expect_whole(&system.path(&name));
            let sum =
                std::process::Command::new("sha256sum").arg(system.path(&name)).output().expect("a sum");
            assert!(
                String::from_utf8_lossy(&sum.stdout).starts_with(backup["sha256"].as_str().expect("a text"))
            );
        }
        last
    });
    let text = system.operate(&["backup", "last.sqlite"]);
    assert!(text.contains("events   ") && text.contains("the last one #"), "{text}");
    assert!(back_up(&system, "later.sqlite")["last_event"]["number"].as_u64() > Some(last));
}

#[test]
fn a_backup_replaces_a_file_only_if_asked_and_never_a_part_of_the_journal() {
    let system = system().start();
    system.works();
    fs::write(system.path("kept.sqlite"), "the only copy").expect("written");
    let (status, text) = system.operation(&["backup", "kept.sqlite"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("exists already and is not replaced") && text.contains("--force"), "{text}");
    assert_eq!(fs::read_to_string(system.path("kept.sqlite")).expect("readable"), "the only copy");
    system.operate(&["backup", "kept.sqlite", "--force"]);
    expect_whole(&system.path("kept.sqlite"));
    for inside in ["checklist.journal/journal.sqlite", "checklist.journal/runs/copy.sqlite"] {
        let (status, text) = system.operation(&["backup", inside, "--force"]);
        assert_eq!(status, Some(1), "{text}");
        assert!(text.contains("is in the journal's folder"), "{text}");
    }
    system.works();
    let (status, text) = system.operation(&["backup", "missing/backup.sqlite"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("missing/backup.sqlite cannot be written"), "{text}");
}

#[test]
fn a_damaged_journal_is_not_backed_up_over_a_good_backup() {
    let mut system = system().start();
    system.works();
    system.operate(&["backup", "good.sqlite"]);
    let good = fs::read(system.path("good.sqlite")).expect("the backup");
    system.signal("manager", rustix::process::Signal::TERM);
    system.wait_for_end("manager");
    let database =
        rusqlite::Connection::open(system.path("checklist.journal/journal.sqlite")).expect("the database");
    database.execute("UPDATE events SET at = 'yesterday'", []).expect("damaged");
    drop(database);
    let (status, text) = system.operation(&["backup", "good.sqlite", "--force"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("the journal is damaged, so no backup was written"), "{text}");
    assert_eq!(fs::read(system.path("good.sqlite")).expect("the backup"), good);
    assert!(!system.path("good.sqlite.unfinished").exists());
}

/// Mounting a disk needs root.
#[cfg(feature = "system-tests")]
#[test]
fn a_full_disk_leaves_no_part_of_a_backup() {
    use crate::support::disk::Disk;

    let system = system().start();
    system.works();
    let _disk = Disk::mount(&system.path("disk"), "size=64k");
    let (status, text) = system.operation(&["backup", "disk/backup.sqlite"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("disk/backup.sqlite") && text.contains("full"), "{text}");
    assert_eq!(fs::read_dir(system.path("disk")).expect("the disk").count(), 0);
}

#[cfg(feature = "failpoints")]
#[test]
fn a_backup_that_is_killed_has_its_name_only_if_it_is_whole_and_the_next_one_removes_the_rest() {
    use nowcast::failpoint::BACKUP;

    let system = system().start();
    system.works();
    for point in BACKUP {
        let mut killed = system.command(&["backup", "backup.sqlite"]);
        let status = killed.env("FAILPOINTS", format!("{point}=return")).status().expect("it starts");
        assert!(!status.success(), "{point}");
        let is_named = system.path("backup.sqlite").exists();
        assert_eq!(is_named, point == "backup: renamed");
        if is_named {
            expect_whole(&system.path("backup.sqlite"));
        }
        system.operate(&["backup", "backup.sqlite", "--force"]);
        expect_whole(&system.path("backup.sqlite"));
        assert!(!system.path("backup.sqlite.unfinished").exists(), "{point}");
        fs::remove_file(system.path("backup.sqlite")).expect("removed");
    }
}
