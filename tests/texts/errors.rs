//! What is said of command lines, configurations and systems that cannot be used.

use std::fs;

use crate::program::{assert_snapshot, command, transcript};
use crate::scenes;

/// The transcripts of commands in a folder, which is written as `/srv`.
fn all(folder: &std::path::Path, commands: &[&[&str]]) -> String {
    let transcripts: Vec<_> =
        commands.iter().map(|arguments| transcript(command(folder, arguments))).collect();
    transcripts.join("\n").replace(&folder.display().to_string(), "/srv")
}

#[test]
fn command_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let commands: &[&[&str]] = &[
        &["statsu"],
        &["frobnicate"],
        &["status", "--jsn"],
        &["status", "--watch", "--json"],
        &["status", "-c"],
        &["why"],
        &["kill"],
        &["kill", "abc"],
        &["kill", "#"],
        &["kill", "99999999999999999999999"],
        &["kill", "7", "--cycle", "2019-10-01"],
        &["kill", "--cycle", "a b"],
        &["cycle"],
        &["cycle", "cancel"],
        &["backfill", "make_plots"],
        &["backfill", "make_plots", "--from", "yesterday", "--to", "2019-10-01"],
        &["backfill", "make_plots", "--from", "2019-13-01", "--to", "2019-10-01"],
        &["backfill", "make_plots", "--from", "2019-02-30", "--to", "2019-10-01"],
        &["release", "abc"],
        &["retry", "abc"],
        &["retry", "1", "--checklist", "yesterday"],
        &["rerun", "abc"],
        &["runs", "-n", "many"],
        &["runs", "-n", "-1"],
        &["runs", "--since", "soon"],
        &["runs", "--since", "9999-12-31"],
        &["runs", "--open", "--failed"],
        &["launch"],
        &["launch", "--delay", "soon", "make_plots"],
        &["launch", "--delay", "5", "make_plots"],
        &["launch", "--at", "soon", "make_plots"],
        &["hold", "--until", "soon", "--all"],
        &["checklist"],
        &["checklist", "set", "rivers"],
        &["checklist", "at", "abc"],
        &["rules"],
        &["rules", "graph", "--format", "svg"],
        &["rules", "test", "--min-coverage", "much"],
        &["rules", "replay", "--until", "soon"],
        &["worker", "slep"],
        &["exec", "make_plots"],
        &["fetch", "https://example.org/file"],
        &["fetch", "https://example.org/file", "file", "--timeout", "soon"],
        &["tell", "success"],
        &["need", "--worker", "make_plots"],
    ];
    assert_snapshot("errors_command_lines", &all(folder.path(), commands));
}

#[test]
fn without_a_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let commands: &[&[&str]] = &[
        &["status"],
        &["why", "1"],
        &["launch", "make_plots"],
        &["config", "check"],
        &["config", "check", "nowhere.yaml"],
        &["broker"],
        &["manager", "nowhere.yaml"],
        &["scheduler"],
        &["log-aggregator"],
        &["up"],
        &["worker", "sleep", "nowhere.yaml"],
        &["exec", "make_plots", "nowhere.yaml", "--", "true"],
        &["tell", "--worker", "make_plots", "success"],
        &["need", "--worker", "make_plots", "rivers"],
        &["rules", "check"],
        &["doctor"],
    ];
    assert_snapshot("errors_no_configuration", &all(folder.path(), commands));
}

#[test]
fn configurations_with_mistakes() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
    write("bad.yaml", include_str!("recorded/bad.yaml"));
    let good = include_str!("recorded/nowcast.yaml")
        .replace("ROOT", "/srv")
        .replace("MANAGER_PORT", "4343")
        .replace("WORKERS_PORT", "4344")
        .replace("HALF_PAST_ELEVEN", "11:30")
        .replace("NOON", "12:00");
    write("next_workers.lua", include_str!("recorded/next_workers.lua"));
    write("good.yaml", &good);
    // The mistakes of bad.yaml that show only when nothing graver is wrong.
    let sections = include_str!("recorded/bad.yaml").split_once("\nworkers:\n").expect("the sections").1;
    let head = good.split_once("\nworkers:\n").expect("the sections").0;
    write("bad_sections.yaml", &format!("{head}\nworkers:\n{sections}"));
    write("twice.yaml", &format!("{good}\nworkers: {{}}\nnotification: {{}}\n"));
    write("list.yaml", "- 1\n");
    write("empty.yaml", "");
    write("syntax.yaml", "checklist file: [\nzmq: {\n");
    let commands: &[&[&str]] = &[
        &["config", "check", "good.yaml"],
        &["config", "check", "good.yaml", "--json"],
        &["config", "check", "bad.yaml"],
        &["config", "check", "bad.yaml", "--json"],
        &["config", "check", "bad_sections.yaml"],
        &["config", "check", "twice.yaml"],
        &["config", "check", "list.yaml"],
        &["config", "check", "empty.yaml"],
        &["config", "check", "syntax.yaml"],
        &["config", "check", "-c", "good.yaml", "bad.yaml"],
        &["status", "-c", "bad.yaml"],
        &["manager", "bad.yaml"],
    ];
    assert_snapshot("errors_configuration", &all(folder.path(), commands));
}

#[test]
fn without_a_journal() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = include_str!("recorded/nowcast.yaml")
        .replace("ROOT", &folder.path().display().to_string())
        .replace("MANAGER_PORT", "4343")
        .replace("WORKERS_PORT", "4344")
        .replace("HALF_PAST_ELEVEN", "11:30")
        .replace("NOON", "12:00");
    fs::write(folder.path().join("nowcast.yaml"), good).expect("written");
    let commands: &[&[&str]] = &[
        &["why", "1"],
        &["why", "make_plots"],
        &["runs"],
        &["messages"],
        &["tail", "1"],
        &["checklist", "show"],
        &["checklist", "set", "rivers", "1"],
        &["launch", "make_plots"],
        &["rules", "check"],
        &["rules", "replay"],
    ];
    assert_snapshot("errors_no_journal", &all(folder.path(), commands));
}

#[test]
fn without_a_manager() {
    let mut system = scenes::failed_runs();
    let run = system.run_of("run_nemo").0.to_string();
    let pending = system.pending_run_of("make_plots").0.to_string();
    system.at("12:00").without_manager();
    let commands: &[&[&str]] = &[
        &["launch", "make_plots"],
        &["launch", "make_plots", "--json"],
        &["rerun", &run],
        &["rerun", "1000"],
        &["send", "make_plots", "success"],
        &["retry", "--all"],
        &["kill", &run],
        &["hold", "--all"],
        &["release", &pending],
        &["discard", &pending],
        &["checklist", "set", "rivers", "Fraser", "1"],
        &["checklist", "clear"],
    ];
    let transcripts: Vec<_> = commands.iter().map(|arguments| system.run(arguments)).collect();
    assert_snapshot("errors_no_manager", &transcripts.join("\n"));
}

#[test]
fn of_things_that_are_not_there() {
    let mut system = scenes::failed_runs();
    system.at("12:00");
    let commands: &[&[&str]] = &[
        &["why", "1000"],
        &["why", "#1000"],
        &["why", "1000", "--json"],
        &["why", "mak_plots"],
        &["why", "mak_plots", "--json"],
        &["why", ""],
        &["tail", "1000"],
        &["tail", "mak_plots"],
        &["checklist", "get", "rivers", "Frazer"],
        &["worker", "make_plots", "nowcast.yaml"],
        &["exec", "mak_plots", "nowcast.yaml", "--", "true"],
    ];
    let transcripts: Vec<_> = commands.iter().map(|arguments| system.run(arguments)).collect();
    assert_snapshot("errors_not_there", &transcripts.join("\n"));
}
