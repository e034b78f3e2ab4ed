//! A journal that cannot be read or written.

use std::fs;

use nowcast::store::Journal;

use crate::support::system::{System, system};

/// A system whose journal is there, and whose manager has ended.
fn with_journal() -> System {
    let mut system = system().start();
    assert_eq!(system.send("sleep", "success", "{day: 12}"), "ack");
    system.signal("manager", rustix::process::Signal::TERM);
    assert!(system.wait_for_end("manager").success());
    system
}

/// A manager does not start, and says this.
fn expect_refusal(system: &System, texts: &[&str]) {
    let (status, text) = system.operation(&["manager", "nowcast.yaml"]);
    assert_eq!(status, Some(2), "{text}");
    for expected in texts {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
    assert!(text.contains("CRITICAL [manager]"), "{text}");
}

#[test]
fn one_that_is_spoilt_is_refused_and_stays_as_it_is() {
    let system = with_journal();
    let file = system.path("checklist.journal/journal.sqlite");
    let whole = fs::read(&file).expect("the database");
    let half = whole.len() / 2;
    let spoilt: [Vec<u8>; 5] = [
        Vec::new(),
        whole[..100].to_vec(),
        whole[..half].to_vec(),
        vec![0xa5; whole.len()],
        [&whole[..4_096], &vec![0xa5; whole.len() - 4_096]].concat(),
    ];
    for (number, content) in spoilt.iter().enumerate() {
        for name in ["journal.sqlite-wal", "journal.sqlite-shm"] {
            let _ = fs::remove_file(system.path("checklist.journal").join(name));
        }
        fs::write(&file, content).expect("written");
        expect_refusal(
            &system,
            &["journal.sqlite is damaged", "Restore a backup with \"nowcast restore FILE\""],
        );
        assert_eq!(fs::read(&file).expect("still there"), *content, "{number}");
    }
    fs::write(&file, whole).expect("restored");
    let mut system = system;
    system.start_manager(&[]);
    assert_eq!(system.send("sleep", "success", "{day: 13}"), "ack");
}

#[test]
fn a_log_that_is_spoilt_is_missed_if_anything_was_only_there() {
    let system = with_journal();
    let log = system.path("checklist.journal/journal.sqlite-wal");
    // The manager that ended put all of its own into the database.
    fs::write(&log, [0xa5; 100]).expect("written");
    let mut system = system;
    system.start_manager(&[]);
    assert_eq!(system.send("sleep", "success", "{day: 13}"), "ack");
    system.signal("manager", rustix::process::Signal::KILL);
    system.wait_for_end("manager");
    let whole = fs::read(&log).expect("the log");
    let half = whole.len() / 2;
    let spoilt: [Vec<u8>; 3] = [
        vec![0xa5; whole.len()],
        [&whole[..half], &vec![0xa5; whole.len() - half]].concat(),
        [&[0xa5; 32], &whole[32..]].concat(),
    ];
    for content in spoilt {
        fs::write(&log, content).expect("written");
        expect_refusal(
            &system,
            &["journal.sqlite ends with event #", "its -wal file was removed or is damaged"],
        );
    }
}

#[test]
fn a_new_journal_goes_on_with_the_checklist_file_and_starts_every_run() {
    let mut system = system()
        .worker("tick: {success: it went well, crash: it crashed}")
        .section("workers: {tick: {command: [sh, -c, 'echo \"$1\" >> ticks', tick]}}")
        .rules(
            "function after_sleep(msg) return { NextWorker('tick', { msg.payload.day, '--debug' }) } end
                function after_tick() return {} end",
        )
        .start();
    let ticks = || fs::read_to_string(system.path("ticks")).unwrap_or_default();
    for day in 1..=5 {
        assert_eq!(system.send("sleep", "success", &format!("{{day: {day}}}")), "ack");
        system.wait_for("the run", || ticks().contains(&day.to_string()).then_some(()));
    }
    system.signal("manager", rustix::process::Signal::KILL);
    system.wait_for_end("manager");
    let folder = system.path("checklist.journal");
    for entry in fs::read_dir(&folder).expect("the folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("journal.sqlite") || name == "lock" {
            fs::rename(entry.path(), system.path(&format!("aside-{name}"))).expect("moved");
        }
    }
    system.start_manager(&[]);
    system.wait_for_checklist("{sleepyhead: {day: 5}}");
    for day in 6..=10 {
        assert_eq!(system.send("sleep", "success", &format!("{{day: {day}}}")), "ack");
    }
    let ticks = || fs::read_to_string(system.path("ticks")).unwrap_or_default();
    system.wait_for("every run", || (ticks().lines().count() == 10).then_some(()));
}

#[test]
fn a_dead_managers_lock_that_another_process_still_holds_is_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    // As a child between its start and its program: it has the lock, and the process in the note is dead.
    let mut dead = std::process::Command::new("true").spawn().expect("a process");
    dead.wait().expect("its end");
    let lock = folder.path().join("lock");
    fs::write(&lock, format!("process {:<10}\nlast event {:<20}\n", dead.id(), 0)).expect("a note");
    let mut holder = std::process::Command::new("flock")
        .arg(&lock)
        .args(["sh", "-c", "echo held; read line"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("flock");
    let mut held = [0; 5];
    std::io::Read::read_exact(holder.stdout.as_mut().expect("a pipe"), &mut held).expect("it is held");
    let path = folder.path().to_owned();
    let opened = std::thread::spawn(move || Journal::open(&path).map(|_| ()));
    drop(holder.stdin.take());
    holder.wait().expect("its end");
    opened.join().expect("no panic").expect("it is opened when the lock is free");
}

#[test]
fn where_the_poison_file_cannot_be_one_the_text_says_what_to_do() {
    let system = system().prepare();
    fs::create_dir_all(system.path("checklist.journal/poison")).expect("a folder");
    let (status, text) = system.operation(&["manager", "nowcast.yaml"]);
    assert_eq!(status, Some(1), "{text}");
    let line = text.lines().find(|line| line.contains("poison")).expect("a line about it");
    assert_eq!(line.matches("/poison").count(), 1, "{line}");
    assert!(line.contains("see that it is a file that the manager can write, or remove it"), "{line}");
}

#[test]
fn a_second_manager_is_refused_though_the_lock_file_is_gone() {
    let system = system().start();
    fs::remove_file(system.path("checklist.journal/lock")).expect("the lock");
    expect_refusal(&system, &["another manager uses the journal in"]);
    system.works();
    expect_refusal(&system, &[&format!("(process {})", system.id("manager"))]);
}

#[test]
fn a_manager_whose_journal_is_taken_away_ends_and_acknowledges_nothing() {
    let mut system = system().start();
    let (folder, aside) = (system.path("checklist.journal"), system.path("aside"));
    fs::rename(&folder, &aside).expect("moved");
    let worker = system.connect();
    worker.send("{source: sleep, type: success, payload: {day: 12}}", 0).expect("sent");
    assert_eq!(system.wait_for_end("manager").code(), Some(1));
    system.wait_for_log("manager", "was moved, removed or replaced while the manager ran");
    fs::rename(&aside, &folder).expect("back");
    system.start_manager(&[]);
    assert_eq!(system.receive(&worker).r#type, "ack");
    system.wait_for_checklist("{sleepyhead: {day: 12}}");
}

#[test]
fn a_log_that_is_removed_under_a_running_manager_ends_it_and_nothing_acknowledged_is_lost() {
    for name in ["journal.sqlite-wal", "journal.sqlite-shm"] {
        let mut system = system().start();
        assert_eq!(system.send("sleep", "success", "{day: 11}"), "ack");
        fs::remove_file(system.path("checklist.journal").join(name)).expect("removed");
        let worker = system.connect();
        worker.send("{source: sleep, type: success, payload: {day: 12}}", 0).expect("sent");
        assert_eq!(system.wait_for_end("manager").code(), Some(1));
        system
            .wait_for_log("manager", &format!("{name} was moved, removed or replaced while the manager ran"));
        system.start_manager(&[]);
        assert_eq!(system.receive(&worker).r#type, "ack");
        let messages: serde_json::Value =
            serde_json::from_str(&system.operate(&["messages", "--json"])).expect("JSON");
        let days: Vec<&str> = messages
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|message| message["payload"].as_str())
            .collect();
        assert!(days.iter().any(|day| day.contains("day: 11")), "{name}: {days:?}");
        assert!(days.iter().any(|day| day.contains("day: 12")), "{name}: {days:?}");
    }
}

#[cfg(feature = "system-tests")]
mod mounted {
    use std::fs;
    use std::process::Command;

    use nowcast::store::History;
    use nowcast::store::journal::{EventFilter, EventKind};

    use crate::support::disk::Disk;
    use crate::support::system::{System, system};

    fn on_disk(options: &str) -> (Disk, System) {
        let system = system().section("journal: {folder: disk/journal}").prepare();
        (Disk::mount(&system.path("disk"), options), system)
    }

    #[test]
    fn while_its_disk_is_full_nothing_is_acknowledged_and_then_everything_once() {
        let (disk, mut system) = on_disk("size=2m");
        system.start_broker();
        system.start_manager(&[]);
        assert_eq!(system.send("sleep", "success", "{day: 1}"), "ack");
        let filler = disk.fill();
        let text = "x".repeat(20_000);
        let mut workers = Vec::new();
        system.wait_for("the journal to be full", || {
            let number = workers.len();
            let worker = system.connect();
            let message =
                format!("{{source: awaken, type: success, payload: {{n: {number}, m{number}: {text}}}}}");
            worker.send(&message, 0).expect("sent");
            // Each waits for its reply or for the line that says why there is none.
            system.wait_for("a reply or a line", || {
                let full = system.log("manager").contains("the journal cannot be written");
                (full || worker.poll(zmq::POLLIN, 0).expect("a poll") > 0).then_some(())
            });
            workers.push(worker);
            system.log("manager").contains("CRITICAL [manager] the journal cannot be written").then_some(())
        });
        assert!(system.log("manager").contains("the disk is full"), "{}", system.describe());
        let last = workers.len() - 1;
        for number in workers.len()..workers.len() + 3 {
            let worker = system.connect();
            let message =
                format!("{{source: awaken, type: success, payload: {{n: {number}, m{number}: x}}}}");
            worker.send(&message, 0).expect("sent");
            workers.push(worker);
        }
        let (status, text) = system.operation(&["status"]);
        assert_eq!(status, Some(1));
        assert!(text.contains("nothing is done until the journal can be written"), "{text}");
        let (status, text) = system.operation(&["launch", "awaken"]);
        assert!(status == Some(1) && text.contains("the disk is full"), "{text}");
        assert!(workers[last..].iter().all(|worker| worker.poll(zmq::POLLIN, 0).expect("a poll") == 0));
        // Not even a manager that is killed now loses any.
        system.signal("manager", rustix::process::Signal::KILL);
        system.wait_for_end("manager");
        let command = system.command(&["manager", "nowcast.yaml"]);
        system.spawn("manager", command);
        system.wait_for_log_count("manager", "CRITICAL [manager] the journal cannot be written", 2);
        fs::remove_file(&filler).expect("room");
        system.wait_for_log("manager", "WARNING [manager] the journal could be written again");
        for worker in &workers {
            assert_eq!(system.receive(worker).r#type, "ack");
        }
        let count = system.log("manager").matches("CRITICAL [manager] the journal cannot be written").count();
        assert_eq!(count, 2, "once for each manager");
        let history = History::open(&system.path("disk/journal")).expect("the journal");
        let filter = EventFilter {
            kind: Some(EventKind::Message),
            worker: Some("awaken".into()),
            ..EventFilter::default()
        };
        assert_eq!(history.events(&filter).expect("events").len(), workers.len());
        system.wait_for("every payload in the checklist", || {
            let checklist = system.checklist();
            let entry = checklist.get("sleepyhead")?;
            (0..workers.len()).all(|number| entry.get(&format!("m{number}")).is_some()).then_some(())
        });
    }

    /// What is scheduled meanwhile waits, and is launched when there is room.
    #[test]
    fn while_its_disk_is_full_the_schedule_waits() {
        let system = system()
            .section("journal: {folder: disk/journal}")
            .section("workers: {keyless: {command: ['true']}}")
            .section("scheduled workers: [keyless: {cron: '* * * * * *'}]")
            .prepare();
        let (disk, mut system) = (Disk::mount(&system.path("disk"), "size=2m"), system);
        system.start_broker();
        system.start_manager(&[]);
        let filler = disk.fill();
        let worker = system.connect();
        let text = "x".repeat(200_000);
        worker.send(&format!("{{source: awaken, type: success, payload: {text}}}"), 0).expect("sent");
        system.wait_for_log("manager", "CRITICAL [manager] the journal cannot be written");
        system.start_scheduler(&[]);
        let waits = "ERROR [scheduler] keyless (cron * * * * * *) is due and waits until the manager can be asked: nothing is \
                     done until the journal can be written";
        system.wait_for_log("scheduler", waits);
        fs::remove_file(&filler).expect("room");
        system.wait_for_log_count("scheduler", "INFO [scheduler] keyless is launched as run #", 3);
        let log = system.log("scheduler");
        assert!(!log.contains("was not launched"), "{log}");
    }

    #[test]
    fn in_a_folder_that_cannot_be_written_no_manager_starts() {
        let (_disk, system) = on_disk("size=2m,ro");
        super::expect_refusal(&system, &["disk/journal", "Read-only file system", "can be written"]);
    }

    #[test]
    fn one_that_cannot_be_written_any_more_is_refused() {
        let (_disk, mut system) = on_disk("size=2m");
        system.start_broker();
        system.start_manager(&[]);
        assert_eq!(system.send("sleep", "success", "{day: 1}"), "ack");
        system.signal("manager", rustix::process::Signal::TERM);
        system.wait_for_end("manager");
        let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(system.path("disk")).status();
        assert!(remounted.is_ok_and(|status| status.success()));
        super::expect_refusal(&system, &["disk/journal", "can be written"]);
    }
}
