//! `nowcast restore`: a system goes on from a backup, here or on another machine, and launches nothing twice.

use std::fs;
use std::path::Path;

use nowcast::store::History;
use nowcast::store::journal::OpenItems;
use rustix::process::Signal;
use serde_json::Value;

use crate::backup::{back_up, under_load};
use crate::lost::load::counting;
use crate::scheduler::{each_second, launched};
use crate::support::system::{Builder, System, system};

/// Workers whose messages open a join and launch `tick`, which writes down each of its runs.
fn with_ticks() -> Builder {
    system()
        .worker("tick: {checklist key: ticks, success: it went well, crash: it crashed}")
        .section("workers: {tick: {command: [sh, -c, 'echo \"$1\" >> ticks', tick]}}")
        .rules(
            "function after_tick() return {} end
             function after_sleep(msg) return { NextWorker('tick', { msg.payload.tick, '--debug' }) } end
             function after_awaken()
               return {}, Join{ name = 'meet', wait_for = { 'keyless' }, launch = { NextWorker('tick', { 'joined', '--debug' }) } }
             end",
        )
}

fn stop_manager(system: &mut System) {
    system.signal("manager", Signal::TERM);
    system.wait_for_end("manager");
}

fn json(system: &System, arguments: &[&str]) -> Value {
    serde_json::from_str(&system.operation(&[arguments, &["--json"]].concat()).1).expect("JSON")
}

fn open(system: &System) -> OpenItems {
    History::open(&system.path("checklist.journal")).expect("the journal").open_now().expect("what is open")
}

/// What the runs of `tick` have written down.
fn ticks(system: &System) -> Vec<String> {
    let text = fs::read_to_string(system.path("ticks")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn wait_for_ticks(system: &System, expected: &[&str]) {
    system.wait_for(&format!("the runs {expected:?}"), || {
        (ticks(system) == expected && open(system).runs.iter().all(|run| !run.is_running())).then_some(())
    });
}

fn copy(from: &System, to: &System, name: &str) {
    fs::copy(from.path(name), to.path(name)).expect("copied");
}

fn number(value: &Value) -> String {
    value.as_u64().expect("a number").to_string()
}

#[test]
fn a_stopped_system_goes_on_in_another_folder() {
    let mut old = with_ticks().start();
    for payload in ["one", "two"] {
        assert_eq!(old.send("sleep", "success", &format!("{{tick: {payload}}}")), "ack");
    }
    old.wait_for("both runs", || (ticks(&old).len() == 2).then_some(()));
    assert_eq!(old.send("awaken", "success", "{day: 12}"), "ack");
    old.operate(&["hold", "--worker", "tick"]);
    assert_eq!(old.send("sleep", "success", "{tick: held}"), "ack");
    old.wait_for("no running run", || open(&old).runs.iter().all(|run| !run.is_running()).then_some(()));
    stop_manager(&mut old);
    back_up(&old, "backup.sqlite");

    let mut new = with_ticks().prepare();
    copy(&old, &new, "backup.sqlite");
    let text = new.operate(&["restore", "backup.sqlite", "--latest"]);
    assert!(text.contains("restored backup.sqlite: "), "{text}");
    let checklist = |system: &System| json(system, &["checklist", "show"]);
    assert_eq!(checklist(&new), checklist(&old));
    new.wait_for_checklist("{sleepyhead: {tick: held, day: 12}}");
    for listing in [&["runs"][..], &["messages"]] {
        let text = |system: &System| {
            system
                .operate(&[listing, &["--json"]].concat())
                .replace(&system.path("").display().to_string(), "")
        };
        assert_eq!(text(&new), text(&old));
    }
    assert_eq!(open(&new).joins, open(&old).joins);
    new.start_broker();
    new.start_manager(&[]);
    new.works();
    assert!(!new.log("manager").contains("replaces the checklist"), "{}", new.log("manager"));
    // The message of `keyless` has completed the join; the hold is still there.
    assert_eq!(open(&new).runs.len(), 2, "{:?}", open(&new).runs);
    assert_eq!(ticks(&new), Vec::<String>::new());
    let holds: Vec<String> = open(&new).holds.iter().map(|hold| hold.id.0.to_string()).collect();
    assert_eq!(holds.len(), 1, "{holds:?}");
    new.operate(&["release", &holds[0]]);
    new.wait_for("the held run and that of the join", || (ticks(&new).len() == 2).then_some(()));
    let mut seen = ticks(&new);
    seen.sort();
    assert_eq!(seen, ["held", "joined"]);
}

#[test]
fn no_time_of_the_schedule_comes_twice_when_a_system_moves() {
    let mut old = each_second(", catch up: all").start();
    old.start_scheduler(&[]);
    old.wait_for("launches", || (launched(&old).len() > 2).then_some(()));
    old.signal("scheduler", Signal::TERM);
    old.wait_for_end("scheduler");
    stop_manager(&mut old);
    back_up(&old, "backup.sqlite");
    let before = launched(&old);

    let mut new = each_second(", catch up: all").prepare();
    copy(&old, &new, "backup.sqlite");
    new.operate(&["restore", "backup.sqlite", "--latest"]);
    new.start_broker();
    new.start_manager(&[]);
    new.start_scheduler(&[]);
    new.wait_for("more launches", || (launched(&new).len() > before.len() + 2).then_some(()));
    let after = launched(&new);
    assert!(before.keys().all(|time| after.contains_key(time)), "{before:?} {after:?}");
    assert!(after.values().all(|runs| *runs == 1), "{after:?}");
}

#[test]
fn a_backup_made_under_load_launches_nothing_by_itself_and_what_is_released_runs_once() {
    let mut old = counting().start();
    under_load(&old, || {
        let before = old.log("manager").matches("received message from w0").count();
        old.wait_for_log_count("manager", "received message from w0", before + 20);
        back_up(&old, "backup.sqlite");
    });
    stop_manager(&mut old);
    let launched_before = ticks(&old);

    let mut new = counting().prepare();
    copy(&old, &new, "backup.sqlite");
    let restored = json(&new, &["restore", "backup.sqlite"]);
    let hold = restored["numbers"].as_array().expect("a list").last().expect("the hold").clone();
    new.start_broker();
    new.start_manager(&[]);
    let status = json(&new, &["status"]);
    let is_restored = |item: &&Value| item["kind"] == "restored";
    let item = status["attention"].as_array().expect("a list").iter().find(is_restored).expect("an item");
    assert_eq!(item["number"], hold, "{status}");
    assert_eq!(new.send("w3", "success", "{n: 1, m1: true}"), "ack");
    new.wait_for("the end of runs of the backup", || {
        open(&new).runs.iter().all(|run| !run.is_running()).then_some(())
    });
    assert_eq!(ticks(&new), Vec::<String>::new(), "{}", new.describe());
    new.operate(&["release", &number(&hold)]);
    new.wait_for("the run of the new message", || ticks(&new).contains(&"m3-1".to_owned()).then_some(()));
    assert!(ticks(&new).iter().all(|tick| !launched_before.contains(tick)), "{:?}", ticks(&new));
    let check = json(&new, &["journal", "check"]);
    assert_eq!(check["problems"].as_array().map(Vec::len), Some(0), "{check}");
}

#[test]
fn what_was_launched_after_the_backup_is_not_launched_again_and_no_number_comes_twice() {
    let mut system = with_ticks().start();
    system.operate(&["hold", "--worker", "tick"]);
    assert_eq!(system.send("sleep", "success", "{tick: pending}"), "ack");
    let pending = open(&system).runs[0].id.0;
    back_up(&system, "backup.sqlite");
    system.operate(&["release", &open(&system).holds[0].id.0.to_string()]);
    wait_for_ticks(&system, &["pending"]);
    assert_eq!(system.send("sleep", "success", "{tick: later}"), "ack");
    wait_for_ticks(&system, &["pending", "later"]);
    assert_eq!(system.send("awaken", "success", "{day: 13}"), "ack");
    let last = json(&system, &["journal", "info"])["last_event"]["number"].as_u64().expect("a number");
    stop_manager(&mut system);

    let restored = json(&system, &["restore", "backup.sqlite"]);
    let set_aside = restored["set_aside"].as_str().expect("a folder").to_owned();
    assert!(
        Path::new(&set_aside).join("journal.sqlite").exists()
            && Path::new(&set_aside).join("checklist.yaml").exists()
    );
    assert_eq!(restored["launched_since"].as_array().map(Vec::len), Some(1), "{restored}");
    system.start_manager(&[]);
    system.works();
    assert_eq!(
        json(&system, &["checklist", "show"]),
        serde_json::json!({"sleepyhead": {"tick": "pending"}}),
        "what came later is not in it"
    );
    let state = open(&system);
    assert!(state.runs.is_empty(), "{state:?}");
    assert_eq!(state.parked.len(), 1);
    assert!(state.parked[0].reason.contains("was launched after the backup"), "{state:?}");
    assert!(state.parked[0].id.0 > last && state.holds.iter().all(|hold| hold.id.0 != last), "{state:?}");
    assert_eq!(ticks(&system), ["pending", "later"]);

    // An operator who knows better has it launched again, under a number of its own.
    system.operate(&["release", &state.parked[0].id.0.to_string()]);
    let run = open(&system).runs[0].clone();
    assert!(run.id.0 > last && run.id.0 != pending, "{run:?}");
    for hold in state.holds {
        system.operate(&["release", &hold.id.0.to_string()]);
    }
    wait_for_ticks(&system, &["pending", "later", "pending"]);

    // The previous journal can be restored in its turn.
    stop_manager(&mut system);
    system.operate(&["restore", &format!("{set_aside}/journal.sqlite")]);
    system.start_manager(&[]);
    system.wait_for_checklist("{sleepyhead: {tick: later, day: 13}}");
}

#[test]
fn a_run_that_was_running_in_the_backup_is_adopted_or_its_end_is_unknown_but_never_started() {
    let mut old = system()
        .worker("long: {success: it went well, crash: it crashed}")
        .section("workers: {long: {command: [sh, -c, 'echo began >> ticks; while ! test -e end; do sleep 0.05; done'], retries: 1}}")
        .rules("function after_long() return {} end function after_sleep() return { NextWorker('long') } end")
        .start();
    assert_eq!(old.send("sleep", "success", "null"), "ack");
    old.wait_for("the run", || (ticks(&old).len() == 1).then_some(()));
    back_up(&old, "backup.sqlite");
    let mut new = system()
        .worker("long: {success: it went well, crash: it crashed}")
        .section("workers: {long: {command: [sh, -c, 'echo began >> ticks'], retries: 1}}")
        .rules("function after_long() return {} end")
        .prepare();
    copy(&old, &new, "backup.sqlite");
    new.operate(&["restore", "backup.sqlite"]);
    new.start_broker();
    new.start_manager(&[]);
    let failed = new.wait_for("the end of the run", || {
        let runs = json(&new, &["runs"]);
        runs.as_array()?.iter().find(|run| run["state"] == "crashed").cloned()
    });
    assert!(failed["ending"].as_str().expect("a text").contains("it was running in the backup"), "{failed}");
    // Its retry is held.
    new.wait_for("the retry", || open(&new).runs.iter().any(|run| run.retry_of.is_some()).then_some(()));
    assert_eq!(ticks(&new), Vec::<String>::new());

    stop_manager(&mut old);
    old.operate(&["restore", "backup.sqlite"]);
    old.start_manager(&[]);
    old.works();
    assert!(open(&old).runs[0].is_running(), "{:?}", open(&old).runs);
    fs::write(old.path("end"), "").expect("the end");
    old.wait_for("the end of the run", || {
        let runs = json(&old, &["runs", "--worker", "long"]);
        runs.as_array()?.iter().find(|run| run["exit_status"] == 0).map(|_| ())
    });
    assert_eq!(ticks(&old).len(), 1);
}

#[test]
fn only_a_whole_backup_that_this_program_knows_is_restored_while_no_manager_runs() {
    let mut system = with_ticks().start();
    system.works();
    back_up(&system, "backup.sqlite");
    let refused = |system: &System, file: &str, reason: &str| {
        let (status, text) = system.operation(&["restore", file]);
        assert_eq!(status, Some(1), "{text}");
        assert!(text.contains(reason), "{text}");
    };
    refused(&system, "backup.sqlite", "only it may change the journal. Stop it first");
    stop_manager(&mut system);
    refused(&system, "missing.sqlite", "the file missing.sqlite does not exist; nothing was changed");
    let whole = fs::read(system.path("backup.sqlite")).expect("the backup");
    fs::write(system.path("cut.sqlite"), &whole[..whole.len() / 2]).expect("written");
    refused(&system, "cut.sqlite", "is damaged; nothing was changed. Name another backup");
    fs::write(system.path("other.sqlite"), "no database at all").expect("written");
    refused(&system, "other.sqlite", "is damaged; nothing was changed");
    fs::copy(system.path("backup.sqlite"), system.path("newer.sqlite")).expect("copied");
    let newer = rusqlite::Connection::open(system.path("newer.sqlite")).expect("a database");
    newer.pragma_update(None, "user_version", 99).expect("set");
    drop(newer);
    refused(&system, "newer.sqlite", "has version 99, and this program knows versions up to");
    system.start_manager(&[]);
    system.works();
    assert!(open(&system).holds.is_empty(), "nothing was restored");
}

#[test]
fn a_backup_of_an_earlier_version_is_brought_up_to_date() {
    let mut system = with_ticks().prepare();
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journal-version-1/journal.sqlite");
    let fixture = fixture.to_str().expect("UTF-8");
    let restored = json(&system, &["restore", fixture]);
    assert_eq!((&restored["version"], &restored["set_aside"]), (&Value::from(1), &Value::Null), "{restored}");
    assert!(json(&system, &["journal", "info"])["version"].as_u64() > Some(8));
    system.start_broker();
    system.start_manager(&[]);
    system.works();
}

/// Kill a restore at a failpoint. Before the decision the present journal stays in force; after it, the manager's start finishes it.
#[cfg(feature = "failpoints")]
#[test]
fn a_restore_that_is_killed_leaves_the_one_journal_or_the_other() {
    use nowcast::failpoint::RESTORE;

    let decided = RESTORE.iter().position(|point| *point == "restore: decided").expect("the decision");
    let points = RESTORE.iter().map(|point| (*point, "return"));
    let each_file = ["1*off->return", "2*off->return"].map(|step| ("restore: file set aside", step));
    for (point, step) in points.chain(each_file) {
        let mut system = with_ticks().start();
        assert_eq!(system.send("awaken", "success", "{day: 1}"), "ack");
        back_up(&system, "backup.sqlite");
        assert_eq!(system.send("awaken", "success", "{day: 2}"), "ack");
        // It is killed, so its log is not put into the database.
        system.signal("manager", Signal::KILL);
        system.wait_for_end("manager");
        let mut killed = system.command(&["restore", "backup.sqlite"]);
        let status = killed.env("FAILPOINTS", format!("{point}={step}")).status().expect("it starts");
        assert!(!status.success(), "{point}");
        if point == "restore: file set aside" {
            let (_, text) = system.operation(&["runs"]);
            assert!(text.contains("a restore was interrupted. Start the manager or repeat"), "{text}");
        }
        system.start_manager(&[]);
        let is_decided = RESTORE.iter().position(|other| *other == point) >= Some(decided);
        system.works();
        let day = if is_decided { 1 } else { 2 };
        assert_eq!(
            json(&system, &["checklist", "show"])["sleepyhead"]["day"],
            day,
            "{point}: {}",
            system.describe()
        );
        system.wait_for_checklist(&format!("{{sleepyhead: {{day: {day}}}}}"));
        assert_eq!(open(&system).holds.len(), usize::from(is_decided), "{point}");
        for left in ["restoring", "restored"].map(|name| system.path("checklist.journal").join(name)) {
            assert!(
                !left.exists() || !is_decided || point == "restore: finished",
                "{point}: {}",
                left.display()
            );
        }
        let check = json(&system, &["journal", "check"]);
        assert_eq!(check["problems"].as_array().map(Vec::len), Some(0), "{point}: {check}");
        // The next restore removes what the killed one has left.
        stop_manager(&mut system);
        system.operate(&["restore", "backup.sqlite"]);
        assert!(!system.path("checklist.journal/restoring").exists(), "{point}");
    }
}
