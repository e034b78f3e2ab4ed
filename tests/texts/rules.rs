//! What the tools for rules print.

use std::fs;

use crate::program::assert_snapshot;
use crate::recorded::Recorded;
use crate::scenes;

const BAD_RULES: &str = include_str!("recorded/bad_rules.lua");

fn all(system: &mut Recorded, commands: &[&[&str]]) -> String {
    commands.iter().map(|arguments| system.run(arguments)).collect::<Vec<_>>().join("\n")
}

#[test]
fn check() {
    let mut system = scenes::fine();
    fs::write(system.root().join("bad.lua"), BAD_RULES).expect("written");
    fs::write(system.root().join("broken.lua"), "function after_run_nemo(msg)\n  return {\n")
        .expect("written");
    let text = all(
        &mut system,
        &[
            &["rules", "check"],
            &["rules", "check", "--json"],
            &["rules", "check", "--rules", "bad.lua"],
            &["rules", "check", "--rules", "bad.lua", "--json"],
            &["rules", "check", "--rules", "broken.lua"],
            &["rules", "check", "--rules", "nowhere.lua"],
        ],
    );
    assert_snapshot("rules_check", &text);
}

#[test]
fn graph() {
    let text = all(
        &mut scenes::failed_runs(),
        &[
            &["rules", "graph"],
            &["rules", "graph", "--worker", "make_forcing"],
            &["rules", "graph", "--worker", "mak_forcing"],
            &["rules", "graph", "--format", "dot"],
            &["rules", "graph", "--format", "mermaid"],
            &["rules", "graph", "--json", "--worker", "make_forcing"],
            &["rules", "graph", "--format", "svg"],
        ],
    );
    assert_snapshot("rules_graph", &text);
}

#[test]
fn eval() {
    let eval = |more: &[&'static str]| [&["rules", "eval"], more].concat();
    let commands = [
        eval(&["--worker", "download_weather", "--type", "success 00"]),
        eval(&["--worker", "download_weather", "--type", "success 00", "--json"]),
        eval(&["--worker", "collect_rivers", "--type", "success", "--checklist", "{rivers: {Skagit: 1}}"]),
        eval(&["--worker", "collect_rivers", "--type", "success", "--payload", "{Fraser: 5"]),
        eval(&["--worker", "collect_river", "--type", "success"]),
        eval(&["--worker", "collect_rivers", "--type", "sucess"]),
        eval(&["--worker", "clear_checklist", "--type", "success"]),
        eval(&[]),
    ];
    let commands: Vec<&[&str]> = commands.iter().map(Vec::as_slice).collect();
    assert_snapshot("rules_eval", &all(&mut scenes::fine(), &commands));
}

#[test]
fn replay() {
    let mut system = scenes::bad_messages();
    let edited = fs::read_to_string(system.root().join("rules/next_workers.lua")).expect("the rules");
    let edited = edited.replace("need(checklist, \"rivers\", \"Fraser\")", "1").replace("45m", "1h");
    fs::write(system.root().join("edited.lua"), edited).expect("written");
    let text = all(
        &mut system,
        &[
            &["rules", "replay"],
            &["rules", "replay", "--rules", "edited.lua"],
            &["rules", "replay", "--rules", "edited.lua", "--json"],
            &["rules", "replay", "--worker", "nobody"],
            &["rules", "replay", "--recording", "nowhere"],
        ],
    );
    assert_snapshot("rules_replay", &text);
}

#[test]
fn test() {
    let mut system = scenes::fine();
    fs::create_dir(system.root().join("rules/tests")).expect("a folder");
    fs::write(system.root().join("rules/tests/rivers.lua"), include_str!("recorded/rivers_test.lua"))
        .expect("written");
    let text = all(
        &mut system,
        &[
            &["rules", "test"],
            &["rules", "test", "--coverage", "--filter", "plots"],
            &["rules", "test", "--json"],
            &["rules", "test", "--filter", "nothing"],
        ],
    );
    assert_snapshot("rules_test", &text);
}

#[test]
fn deploy() {
    let mut system = scenes::fine();
    fs::write(system.root().join("bad.lua"), BAD_RULES).expect("written");
    let rules = fs::read_to_string(system.root().join("rules/next_workers.lua")).expect("the rules");
    fs::write(system.root().join("edited.lua"), rules.replace("45m", "1h")).expect("written");
    system.at("12:00").without_manager();
    let text = all(
        &mut system,
        &[
            &["rules", "deploy", "bad.lua"],
            &["rules", "deploy", "edited.lua"],
            &["rules", "deploy", "--yes", "edited.lua"],
            &["rules", "deploy", "nowhere.lua"],
        ],
    );
    assert_snapshot("rules_deploy", &text);
}
