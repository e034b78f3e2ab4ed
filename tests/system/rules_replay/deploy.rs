//! Edited rules put in force, refused, and taken back.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use nowcast::rules::{EngineOptions, RuleSet};
use nowcast::trial::deploy::RulesExchange;

use crate::rules_replay::journal::timeless;
use crate::support::system::{System, system};

fn rules(arg: &str) -> String {
    format!(
        "local rivers = require('rivers')
function after_sleep(msg, config, checklist)
  return {{ NextWorker('awaken', {{ '{arg}', rivers.name }}, {{ delay = '10h' }}) }}
end
local function nothing() return {{}} end
after_keyless, after_awaken, after_clear_checklist, after_rotate_logs = nothing, nothing, nothing, nothing
"
    )
}

fn a_system() -> System {
    system()
        .only_rules(&rules("one"))
        .file("rules/rivers.lua", "return { name = 'fraser' }\n")
        .file("trial/edited.lua", rules("two"))
        .start()
}

fn in_force(system: &System) -> String {
    fs::read_to_string(system.path("rules/next_workers.lua")).expect("the rules")
}

#[test]
fn rules_that_pass_are_in_force_and_undo_restores_the_previous_ones() {
    let system = a_system();
    system.send("sleep", "success", "null");
    let text = timeless(&system.operate(&["rules", "deploy", "trial/edited.lua", "--yes"]));
    let expected = "\
load: passed
    5 rules in trial/edited.lua

check: passed
    5 rules, 14 message types, 29 calls, 1 recorded message: 0 errors, 0 warnings

test: passed
    the rules have no tests

replay: passed
    TIME  #2  sleep success   next_workers.lua:2 → edited.lua:2
        - awaken one fraser (delay 10h)
        + awaken two fraser (delay 10h)

    1 message of 7 days replayed: 1 differs, 0 would fail that did not, 0 would no longer fail, 0 not comparable

--- rules/next_workers.lua (in force)
+++ rules/next_workers.lua (new)
@@ -1,6 +1,6 @@
 local rivers = require('rivers')
 function after_sleep(msg, config, checklist)
-  return { NextWorker('awaken', { 'one', rivers.name }, { delay = '10h' }) }
+  return { NextWorker('awaken', { 'two', rivers.name }, { delay = '10h' }) }
 end
 local function nothing() return {} end
 after_keyless, after_awaken, after_clear_checklist, after_rotate_logs = nothing, nothing, nothing, nothing

the rules are in force as generation 2";
    assert_eq!(text, expected);
    assert_eq!(in_force(&system), rules("two"));
    let text = system.operate(&["rules", "deploy", "trial/edited.lua", "--yes"]);
    assert!(text.ends_with("the files already have these rules; nothing was changed\n"), "{text}");

    let text = system.operate(&["rules", "deploy", "--undo", "--yes"]);
    assert!(text.starts_with("rules generation 1:\n"), "{text}");
    assert!(text.contains("-  return { NextWorker('awaken', { 'two', rivers.name }"), "{text}");
    assert!(text.ends_with("the rules are in force as generation 3\n"), "{text}");
    assert_eq!(in_force(&system), rules("one"));
    let text = system.operate(&["rules", "replay"]);
    assert!(text.contains("1 message of 7 days replayed: 0 differ"), "{text}");
}

#[test]
fn modules_beside_the_edited_file_go_with_it_and_undo_takes_them_back() {
    let system = a_system();
    fs::write(system.path("trial/rivers.lua"), "return { name = require('deltas.nile') }\n")
        .expect("written");
    fs::create_dir(system.path("trial/deltas")).expect("a folder");
    fs::write(system.path("trial/deltas/nile.lua"), "return 'nile'\n").expect("written");
    system.operate(&["rules", "deploy", "trial/edited.lua", "--yes"]);
    for name in ["rivers.lua", "deltas/nile.lua"] {
        let read =
            |folder: &str| fs::read_to_string(system.path(&format!("{folder}/{name}"))).expect("a module");
        assert_eq!(read("rules"), read("trial"));
    }
    system.send("sleep", "success", "null");
    let runs = system.operate(&["runs"]);
    assert!(runs.contains("two nile"), "{runs}");
    system.operate(&["rules", "deploy", "--undo", "--yes"]);
    assert!(fs::read_to_string(system.path("rules/rivers.lua")).expect("a module").contains("fraser"));
}

#[test]
fn errors_that_the_rules_in_force_have_as_well_stand_in_nobodys_way() {
    let half = rules("one").replace("after_keyless, after_awaken", "after_awaken");
    let edited = half.replace("'one'", "'two'");
    let system = system()
        .only_rules(&half)
        .file("rules/rivers.lua", "return { name = 'fraser' }\n")
        .file("trial/edited.lua", &edited)
        .start();
    let text = system.operate(&["rules", "deploy", "trial/edited.lua", "--yes"]);
    assert!(
        text.contains("check: passed\n    error: the registered worker `keyless` has no function"),
        "{text}"
    );
    assert!(text.contains("\n    the rules in force have the same errors\n"), "{text}");
    assert_eq!(in_force(&system), edited);
}

#[test]
fn rules_that_fail_their_own_tests_are_not_put_in_force() {
    let system = a_system();
    fs::create_dir(system.path("rules/tests")).expect("a folder");
    let tests = "it('launches one', function() message('sleep', 'success') expect_launches{ 'awaken one fraser (delay 10h)' } end)";
    fs::write(system.path("rules/tests/all.lua"), tests).expect("written");
    let (status, text) = system.operation(&["rules", "deploy", "trial/edited.lua", "--yes"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.contains("test: not passed\n") && text.contains("+ awaken two fraser (delay 10h)"),
        "{text}"
    );
    assert!(text.ends_with("not passed: test; nothing was changed. --force deploys in any case\n"), "{text}");
    assert_eq!(in_force(&system), rules("one"));
}

#[test]
fn rules_that_fail_where_the_historical_ones_did_not_are_not_put_in_force() {
    let system = a_system();
    system.send("sleep", "success", "null");
    let fails = rules("two").replace("return { Next", "error('no') return { Next");
    fs::write(system.path("trial/edited.lua"), fails).expect("written");
    let (status, text) = system.operation(&["rules", "deploy", "trial/edited.lua", "--yes"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("replay: not passed\n"), "{text}");
    assert!(
        text.ends_with("not passed: check, replay; nothing was changed. --force deploys in any case\n"),
        "{text}"
    );
    assert_eq!(in_force(&system), rules("one"));
    fs::write(system.path("trial/edited.lua"), "function (").expect("written");
    let (status, text) = system.operation(&["rules", "deploy", "trial/edited.lua", "--yes", "--force"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("load: not passed\n    trial/edited.lua:1: "), "{text}");
    assert_eq!(in_force(&system), rules("one"));
    fs::write(
        system.path("trial/edited.lua"),
        rules("x").replace("return { Next", "error('x') return { Next"),
    )
    .expect("written");
    let text = system.operate(&["rules", "deploy", "trial/edited.lua", "--yes", "--force"]);
    assert!(text.ends_with("the rules are in force as generation 2\n"), "{text}");
}

#[test]
fn rules_that_the_manager_refuses_are_put_back() {
    let system = a_system();
    let edited = rules("two").replace("after_keyless, after_awaken", "after_awaken");
    fs::write(system.path("trial/edited.lua"), edited).expect("written");
    fs::write(system.path("trial/rivers.lua"), "return { name = 'nile' }\n").expect("written");
    let (status, text) = system.operation(&["rules", "deploy", "trial/edited.lua", "--yes", "--force"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("check: not passed\n"), "{text}");
    assert!(text.contains("the manager refused the rules; the previous files were restored:\n"), "{text}");
    assert!(text.contains("after_keyless is gone"), "{text}");
    assert_eq!(in_force(&system), rules("one"));
    assert!(fs::read_to_string(system.path("rules/rivers.lua")).expect("a module").contains("fraser"));
    system.wait_for("the old rules again", || {
        (!system.operation(&["status"]).1.contains("after_keyless is gone")).then_some(())
    });
}

/// The file has lost the rule already, so the check knows the error; the manager still has it.
#[test]
fn rules_that_the_manager_would_refuse_do_not_pass() {
    let mut system = a_system();
    let half = |arg: &str| rules(arg).replace("after_keyless, after_awaken", "after_awaken");
    system.write_rules(&half("one"));
    fs::write(system.path("trial/edited.lua"), half("two")).expect("written");
    for is_served in [true, false] {
        let (status, text) = system.operation(&["rules", "deploy", "trial/edited.lua", "--yes"]);
        assert_eq!(status, Some(1), "{is_served}: {text}");
        assert!(text.contains("load: not passed\n    trial/edited.lua: after_keyless is gone"), "{text}");
        assert!(
            text.ends_with("not passed: load; nothing was changed. --force deploys in any case\n"),
            "{text}"
        );
        assert_eq!(in_force(&system), half("one"));
        if is_served {
            system.signal("manager", rustix::process::Signal::TERM);
            system.wait_for_end("manager");
        }
    }
}

#[test]
fn a_replay_without_comparable_messages_reports_it() {
    let system = a_system();
    system.send("sleep", "success", "null");
    let file =
        rusqlite::Connection::open(system.path("checklist.journal/journal.sqlite")).expect("the journal");
    file.execute("DELETE FROM rule_files", []).expect("as an older journal");
    fs::write(system.path("rules/next_workers.lua"), rules("three")).expect("written");
    let (_, text) = system.operation(&["rules", "deploy", "trial/edited.lua", "--yes"]);
    assert!(
        text.contains("    nothing could be compared, so the replay says nothing about what these rules"),
        "{text}"
    );
}

#[test]
fn without_a_terminal_it_takes_yes() {
    let system = a_system();
    let (status, text) = system.operation(&["rules", "deploy", "trial/edited.lua"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.ends_with("nothing was changed: there is no terminal for the question; add --yes\n"),
        "{text}"
    );
    let (status, text) = system.operation(&["rules", "deploy", "trial/edited.lua", "--json"]);
    let done: serde_json::Value = serde_json::from_str(&text).expect("one document");
    assert_eq!((status, &done["deployed"]), (Some(1), &false.into()), "{text}");
    assert_eq!(in_force(&system), rules("one"));
}

#[test]
fn a_terminal_is_asked() {
    let system = a_system();
    for (answer, is_changed) in [("n", false), ("y", true)] {
        let mut command = system.command(&[]);
        let nowcast = command.get_program().to_owned();
        let deploy = format!("{} rules deploy trial/edited.lua", nowcast.to_string_lossy());
        command = std::process::Command::new("script");
        command
            .args(["-qec", &deploy, "/dev/null"])
            .current_dir(system.path(""))
            .stdin(std::process::Stdio::piped());
        command.stdout(std::process::Stdio::piped());
        let mut child = command.spawn().expect("script runs");
        let mut input = child.stdin.take().expect("a pipe");
        std::io::Write::write_all(&mut input, format!("{answer}\n").as_bytes()).expect("written");
        let output = child.wait_with_output().expect("it ends");
        drop(input);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("Put these rules in force? [y/N]"), "{text}");
        assert_eq!(in_force(&system) == rules("two"), is_changed, "{text}");
    }
}

#[test]
fn without_a_manager_they_are_in_force_when_one_starts() {
    let mut system =
        system().only_rules(&rules("one")).file("rules/rivers.lua", "return { name = 1 }").prepare();
    fs::create_dir(system.path("trial")).expect("a folder");
    fs::write(system.path("trial/edited.lua"), rules("two")).expect("written");
    let text = system.operate(&["rules", "deploy", "trial/edited.lua", "--yes"]);
    assert!(text.contains("there is no journal yet, so nothing to replay"), "{text}");
    assert!(text.ends_with("no manager runs; the rules will be in force when one starts\n"), "{text}");
    let (status, text) = system.operation(&["rules", "deploy", "--undo", "--yes"]);
    assert_eq!(status, Some(1), "{text}");
    system.start_broker();
    system.start_manager(&[]);
    let (status, text) = system.operation(&["rules", "deploy", "--undo", "--yes"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("the journal has no rules before those in force"), "{text}");
}

#[test]
fn a_deploy_without_a_manager_is_undone_in_one_step() {
    let mut system = a_system();
    system.operate(&["rules", "deploy", "trial/edited.lua", "--yes"]);
    system.signal("manager", rustix::process::Signal::TERM);
    system.wait_for_end("manager");
    fs::write(system.path("trial/edited.lua"), rules("three")).expect("written");
    system.operate(&["rules", "deploy", "trial/edited.lua", "--yes"]);
    let text = system.operate(&["rules", "deploy", "--undo", "--yes"]);
    assert!(text.starts_with("rules generation 2:\n"), "{text}");
    assert_eq!(in_force(&system), rules("two"));
    // Rules that are broken by hand are no step.
    fs::write(system.path("rules/next_workers.lua"), "function (").expect("written");
    system.operate(&["rules", "deploy", "--undo", "--yes"]);
    assert_eq!(in_force(&system), rules("two"));
}

#[test]
fn mode_and_symbolic_links_stay_and_the_file_in_force_is_no_edit() {
    let system = a_system();
    let real = system.path("shared.lua");
    fs::rename(system.path("rules/next_workers.lua"), &real).expect("moved");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).expect("a mode");
    symlink("../shared.lua", system.path("rules/next_workers.lua")).expect("a link");
    let (status, text) = system.operation(&["rules", "deploy", "shared.lua", "--yes"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("is the file in force itself"), "{text}");
    let (_, json) = system.operation(&["rules", "deploy", "trial/edited.lua", "--yes", "--json"]);
    let done: serde_json::Value = serde_json::from_str(&json).expect("one document");
    assert_eq!((&done["deployed"], &done["generation"]), (&true.into(), &2.into()), "{json}");
    assert_eq!(done["gate"][3]["name"], "replay");
    assert!(fs::symlink_metadata(system.path("rules/next_workers.lua")).expect("a link").is_symlink());
    assert_eq!(fs::read_to_string(&real).expect("the rules"), rules("two"));
    assert_eq!(fs::metadata(&real).expect("the rules").permissions().mode() & 0o7777, 0o640);
    let left: Vec<_> =
        fs::read_dir(system.path("")).expect("the folder").flatten().map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".new")), "{left:?}");
}

/// The main file became a folder, so it cannot be put back.
#[test]
fn files_that_cannot_be_restored_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("trial")).expect("a folder");
    for (name, text) in [
        ("next_workers.lua", "local rivers = require('rivers')"),
        ("rivers.lua", "return 1"),
        ("trial/edited.lua", "local rivers = require('rivers') -- new"),
        ("trial/rivers.lua", "return 2"),
    ] {
        fs::write(path(name), text).expect("written");
    }
    let rule_set = RuleSet {
        config_file: path("nowcast.yaml"),
        module: "next_workers".to_owned(),
        options: EngineOptions::default(),
        workers: Vec::new(),
    };
    let edited = path("trial/edited.lua");
    let engine = rule_set.load(Some(&edited)).expect("rules");
    let exchange = RulesExchange::of_edited(&rule_set, &edited, &engine).expect("an exchange");
    exchange.swap().expect("exchanged");
    fs::remove_file(path("next_workers.lua")).expect("removed");
    fs::create_dir(path("next_workers.lua")).expect("a folder");
    let text = exchange.put_back().expect_err("no file").to_string();
    for part in
        ["next_workers.lua: ", "could not be put back: ", "rivers.lua, ", "nowcast rules deploy --undo"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// Killed between any two steps, each file is the old one or the new one; done again, nothing is left over.
#[cfg(feature = "failpoints")]
#[test]
fn killed_in_the_middle_every_file_is_whole() {
    use std::os::unix::process::ExitStatusExt;

    let steps = [
        ("deploy: before a file=return", "fraser", "one", 0),
        ("deploy: before a file=1*off->return", "fraser", "one", 1),
        ("deploy: before a rename=return", "fraser", "one", 2),
        ("deploy: before a rename=1*off->return", "nile", "one", 1),
        ("deploy: exchanged=return", "nile", "two", 0),
    ];
    for (point, river, arg, left) in steps {
        let system = a_system();
        fs::write(system.path("trial/rivers.lua"), "return { name = 'nile' }\n").expect("written");
        let mut command = system.command(&["rules", "deploy", "trial/edited.lua", "--yes"]);
        let output = command.env("FAILPOINTS", point).output().expect("it runs");
        assert_eq!(output.status.signal(), Some(9), "{point}: {output:?}");
        assert_eq!(in_force(&system), rules(arg), "{point}");
        let rivers = || fs::read_to_string(system.path("rules/rivers.lua")).expect("a module");
        assert_eq!(rivers(), format!("return {{ name = '{river}' }}\n"), "{point}");
        let names = || -> Vec<String> {
            let entries = fs::read_dir(system.path("rules")).expect("the folder").flatten();
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names().len(), 2 + left, "{point}: {:?}", names());
        system.operate(&["rules", "deploy", "trial/edited.lua", "--yes"]);
        assert_eq!((in_force(&system), rivers()), (rules("two"), "return { name = 'nile' }\n".to_owned()));
        assert_eq!(names().len(), 2, "{point}: {:?}", names());
    }
}
