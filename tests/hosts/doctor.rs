//! `nowcast doctor` on this machine.

use std::fs;
use std::net::TcpListener;

use serde_json::Value;

use crate::support::python;
use crate::support::system::{System, system};

/// The checks by place and name, with state and text.
pub fn doctor(system: &System, options: &[&str]) -> (Option<i32>, Vec<(String, String, String)>) {
    let (status, text) = system.operation(&[&["doctor", "--json"], options].concat());
    let checks: Value = serde_json::from_str(&text).expect("JSON");
    let text = |check: &Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
    let checks = checks.as_array().expect("a list").iter();
    let checks = checks.map(|check| {
        assert_eq!(text(check, "state") == "ok", check["help"].is_null(), "{check}");
        let name = format!("{}: {}", text(check, "place"), text(check, "check"));
        (name, text(check, "state"), text(check, "text"))
    });
    (status, checks.collect())
}

/// The state and text of one check.
pub fn of<'a>(checks: &'a [(String, String, String)], name: &str) -> (&'a str, &'a str) {
    let found = checks.iter().find(|(check, ..)| check == name);
    let (_, state, text) = found.unwrap_or_else(|| panic!("no {name} in {checks:?}"));
    (state, text)
}

#[test]
fn a_healthy_system_passes_with_and_without_its_daemons() {
    let mut system = system().python(&python::venv()).prepare();
    let (status, checks) = doctor(&system, &[]);
    assert_eq!(status, Some(0), "{checks:?}");
    assert!(of(&checks, "local: port for workers").1.ends_with("is free; no message broker runs"));
    system.start_broker();
    system.start_manager(&[]);
    let (status, checks) = doctor(&system, &["--hosts"]);
    assert_eq!(status, Some(0), "{checks:?}");
    assert!(checks.iter().all(|(_, state, _)| state != "failed"), "{checks:?}");
    for port in ["local: port for workers", "local: port for the manager"] {
        assert!(of(&checks, port).1.starts_with("a message broker listens on localhost:"), "{checks:?}");
    }
    assert!(of(&checks, "local: python").1.contains("is Python 3."));
    assert_eq!(of(&checks, "local: python packages").0, "ok");
    let text = system.operate(&["doctor"]);
    assert!(text.contains("checks, 0 failed"), "{text}");
}

#[test]
fn a_problem_is_reported_with_its_remedy() {
    let mut system = system().prepare();
    let _taken = TcpListener::bind(("127.0.0.1", system.workers_port)).expect("the port");
    system.set_python("/no/such/python");
    system.write_rules("function after_sleep( end");
    // A file in place of a folder.
    fs::write(system.path("checklist.journal"), "").expect("written");
    let (status, checks) = doctor(&system, &[]);
    assert_eq!(status, Some(1));
    for (check, text) in [
        ("port for workers", "a program other than a message broker uses "),
        ("python", "/no/such/python: No such file"),
        ("rules", "next_workers.lua"),
        ("journal", "is not a folder"),
    ] {
        let (state, found) = of(&checks, &format!("local: {check}"));
        assert!(state == "failed" && found.contains(text), "{check}: {state} {found}");
    }
    let (status, text) = system.operation(&["doctor"]);
    assert_eq!(status, Some(1));
    assert!(text.contains("\nFAILED  local  rules"), "{text}");
    assert!(text.contains("\n        → repair them; \"nowcast rules check\" shows more\n"), "{text}");
    fs::write(system.config(), "python: 7\n").expect("written");
    let (status, checks) = doctor(&system, &[]);
    assert_eq!(status, Some(1));
    assert!(
        of(&checks, "local: configuration").1.contains("python: must be text, not an integer"),
        "{checks:?}"
    );
}

#[test]
fn a_template_without_its_program_is_a_failure() {
    let hosts = "hosts: {good: {launch command: [sh, -c, '{command}']}, bad: {launch command: [no-such-queue, '{command}']}}";
    let system = system().python(&python::venv()).section(hosts).prepare();
    let (status, checks) = doctor(&system, &["--hosts"]);
    assert_eq!(status, Some(1));
    assert_eq!(of(&checks, "good: launch command").0, "ok");
    let (state, text) = of(&checks, "bad: launch command");
    assert_eq!((state, text), ("failed", "the program no-such-queue does not exist"));
}

#[test]
fn a_missing_program_or_module_is_a_failure() {
    let section = "workers: {keyless: {exec: [no-such-program]}}\nscheduled workers:\n  \
                   - no_such_package.other: {every: day, at: '05:15'}\nweather: 1\nweather: 2\n";
    let system = system().python(&python::venv()).section(section).prepare();
    let (status, checks) = doctor(&system, &[]);
    assert_eq!(status, Some(1));
    let failed =
        |text: &str| checks.iter().any(|(_, state, found)| state == "failed" && found.contains(text));
    assert!(failed("workers: keyless: exec: cannot run `no-such-program`"), "{checks:?}");
    assert!(failed("cannot find module `no_such_package.other`"), "{checks:?}");
    assert!(failed("weather: this key appears 2 times"), "{checks:?}");
}
