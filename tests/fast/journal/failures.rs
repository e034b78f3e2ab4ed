//! Files that are not what they should be: nothing is overwritten, nothing panics, and the text says what to do.

use std::fs;
use std::path::{Path, PathBuf};

use nowcast::store::journal::EventFilter;
use nowcast::store::{History, Journal, JournalError};
use nowcast_core::Steady;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use rusqlite::Connection;

use crate::journal::day::Day;
use crate::journal::recovery::assert_recovers;

/// A journal with some hundred messages, closed.
fn filled(folder: &Path) -> (PathBuf, Day) {
    let mut day = Day::new();
    for number in 0..300 {
        day.message("weather", "success", &format!("{{n: {number}, rule: launch}}"));
    }
    Journal::open(folder).expect("a new journal").commit(&day.records).expect("kept");
    (folder.join("journal.sqlite"), day)
}

/// Why the journal cannot be used; it is left as it was.
fn refusal(folder: &Path) -> JournalError {
    let file = folder.join("journal.sqlite");
    let before = fs::read(&file).ok();
    let ask = || Journal::open(folder).and_then(|journal| journal.load());
    let error = ask().expect_err("it is refused");
    assert_eq!(fs::read(&file).ok(), before, "it was changed");
    let text = error.to_string();
    assert!(text.contains(&file.display().to_string()), "{text}");
    if before.is_some() {
        History::open(folder).and_then(|history| history.open_now()).expect_err("it is refused here too");
    }
    error
}

#[test]
fn a_file_that_is_not_a_journal_is_left_alone() {
    let other = {
        let folder = tempfile::tempdir().expect("a folder");
        let database = Connection::open(folder.path().join("other")).expect("a database");
        database.execute_batch("CREATE TABLE theirs (a)").expect("a table");
        fs::read(folder.path().join("other")).expect("its bytes")
    };
    for bytes in [b"".as_slice(), b"a", b"checklist: {}\n", &[0; 5000], &other] {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("journal.sqlite"), bytes).expect("a file");
        let error = refusal(folder.path());
        assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
        assert!(
            error.to_string().contains(
                "Restore a backup with \"nowcast restore FILE\", or move the journal's folder aside"
            )
        );
    }
}

#[test]
fn a_truncated_database_is_damage() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, _) = filled(folder.path());
    let whole = fs::read(&file).expect("its bytes");
    for length in [0, 50, 100, 4096, whole.len() / 2, whole.len() - 4096] {
        fs::write(&file, &whole[..length]).expect("cut short");
        let error = refusal(folder.path());
        assert!(matches!(error, JournalError::Damaged { .. }), "{length}: {error}");
    }
}

#[test]
fn a_newer_version_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, _) = filled(folder.path());
    Connection::open(&file)
        .and_then(|db| db.pragma_update(None, "user_version", 10))
        .expect("from the future");
    let error = refusal(folder.path());
    assert!(matches!(error, JournalError::Newer { found: 10, known: 9, .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("has version 10, and this program knows versions up to 9"), "{text}");
}

#[test]
fn a_journal_that_lost_its_log_is_refused_until_the_operator_agrees() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut day, copy) = (Day::new(), tempfile::tempdir().expect("a folder"));
    let mut journal = Journal::open(folder.path()).expect("a new journal");
    day.message("weather", "success", "{rule: launch}");
    journal.commit(&day.records).expect("kept");
    // What is on the disk when the process is killed, but for the log.
    for name in ["journal.sqlite", "lock"] {
        fs::copy(folder.path().join(name), copy.path().join(name)).expect("copied");
    }
    let error = Journal::open(copy.path()).expect_err("it is refused");
    assert!(matches!(error, JournalError::Behind { has: 0, kept: 1, .. }), "{error}");
    assert!(error.to_string().contains("remove the file `lock`"), "{error}");
    fs::remove_file(copy.path().join("lock")).expect("removed");
    assert_recovers(&Journal::open(copy.path()).expect("as the operator wished"), &Day::new());
    // With its log, it is whole.
    let copy = tempfile::tempdir().expect("a folder");
    for name in ["journal.sqlite", "journal.sqlite-wal", "lock"] {
        fs::copy(folder.path().join(name), copy.path().join(name)).expect("copied");
    }
    assert_recovers(&Journal::open(copy.path()).expect("whole"), &day);
}

#[test]
fn without_its_lock_file_it_is_still_locked_and_the_file_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let lock = folder.path().join("lock");
    let mut day = Day::new();
    let mut journal = Journal::open(folder.path()).expect("a new journal");
    for number in 0..3 {
        fs::remove_file(&lock).expect("a lock");
        let error = Journal::open(folder.path()).expect_err("the first one has it");
        assert!(matches!(error, JournalError::Locked { .. }), "{error}");
        let kept = day.records.len();
        day.message("weather", "success", &format!("{{n: {number}}}"));
        journal.commit(&day.records[kept..]).expect("kept");
        let note = fs::read_to_string(&lock).expect("it is there again");
        let last = day.records.last().expect("a record").number.0;
        assert!(note.contains(&format!("last event {last} ")), "{note}");
    }
    drop(journal);
    assert_recovers(&Journal::open(folder.path()).expect("free"), &day);
}

#[test]
fn one_that_was_taken_away_takes_nothing_more() {
    let parent = tempfile::tempdir().expect("a folder");
    let (folder, aside) = (parent.path().join("journal"), parent.path().join("aside"));
    for what in ["", "journal.sqlite"] {
        let mut day = Day::new();
        let mut journal = Journal::open(&folder).expect("a new journal");
        fs::rename(folder.join(what), &aside).expect("moved");
        day.message("weather", "success", "{n: 1}");
        let error = journal.commit(&day.records).expect_err("it would be lost");
        assert!(matches!(error, JournalError::Replaced { .. }), "{error}");
        assert!(error.to_string().contains("was moved, removed or replaced"), "{error}");
        drop(journal);
        let _ = fs::remove_dir_all(&folder);
        let _ = fs::remove_dir_all(&aside).or_else(|_| fs::remove_file(&aside));
    }
}

#[test]
fn after_a_commit_that_may_have_been_kept_nothing_of_others_is_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut journal, mut day) = (Journal::open(folder.path()).expect("a new journal"), Day::new());
    let other = Connection::open(folder.path().join("journal.sqlite")).expect("another program");
    let execute = |statement: &str| other.execute_batch(statement).expect("done");
    day.message("weather", "success", "{n: 1}");
    execute("CREATE TRIGGER broken BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'broken'); END");
    journal.commit(&day.records).expect_err("it cannot be kept");
    execute("DROP TRIGGER broken");
    let number = day.records[0].number.0;
    execute(&format!(
        "INSERT INTO events (number, at, kind) VALUES ({number}, '2026-03-14T04:00:00Z', 'due')"
    ));
    journal.commit(&day.records).expect_err("another one has the number");
    let theirs: i64 = other.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).expect("counted");
    assert_eq!(theirs, 1);
    execute("DELETE FROM events");
    journal.commit(&day.records).expect("kept");
    assert_recovers(&journal, &day);
}

#[test]
fn a_log_without_its_database_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("journal.sqlite-wal"), b"something").expect("a file");
    let error = refusal(folder.path());
    assert!(error.to_string().contains("it is missing, though its -wal file is there"), "{error}");
    assert!(!folder.path().join("journal.sqlite").exists());
}

#[test]
fn a_start_that_was_cut_off_is_made_good() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["journal.sqlite.new", "journal.sqlite.new-wal", "lock"] {
        fs::write(folder.path().join(name), b"half a fi").expect("a file");
    }
    let (_, day) = filled(folder.path());
    assert_recovers(&Journal::open(folder.path()).expect("whole"), &day);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("file"), b"").expect("a file");
    let below = folder.path().join("file/journal");
    let text = Journal::open(&below).expect_err("no folder can be there").to_string();
    assert!(text.contains(&below.display().to_string()), "{text}");
    let text = History::open(&folder.path().join("no")).expect_err("nothing is there").to_string();
    assert!(text.contains("there is no journal") && text.contains("no/journal.sqlite"), "{text}");
}

#[test]
fn only_its_owner_can_look_into_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let journal = folder.path().join("sub/journal");
    let (file, _) = filled(&journal);
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&journal), mode(&file), mode(&journal.join("lock"))), (0o700, 0o600, 0o600));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/regressions/journal_failures.txt")))), ..ProptestConfig::default() })]

    #[test]
    fn damage_anywhere_is_an_error_at_worst(at in any::<usize>(), bytes in prop::collection::vec(any::<u8>(), 1..300)) {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, mut day) = filled(folder.path());
        let mut whole = fs::read(&file).expect("its bytes");
        let at = at % whole.len();
        whole.iter_mut().skip(at).zip(bytes).for_each(|(byte, other)| *byte = other);
        fs::write(&file, whole).expect("damaged");
        let history = History::open(folder.path());
        let _ = history.map(|history| (history.open_now(), history.checklist_now(), history.events(&EventFilter::default())));
        if let Ok(mut journal) = Journal::open(folder.path()) {
            let _ = journal.load();
            let kept = day.records.len();
            day.message("weather", "success", "{rule: launch}");
            let _ = journal.commit(&day.records[kept..]);
            let _ = journal.tidy(&day.state.checklist.to_value(), &day.state.cycles, Some(Steady(day.now.timestamp())));
        }
    }
}

/// A small disk in a folder; mounting needs root.
#[cfg(feature = "system-tests")]
mod disks {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use nowcast::store::journal::Recovered;
    use nowcast::store::{History, Journal, JournalError};
    use pyyaml::Value;

    use crate::journal::day::Day;
    use crate::journal::recovery::assert_recovers;

    struct Disk(PathBuf);

    impl Disk {
        fn mount(folder: &Path, size: &str) -> Self {
            let options = format!("size={size}");
            let mounted =
                Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder).status();
            assert!(mounted.is_ok_and(|status| status.success()), "a small disk");
            Self(folder.to_owned())
        }

        fn remount(&self, options: &str) {
            let options = format!("remount,{options}");
            let mounted = Command::new("mount").args(["-o", &options]).arg(&self.0).status();
            assert!(mounted.is_ok_and(|status| status.success()), "{options}");
        }

        fn fill(&self) {
            let mut size = 1 << 20;
            let mut filler = Vec::new();
            while size > 0 {
                filler.resize(filler.len() + size, 0);
                if fs::write(self.0.join("filler"), &filler).is_err() {
                    filler.truncate(filler.len() - size);
                    size /= 2;
                }
            }
            let _ = fs::write(self.0.join("filler"), &filler);
        }

        fn empty(&self) {
            fs::remove_file(self.0.join("filler")).expect("room");
        }
    }

    impl Drop for Disk {
        fn drop(&mut self) {
            let _ = Command::new("umount").args(["-l"]).arg(&self.0).status();
        }
    }

    /// Decides messages and commits them until that fails; answers the records that were not kept.
    fn commit_until_full(journal: &mut Journal, day: &mut Day) -> (usize, JournalError) {
        loop {
            let kept = day.records.len();
            for number in 0..20 {
                day.message(
                    "weather",
                    "success",
                    &format!("{{n: {number}, rule: launch, text: {number:0>900}}}"),
                );
            }
            if let Err(error) = journal.commit(&day.records[kept..]) {
                return (kept, error);
            }
        }
    }

    #[test]
    fn a_full_disk_keeps_nothing_of_a_batch_and_all_of_it_when_there_is_room() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = Disk::mount(folder.path(), "4m");
        let mut day = Day::new();
        let mut journal = Journal::open(folder.path()).expect("a new journal");
        journal.commit(&day.records).expect("kept");
        disk.fill();
        let (kept, error) = commit_until_full(&mut journal, &mut day);
        assert!(matches!(error, JournalError::Full { .. }), "{error:?}");
        let text = error.to_string();
        assert!(
            text.starts_with("the disk is full: cannot keep what happened in")
                && text.contains("as soon as there is room"),
            "{text}"
        );
        let last = |kept: usize| day.records[..kept].last().map(|record| record.number);
        let history = History::open(folder.path()).expect("readable");
        assert_eq!(history.open_now().expect("readable").last_event.map(|record| record.number), last(kept));
        for _ in 0..3 {
            journal.commit(&day.records[kept..]).expect_err("it is still full");
        }
        let Recovered { checklist, cycles, .. } = journal.load().expect("readable");
        let _ =
            journal.tidy(&Value::from(checklist), &cycles, Some(nowcast_core::Steady(day.now.timestamp())));
        disk.empty();
        journal.commit(&day.records[kept..]).expect("kept");
        assert_recovers(&journal, &day);
        drop((journal, history));
        assert_recovers(&Journal::open(folder.path()).expect("whole"), &day);
    }

    #[test]
    fn a_manager_that_starts_on_a_full_disk_says_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = Disk::mount(folder.path(), "1m");
        disk.fill();
        let text = Journal::open(folder.path()).expect_err("there is no room").to_string();
        assert!(text.contains("No space left") || text.contains("the disk is full"), "{text}");
        disk.empty();
        assert_recovers(&Journal::open(folder.path()).expect("there is room"), &Day::new());
    }

    #[test]
    fn a_disk_that_can_only_be_read_can_be_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = Disk::mount(folder.path(), "4m");
        let mut day = Day::new();
        day.message("weather", "success", "{rule: launch}");
        Journal::open(folder.path()).expect("a new journal").commit(&day.records).expect("kept");
        disk.remount("ro");
        let text = Journal::open(folder.path()).expect_err("it cannot be written").to_string();
        assert!(text.contains("Read-only") && text.contains("See that the folder can be written"), "{text}");
        disk.remount("rw");
        assert_recovers(&Journal::open(folder.path()).expect("writable"), &day);
    }
}

#[test]
fn a_number_that_no_journal_reaches_is_damage() {
    // A manager would count from each of these on.
    for change in [
        "UPDATE events SET number = 9223372036854775807 WHERE number = (SELECT max(number) FROM events)",
        "UPDATE runs SET id = 9223372036854775807 WHERE id = (SELECT max(id) FROM runs)",
        "INSERT INTO holds (id, closed_by, body) VALUES (-1, 1, 'null')",
        "INSERT INTO rules (generation, hash, loaded_by) VALUES (-1, 'a', 1)",
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, _) = filled(folder.path());
        Connection::open(&file).and_then(|db| db.execute_batch(change)).expect("a change");
        let error = Journal::open(folder.path()).and_then(|journal| journal.load()).expect_err(change);
        assert!(matches!(error, JournalError::Damaged { .. }), "{change}: {error}");
        assert!(error.to_string().contains("which no journal reaches"), "{error}");
    }
}

#[test]
fn a_check_judges_the_labels_of_cycles_and_names_the_event_of_damaged_notes() {
    for (change, problem, is_readable) in [
        ("UPDATE runs SET cycle = 'a b' WHERE id = {run}", "run #{run}: invalid cycle \"a b\"", true),
        (
            "UPDATE runs SET body = json_set(body, '$.cycle', 'ä') WHERE id = {run}",
            "run #{run}: invalid cycle \"ä\"",
            false,
        ),
        ("UPDATE events SET cycle = 'none' WHERE number = {event}", "event #{event}: ", true),
        ("UPDATE events SET notes = '[{\"noted\": 1}]' WHERE number = {event}", "event #{event}: ", false),
        ("UPDATE events SET notes = '[' WHERE number = {event}", "notes: ", false),
        (
            "UPDATE snapshots SET notes = '[' WHERE event = (SELECT max(event) FROM snapshots)",
            "the notes after event #",
            false,
        ),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, _) = filled(folder.path());
        let database = Connection::open(&file).expect("a database");
        let last = |table: &str, number: &str| -> String {
            let select = format!("SELECT max({number}) FROM {table}");
            database.query_row(&select, [], |row| row.get::<_, i64>(0)).expect("a number").to_string()
        };
        let numbers = |text: &str| {
            text.replace("{run}", &last("runs", "id")).replace("{event}", &last("events", "number"))
        };
        let (change, problem) = (numbers(change), numbers(problem));
        database.execute_batch(&change).expect("a change");
        let problems = History::open(folder.path()).and_then(|history| history.check()).expect("it is read");
        assert!(problems.iter().any(|found| found.contains(&problem)), "{change}: {problems:#?}");
        let loaded = Journal::open(folder.path()).and_then(|journal| journal.load());
        assert_eq!(loaded.is_ok(), is_readable, "{change}");
        if let Err(error) = loaded {
            let numbered = change.contains("events").then(|| numbers("event #{event}"));
            assert!(error.to_string().contains(&numbered.unwrap_or_default()), "{change}: {error}");
        }
    }
}

/// Another user may have put it there while the folder could be written by all.
#[test]
fn a_link_in_place_of_the_lock_is_refused_and_not_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("target");
    fs::write(&target, "a file of the system's user").expect("a file");
    let journal = folder.path().join("journal");
    fs::create_dir(&journal).expect("a folder");
    std::os::unix::fs::symlink(&target, journal.join("lock")).expect("a link");
    let error = Journal::open(&journal).expect_err("it is refused");
    assert!(matches!(error, JournalError::Unusable { .. }), "{error}");
    assert_eq!(fs::read_to_string(&target).expect("the file"), "a file of the system's user");
}
