//! Tests which rules are in force when their file changes.

use std::fs;

use super::*;
use nowcast_core::message::Message;
use nowcast_core::{RuleError, RuleInput, Rules};
use pyyaml::Value;

struct Edited {
    folder: tempfile::TempDir,
    reloader: Reloader,
}

fn rules(launches: &str) -> String {
    format!(
        "function after_sleep() return {{ worker('{launches}') }} end\nfunction after_awaken() return {{}} end\n"
    )
}

impl Edited {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("next_workers.lua");
        fs::write(&path, rules("one")).unwrap();
        let rule_set = RuleSet {
            config_file: folder.path().join("nowcast.yaml"),
            module: "next_workers".to_owned(),
            options: EngineOptions::default(),
            workers: vec!["sleep".to_owned(), "awaken".to_owned()],
        };
        let (reloader, outcome) = Reloader::start(rule_set, None);
        assert_eq!(outcome, Reload::Loaded);
        Self { folder, reloader }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("next_workers.lua")
    }

    fn save(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
    }

    fn hash(&self) -> &str {
        self.reloader.engine().expect("rules in force").hash()
    }

    fn check(&mut self) -> Reload {
        self.reloader.reload_if_changed()
    }

    /// Return the module that the rules in force launch after sleep.
    fn launches(&self) -> String {
        let message = Message::new("sleep", "success", Value::Null);
        let call = self.reloader.call_after(&RuleInput {
            message: &message,
            config: &Value::Null,
            checklist: &Value::Null,
            cycles: None,
            now: &jiff::ZonedDateTime::now(),
        });
        match call.result {
            Ok(answer) => answer.next_workers[0].module.clone(),
            Err(RuleError::NoFunction { .. }) => "no function".into(),
            Err(RuleError::Failed(text)) => text,
        }
    }
}

fn reason(reload: Reload) -> String {
    match reload {
        Reload::Refused(error) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_edit_is_in_force_at_the_next_look() {
    let mut edited = Edited::new();
    assert_eq!(edited.check(), Reload::Unchanged);
    for (round, name) in ["two", "six", "ten"].into_iter().enumerate() {
        // The edit has the same size, and is saved within the same step of the file system's clock.
        edited.save(&rules(name));
        assert_eq!(edited.check(), Reload::Loaded);
        assert_eq!(edited.launches(), name);
        assert_eq!(edited.reloader.generation(), round as u64 + 2);
        assert_eq!(edited.check(), Reload::Unchanged);
    }
}

#[test]
fn a_file_that_was_only_touched_stays_the_same_generation() {
    let mut edited = Edited::new();
    let hash = edited.hash().to_owned();
    edited.save(&rules("one"));
    assert_eq!(edited.check(), Reload::Unchanged);
    assert_eq!((edited.reloader.generation(), edited.hash()), (1, hash.as_str()));
}

#[test]
fn a_broken_edit_is_reported_once_and_changes_nothing() {
    let mut edited = Edited::new();
    edited.save("function after_sleep(\n");
    assert_eq!(
        reason(edited.check()),
        format!("{}:2: <name> or '...' expected near <eof>", edited.path().display())
    );
    assert_eq!(edited.check(), Reload::Unchanged, "told once");
    assert_eq!(edited.launches(), "one");
    assert!(edited.reloader.refused().is_some());

    edited.save("function after_sleep(\n\n");
    assert!(reason(edited.check()).contains(":3: "), "another error is told");

    edited.save(&rules("two"));
    assert_eq!(edited.check(), Reload::Loaded);
    assert_eq!(edited.launches(), "two");
    assert!(edited.reloader.refused().is_none());
}

#[test]
fn an_undone_edit_is_reported_as_loaded() {
    let mut edited = Edited::new();
    edited.save("syntax error");
    assert!(matches!(edited.check(), Reload::Refused(_)));
    edited.save(&rules("one"));
    assert_eq!(edited.check(), Reload::Loaded);
    assert_eq!(edited.reloader.generation(), 1);
    assert_eq!(edited.check(), Reload::Unchanged);
}

#[test]
fn a_half_written_file_is_refused() {
    let mut edited = Edited::new();
    edited.save("function after_sleep() return { worker('two') } end\n");
    let reason = reason(edited.check());
    assert_eq!(
        reason,
        format!(
            "{}: after_awaken is gone, though registered workers need it: is the file half written? To drop the rule on \
             purpose, write function after_awaken() return {{}} end",
            edited.path().display()
        )
    );
    assert_eq!(edited.launches(), "one");
    assert_eq!(edited.check(), Reload::Unchanged);
    assert!(matches!(edited.reloader.force(), Reload::Refused(_)), "an explicit reload tells it again");

    edited.save("");
    assert!(self::reason(edited.check()).contains("after_sleep, after_awaken are gone"));

    // The function of a worker that is not registered may be missing.
    edited.save("function after_sleep() return { worker('two') } end\n");
    edited.reloader.rule_set.workers.pop();
    assert_eq!(edited.check(), Reload::Loaded);
    assert_eq!(edited.launches(), "two");
}

#[test]
fn a_file_that_vanished_leaves_the_rules_in_force() {
    let mut edited = Edited::new();
    fs::remove_file(edited.path()).unwrap();
    assert!(reason(edited.check()).contains("cannot find the rules \"next_workers\""));
    assert_eq!(edited.check(), Reload::Unchanged);
    assert_eq!(edited.launches(), "one");

    // Some editors write a new file and rename it.
    fs::write(edited.folder.path().join("new"), rules("two")).unwrap();
    fs::rename(edited.folder.path().join("new"), edited.path()).unwrap();
    assert_eq!(edited.check(), Reload::Loaded);
    assert_eq!(edited.launches(), "two");
}

#[test]
fn a_forced_reload_without_a_change_is_fine() {
    let mut edited = Edited::new();
    assert_eq!(edited.reloader.force(), Reload::Loaded);
    assert_eq!(edited.reloader.generation(), 1);
    edited.save(&rules("two"));
    assert_eq!(edited.reloader.force(), Reload::Loaded);
    assert_eq!(edited.reloader.generation(), 2);
}

#[test]
fn a_change_in_a_required_file_reloads() {
    let mut edited = Edited::new();
    let module = edited.folder.path().join("names.lua");
    edited.save(&format!("local names = require('names')\n{}", rules("x").replace("'x'", "names.first")));
    assert!(reason(edited.check()).contains("names.lua: cannot read the file"));
    fs::write(&module, "return { first = 'two' }").unwrap();
    assert_eq!(edited.check(), Reload::Loaded);
    assert_eq!(edited.launches(), "two");
    fs::write(&module, "return { first = 'six' }").unwrap();
    assert_eq!(edited.check(), Reload::Loaded);
    assert_eq!(edited.launches(), "six");
}

#[test]
fn a_call_past_its_limit_continues_with_the_checked_rules() {
    let mut edited = Edited::new();
    edited.reloader.rule_set.options.limits.instructions = 100_000;
    edited.save("function after_sleep(msg) if msg.payload then while true do end end return { worker('two') } end function after_awaken() end");
    assert_eq!(edited.check(), Reload::Loaded);
    edited.save("broken");
    let message = Message::new("sleep", "success", Value::Int(1));
    let call = edited.reloader.call_after(&RuleInput {
        message: &message,
        config: &Value::Null,
        checklist: &Value::Null,
        cycles: None,
        now: &jiff::ZonedDateTime::now(),
    });
    assert!(call.result.is_err());
    assert_eq!(edited.launches(), "two", "not the broken text that the disk holds by now");
}

#[test]
fn the_rules_may_move() {
    let mut edited = Edited::new();
    let other = edited.folder.path().join("other.lua");
    fs::write(&other, rules("two")).unwrap();
    let here = edited.reloader.rule_set().clone();
    let moved = |module: &str| RuleSet { module: module.to_owned(), ..here.clone() };
    assert_eq!(edited.reloader.follow(moved("other.lua")), Reload::Loaded);
    assert_eq!((edited.launches(), edited.reloader.generation()), ("two".to_owned(), 2));
    assert!(reason(edited.reloader.follow(moved("nowhere"))).contains("cannot find the rules \"nowhere\""));
    assert_eq!(edited.launches(), "two");
    assert_eq!(edited.check(), Reload::Unchanged);
}

#[test]
fn a_manager_without_rules_fails_each_call_until_they_are_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let rule_set = RuleSet {
        config_file: folder.path().join("nowcast.yaml"),
        module: "next_workers".to_owned(),
        options: EngineOptions::default(),
        workers: Vec::new(),
    };
    let (reloader, outcome) = Reloader::start(rule_set, None);
    assert!(reason(outcome).contains("cannot find the rules"));
    let mut edited = Edited { folder, reloader };
    assert!(edited.launches().starts_with("there are no rules in force: "));
    assert_eq!(edited.check(), Reload::Unchanged, "told once");
    edited.save("function after_sleep(");
    assert!(reason(edited.check()).contains("next_workers.lua:1: "));
    assert_eq!(edited.reloader.generation(), 0);
    edited.save(&rules("one"));
    assert_eq!(edited.check(), Reload::Loaded);
    assert_eq!((edited.launches(), edited.reloader.generation()), ("one".to_owned(), 1));
}

/// Return edited rules, and a reloader that starts with those that were in force before.
fn restarted(edited: Edited, text: &str) -> (Edited, Reload) {
    let last = edited.reloader.engine().expect("rules in force").files();
    edited.save(text);
    let rule_set = edited.reloader.rule_set().clone();
    let last = rule_set.load_stored(&last).expect("still usable");
    let (reloader, outcome) = Reloader::start(rule_set, Some(last));
    (Edited { reloader, ..edited }, outcome)
}

#[test]
fn a_broken_or_incomplete_file_at_the_start_is_refused_like_any_other_edit() {
    for (broken, expected) in [
        ("function after_sleep(", "next_workers.lua:1: "),
        ("", "after_sleep, after_awaken are gone"),
        ("function after_sleep() return {} end", "after_awaken is gone"),
    ] {
        let (mut edited, outcome) = restarted(Edited::new(), broken);
        assert!(reason(outcome.clone()).contains(expected), "{outcome:?}");
        assert_eq!((edited.launches().as_str(), edited.check()), ("one", Reload::Unchanged), "told once");
        edited.save(&rules("two"));
        assert_eq!(edited.check(), Reload::Loaded);
        assert_eq!(edited.launches(), "two");
    }
    let edited = Edited::new();
    fs::remove_file(edited.path()).unwrap();
    let last = edited.reloader.engine().expect("rules in force").files();
    let rule_set = edited.reloader.rule_set().clone();
    let last = rule_set.load_stored(&last).expect("still usable");
    let (reloader, outcome) = Reloader::start(rule_set, Some(last));
    assert!(reason(outcome).contains("cannot find the rules"));
    assert_eq!(Edited { reloader, ..edited }.launches(), "one");
}

#[test]
fn unchanged_and_edited_files_at_the_start_are_in_force_and_watched() {
    for text in ["one", "six"] {
        let (mut edited, outcome) = restarted(Edited::new(), &rules(text));
        assert_eq!(outcome, Reload::Loaded);
        assert_eq!((edited.launches().as_str(), edited.check()), (text, Reload::Unchanged));
        edited.save(&rules("ten"));
        assert_eq!(edited.check(), Reload::Loaded);
        assert_eq!(edited.launches(), "ten");
    }
}
