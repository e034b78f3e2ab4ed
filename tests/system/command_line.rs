//! What holds for the command line of several commands: the configuration file, the arguments of workers, errors.

use crate::support::system::{System, system};

/// The commands that take the configuration file as their first argument, and what stands behind it.
const TAKE_AN_ARGUMENT: [(&[&str], &[&str]); 8] = [
    (&["up"], &[]),
    (&["broker"], &[]),
    (&["manager"], &[]),
    (&["scheduler"], &[]),
    (&["log-aggregator"], &[]),
    (&["worker", "sleep"], &[]),
    (&["exec", "sleep"], &["--", "true"]),
    (&["config", "check"], &[]),
];

/// Run a command that fails with status 2, with a value of `NOWCAST_YAML`; return what it printed.
fn refused(system: &System, arguments: &[&str], variable: &str) -> String {
    let output = system.command(arguments).env("NOWCAST_YAML", variable).output().expect("it runs");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
    text
}

#[test]
fn the_command_line_names_the_configuration_and_beats_the_environment() {
    let system = system().prepare();
    for (command, rest) in TAKE_AN_ARGUMENT {
        for file in [&["given.yaml"][..], &["-c", "given.yaml"], &["--config", "given.yaml"]] {
            let text = refused(&system, &[command, file, rest].concat(), "environment.yaml");
            assert!(text.contains("given.yaml") && !text.contains("environment.yaml"), "{command:?}: {text}");
        }
        let text = refused(&system, &[command, &["a.yaml", "-c", "b.yaml"], rest].concat(), "");
        assert!(text.contains("cannot be used with"), "{command:?}: {text}");
        let text = refused(&system, &[command, rest].concat(), "environment.yaml");
        assert!(text.contains("environment.yaml"), "{command:?}: {text}");
    }
    for command in [
        &["status"][..],
        &["rules", "check"],
        &["rules", "test"],
        &["generate", "types"],
        &["tell", "x", "--worker", "y"],
    ] {
        let text = refused(&system, &[command, &["-c", "given.yaml"]].concat(), "environment.yaml");
        assert!(text.contains("given.yaml") && !text.contains("environment.yaml"), "{command:?}: {text}");
    }
}

#[test]
fn an_empty_variable_names_no_configuration() {
    let system = system().prepare();
    std::fs::remove_file(system.config()).expect("removed");
    for (command, rest) in TAKE_AN_ARGUMENT {
        let text = refused(&system, &[command, rest].concat(), "");
        assert!(text.contains("nowcast.yaml: the configuration file cannot be read"), "{command:?}: {text}");
    }
}

#[test]
fn everything_behind_the_workers_name_belongs_to_the_worker() {
    let system = system().section("workers: {keyless: {command: ['true']}}").start();
    let arguments = ["--delay", "30s", "--json", "-c", "x.yaml", "--", "--help"];
    let output = system.command(&[&["launch", "--json", "keyless"][..], &arguments].concat()).output();
    let launched: serde_json::Value = serde_json::from_slice(&output.expect("it runs").stdout).expect("JSON");
    let run = || -> serde_json::Value {
        serde_json::from_str(&system.operate(&["runs", "--json", "-n", "1"])).expect("JSON")
    };
    assert_eq!(run()[0]["args"], serde_json::json!(arguments));
    let number = launched["numbers"][0].to_string();
    system.wait_for("its end", || run()[0]["ended"].is_string().then_some(()));
    let answer = system.operate(&["rerun", "--json", &number, "--json", "--since", "-n"]);
    assert!(answer.starts_with('{'), "{answer}");
    assert_eq!(run()[0]["args"], serde_json::json!(["--json", "--since", "-n"]));
}

#[test]
fn an_option_of_launch_after_the_workers_name_is_passed_on_with_a_note() {
    let system = system().section("workers: {keyless: {command: ['true']}}").start();
    let launch = |arguments: &[&str]| {
        let output = system.command(&[&["launch"], arguments].concat()).output().expect("it runs");
        let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("text"));
        (out, err)
    };
    let (out, err) = launch(&["keyless", "--cycle=2026-03-14", "--debug"]);
    assert!(out.starts_with("keyless is launched as run #") && !out.contains("of cycle"), "{out}");
    assert_eq!(
        err,
        "note: --cycle is passed to keyless; put options of \"nowcast launch\" before the worker: nowcast launch --cycle … keyless\n"
    );
    let (out, err) = launch(&["--cycle", "2026-03-14", "keyless", "--debug"]);
    assert!(out.contains(" of cycle 2026-03-14"), "{out}");
    assert_eq!(err, "");
}

#[test]
fn an_unknown_option_before_the_workers_name_is_refused() {
    let system = system().prepare();
    for (command, word) in [("launch", "keyless"), ("rerun", "5")] {
        let (status, text) = system.operation(&[command, "--dealy", "30s", word]);
        assert_eq!(status, Some(2), "{text}");
        assert_eq!(text, format!("unknown option \"--dealy\"; see \"nowcast {command} --help\"\n"));
    }
}

#[test]
fn a_worker_that_is_not_registered_is_launched_only_on_demand() {
    let system = system().section("workers: {kyless: {command: ['true']}}").start();
    let (status, text) = system.operation(&["launch", "kyless"]);
    assert_eq!(status, Some(1), "{text}");
    assert_eq!(
        text,
        "worker \"kyless\" is not in the message registry; did you mean `keyless`? (--unregistered launches it)\n"
    );
    assert_eq!(system.operate(&["runs"]), "no matching runs\n");
    let answer = system.operate(&["launch", "--unregistered", "kyless"]);
    assert!(answer.starts_with("kyless is launched as run #"), "{answer}");
}

#[test]
fn a_worker_that_is_not_registered_is_launched_at_the_start_only_on_demand() {
    let system = system().section("workers: {kyless: {command: ['true']}}").prepare();
    for command in ["up", "manager"] {
        let output = system.command(&[command, "--launch", "kyless"]).output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{command}: {text}");
        let expected = "worker \"kyless\" is not in the message registry; did you mean `keyless`? (--unregistered launches it)";
        assert!(text.contains(expected), "{command}: {text}");
    }
    let up = ["up", "--launch", "kyless", "--unregistered", "--exit-when-idle"];
    let output = system.command(&up).output().expect("it runs");
    let runs = system.operate(&["runs"]);
    assert!(runs.contains("kyless"), "{runs}{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_worker_that_is_not_registered_is_held_only_on_demand() {
    let system = system().start();
    let (status, text) = system.operation(&["hold", "--worker", "keyles"]);
    assert_eq!(status, Some(1), "{text}");
    assert_eq!(
        text,
        "worker \"keyles\" is not in the message registry; did you mean `keyless`? (--unregistered holds it)\n"
    );
    let answer = system.operate(&["hold", "--worker", "keyles", "--unregistered"]);
    assert!(answer.starts_with("launches of worker keyles are held by hold #"), "{answer}");
}

#[test]
fn an_error_is_text_on_standard_error_also_with_json() {
    let system = system().prepare();
    for (arguments, file, expected) in [
        (&["runs", "--json"][..], "missing.yaml", 2),
        (&["status", "--json"], "missing.yaml", 2),
        (&["why", "--json", "keyless"], "nowcast.yaml", 1),
        (&["launch", "--json", "keyless"], "nowcast.yaml", 1),
        (&["rules", "eval", "--json", "--worker", "keyless", "--type", "success"], "missing.yaml", 2),
    ] {
        let output = system.command(arguments).env("NOWCAST_YAML", file).output().expect("it runs");
        assert_eq!(output.status.code(), Some(expected), "{arguments:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}: {output:?}");
        assert!(!output.stderr.is_empty() && !output.stderr.starts_with(b"{"), "{arguments:?}: {output:?}");
    }
}

#[test]
fn a_worker_that_does_not_exist_has_no_history() {
    let system = system().start();
    for command in ["runs", "messages"] {
        let (status, text) = system.operation(&[command, "--worker", "keyles"]);
        assert_eq!(
            (status, text.as_str()),
            (Some(1), "there is no worker \"keyles\"; did you mean `keyless`?\n")
        );
        let (status, _) = system.operation(&[command, "--worker", "keyless"]);
        assert_eq!(status, Some(0), "a registered worker without runs is not an error");
    }
    let (status, text) = system.operation(&["tail", "keyles"]);
    assert_eq!(status, Some(1));
    assert!(text.starts_with("there is no worker \"keyles\""), "{text}");
}

#[test]
fn a_wrong_number_is_refused_with_where_to_find_one() {
    let system = system().prepare();
    for (arguments, expected) in [
        (&["kill", "abc"][..], "invalid run number \"abc\"; use a number shown by \"nowcast runs\""),
        (&["rerun", "abc"], "invalid run number \"abc\"; use a number shown by \"nowcast runs\""),
        (&["retry", "abc"], "invalid message number \"abc\"; use a number shown by \"nowcast messages\""),
        (&["discard", "abc"], "invalid number \"abc\"; use a number shown by \"nowcast status\""),
        (&["runs", "-n", "abc"], "use a whole number from 0 to 4294967295"),
    ] {
        let (status, text) = system.operation(arguments);
        assert_eq!(status, Some(2), "{text}");
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn an_operator_without_user_in_the_environment_is_known_by_name() {
    let system = system().start();
    let name = std::process::Command::new("id").arg("-un").output().expect("id runs").stdout;
    let name = String::from_utf8(name).expect("UTF-8");
    let mut command = system.command(&["hold", "--all"]);
    for variable in ["SUDO_USER", "USER", "LOGNAME"] {
        command.env_remove(variable);
    }
    assert!(command.output().expect("it runs").status.success());
    let text = system.operation(&["status"]).1;
    assert!(text.contains(&format!("by {}", name.trim())) && !text.contains("uid "), "{text}");
}

#[test]
fn the_end_of_an_output_comes_as_json_too() {
    let system = system().section("workers: {keyless: {exec: [sh, -c, 'echo one; echo two']}}").start();
    system.operate(&["launch", "keyless"]);
    let tail = system.wait_for("the output", || {
        let (_, text) = system.operation(&["tail", "--json", "-n", "100", "keyless"]);
        let tail: serde_json::Value = serde_json::from_str(&text).ok()?;
        tail["lines"].as_array()?.contains(&"two".into()).then_some(tail)
    });
    assert_eq!(tail["worker"], "keyless");
    assert!(tail["file"].as_str().expect("a path").ends_with("/output.log"), "{tail}");
}
