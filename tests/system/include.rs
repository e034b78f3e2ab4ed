//! `include:`: a configuration of several files.

use std::fs;
use std::path::Path;

use nowcast::config;
use rustix::process::Signal;

use crate::support::python;
use crate::support::system::{Builder, System, system};

/// A system whose configuration is in three files.
fn three_files() -> Builder {
    let workers = "
message registry:
  workers:
    toil: {checklist key: work, success: done, crash: crashed}
    plain:
workers:
  toil: {exec: [sh, -c, 'echo $NOWCAST_YAML {config} > {folder}/toil.txt']}
  plain: {command: [cp, '{config}', '{folder}/plain.yaml']}
";
    system()
        .section(
            "include: [workers.yaml, 'more/*.yaml']\nscheduled workers:\n- awaken: {every: day, at: '05:15'}",
        )
        .rules("function after_toil() return {} end\nfunction after_plain() return {} end\n")
        .file("workers.yaml", workers)
        .file("more/b.yaml", "forcing: {rivers: fraser}\n")
        .file("more/a.yaml", "scheduled workers:\n- sleep: {every: day, at: '04:15'}\n")
}

fn origin(system: &System, keys: &[&str]) -> String {
    let text = system.operate(&[&["config", "show", "--origin"], keys].concat());
    text.lines().nth(1).expect("a setting").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Check a configuration and return its error.
fn error(section: &str, files: &[(&str, &str)]) -> String {
    let system = files
        .iter()
        .fold(system().section(section), |system, (name, text)| system.file(name, text))
        .prepare();
    let (status, text) = system.operation(&["config", "check"]);
    assert_eq!(status, Some(2), "{text}");
    text
}

#[test]
fn sections_are_merged_and_lists_appended() {
    let system = three_files().prepare();
    assert_eq!(system.operate(&["config", "check"]), "nowcast.yaml is valid: 7 workers registered\n");
    assert_eq!(system.operate(&["config", "show", "forcing", "rivers"]), "fraser\n");
    let schedule = system.operate(&["config", "show", "scheduled workers"]);
    assert_eq!(
        schedule,
        "- awaken:\n    every: day\n    at: 05:15\n- sleep:\n    every: day\n    at: 04:15\n"
    );
    assert!(!system.operate(&["config", "show"]).contains("include"));
    assert_eq!(origin(&system, &["forcing"]), "forcing: rivers fraser more/b.yaml, line 1");
    let second = origin(&system, &["scheduled workers", "1", "sleep", "at"]);
    assert_eq!(second, "scheduled workers: 1: sleep: at 04:15 more/a.yaml, line 2");
    let registered = origin(&system, &["message registry", "workers", "toil", "success"]);
    assert_eq!(registered, "message registry: workers: toil: success done workers.yaml, line 4");
    assert!(origin(&system, &["zmq", "host"]).contains("localhost nowcast.yaml, line "));
}

#[test]
fn a_value_that_is_given_twice_is_an_error_at_both_places() {
    let text = error(
        "include: [a.yaml, b.yaml]",
        &[("a.yaml", "zmq:\n  bind: '*'\n"), ("b.yaml", "zmq:\n\n  bind: x\n  host: y\n")],
    );
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "error: b.yaml, line 3, zmq: bind: is given twice, also in a.yaml, line 2; remove one of them"
    );
    assert!(
        lines[1].starts_with("error: b.yaml, line 4, zmq: host: is given twice, also in nowcast.yaml, line "),
        "{text}"
    );
    assert_eq!(lines.len(), 2);
    let text = error("include: a.yaml\nmine: {list: [1]}", &[("a.yaml", "mine: {list: {a: 1}}\n")]);
    assert!(
        text.starts_with("error: a.yaml, line 1, mine: list: is given twice, also in nowcast.yaml, line "),
        "{text}"
    );
}

#[test]
fn files_that_cannot_be_included_are_errors_at_the_place_that_names_them() {
    let circle = [
        ("sub/a.yaml", "include: ../b.yaml\n"),
        ("b.yaml", "x: 1\ninclude:\n- c.yaml\n"),
        ("c.yaml", "include: sub/a.yaml\n"),
    ];
    let text = error("include: sub/a.yaml", &circle);
    let expected = "error: sub/../c.yaml, line 1, include: the files include each other: sub/a.yaml → sub/../b.yaml → sub/../c.yaml → \
                    sub/../sub/a.yaml; remove one of these includes";
    assert_eq!(text.trim_end(), expected);
    for (section, files, expected) in [
        (
            "include: none.yaml",
            &[][..],
            ", include: the file none.yaml does not exist; paths are relative to the file that includes",
        ),
        (
            "include: nowcast.yaml",
            &[],
            ", include: the files include each other: nowcast.yaml → nowcast.yaml;",
        ),
        ("include: [7]", &[], ", include: must be a file name or a list of them, not an integer"),
        ("include: 'a[.yaml'", &[], ", include: `a[.yaml` is not a pattern of file names: "),
        (
            "include: a.yaml",
            &[("a.yaml", "- 1\n")],
            "error: a.yaml: the file must hold a mapping of sections, but it holds a list",
        ),
        ("include: a.yaml", &[("a.yaml", "b: 1\na: [\n")], "error: a.yaml, line 3: not valid YAML: "),
        ("include: a.yaml/b", &[("a.yaml", "b: 1\n")], "a.yaml/b cannot be read: "),
        (
            "include: [a.yaml, '?.yaml']",
            &[("a.yaml", "b: 1\n")],
            ", include: a.yaml is included twice, also in nowcast.yaml, line ",
        ),
    ] {
        let text = error(section, files);
        assert!(text.starts_with("error: ") && text.contains(expected), "{section}: {text}");
    }
    let system = system().section("include: hosts/*.yaml").prepare();
    let text = system.operate(&["config", "check"]);
    assert!(
        text.contains("warning: nowcast.yaml, line ")
            && text.contains(", include: no file matches `hosts/*.yaml`"),
        "{text}"
    );
}

#[test]
fn problems_are_at_their_place_in_the_included_file() {
    let system = system()
        .section("include: a.yaml\nexpect:\n- {worker: sleep, by: '06:30'}")
        .file("a.yaml", "expect:\n\n- {worker: sleep, by: '25:30'}\nworkers:\n  slep: {timeout: 1h}\n")
        .prepare();
    let (status, text) = system.operation(&["config", "check"]);
    assert_eq!(status, Some(2));
    assert!(
        text.contains("error: a.yaml, line 3, expect: entry 2: by: \"25:30\" is not a time of day"),
        "{text}"
    );
    assert!(text.contains("warning: a.yaml, line 5, workers: slep: no worker of that name"), "{text}");
    let json = system.operation(&["config", "check", "--json"]).1;
    let report: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        (&report["problems"][0]["file"], &report["problems"][0]["line"]),
        (&"a.yaml".into(), &3.into())
    );
}

#[test]
fn the_journal_keeps_one_document_that_needs_no_files() {
    let system = three_files().start();
    system.works();
    let journal =
        rusqlite::Connection::open(system.path("checklist.journal/journal.sqlite")).expect("a journal");
    let kept: String =
        journal.query_row("SELECT text FROM configurations", [], |row| row.get(0)).expect("a text");
    let (config, _) = config::load(&system.config()).expect("a good configuration");
    let elsewhere = Path::new("/no/such/folder/nowcast.yaml");
    let (again, _) =
        config::parse(elsewhere, kept.as_bytes(), &|name| std::env::var(name).ok()).expect("a good one");
    assert_eq!((again.value, again.scheduled), (config.value, config.scheduled));
}

#[test]
fn a_reload_reads_all_files() {
    let system = three_files().start();
    let forcing = system.path("more/b.yaml");
    fs::write(&forcing, "message registry: {workers: {late: }}\n").expect("written");
    system.signal("manager", Signal::HUP);
    system.wait_for_log_count("manager", "listening...", 2);
    assert_eq!(system.send("late", "success", "null"), "no after_worker function");
    fs::write(&forcing, "zmq: {host: elsewhere}\n").expect("written");
    system.signal("manager", Signal::HUP);
    system.wait_for_log(
        "manager",
        "more/b.yaml, line 1, zmq: host: is given twice, also in nowcast.yaml, line ",
    );
    system.wait_for_log("manager", "the new configuration is refused, the old one stays");
    system.works();
}

/// Reads its configuration as workers of `NEMO_Nowcast` do, which do not know `include:`.
const READER: &str = r#"
import os, sys, yaml
with open(sys.argv[1]) as file:
    config = yaml.safe_load(file)
with open(os.path.join(os.path.dirname(os.environ['NOWCAST_YAML']), 'reader.txt'), 'w') as file:
    file.write(f"{config['forcing']['rivers']} {'include' in config}\n")
"#;

#[test]
fn a_python_worker_gets_one_file_and_other_workers_the_file_with_the_includes() {
    let python = python::venv();
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("reader.py"), READER).expect("a module");
    let mut system = three_files()
        .worker("reader: {success: done, crash: crashed}")
        .rules("function after_reader() return {} end\nfunction after_toil() return { worker('reader') } end")
        .python(&python)
        .env("PYTHONPATH", folder.path().to_str().expect("text"))
        .start();
    let written = |system: &System, name: &str| {
        let whole = || fs::read_to_string(system.path(name)).ok().filter(|text| text.ends_with('\n'));
        system.wait_for(&format!("the file {name}"), whole)
    };
    system.operate(&["launch", "toil"]);
    let config = system.config().display().to_string();
    assert_eq!(written(&system, "toil.txt"), format!("{config} nowcast.yaml\n"));
    assert_eq!(written(&system, "reader.txt"), "fraser False\n");
    system.operate(&["launch", "plain"]);
    let merged = fs::read_to_string(system.path("checklist.journal/nowcast.yaml")).expect("merged");
    system.wait_for("the copy", || (written(&system, "plain.yaml") == merged).then_some(()));
    // A program of ours that gets the merged file reads the other one.
    let (read, _) = config::load(&system.path("checklist.journal/nowcast.yaml")).expect("a good one");
    assert_eq!(read.file, system.config());

    // What has changed is in it after a reload, and after a restart.
    let is_merged = |system: &System, rivers: &str| {
        let merged = fs::read_to_string(system.path("checklist.journal/nowcast.yaml")).expect("merged");
        merged.contains(&format!("rivers: {rivers}\n")).then_some(())
    };
    fs::write(system.path("more/b.yaml"), "forcing: {rivers: skeena}\n").expect("written");
    system.signal("manager", Signal::HUP);
    system.wait_for("the rivers of the new configuration", || is_merged(&system, "skeena"));
    fs::write(system.path("more/b.yaml"), "forcing: {rivers: nass}\n").expect("written");
    system.signal("manager", Signal::KILL);
    system.wait_for_end("manager");
    system.start_manager(&[]);
    assert_eq!(is_merged(&system, "nass"), Some(()));
}
