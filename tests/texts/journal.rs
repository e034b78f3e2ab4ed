//! What `nowcast journal` prints of a journal, of a damaged one, and while a manager uses it.

use std::fs;
use std::path::Path;

use crate::program::{assert_snapshot, replaced};
use crate::recorded::Recorded;
use crate::scenes;

/// The transcripts of several commands at noon, with what depends on the format of the journal written as a word.
fn all(system: &mut Recorded, commands: &[&[&str]]) -> String {
    let text: String = commands.iter().map(|arguments| system.run(arguments) + "\n").collect();
    let text = replaced(&text, r"\b\d+ (bytes|kB|MB)\b", "SIZE");
    let text = replaced(&text, r#"("\w*bytes\w*"): \d+"#, "$1: SIZE");
    let text = replaced(&text, r#"(versions?"?:?(?: up to)?) \d+"#, "$1 VERSION");
    let text = replaced(&text, r#""manager": \d+"#, r#""manager": PID"#);
    replaced(&text, r"\bprocess \d+", "process PID")
}

/// Change the database as no manager does.
fn change(system: &Recorded, statement: &str) {
    let file = system.root().join("checklist.journal/journal.sqlite");
    rusqlite::Connection::open(file).and_then(|database| database.execute_batch(statement)).expect("changed");
}

#[test]
fn beside_a_manager() {
    let mut system = scenes::fine();
    system.at("12:00");
    let commands: &[&[&str]] = &[
        &["journal", "info"],
        &["journal", "info", "--json"],
        &["journal", "check"],
        &["journal", "check", "--json"],
        &["journal", "prune"],
        &["journal", "prune", "--keep", "1d"],
        &["journal", "compact"],
        &["journal", "compact", "--json"],
    ];
    assert_snapshot("journal_beside_a_manager", &all(&mut system, commands));
}

#[test]
fn without_a_manager() {
    let logging = "logging: {version: 1}";
    let mut system = Recorded::with((logging, &format!("{logging}\njournal: {{keep: 1d}}")), "");
    system
        .at("-2 06:00")
        .launches("collect_rivers", &[])
        .at("-2 06:10")
        .finishes("collect_rivers", "success", &format!("{{Fraser: '{}'}}", "805".repeat(100_000)))
        .at("-2 06:20")
        .finishes("make_plots", "success", "null")
        .at("08:00")
        .launches("collect_rivers", &[])
        .at("08:10")
        .finishes("collect_rivers", "success", "{Fraser: 790}")
        .at("12:00")
        .without_manager();
    let commands: &[&[&str]] = &[
        &["journal", "info"],
        &["journal", "info", "--json"],
        &["journal", "prune", "--keep", "12h"],
        &["journal", "prune", "--json"],
        &["journal", "compact"],
        &["journal", "compact", "--json"],
        &["journal", "prune"],
        &["journal", "check"],
    ];
    assert_snapshot("journal_without_a_manager", &all(&mut system, commands));
}

#[test]
fn of_a_damaged_journal() {
    let mut system = scenes::fine();
    system.at("12:00").without_manager();
    change(
        &system,
        "UPDATE events SET at = 'yesterday' WHERE number = 5;
         UPDATE runs SET cycle = 'a b' WHERE id = 4;
         DELETE FROM events WHERE number = (SELECT max(number) FROM events)",
    );
    let commands: &[&[&str]] =
        &[&["journal", "check"], &["journal", "check", "--json"], &["journal", "compact"]];
    assert_snapshot("journal_damaged", &all(&mut system, commands));
}

#[test]
fn that_cannot_be_used() {
    let mut system = scenes::fine();
    system.at("12:00").without_manager();
    let journal = system.root().join("checklist.journal");
    let mut text = all(&mut system, &[&["journal", "prune", "--keep", "soon"]]);
    change(&system, "PRAGMA user_version = 1000");
    text += &all(&mut system, &[&["journal", "info"], &["journal", "compact"]]);
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journal-version-1/journal.sqlite");
    fs::copy(old, journal.join("journal.sqlite")).expect("copied");
    text += &all(&mut system, &[&["journal", "check"]]);
    fs::write(journal.join("journal.sqlite"), "not a database".repeat(100)).expect("written");
    text += &all(&mut system, &[&["journal", "info"]]);
    fs::remove_dir_all(journal).expect("removed");
    text +=
        &all(&mut system, &[&["journal", "info"], &["journal", "check", "--json"], &["journal", "prune"]]);
    assert_snapshot("journal_unusable", &text);
}
