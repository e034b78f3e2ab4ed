//! Rules are edited while the system runs.

use std::fs;

use rustix::process::Signal;

use crate::support::system::system;

fn says(text: &str) -> String {
    format!(
        "function after_keyless() log.info('{text}') return {{}} end\nfunction after_sleep() return {{}} end\n"
    )
}

#[test]
fn an_edit_saved_before_a_message_is_in_force_for_it() {
    let system = system().only_rules(&says("round 0")).start();
    for round in 0..20 {
        let text = format!("round {round}");
        system.write_rules(&says(&text));
        system.works();
        system.wait_for_log("manager", &format!("INFO [manager] {text}"));
    }
}

#[test]
fn a_bad_edit_keeps_the_last_good_rules() {
    let system = system().only_rules(&says("good")).start();
    for (bad, reason) in [
        ("function after_keyless( return", "next_workers.lua:1"),
        ("error('no')", "next_workers.lua:1"),
        ("while true do end", "limit"),
        ("-- half written", "after_keyless"),
    ] {
        let before = system.log("manager").matches("INFO [manager] good").count();
        system.write_rules(bad);
        system.works();
        system.wait_for_log_count("manager", "INFO [manager] good", before + 1);
        system.wait_for_log("manager", reason);
    }
    system.write_rules(&says("better"));
    system.works();
    system.wait_for_log("manager", "INFO [manager] better");
}

#[test]
fn sighup_reloads_rules_and_configuration_and_loses_nothing() {
    let system = system().only_rules(&says("one")).start();
    system.write_rules(&says("two"));
    system.signal("manager", Signal::HUP);
    system.wait_for_log("manager", "INFO [manager] hangup signal (SIGHUP) received; reloading configuration");
    system.wait_for_log_count("manager", "next workers module loaded from next_workers", 2);
    system.works();
    system.wait_for_log("manager", "INFO [manager] two");
}

#[test]
fn the_journal_has_the_configuration_of_each_event() {
    let mut system = system().only_rules(&says("one")).start();
    system.works();
    let first = fs::read_to_string(system.config()).expect("readable");
    system.signal("manager", Signal::HUP);
    system.wait_for_log_count("manager", "next workers module loaded from next_workers", 2);
    system.works();
    let second = format!("{first}a section of the rules: 1\n");
    fs::write(system.config(), &second).expect("written");
    system.signal("manager", Signal::HUP);
    system.wait_for_log_count("manager", "next workers module loaded from next_workers", 3);
    system.works();
    system.signal("manager", Signal::KILL);
    system.wait_for_end("manager");
    system.start_manager(&[]);
    system.works();
    let journal =
        rusqlite::Connection::open(system.path("checklist.journal/journal.sqlite")).expect("a journal");
    let texts: Vec<String> = journal
        .prepare("SELECT text FROM configurations ORDER BY event")
        .and_then(|mut texts| texts.query_map([], |row| row.get(0))?.collect())
        .expect("texts");
    assert_eq!(texts, [first, second], "an unchanged one is not kept again");
}

#[test]
fn the_last_good_rules_survive_a_restart_beside_a_broken_file() {
    let mut system = system().only_rules(&says("good")).start();
    system.works();
    for (bad, reason) in [
        ("function after_keyless( return", "next_workers.lua:1"),
        ("", "gone, though registered workers need them"),
    ] {
        system.write_rules(bad);
        system.signal("manager", Signal::KILL);
        system.wait_for_end("manager");
        let before = system.log("manager").matches("INFO [manager] good").count();
        system.start_manager(&[]);
        system.wait_for_log(
            "manager",
            "CRITICAL [manager] the rules cannot be used, the previous rules stay in force",
        );
        system.wait_for_log("manager", reason);
        system.works();
        system.wait_for_log_count("manager", "INFO [manager] good", before + 1);
        let (status, text) = system.operation(&["status"]);
        assert!(status == Some(1) && text.contains("RULES") && text.contains(reason), "{text}");
    }
    system.write_rules(&says("better"));
    system.works();
    system.wait_for_log("manager", "INFO [manager] better");
    assert_eq!(system.operation(&["status"]).0, Some(0));
}
