//! Days that a real system made, through edited rules.

use std::path::Path;
use std::process::Command;

use crate::support::system::{System, system};

/// Launches wait, so nothing else happens and the numbers are always the same.
const RULES: &str = "\
function after_sleep(msg, config, checklist)
  if msg.type == 'crash' then error('no plan for a crash') end
  if msg.type == 'failure' then
    return {}, Join{ name = 'forcing', wait_for = { 'awaken', rotate_logs = 14 }, timeout = '3h' }
  end
  local hours = checklist.sleepyhead['sleep time']
  return { NextWorker('awaken', { 'nowcast', hours }, { delay = '10h' }) }
end
function after_awaken() return {} end
function after_clear_checklist() return {} end
function after_rotate_logs() return {} end
function after_keyless() return {} end
";

/// The same with three edits.
fn edited() -> String {
    RULES
        .replace("error('no plan for a crash')", "return {}")
        .replace(
            "NextWorker('awaken', { 'nowcast', hours }, { delay = '10h' })",
            "NextWorker('awaken', { 'nowcast+', hours }, { host = 'arbutus', delay = '10m' })",
        )
        .replace(
            "function after_keyless() return {} end",
            "\n\nfunction after_keyless(msg, config, checklist)\n  return { need(checklist, 'weather', '12') }\nend",
        )
        .replace("rotate_logs = 14", "rotate_logs = 4")
}

fn a_day() -> System {
    let system = system().only_rules(RULES).file("trial/edited.lua", edited()).start();
    for hours in [5, 6, 7] {
        assert_eq!(system.send("sleep", "success", &format!("{{sleep time: {hours}}}")), "ack");
    }
    assert_eq!(system.send("sleep", "failure", "null"), "ack");
    assert_eq!(system.send("sleep", "crash", "null"), "ack");
    assert_eq!(system.send("keyless", "success", "null"), "ack");
    assert_eq!(system.send("awaken", "success", "{awoke: true}"), "ack");
    assert_eq!(system.send("sleep", "need", "sleepyhead"), "ack");
    assert_eq!(system.send("nobody", "success", "null"), "unregistered worker");
    system
}

/// A text with TIME for each `2026-03-14 05:15:03`.
pub fn timeless(text: &str) -> String {
    const SHAPE: &[u8] = b"0000-00-00 00:00:00";
    let is_time = |bytes: &[u8]| {
        let of_shape = |(byte, shape): (&u8, &u8)| {
            if *shape == b'0' { byte.is_ascii_digit() } else { byte == shape }
        };
        bytes.len() == SHAPE.len() && bytes.iter().zip(SHAPE).all(of_shape)
    };
    let mut out = String::new();
    let mut rest = text.trim_end();
    while let Some(letter) = rest.chars().next() {
        if rest.as_bytes().get(..SHAPE.len()).is_some_and(is_time) {
            out.push_str("TIME");
            rest = &rest[SHAPE.len()..];
        } else {
            out.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    out
}

#[test]
fn a_day_through_edited_rules_shows_what_would_differ() {
    let system = a_day();
    let (status, text) = system.operation(&["rules", "replay", "--rules", "trial/edited.lua"]);
    let expected = "\
TIME  #2  sleep success   next_workers.lua:1 → edited.lua:1
    - awaken nowcast 5 (delay 10h)
    + awaken nowcast+ 5 on arbutus (delay 10m)

TIME  #4  sleep success   next_workers.lua:1 → edited.lua:1
    - awaken nowcast 6 (delay 10h)
    + awaken nowcast+ 6 on arbutus (delay 10m)

TIME  #6  sleep success   next_workers.lua:1 → edited.lua:1
    - awaken nowcast 7 (delay 10h)
    + awaken nowcast+ 7 on arbutus (delay 10m)

TIME  #8  sleep failure   next_workers.lua:1 → edited.lua:1
    - join forcing: awaken, rotate_logs × 14 (timeout 3h)
    + join forcing: awaken, rotate_logs × 4 (timeout 3h)

TIME  #10  sleep crash   next_workers.lua:1 → edited.lua:1
    - error: next_workers.lua:2: no plan for a crash

TIME  #11  keyless success   next_workers.lua:12 → edited.lua:14
    ! error: edited.lua:15: need: there is no key \"weather\"; the keys there are: sleepyhead

7 messages of 7 days replayed: 6 differ, 1 would fail that did not, 1 would no longer fail, 0 not comparable";
    assert_eq!(timeless(&text), expected);
    assert_eq!(status, Some(1));
}

#[test]
fn the_same_differences_are_taken_together_and_a_worker_can_be_picked() {
    let system = system().only_rules(RULES).file("edited.lua", edited()).start();
    for _ in 0..8 {
        assert_eq!(system.send("sleep", "success", "{sleep time: 5}"), "ack");
    }
    system.works();
    let replay = ["rules", "replay", "-c", "nowcast.yaml", "--rules", "edited.lua", "--worker", "sleep"];
    let text = system.operate(&replay);
    let expected = "\
TIME  #2  sleep success   next_workers.lua:1 → edited.lua:1
    - awaken nowcast 5 (delay 10h)
    + awaken nowcast+ 5 on arbutus (delay 10m)
    and 7 more like it: #4, #6, #8, #10, #12, …

8 messages of 7 days replayed: 8 differ, 0 would fail that did not, 0 would no longer fail, 0 not comparable";
    assert_eq!(timeless(&text), expected);
    let (status, text) = system.operation(&[&replay[..], &["--all", "--exit-code"]].concat());
    assert_eq!((status, text.matches("+ awaken").count()), (Some(1), 8), "{text}");
}

#[test]
fn json_has_each_difference_with_its_launches() {
    let system = a_day();
    let (_, text) = system.operation(&["rules", "replay", "--rules", "trial/edited.lua", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&text).expect("one document");
    assert_eq!(document["summary"]["messages"], 7);
    assert_eq!(document["summary"]["newly_fail"], 1);
    let first = &document["differences"][0];
    assert_eq!(first["number"], 2);
    assert_eq!((&first["worker"], &first["type"]), (&"sleep".into(), &"success".into()));
    assert_eq!(first["removed"][0]["args"], serde_json::json!(["nowcast", "5"]));
    assert_eq!(first["added"][0]["host"], "arbutus");
    assert_eq!(document["differences"][3]["join_added"]["wait_for"][1]["count"], 4);
    assert!(
        document["differences"][5]["error_after"].as_str().is_some_and(|text| text.contains("traceback"))
    );
}

#[test]
fn an_unchanged_file_gives_no_difference() {
    let system = a_day();
    let text = system.operate(&["rules", "replay", "--exit-code"]);
    let expected = "7 of them were decided by these very rules, so nothing can differ there\n\
        7 messages of 7 days replayed: 0 differ, 0 would fail that did not, 0 would no longer fail, 0 not comparable\n";
    assert_eq!(text, expected);
    // A comment more makes other files, and the same answers.
    system.write_rules(&format!("-- a comment\n{RULES}"));
    let text = system.operate(&["rules", "replay", "--exit-code"]);
    assert!(text.starts_with("7 messages of 7 days replayed: 0 differ"), "{text}");
}

#[test]
fn a_retried_message_has_its_historical_time_and_the_checklist_that_it_was_given() {
    let rules = "function after_sleep(msg, config, checklist)
  if checklist.sleepyhead.broken then error('broken') end
  return { NextWorker('awaken', { now():format('%H:%M:%S'), checklist.sleepyhead.state }, { delay = '10h' }) }
end
function after_awaken() return {} end";
    let system = system().only_rules(rules).start();
    assert_eq!(system.send("sleep", "success", "{broken: true, state: first}"), "ack");
    assert_eq!(system.send("sleep", "success", "{state: second}"), "ack");
    // It fails again, with all others.
    system.operation(&["retry", "--all"]);
    let (status, _) = system.operation(&["retry", "2", "--checklist", "then"]);
    assert_eq!(status, Some(1));
    assert_eq!(system.send("awaken", "success", "{broken: false, state: third}"), "ack");
    system.operate(&["retry", "2"]);
    system.operate(&["retry", "3"]);
    let edited = rules.replace(
        "if checklist.sleepyhead.broken then error('broken') end",
        "log.info(checklist.sleepyhead.state)",
    );
    std::fs::write(system.path("edited.lua"), edited.replace("awaken',", "rotate_logs',")).expect("written");
    let text = timeless(&system.operate(&["rules", "replay", "--rules", "edited.lua", "--all"]));
    let launched: Vec<&str> = text.lines().filter(|line| line.trim_start().starts_with(['+', '-'])).collect();
    let time = |number: usize| {
        let journal: String = system.operate(&["messages", "--json", "-n", "20"]);
        let messages: serde_json::Value = serde_json::from_str(&journal).expect("JSON");
        let found =
            messages.as_array().and_then(|all| all.iter().find(|one| one["number"] == number)).cloned();
        let at: jiff::Timestamp =
            found.expect("the message")["time"].as_str().expect("a time").parse().expect("a time");
        at.to_zoned_datetime(jiff::tz::TimeZone::system()).strftime("%H:%M:%S").to_string()
    };
    let (first, second) = (time(2), time(3));
    let expected = [
        format!("    + rotate_logs {first} first (delay 10h)"),
        "    - error: next_workers.lua:2: broken".to_owned(),
        format!("    + rotate_logs {second} second (delay 10h)"),
        "    - error: next_workers.lua:2: broken".to_owned(),
        // All: the current checklist.
        format!("    + rotate_logs {first} second (delay 10h)"),
        "    - error: next_workers.lua:2: broken".to_owned(),
        format!("    + rotate_logs {second} second (delay 10h)"),
        "    - error: next_workers.lua:2: broken".to_owned(),
        // The historical checklist.
        format!("    + rotate_logs {first} first (delay 10h)"),
        "    - error: next_workers.lua:2: broken".to_owned(),
        // The repaired one.
        format!("    - awaken {first} third (delay 10h)"),
        format!("    + rotate_logs {first} third (delay 10h)"),
        format!("    - awaken {second} third (delay 10h)"),
        format!("    + rotate_logs {second} third (delay 10h)"),
    ];
    assert_eq!(launched, expected, "{text}");
    assert!(!text.contains("not reproducible"), "{text}");
}

#[test]
fn each_message_is_compared_with_the_rules_of_its_time() {
    let rules = |arg: &str| {
        format!(
            "function after_sleep() return {{ NextWorker('awaken', {{ '{arg}' }}, {{ delay = '10h' }}) }} end"
        )
    };
    let system = system().only_rules(&rules("one")).start();
    system.send("sleep", "success", "null");
    system.write_rules(&rules("two"));
    system.send("sleep", "success", "null");
    system.write_rules("function after_sleep( return");
    system.send("sleep", "success", "null");
    system.write_rules(&rules("three"));
    system.send("sleep", "success", "null");
    let text = timeless(&system.operate(&["rules", "replay"]));
    let expected = "\
TIME  #2  sleep success   next_workers.lua:1
    - awaken one (delay 10h)
    + awaken three (delay 10h)

TIME  #5  sleep success   next_workers.lua:1
    - awaken two (delay 10h)
    + awaken three (delay 10h)
    and 1 more like it: #8

1 of them was decided by these very rules, so nothing can differ there
4 messages of 7 days replayed: 3 differ, 0 would fail that did not, 0 would no longer fail, 0 not comparable";
    assert_eq!(text, expected);
}

#[test]
fn made_crashes_and_operators_messages_are_replayed_too() {
    let rules =
        "function after_keyless(msg) return { NextWorker('awaken', { msg.type }, { delay = '10h' }) } end";
    let section = "workers: {keyless: {command: [sh, -c, 'exit 3']}}";
    let system = system().only_rules(rules).section(section).start();
    system.operate(&["send", "keyless", "success"]);
    system.operate(&["launch", "keyless"]);
    system.wait_for_log("manager", "without a report; the manager reports a crash for it");
    system.wait_for("the crash in the journal", || {
        system.operate(&["messages"]).contains("crash").then_some(())
    });
    system.write_rules("function after_keyless(msg) return {} end");
    let text = system.operate(&["rules", "replay"]);
    for line in
        ["keyless success", "- awaken success (delay", "keyless crash", "- awaken crash (delay", "2 messages"]
    {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn missing_historical_rules_are_reported_and_errors_are_still_found() {
    let system = a_day();
    let files =
        rusqlite::Connection::open(system.path("checklist.journal/journal.sqlite")).expect("the journal");
    files.execute("DELETE FROM rule_files", []).expect("as an older journal");
    // The current files are the same.
    let text = system.operate(&["rules", "replay"]);
    assert!(
        text.contains("7 messages of 7 days replayed: 0 differ") && text.contains(" 0 not comparable"),
        "{text}"
    );
    system.write_rules(&edited());
    let (status, text) = system.operation(&["rules", "replay"]);
    assert!(
        text.contains("7 not comparable: the files of the rules of generation 1 were not kept: #2, #4"),
        "{text}"
    );
    assert!(text.contains("! error: next_workers.lua:15: need: there is no key"), "{text}");
    assert!(
        text.contains("2 differ, 1 would fail that did not, 1 would no longer fail, 7 not comparable"),
        "{text}"
    );
    assert_eq!(status, Some(1));
}

#[test]
fn unusable_input_gives_status_2_and_a_missing_journal_1() {
    let system = system().file("broken.lua", "function (").prepare();
    let (status, text) = system.operation(&["rules", "replay", "--rules", "broken.lua"]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("broken.lua:1"), "{text}");
    let (status, text) = system.operation(&["rules", "replay"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("no manager has run with this configuration yet"), "{text}");
}

#[test]
fn a_removed_checklist_of_a_message_is_reported() {
    let rules = "function after_sleep() error('it stays parked') end";
    let mut system = system().only_rules(rules).prepare();
    system.start_broker();
    system.start_manager(&[]);
    system.send("sleep", "success", "{a: 1}");
    system.send("keyless", "success", "null");
    system.signal("manager", rustix::process::Signal::TERM);
    system.wait_for_end("manager");
    // As after `journal: keep:`: only what something open came from is still there.
    let file =
        rusqlite::Connection::open(system.path("checklist.journal/journal.sqlite")).expect("the journal");
    file.execute_batch(
        "DELETE FROM snapshots;
         INSERT INTO snapshots (event, changed_by, checklist) VALUES (2, 2, 'sleepyhead: {a: 1}')",
    )
    .expect("done");
    std::fs::write(system.path("edited.lua"), "function after_sleep() return {} end").expect("written");
    let (_, text) = system.operation(&["rules", "replay", "--rules", "edited.lua"]);
    assert!(
        text.contains("1 not comparable: the events that led to its checklist were removed, as `journal: keep:` says: #2"),
        "{text}"
    );
    assert!(text.contains("2 messages of 7 days replayed"), "{text}");
}

/// On a terminal, and only there, a replay shows how far it is, and takes that away in the end.
#[test]
fn a_replay_shows_on_a_terminal_how_far_it_is() {
    let system = a_day();
    let arguments = ["rules", "replay", "--rules", "trial/edited.lua"];
    let replay = system.command(&arguments);
    let mut on_terminal = Command::new("script");
    on_terminal.args(["--quiet", "--return", "--command"]);
    on_terminal.arg(format!("{} {}", replay.get_program().display(), arguments.join(" "))).arg("/dev/null");
    on_terminal.env("TERM", "xterm").envs(replay.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = on_terminal.current_dir(system.path(".")).output().expect("script is there");
    let shown = String::from_utf8_lossy(&output.stdout);
    let (bar, report) = shown.split_once("#2  sleep").expect("a report");
    assert!(bar.contains("replaying") && bar.contains('%'), "{shown:?}");
    assert!(bar.rfind("replaying") < bar.rfind("\u{1b}[2K"), "{shown:?}");
    assert!(report.contains("7 messages of 7 days replayed"), "{shown:?}");

    let (_, text) = system.operation(&arguments);
    assert!(!text.contains("replaying"), "{text}");
}

/// Rules that ask for a message, and cannot go on without it.
const RULES_WITH_LAST: &str = "\
function after_weather()
  return { NextWorker('upload', { last('rivers', 'success').payload.rule }) }
end
";

/// The same without the question.
const RULES_WITHOUT_LAST: &str = "function after_weather() return { NextWorker('upload') } end\n";

#[test]
fn a_message_from_before_the_notes_is_not_compared_if_a_rule_calls_last() {
    let mut system = system()
        .only_rules(RULES_WITH_LAST)
        .worker("weather: {success: it came, crash: it crashed}")
        .file("other.lua", RULES_WITHOUT_LAST)
        .start();
    let folder = system.path("checklist.journal");
    let connect = || rusqlite::Connection::open(folder.join("journal.sqlite")).expect("the journal");
    let hash: String =
        connect().query_row("SELECT hash FROM rules", [], |row| row.get(0)).expect("that of the rules");
    system.signal("manager", rustix::process::Signal::TERM);
    system.wait_for_end("manager");
    // A journal from before the notes. All its messages were decided by rules of one hash.
    std::fs::remove_dir_all(&folder).expect("removed");
    std::fs::create_dir(&folder).expect("a folder");
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journal-version-7/journal.sqlite");
    std::fs::copy(fixture, folder.join("journal.sqlite")).expect("copied");
    drop(nowcast::store::Journal::open(&folder).expect("migrated"));
    let lacks_notes = "the rule asks for last(…), and the messages that it could find then are not known";
    let not_kept = "the files of the rules of generation 1 were not kept";
    for (past, on_trial, reason) in [
        // The rules on trial are the historical ones; the historical rules ask; the rules on trial ask; the historical rules are not known.
        ((&*hash, Some(RULES_WITH_LAST)), "rules/next_workers.lua", lacks_notes),
        ((&*hash, Some(RULES_WITH_LAST)), "other.lua", lacks_notes),
        (("hash 1", Some(RULES_WITHOUT_LAST)), "rules/next_workers.lua", lacks_notes),
        (("hash 1", None), "rules/next_workers.lua", not_kept),
    ] {
        let (hash, text) = past;
        let journal = connect();
        journal.execute_batch("DELETE FROM rule_files").expect("removed");
        journal.execute("UPDATE rules SET hash = ?1", [hash]).expect("written");
        if let Some(text) = text {
            let insert =
                "INSERT INTO rule_files (hash, position, name, text) VALUES (?1, 0, 'next_workers.lua', ?2)";
            journal.execute(insert, [hash, text]).expect("written");
        }
        drop(journal);
        let replay = ["rules", "replay", "--since", "2026-03-01", "--worker", "weather", "--json"];
        let (_, text) = system.operation(&[&replay[..], &["--rules", on_trial]].concat());
        let report: serde_json::Value = serde_json::from_str(&text).expect("one document");
        let expected = serde_json::json!([{"reason": reason, "messages": [2, 17, 21, 29]}]);
        assert_eq!(report["not_comparable"], expected, "{hash} {on_trial}: {report}");
        // A rule that fails since it finds nothing is neither a difference nor another result.
        let summary = &report["summary"];
        assert_eq!((&summary["differ"], &summary["not_reproducible"]), (&0.into(), &0.into()), "{report}");
    }
}
